import { systemClock } from '../../../src/lib/clock.ts';
import type { Conflict } from '../../../src/model/conflicts.ts';
import type { Endpoint } from '../../../src/model/endpoint.ts';
import { LockstepError } from '../../../src/model/errors.ts';
import type { Text } from '../../../src/model/row.ts';
import type { ServiceStore } from '../../../src/model/service-store.ts';
import type { Store } from '../../../src/model/store.ts';
import { openStore } from '../../../src/work/open-store.ts';
import { syncTwoWay, type TwoWaySynced } from '../../../src/work/two-way/sync.ts';
import { random } from '../../acceptance/random.ts';
import { twoWayInput } from '../bench.ts';
import { disturbed, type Fuse, fuse, fused, Gone } from './fuse.ts';
import { complaints } from './oracle.ts';
import { anyPolicy } from './policies.ts';
import type { Side } from './side.ts';
import { ddl, noDeeds, type Shown, shown, Users } from './users.ts';

export interface HistoryOptions {
  readonly seed: number;
  readonly storeUrl: string;
  readonly sides: () => Promise<{ readonly source: Side; readonly target: Side }>;
  /** Bursts of writes, each followed by runs until both sides are at rest. */
  readonly bursts: number;
  tell?(line: string): void;
}

export interface HistoryDone {
  readonly steps: number;
  readonly runs: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly conflicts: Readonly<Record<string, number>>;
}

interface Both {
  readonly source: Shown;
  readonly target: Shown;
}

const { signal } = new AbortController();
const o = { signal };

/** A process: what it holds is let go when it ends, however it ends. */
interface Process extends AsyncDisposable {
  readonly store: ServiceStore;
  readonly source: Endpoint;
  readonly target: Endpoint;
}

const start = async (url: string, sides: { readonly source: Side; readonly target: Side }): Promise<Process> => {
  const store = await openStore({ controlUrl: url, dir: '.', clock: systemClock, signal });
  const source = await sides.source.connect();
  const target = await sides.target.connect();
  return {
    store,
    source,
    target,
    [Symbol.asyncDispose]: async () => {
      for (const x of [source, target, store]) await x[Symbol.asyncDispose]();
    },
  };
};

const mostRuns = 8;

/** Users write to both sides, runs and people settle what they did, faults come between; then nothing may be lost. */
export const history = async (h: HistoryOptions): Promise<HistoryDone> => {
  const dice = random(h.seed);
  const { chance, int, pick } = dice;
  const sides = await h.sides();
  await using _source = sides.source;
  await using _target = sides.target;
  const sync = `model-${h.seed}`;
  for (const side of [sides.source, sides.target]) await side.run(...ddl);
  const deeds = noDeeds();
  const users = new Users(dice, sides, deeds);
  const log = (line: string): void => {
    deeds.log.push(line);
    h.tell?.(line);
  };
  let policy = anyPolicy(dice);
  log(`policy: ${policy.name}`);
  const archiveValues = pick(['all', 'needed'] as const);
  let process = await start(h.storeUrl, sides);
  const counts: Record<string, number> = {};
  let runs = 0;
  const pairs = [{ source: 'people', tolerances: { score: { numeric: '0.5' } } }, { source: 'orders' }];

  const run = (store: Store, source: Endpoint, target: Endpoint): Promise<TwoWaySynced> => {
    runs++;
    const input = twoWayInput(store, { source, target, sync, pairs, archiveValues });
    return syncTwoWay({
      ...input,
      rules: {
        ...input.rules,
        policyOf: (pair) => (pair.name.toLowerCase().endsWith('orders') ? policy.orders : policy.people),
      },
      settings: { ...input.settings, batchSize: pick([2, 1000]), concurrency: 1 },
    });
  };

  /** Faults that one run meets. */
  const faulty = async (): Promise<void> => {
    const kind = pick(['crash', 'crash', 'error', 'none'] as const);
    const f: Fuse = fuse(kind, 1 + int(pick([60, 250, 500])));
    const writes = chance(0.6);
    const loses = chance(0.3);
    let lost = false;
    const around = (name: string) => ({
      before: async () => {
        if (writes && chance(0.5)) {
          log(`before a write to the ${name}`);
          await users.step();
        }
      },
      after: async () => {
        if (writes && chance(0.5)) {
          log(`after a write to the ${name}`);
          await users.step();
        }
        if (!loses || lost) return false;
        log(`the reply of the ${name} is lost`);
        lost = true;
        return true;
      },
    });
    const store = fused(process.store as Store, 'store', f);
    const source = fused(disturbed(process.source, around('source')), 'source', f);
    const target = fused(disturbed(process.target, around('target')), 'target', f);
    try {
      const done = await run(store, source, target);
      log(`run ${done.run}: ${JSON.stringify(done.sync.decided)} exit ${done.exit}${lost ? ', a reply lost' : ''}`);
      if (lost) counts['lost'] = (counts['lost'] ?? 0) + 1;
    } catch (error) {
      if (f.burnt === undefined) throw error;
      log(`${kind} ${f.burnt}`);
      counts[kind] = (counts[kind] ?? 0) + 1;
      const told = error instanceof Gone || error instanceof LockstepError || error instanceof AggregateError;
      if (!told) throw error;
    }
    if (kind === 'crash') {
      await process[Symbol.asyncDispose]();
      process = await start(h.storeUrl, sides);
    }
  };

  const look = async (): Promise<Both> => ({ source: await shown(sides.source), target: await shown(sides.target) });

  const rest = async (): Promise<void> => {
    for (let i = 1; ; i++) {
      const before = JSON.stringify(plain(await look()));
      // What a run that died had begun is finished first, in that run's name.
      const left = await process.store.twoWayRuns.open(sync, o);
      const done = await run(process.store, process.source, process.target);
      const { decided, applied, planned, verdict } = done.sync;
      log(
        `run ${done.run}: ${JSON.stringify(decided)}, planned ${JSON.stringify(planned)}, applied ${JSON.stringify(applied)}: ${verdict}, exit ${done.exit}`,
      );
      const written = applied.insert + applied.update + applied.delete;
      const isSame = before === JSON.stringify(plain(await look()));
      if (written === 0 && !isSame && left.length === 0) throw new Error('a run wrote, and says that it wrote nothing');
      if (written === 0 && decided.agreed === 0) {
        const waiting = await process.store.conflicts.count({ sync, states: ['pending', 'decided'] }, o);
        if (done.exit === 0 && waiting > 0) throw new Error('it says that both sides agree while conflicts wait');
        if (done.exit === 0 && planned.insert + planned.update + planned.delete > 0)
          throw new Error('planned, not written, and green');
        return;
      }
      if (i > mostRuns) throw new Error('it never comes to rest');
    }
  };

  const conflicts = async (): Promise<readonly Conflict[]> => {
    const all: Conflict[] = [];
    for (;;) {
      const last = all.at(-1)?.id;
      const some = await process.store.conflicts.list(
        { sync, limit: 500, ...(last === undefined ? {} : { before: last }) },
        o,
      );
      all.push(...some);
      if (some.length < 500) return all;
    }
  };

  const check = async (): Promise<void> => {
    const wrong = complaints(await look(), deeds, await conflicts());
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
  };

  /** A person looks at what waits. */
  const person = async (): Promise<void> => {
    for (const c of (await process.store.conflicts.list({ sync, states: ['pending'], limit: 100 }, o)).toReversed()) {
      if (!chance(0.5)) continue;
      const take = pick(['source', 'target', 'source', 'target', 'base'] as const);
      const byHand = take !== 'base' && c.pair.includes('people') && chance(0.3);
      const chosen = byHand ? { take, cells: { name: `p${int(1e6)}` as Text } } : { take };
      log(`person: ${c.pair} ${c.key[0]} (${c.type}): ${JSON.stringify(chosen)}`);
      await process.store.conflicts.decide(c.id, { ...chosen, by: 'somebody', at: Date.now(), why: null }, o);
    }
  };

  try {
    for (let burst = 0; burst < h.bursts; burst++) {
      const many = burst === 0 ? 20 : 3 + int(14);
      for (let i = 0; i < many; i++) await users.step();
      if (chance(0.15)) {
        policy = anyPolicy(dice);
        log(`policy: ${policy.name}`);
      }
      for (let i = int(3); i > 0; i--) await faulty();
      await rest();
      await check();
      if (chance(0.6)) {
        await person();
        for (let i = int(4); i > 0; i--) await users.step();
        if (chance(0.3)) await faulty();
        await rest();
        await check();
      }
    }
    const all = await conflicts();
    const states: Record<string, number> = {};
    for (const c of all) states[`${c.type} ${c.state}`] = (states[`${c.type} ${c.state}`] ?? 0) + 1;
    return { steps: users.steps, runs, faults: counts, conflicts: states };
  } catch (error) {
    const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new Error(`LOCKSTEP_TEST_SEED=${h.seed}: ${said}\n${deeds.log.join('\n')}`, { cause: error });
  } finally {
    await process[Symbol.asyncDispose]();
  }
};

/** Maps as entries, in order. */
const plain = (all: Both): unknown =>
  Object.values(all).map((side) => [[...side.people].sort(), [...side.orders].sort()]);
