import { baseCells } from '../../diff/two-way/base-cells.ts';
import { findPairArchive } from '../../diff/two-way/pair-archive.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Conflict } from '../../model/conflicts.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { Pair } from '../../model/pair.ts';
import type { Key, Row } from '../../model/row.ts';
import type { Store } from '../../model/store.ts';
import { sourceOf } from '../../model/transform.ts';
import type { BaseRow, ThreeWay, TwoWayDecision } from '../../model/two-way.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';
import { misfitOf, targetShape } from '../../plan/target-row.ts';
import { checkPolicy } from '../../resolve/check-policy.ts';
import { opOf } from '../../resolve/decide.ts';
import { twoWayResolver } from '../../resolve/two-way.ts';
import { bothSides, mayWrite, type TwoWayRules } from './context.ts';
import { differenceTo } from './decide.ts';
import { seenFrom, turnedDifference } from './turned.ts';

/** A side that cannot hold what it is to show next. */
export interface NextUnfit {
  readonly side: TwoWaySide;
  readonly reason: string;
}

/** What a sync that keeps an archive knows of one row besides. */
export interface ExplainedTwoWay {
  /** What both sides last agreed on; null: nothing, or that the row is gone. Undefined: the sync has not run yet. */
  readonly base: BaseRow | null | undefined;
  /** Newest first: those that wait, and those that were settled by a policy or a person. */
  readonly conflicts: readonly Conflict[];
  /** What the next run would make of it, as both sides are now. */
  readonly next: TwoWayDecision | undefined;
  /** Of what it would write, what it cannot. */
  readonly unfit: readonly NextUnfit[];
}

const mostConflicts = 20;

export const explainTwoWay = async (
  o: Cancel & {
    readonly store: Pick<Store, 'archives' | 'conflicts' | 'sharedSecret'>;
    readonly sync: string;
    readonly rules: TwoWayRules;
    readonly pair: Pair;
    readonly key: Key;
    readonly source: Row | null;
    readonly target: Row | null;
    readonly endpoints: { readonly source: Endpoint; readonly target: Endpoint };
  },
): Promise<ExplainedTwoWay> => {
  const { store, pair, key, sync, rules } = o;
  const { source, target } = o.endpoints;
  const endpoints = { source: sourceOf(pair, source, target), target };
  const archive = await findPairArchive({ archives: store.archives, sync, pair, endpoints, signal: o.signal });
  const [found] = archive === undefined ? [] : await archive.find([key], o);
  const base = archive === undefined ? undefined : (found?.base ?? null);
  const conflicts = await store.conflicts.list({ sync, pair: pair.name, keys: [key], limit: mostConflicts }, o);
  if (base === undefined || (o.source === null && o.target === null))
    return { base, conflicts, next: undefined, unfit: [] };
  const writes = mayWrite(rules);
  const policy = checkPolicy(pair, rules.policyOf(pair), { bothWays: writes.source });
  const { same } = baseCells(pair, () => 'value', await store.sharedSecret('archive', o));
  const asAgreed = (cells: BaseRow['source'], row: Row | null): boolean =>
    row !== null && cells.every((cell, i) => same(i, cell, row[i]!));
  if (base !== null && asAgreed(base.source, o.source) && asAgreed(base.target, o.target)) {
    return { base, conflicts, next: { kind: 'agreed' }, unfit: [] };
  }
  const next = twoWayResolver({ pair, policy, writes, same })({ key, base, source: o.source, target: o.target });
  return { base, conflicts, next, unfit: unfitOf(o, next, writes) };
};

const unfitOf = (
  { pair, key, source, target }: { readonly pair: Pair; readonly key: Key } & Pick<ThreeWay, 'source' | 'target'>,
  next: TwoWayDecision,
  writes: Readonly<Record<TwoWaySide, boolean>>,
): readonly NextUnfit[] => {
  if (next.kind !== 'settled') return [];
  return bothSides.flatMap((side) => {
    const all = writes[side] ? differenceTo(pair, key, next.result, { source, target }[side]) : undefined;
    const difference = all && (side === 'target' ? all : turnedDifference(all, pair));
    const misfit = difference && misfitOf(targetShape(seenFrom(side, pair)), difference, opOf(difference));
    return misfit === undefined ? [] : [{ side, reason: misfit.reason }];
  });
};
