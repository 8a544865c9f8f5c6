import { newId } from '../../lib/ids.ts';
import type { Conflict, NewConflict } from '../../model/conflicts.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Pair } from '../../model/pair.ts';
import type { Cell, Key, Row } from '../../model/row.ts';
import type { EndpointFacts, Json, Plan, Run, Store } from '../../model/store.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';
import type { ApplyWork } from '../apply.ts';
import { type Asked, recorded } from '../recorded.ts';
import { type Reverted, type RevertPlan, revert } from '../revert.ts';
import { bothSides } from './context.ts';
import { conflictColumns } from './decide.ts';
import { finishTwoWay, holdingSync } from './finish.ts';
import { comparedRows } from './follow.ts';
import type { OpenTwoWay } from './open.ts';
import { turned, turnedBack } from './turned.ts';

export interface TwoWayRevertInput extends Asked, Omit<ApplyWork, 'target' | 'guards' | 'settings'> {
  readonly run: Run;
  readonly sync: string;
  readonly source: Endpoint;
  readonly target: Endpoint;
  readonly facts: { readonly source: EndpointFacts; readonly target: EndpointFacts };
  readonly two: OpenTwoWay;
  /** Only this key, as its pair compares it. */
  readonly only?: { readonly pair?: string; readonly key: Key };
  /** The keys that are taken back wait for a person from now on: the next run leaves them alone. */
  readonly pin?: boolean;
  /** Asked for each side with its sealed inverse plan before anything is written to it; false: it stays as it is. */
  confirm?(side: TwoWaySide, planned: RevertPlan): Promise<boolean>;
}

export interface TwoWayReverted {
  readonly run: string;
  readonly reverts: string;
  readonly sides: Readonly<Partial<Record<TwoWaySide, Reverted>>>;
  readonly exit: number;
}

/** Did this run write by runs of its own, one for each side? */
export const wroteToSides = async (
  store: Pick<Store, 'runs'>,
  run: Run,
  o: { readonly signal: AbortSignal },
): Promise<boolean> => {
  if (run.kind !== 'sync' && run.kind !== 'apply') return false;
  const found = await store.runs.list({ correlation: run.correlation, kinds: ['apply'], limit: 1000 }, o);
  return found.some((r) => r.parent === run.id);
};

/** The runs that wrote to each side for a two-way run; none: it was no such run, or wrote nothing. */
export const childrenOf = async (
  store: Pick<Store, 'runs'>,
  run: Run,
  sides: { readonly source: { readonly name: string }; readonly target: { readonly name: string } },
  o: { readonly signal: AbortSignal },
): Promise<Readonly<Partial<Record<TwoWaySide, Run>>>> => {
  const found = await store.runs.list({ correlation: run.correlation, kinds: ['apply'], limit: 1000 }, o);
  const mine = found.filter((r) => r.parent === run.id && r.plan !== null);
  const of = (side: TwoWaySide): Run | undefined => mine.find((r) => r.target?.name === sides[side].name);
  const [source, target] = [of('source'), of('target')];
  return { ...(source === undefined ? {} : { source }), ...(target === undefined ? {} : { target }) };
};

/**
 * What both sides last agreed on before a run wrote `result` over `source` and `target`: where the result is the
 * source's, that was what the target showed, and the other way round.
 */
export const baseBefore = (source: Row | null, target: Row | null, result: Row | null): Row | null => {
  const same = (a: Row | null, b: Row | null): boolean =>
    a === null || b === null ? a === b : a.every((cell, i) => cell === b[i]);
  if (source === null || target === null || result === null) return same(result, source) ? target : source;
  return result.map((cell, i): Cell => (cell === source[i] ? target[i]! : source[i]!));
};

interface Written {
  readonly pair: Pair;
  readonly key: Key;
  readonly source: Row | null;
  readonly target: Row | null;
  readonly result: Row | null;
}

/** What a run wrote to its sides, key by key, in batches. */
async function* writtenRows(
  o: TwoWayRevertInput,
  children: Readonly<Partial<Record<TwoWaySide, Run>>>,
  plans: Readonly<Partial<Record<TwoWaySide, Plan>>>,
): AsyncGenerator<readonly Written[]> {
  const { store } = o;
  const seen = (side: TwoWaySide, name: string): Pair | undefined => {
    const pair = o.two.pairs.find((p) => p.name === name);
    return pair === undefined || side === 'target' ? pair : turned(pair).pair;
  };
  const shapes = Object.fromEntries(
    bothSides.map((side) => [
      side,
      (plans[side]?.header.tables ?? []).map((planned) => {
        const pair = seen(side, planned.pair);
        return pair === undefined ? undefined : { pair, row: comparedRows(pair, planned) };
      }),
    ]),
  ) as unknown as Record<TwoWaySide, readonly ({ pair: Pair; row(native: Row): Row } | undefined)[]>;
  for (const side of bothSides) {
    const child = children[side];
    const other: TwoWaySide = side === 'target' ? 'source' : 'target';
    if (child === undefined) continue;
    for await (const batch of store.journal.undo(child.id, o)) {
      const rows: Written[] = [];
      for (const { item, stored } of batch) {
        const shape = shapes[side][item.table];
        if (shape === undefined) continue;
        const pair = o.two.pairs.find((p) => p.name === shape.pair.name)!;
        const before = item.change.before === null ? null : shape.row(item.change.before);
        const result = stored === null ? null : shape.row(stored);
        const key = (result ?? before)!.slice(0, shape.pair.keyWidth);
        const twins =
          plans[other] === undefined || children[other] === undefined
            ? []
            : await store.plans.find(plans[other].header.id, shape.pair.name, item.change.key, o);
        // Told with the target's write.
        if (twins.length > 0 && side === 'source') continue;
        const twin = twins[0];
        const shapeOfTwin = twin === undefined ? undefined : shapes[other][twin.table];
        const others =
          twin === undefined || shapeOfTwin === undefined
            ? result
            : twin.change.before === null
              ? null
              : turnedBack(shapeOfTwin.row(twin.change.before), result, turned(pair));
        rows.push(
          side === 'target'
            ? { pair, key, source: others, target: before, result }
            : { pair, key, source: before, target: others, result },
        );
      }
      yield rows.filter((r) => isMeant(o, r));
    }
  }
}

const isMeant = ({ only }: TwoWayRevertInput, row: Written): boolean =>
  only === undefined ||
  ((only.pair === undefined || only.pair === row.pair.name) && JSON.stringify(only.key) === JSON.stringify(row.key));

const pinned = (o: TwoWayRevertInput, row: Written): NewConflict => ({
  sync: o.sync,
  pair: row.pair.name,
  run: o.run.id,
  key: row.key,
  type: 'pinned',
  columns: conflictColumns(row.pair, []),
  keyWidth: row.pair.keyWidth,
  base: null,
  source: row.source,
  target: row.target,
  state: 'pending',
  reason: `pinned when run ${o.run.id} was reverted: runs leave it alone until it is resolved`,
});

/**
 * Takes back what a two-way run wrote, on both sides, cell by cell where it still stands. Before that, the archive goes
 * back to what was agreed before that run: what it had settled is open again, and no value that was restored is taken
 * for an edit that the other side should get.
 */
export const revertTwoWay = (o: TwoWayRevertInput): Promise<TwoWayReverted> =>
  holdingSync(o, async () => {
    const { store, clock, two } = o;
    await finishTwoWay(o, two.pairs, two.keep);
    const children = await childrenOf(store, o.run, o.facts, o);
    const plans: Partial<Record<TwoWaySide, Plan>> = {};
    for (const side of bothSides) {
      const plan = children[side]?.plan;
      const found = plan == null ? undefined : await store.plans.get(plan, o);
      if (found !== undefined) plans[side] = found;
    }
    if (Object.keys(plans).length === 0) {
      throw new LockstepError('NOT_FOUND', `Run ${o.run.id} has written nothing: there is nothing to revert.`);
    }
    const started = clock.now();
    const begin = {
      id: newId('r', started),
      kind: 'revert' as const,
      sync: o.sync,
      source: o.facts.source,
      target: o.facts.target,
      parent: o.run.id,
      correlation: o.correlation,
      actor: o.actor,
      started,
    };
    const under = o.asRun === undefined ? begin : { resume: o.asRun, facts: o.facts };
    return await recorded(store, clock, under, o, async (run) => {
      await openAgain(o, children, plans);
      const sides: Partial<Record<TwoWaySide, Reverted>> = {};
      const { asRun: _, run: __, two: ___, confirm, source, target, facts, only, ...rest } = o;
      for (const side of bothSides) {
        const child = children[side];
        if (child === undefined) continue;
        sides[side] = await revert({
          ...rest,
          run: child.id,
          target: side === 'target' ? target : source,
          facts: facts[side],
          ...(only === undefined ? {} : { only }),
          ...(confirm === undefined ? {} : { confirm: (planned: RevertPlan) => confirm(side, planned) }),
        });
      }
      const all = Object.values(sides);
      return {
        run: run.id,
        reverts: o.run.id,
        sides,
        exit: Math.max(0, ...all.map((s) => s.exit)),
        report: {
          reverts: o.run.id,
          sides: Object.fromEntries(Object.entries(sides).map(([side, s]) => [side, { run: s.run, ...reportOf(s) }])),
        } as unknown as Json,
      };
    });
  });

const reportOf = (side: Reverted): Readonly<Record<string, Json>> =>
  side.report as unknown as Readonly<Record<string, Json>>;

/** What the run settled is open again: the archive goes back, and pinned keys wait. */
const openAgain = async (
  o: TwoWayRevertInput,
  children: Readonly<Partial<Record<TwoWaySide, Run>>>,
  plans: Readonly<Partial<Record<TwoWaySide, Plan>>>,
): Promise<void> => {
  for await (const rows of writtenRows(o, children, plans)) {
    for (const [pair, some] of Map.groupBy(rows, (r) => r.pair)) {
      const keys = some.map((r) => r.key);
      const ruled = await o.store.conflicts.list(
        { sync: o.sync, pair: pair.name, run: o.run.id, keys, states: ['ruled'], limit: keys.length },
        o,
      );
      const bases = new Map(ruled.map((c: Conflict) => [JSON.stringify(c.key), c.base]));
      await o.two.keep(
        pair,
        some.map((r) => {
          const kept = bases.get(JSON.stringify(r.key));
          const plain = kept?.every((cell) => cell === null || typeof cell === 'string') === true;
          const base = plain ? (kept as Row) : baseBefore(r.source, r.target, r.result);
          // What a transformation makes is not known of a row that only the source was written: it is decided anew.
          const known = base?.length === pair.columns.length ? base : null;
          return { key: r.key, source: known, target: known };
        }),
        o.run.id,
      );
      if (o.pin === true) {
        await o.store.conflicts.record(
          some.map((r) => pinned(o, r)),
          o.clock.now(),
          o,
        );
      }
    }
  }
};
