import pg from 'pg';
import { defaultApplySettings } from '../src/apply/context.ts';
import { columnsSql, tableFacts } from '../src/engines/postgres/columns.ts';
import { CopyIn } from '../src/engines/postgres/copy-in.ts';
import { postgres } from '../src/engines/postgres/index.ts';
import { textArray } from '../src/engines/postgres/select.ts';
import { byIndex, copyPieces } from '../src/engines/postgres/write-hashed.ts';
import { bareSql, copySql } from '../src/engines/postgres/write-sql.ts';
import { systemClock } from '../src/lib/clock.ts';
import { randomSeed } from '../src/lib/ids.ts';
import type { Change } from '../src/model/change.ts';
import type { Endpoint } from '../src/model/endpoint.ts';
import type { Plan } from '../src/model/plans.ts';
import { nativeSelection } from '../src/model/selection.ts';
import type { Store } from '../src/model/store.ts';
import { hashOf } from '../src/plan/image-hashes.ts';
import { apply } from '../src/work/apply.ts';
import { makePlan } from '../src/work/make-plan.ts';
import { openStore } from '../src/work/open-store.ts';
import { factsOf } from '../src/work/recorded.ts';
import { openSides, type Servers, type Sides, type Work, works } from './apply-sides.ts';
import { median, timed } from './measure.ts';

/** One line of the speed table: writing against native logical replication's apply of the same rows. */
export interface ApplyFigures {
  /** `apply inserts, bare writer`, … */
  readonly scenario: string;
  readonly rows: number;
  /** Seconds, medians: ours, and the subscription's worker. */
  readonly seconds: number;
  readonly yardstick: number;
  /** Median of the rounds' ratios of rates: 2 is twice as fast as native apply. */
  readonly ratio: number;
  /** Processor seconds of this process alone, median. */
  readonly cpu: number;
  /** Processor seconds of the target's server, ours and native apply's, medians. */
  readonly serverCpu: number | null;
  readonly yardstickCpu: number | null;
  readonly goal: number | null;
  readonly holds: boolean | null;
}

export interface ApplyOptions {
  readonly rows: number;
  readonly rounds: number;
  readonly batchSize?: number;
  readonly concurrency?: number;
  readonly servers?: Servers;
  readonly onRound?: (line: string) => void;
}

/** Ways of writing, each with what it adds to the one before; all but the first as many batches at a time as the product. */
const layers = ['alone', 'bare', 'writer', 'everything'] as const;
type Layer = (typeof layers)[number];

const names: Readonly<Record<Layer, string>> = {
  alone: 'bare writer, one connection',
  bare: 'bare writer',
  writer: 'with guard, read-back and marker',
  everything: 'with everything: and plan and journal',
};
const goals: Readonly<Record<Layer, Readonly<Record<Work, number>> | undefined>> = {
  alone: undefined,
  bare: { insert: 0.9, update: 1.8, delete: 3 },
  writer: undefined,
  everything: { insert: 0.5, update: 1, delete: 1.5 },
};

const { signal } = new AbortController();
const asked = { actor: 'bench', correlation: 'bench' };
const guards = { maxChanges: 1e9, maxChangeRatio: null, maxDeletes: 1e9, emptySource: 'stop' as const };

const connect = (url: string, name: string): Promise<Endpoint> =>
  postgres.connect(postgres.parse(url), { name, writable: true, signal });

/** The plan that makes `target` agree with the source. */
const planOf = async (store: Store, sides: Sides, target: Endpoint, o: ApplyOptions): Promise<Plan> => {
  await using source = await connect(sides.source, 'source');
  const { plan } = await makePlan({
    ...asked,
    store,
    source,
    target,
    pairs: [{ source: 'bench' }],
    sync: null,
    mode: 'mirror',
    guards,
    settings: {
      ...(o.batchSize === undefined ? {} : { batchSize: o.batchSize }),
      ...(o.concurrency === undefined ? {} : { concurrency: o.concurrency }),
    },
    facts: { source: factsOf(source, 'source'), target: factsOf(target, 'target') },
    settleMs: 0,
    clock: systemClock,
    seed: randomSeed(),
    signal,
  });
  return plan;
};

const batchesOf = async (store: Store, plan: Plan, size: number): Promise<readonly (readonly Change[])[]> => {
  const batches: Change[][] = [[]];
  for await (const items of store.plans.items(plan.header.id, { signal }))
    for (const { change } of items) {
      if (batches.at(-1)!.length >= size) batches.push([]);
      batches.at(-1)!.push(change);
    }
  return batches;
};

const keyArrays = (key: readonly string[], changes: readonly Change[]): string[] =>
  key.map((_, i) => textArray(changes.map((c) => c.key[i]!)));
const cellArrays = (changes: readonly Change[], written: readonly number[]): string[] =>
  written.map((_, i) => textArray(changes.map((c) => (c.op === 'update' ? c.cells![i]! : null))));

/** The batches, taken in turns by this many at a time. */
const inTurns = async (
  batches: readonly (readonly Change[])[],
  at: number,
  write: (changes: readonly Change[], i: number) => Promise<void>,
): Promise<void> => {
  const left = [...batches.entries()].values();
  await Promise.all(
    Array.from({ length: at }, async () => {
      for (const [i, changes] of left) await write(changes, i);
    }),
  );
};

/** Only the statements, one transaction each: no guard, no read-back, no record. Not a mode of the product. */
const writeBare = async (
  target: string,
  plan: Plan,
  batches: readonly (readonly Change[])[],
  connections: number,
): Promise<number> => {
  const { table, key } = plan.header.tables[0]!;
  const clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: target }));
  await Promise.all(clients.map((client) => client.connect()));
  const [client] = clients as [pg.Client];
  try {
    const query = async (sql: string, values: readonly unknown[]) =>
      (await client.query({ text: sql, values: [...values], rowMode: 'array' })).rows;
    const columns = columnsSql(
      nativeSelection(table, key),
      await tableFacts({ query } as never, table, { signal, doing: 'reading' }),
      'bare',
    );
    const first = batches[0]![0]!;
    const written = first.op === 'delete' ? [] : first.columns;
    const sides = [columns.slice(0, key.length), written.map((i) => columns[i]!)] as const;
    const sql = first.op === 'insert' ? copySql(table, sides[1]) : bareSql(first.op, table, ...sides);
    const copied = (on: pg.Client, changes: readonly Change[]): Promise<number> => {
      const copy = new CopyIn(sql, copyPieces(changes, written)!);
      on.query(copy);
      return copy.rows;
    };
    const idle = [...clients];
    return await timed(() =>
      inTurns(batches, connections, async (changes) => {
        const on = idle.pop()!;
        await on.query(`begin${byIndex}`);
        const count =
          first.op === 'insert'
            ? await copied(on, changes)
            : (await on.query(sql, [...keyArrays(key, changes), ...cellArrays(changes, written)])).rowCount;
        if (count !== changes.length) throw new Error(`${first.op}: ${count} of ${changes.length} rows`);
        await on.query('commit');
        idle.push(on);
      }),
    );
  } finally {
    await Promise.all(clients.map((c) => c.end()));
  }
};

/** Guard, read-back and marker: the writer of the engine, without plan and journal. */
const writeSteps = async (
  url: string,
  plan: Plan,
  batches: readonly (readonly Change[])[],
  connections: number,
): Promise<number> => {
  const { table, key } = plan.header.tables[0]!;
  await using target = await connect(url, 'target');
  const writer = target.writer!;
  const hash = hashOf(plan.header);
  await writer.prepare({ signal });
  await using lock = await writer.lock({ run: plan.header.id, pair: '*' }, { signal });
  return await timed(() =>
    inTurns(batches, connections, async (changes, i) => {
      const mark = { run: plan.header.id, step: i + 1, token: lock.token };
      const { status } = await writer.apply(mark, [{ table, key, changes, ...(hash === undefined ? {} : { hash }) }], {
        signal,
      });
      if (status !== 'done') throw new Error(`a step ended as ${status}`);
    }),
  );
};

const applyAll = async (store: Store, plan: Plan, target: Endpoint, rows: number): Promise<number> =>
  timed(async () => {
    const { result } = await apply({
      ...asked,
      store,
      plan: plan.header.id,
      target,
      facts: factsOf(target, 'target'),
      guards,
      clock: systemClock,
      random: Math.random,
      signal,
    });
    const { insert, update, delete: deleted } = result.numbers.applied;
    if (insert + update + deleted !== rows || result.numbers.changed_by_target > 0)
      throw new Error(`not everything was applied: ${JSON.stringify(result.numbers)}`);
  });

interface Measured {
  readonly seconds: number;
  readonly cpu: number;
  readonly server: number | undefined;
}

const medianOf = (values: readonly (number | undefined)[]): number | null => {
  const known = values.filter((x) => x !== undefined);
  return known.length === 0 ? null : median(known);
};
const shown = (m: Measured): string =>
  `${m.seconds.toFixed(2)} s (cpu ${m.cpu.toFixed(2)}, server ${m.server?.toFixed(2) ?? '?'})`;

/** Measures every way in turns, round by round, after one round to warm up. */
export const applyScenarios = async (o: ApplyOptions): Promise<readonly ApplyFigures[]> => {
  const size = o.batchSize ?? defaultApplySettings.batchSize;
  const connections = o.concurrency ?? defaultApplySettings.concurrency;
  await using sides = await openSides(o.rows, layers, o.servers);
  await using store = await openStore({ controlUrl: sides.control, dir: '.', clock: systemClock, signal });
  const figures = new Map<string, Measured[]>();
  const native = new Map<Work, Measured[]>(works.map((work) => [work, []]));
  const measured = async (work: () => Promise<number>): Promise<Measured> => {
    const before = process.cpuUsage();
    const serverBefore = await sides.serverCpu();
    const seconds = await work();
    const { user, system } = process.cpuUsage(before);
    const serverAfter = await sides.serverCpu();
    const server = serverAfter === undefined || serverBefore === undefined ? undefined : serverAfter - serverBefore;
    return { seconds, cpu: (user + system) / 1e6, server };
  };
  for (let round = 0; round <= o.rounds; round++) {
    for (const work of works) {
      const yardstick = await measured(() => sides.replicate(work));
      await using target = await connect(sides.target('everything'), 'target');
      const plan = await planOf(store, sides, target, o);
      const line = [`${work} native ${shown(yardstick)}`];
      // first, while this process holds no rows: those that the other ways need lie in memory as a whole
      let batches: readonly (readonly Change[])[] = [];
      for (const layer of layers.toReversed()) {
        if (layer !== 'everything' && batches.length === 0) batches = await batchesOf(store, plan, size);
        const m = await measured(() =>
          layer === 'everything'
            ? applyAll(store, plan, target, o.rows)
            : layer === 'writer'
              ? writeSteps(sides.target(layer), plan, batches, connections)
              : writeBare(sides.target(layer), plan, batches, layer === 'alone' ? 1 : connections),
        );
        line.push(`${layer} ${shown(m)} ${(yardstick.seconds / m.seconds).toFixed(2)} x`);
        if (round === 0) continue;
        const key = `${work} ${layer}`;
        figures.set(key, [...(figures.get(key) ?? []), m]);
      }
      if (round > 0) native.get(work)!.push(yardstick);
      o.onRound?.(`${round === 0 ? 'warm-up: ' : ''}${line.join(', ')}`);
    }
    await sides.tidy();
  }
  return layers.flatMap((layer) =>
    works.map((work): ApplyFigures => {
      const all = figures.get(`${work} ${layer}`)!;
      const yardsticks = native.get(work)!;
      const ratio = Math.round(median(all.map((m, i) => yardsticks[i]!.seconds / m.seconds)) * 100) / 100;
      const goal = goals[layer]?.[work] ?? null;
      return {
        scenario: `apply ${work}s, ${names[layer]}`,
        rows: o.rows,
        seconds: median(all.map((m) => m.seconds)),
        yardstick: median(yardsticks.map((m) => m.seconds)),
        ratio,
        cpu: median(all.map((m) => m.cpu)),
        serverCpu: medianOf(all.map((m) => m.server)),
        yardstickCpu: medianOf(yardsticks.map((m) => m.server)),
        goal,
        holds: goal === null ? null : ratio >= goal,
      };
    }),
  );
};
