import { baseCells } from '../../diff/two-way/base-cells.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Conflict, ConflictFilter } from '../../model/conflicts.ts';
import { within } from '../../model/judge.ts';
import type { Pair } from '../../model/pair.ts';
import { type ConflictPolicy, policyTypes } from '../../model/policy.ts';
import type { Cell, Row } from '../../model/row.ts';
import type { Column } from '../../model/schema.ts';
import type { Store } from '../../model/store.ts';
import type { BaseCell, BaseRow, ThreeWay, TwoWayResolver } from '../../model/two-way.ts';
import { checkPolicy } from '../../resolve/check-policy.ts';
import { twoWayResolver } from '../../resolve/two-way.ts';
import { mayWrite, type TwoWayRules } from './context.ts';
import { chosenRow } from './resolve.ts';

/** What became of a conflict, or would. */
export type Outcome =
  /** What both sides show afterwards; null: nothing. */
  | { readonly kind: 'row'; readonly row: readonly Cell[] | null; readonly by: string; readonly reason: string }
  | { readonly kind: 'waits'; readonly reason: string };

export interface ReplayedConflict {
  readonly conflict: Conflict;
  readonly was: Outcome;
  /** Undefined: it was recorded without what a policy needs to know. */
  readonly would: Outcome | undefined;
}

export interface ReplayCounts {
  conflicts: number;
  /** The same would come of it. */
  same: number;
  /** They wait, or a person was asked, and the policy would settle them. */
  settled: number;
  /** A policy settled them, and they would wait for a person. */
  asked: number;
  /** Something else would be chosen. */
  otherwise: number;
  /** Nothing can be said of them. */
  unknown: number;
}

/** The pair of a conflict as far as it was recorded: what deciding needs. */
const pairOf = (conflict: Conflict): Pair | undefined => {
  const { columns } = conflict;
  const table = (name: string, column: (i: number) => Column): Pair['source'] => ({
    name,
    kind: 'table',
    columns: columns.map((_, i) => column(i)),
    uniques: [],
    foreignKeys: [],
    triggers: [],
    indexes: [],
  });
  const of = (i: number, name: string): Column | undefined => {
    const type = columns[i]!.as;
    return type && { name, type, native: type.kind, nullable: true };
  };
  const pairs = columns.flatMap((c, i): Pair['columns'] => {
    const [source, target] = [of(i, c.column), of(i, c.target)];
    if (source === undefined || target === undefined) return [];
    return [{ source, target, as: source.type, ...(c.tolerance === undefined ? {} : { tolerance: c.tolerance }) }];
  });
  if (pairs.length !== columns.length) return undefined;
  return {
    name: conflict.pair,
    source: table(conflict.pair, (i) => pairs[i]!.source),
    target: table(conflict.pair, (i) => pairs[i]!.target),
    columns: pairs,
    keyWidth: conflict.keyWidth,
    notCompared: [],
    warnings: [],
  };
};

/**
 * What both sides had agreed on. Kept is what the source showed then; where the target still shows what a tolerance
 * covers, it has not changed.
 */
const baseOf = (conflict: Conflict, pair: Pair): BaseRow | null => {
  const { base, target } = conflict;
  if (base === null) return null;
  const own = base.map((cell, i): BaseCell => {
    const { tolerance } = pair.columns[i]!;
    const shown = target?.[i];
    if (tolerance === undefined || shown === undefined || (cell !== null && typeof cell === 'object')) return cell;
    return within(tolerance, cell, shown) ? shown : cell;
  });
  return { source: base, target: own, at: conflict.found, run: conflict.run };
};

const wasOf = (conflict: Conflict): Outcome => {
  const { resolution, state, reason } = conflict;
  if (state === 'ruled') {
    return { kind: 'row', row: conflict.result ?? null, by: conflict.policy ?? 'policy', reason };
  }
  if (resolution === null) return { kind: 'waits', reason };
  return { kind: 'row', row: chosenRow(conflict, resolution), by: resolution.by, reason: resolution.why ?? '' };
};

const sameOutcome = (a: Outcome, b: Outcome): boolean => {
  if (a.kind !== 'row' || b.kind !== 'row') return a.kind === b.kind;
  if (a.row === null || b.row === null) return a.row === b.row;
  return a.row.length === b.row.length && a.row.every((cell, i) => cell === b.row![i]);
};

export const isSame = ({ was, would }: ReplayedConflict): boolean => would !== undefined && sameOutcome(was, would);

const rowOrNull = (cells: readonly Cell[] | null): Row | null => cells as Row | null;

const page = 500;

/**
 * What a policy would make of the conflicts that were recorded: those that wait, those that a policy settled, and those
 * that a person did. Newest first. Pure but for reading the records: no database is asked. Throws what is wrong with the
 * policy for the recorded columns.
 */
export const replayConflicts = async (
  o: Cancel & {
    readonly store: Pick<Store, 'conflicts' | 'sharedSecret'>;
    readonly rules: TwoWayRules;
    readonly filter: ConflictFilter & { readonly sync: string };
    each(replayed: ReplayedConflict): Promise<void>;
  },
): Promise<ReplayCounts> => {
  const { store, rules } = o;
  const counts: ReplayCounts = { conflicts: 0, same: 0, settled: 0, asked: 0, otherwise: 0, unknown: 0 };
  const secret = await store.sharedSecret('archive', o);
  const writes = mayWrite(rules);
  const resolvers = new Map<string, { readonly pair: Pair; readonly resolver: TwoWayResolver } | undefined>();
  const resolverOf = (conflict: Conflict) => {
    const name = JSON.stringify([conflict.pair, conflict.keyWidth, conflict.columns.map(({ disputed: _, ...c }) => c)]);
    if (!resolvers.has(name)) {
      const pair = pairOf(conflict);
      const policy: ConflictPolicy | undefined =
        pair && checkPolicy(pair, rules.policyOf(pair), { bothWays: writes.source });
      resolvers.set(
        name,
        pair &&
          policy && {
            pair,
            resolver: twoWayResolver({ pair, policy, writes, same: baseCells(pair, () => 'value', secret).same }),
          },
      );
    }
    return resolvers.get(name);
  };
  const wouldOf = (conflict: Conflict): Outcome | undefined => {
    const found = resolverOf(conflict);
    if (found === undefined) return undefined;
    const row: ThreeWay = {
      key: conflict.key,
      base: baseOf(conflict, found.pair),
      source: rowOrNull(conflict.source),
      target: rowOrNull(conflict.target),
    };
    const decision = found.resolver(row);
    switch (decision.kind) {
      case 'agreed':
        return { kind: 'row', row: row.source, by: 'agreed', reason: 'both sides show the same' };
      case 'ask':
        return { kind: 'waits', reason: decision.reason };
      default: {
        const { policy, reason } = decision.ruling ?? { policy: 'merged', reason: 'nothing is in dispute' };
        return { kind: 'row', row: decision.result, by: policy, reason };
      }
    }
  };
  for (let before: string | undefined; ; ) {
    const some = await store.conflicts.list(
      {
        // A database, or a person who took something back, is asked by no policy.
        types: policyTypes,
        states: ['pending', 'decided', 'resolved', 'ruled'],
        ...o.filter,
        limit: page,
        ...(before === undefined ? {} : { before }),
      },
      o,
    );
    for (const conflict of some) {
      const was = wasOf(conflict);
      const would = wouldOf(conflict);
      counts.conflicts++;
      if (would === undefined) counts.unknown++;
      else if (sameOutcome(was, would)) counts.same++;
      else if (would.kind === 'waits') counts.asked++;
      else if (was.kind === 'waits') counts.settled++;
      else counts.otherwise++;
      await o.each({ conflict, was, would });
    }
    before = some.at(-1)?.id;
    if (some.length < page) return counts;
  }
};
