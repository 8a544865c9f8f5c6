import type { Difference } from '../../model/change.ts';
import type { Conflict, NewConflict } from '../../model/conflicts.ts';
import { judge } from '../../model/judge.ts';
import type { Pair } from '../../model/pair.ts';
import type { Cell, Key, Row } from '../../model/row.ts';
import { sameRow } from '../../model/same-row.ts';
import type { Ruling, ThreeWay, TwoWayDecision, TwoWayResolver } from '../../model/two-way.ts';
import type { DecidedRow, TwoWaySide } from '../../model/two-way-runs.ts';

/** What is to be done about one key. */
export interface Step {
  /** Both sides show the same already: the archive follows. */
  readonly agreed?: ThreeWay;
  /** Rows to be written, and what is to be written to each side. */
  readonly decided?: readonly DecidedRow[];
  readonly differences: { readonly source: readonly Difference[]; readonly target: readonly Difference[] };
  /** It waits for a person. */
  readonly conflict?: Omit<NewConflict, 'sync' | 'run'>;
  /** A person had allowed what it writes: no guard counts it. */
  readonly allowed?: boolean;
  /** Waiting records that this is the answer to: they are closed, or wait again with the rows as they are now. */
  readonly closes?: string;
  readonly reopens?: { readonly id: string; readonly reason: string } & Pick<ThreeWay, 'source' | 'target'>;
  /** What a person chose: it waits for another choice where no side can hold what is to be written. */
  readonly choice?: { readonly id: string } & Pick<ThreeWay, 'source' | 'target'>;
  /** A key that a second row is to be written under, and what becomes of this one where that is not free. */
  readonly second?: { readonly key: Key; readonly ifTaken: Step };
}

/** The write that makes a side show the result; undefined: it does, within the declared tolerances. */
export const differenceTo = (pair: Pair, key: Row, result: Row | null, shown: Row | null): Difference | undefined => {
  if (result === null) {
    return shown === null ? undefined : { key, kind: 'only_in_target', source: null, target: shown };
  }
  if (shown === null) return { key, kind: 'only_in_source', source: result, target: null };
  const { columns } = judge(pair.columns, result, shown);
  return columns.length === 0 ? undefined : { key, kind: 'different', source: result, target: shown, columns };
};

/** Decides as the pair does, but for the side that counts where both changed the same. */
export type Preferring = Readonly<Record<TwoWaySide, TwoWayResolver>>;

/** What a person chose, as a row; undefined: it needs a base that is not kept. */
const chosen = (
  pair: Pair,
  row: ThreeWay,
  conflict: Conflict,
  preferring: Preferring,
): { readonly row: Row | null } | undefined => {
  const resolution = conflict.resolution!;
  if (resolution.take === 'base') {
    // What the person saw: what is agreed may have been begun anew since.
    const { base } = conflict;
    if (base === null) return row.base === null && conflict.type === 'insert_insert' ? { row: null } : undefined;
    if (base.length !== pair.columns.length) return undefined;
    const plain = base.map((cell) => (typeof cell === 'object' && cell !== null ? undefined : cell));
    return plain.includes(undefined) ? undefined : { row: plain as Row };
  }
  // What was not in dispute is merged as it would be without a conflict; a row that goes, goes.
  const preferred = row[resolution.take] === null ? undefined : preferring[resolution.take](row);
  const taken = preferred?.kind === 'settled' ? preferred.result : row[resolution.take];
  if (!('cells' in resolution)) return { row: taken };
  const start = taken ?? row.source ?? row.target;
  if (start === null) return { row: null };
  const cells: Cell[] = [...start];
  for (const [column, value] of Object.entries(resolution.cells)) {
    // by the source's names: a target may call another column so
    const at = pair.columns.findIndex((c) => c.source.name === column);
    if (at >= 0) cells[at] = value as Cell;
  }
  return { row: cells };
};

/** The columns of a pair as a conflict keeps them. */
export const conflictColumns = (pair: Pair, disputed: readonly number[]): NewConflict['columns'] =>
  pair.columns.map((c, i) => ({
    column: c.source.name,
    target: c.target.name,
    disputed: disputed.includes(i),
    as: c.as,
    ...(c.tolerance === undefined ? {} : { tolerance: c.tolerance }),
    ...(c.concealed === undefined ? {} : { concealed: true as const }),
  }));

const conflictOf = (
  pair: Pair,
  row: ThreeWay,
  what: Pick<Ruling, 'type' | 'columns' | 'reason'>,
): Omit<NewConflict, 'sync' | 'run'> => ({
  pair: pair.name,
  key: row.key,
  type: what.type,
  columns: conflictColumns(pair, what.columns),
  keyWidth: pair.keyWidth,
  base: row.base?.source ?? null,
  source: row.source,
  target: row.target,
  reason: what.reason,
  state: 'pending',
});

/** Columns of which no two rows of a side may have the same values, as these have; by their names in the source. */
const sharedUnique = (pair: Pair, one: Row, other: Row): readonly string[] | undefined => {
  for (const side of ['source', 'target'] as const) {
    for (const { columns } of pair[side].uniques) {
      const places = columns.map((name) => pair.columns.findIndex((c) => c[side].name === name));
      const isShared = (at: number): boolean => at >= 0 && one[at] !== null && one[at] === other[at];
      if (places.length > 0 && places.every(isShared)) return places.map((at) => pair.columns[at]!.source.name);
    }
  }
  return undefined;
};

/** Settles one key: what shall stand on both sides, or who is to be asked. `waiting`: its open record, `turns`: how it flapped. */
export const stepOf = (
  o: {
    readonly pair: Pair;
    readonly resolver: TwoWayResolver;
    readonly preferring: Preferring;
    /** Sides that may be written to. */
    readonly writes: Readonly<Record<TwoWaySide, boolean>>;
    readonly flapping: { readonly turns: number; readonly within: string } | undefined;
  },
  row: ThreeWay,
  waiting: Conflict | undefined,
  turns: number,
): Step => {
  const { pair } = o;
  const none = { source: [], target: [] };
  const closing = waiting === undefined ? {} : { closes: waiting.id };

  const settle = (decision: Exclude<TwoWayDecision, { kind: 'agreed' | 'ask' }>): Step => {
    const of = (key: Key, source: Row | null, target: Row | null, result: Row | null) => ({
      source: o.writes.source ? differenceTo(pair, key, result, source) : undefined,
      target: o.writes.target ? differenceTo(pair, key, result, target) : undefined,
      key,
      shown: { source, target },
      result,
    });
    const parts = [of(row.key, row.source, row.target, decision.result)];
    if (decision.kind === 'both') parts.push(of(decision.other.slice(0, pair.keyWidth), null, null, decision.other));
    return {
      decided: parts.map((p, n) => ({
        pair: pair.name,
        key: p.key,
        ...p.shown,
        result: p.result,
        writes: { source: p.source !== undefined, target: p.target !== undefined },
        // Closed once it is written: what a database refuses goes on waiting.
        ...(waiting === undefined || n > 0 ? {} : { conflict: waiting.id }),
        ...(decision.ruling === undefined || n > 0
          ? {}
          : { ruling: { ...decision.ruling, base: row.base?.source ?? null } }),
      })),
      differences: {
        source: parts.flatMap((p) => p.source ?? []),
        target: parts.flatMap((p) => p.target ?? []),
      },
    };
  };
  const ask = (what: Pick<Ruling, 'type' | 'columns' | 'reason'>): Step => ({
    differences: none,
    conflict: conflictOf(pair, row, what),
  });

  const decision = o.resolver(row);
  if (waiting?.state === 'pending' && decision.kind !== 'agreed') {
    // Neither ends by itself: a key that flapped has stopped because it waits.
    const { type, reason } = waiting;
    if (type === 'pinned' || type === 'flapping') return ask({ type, columns: [], reason });
  }
  if (decision.kind === 'agreed') return { agreed: row, differences: none, ...closing };
  if (waiting?.state === 'decided') {
    const again = (reason: string): Step => ({
      differences: none,
      reopens: { id: waiting.id, reason, source: row.source, target: row.target },
    });
    if (!sameRow(waiting.source as Row | null, row.source) || !sameRow(waiting.target as Row | null, row.target))
      return again('the row moved after a person had decided: look at it again');
    const result = chosen(pair, row, waiting, o.preferring);
    return result === undefined
      ? again('the last agreed values are not kept, so they cannot be taken: choose a side, or give the values')
      : {
          ...settle({ kind: 'settled', result: result.row }),
          allowed: waiting.resolution?.allowed === true,
          choice: { id: waiting.id, source: row.source, target: row.target },
        };
  }
  if (decision.kind === 'ask') return ask(decision);
  if (o.flapping !== undefined && turns >= o.flapping.turns) {
    return ask({
      type: 'flapping',
      columns: [],
      reason: `it went from one side to the other ${turns} times within ${o.flapping.within}: something on one side writes it back`,
    });
  }
  if (decision.kind !== 'both') return settle(decision);
  const key = decision.other.slice(0, pair.keyWidth);
  const { type, columns, reason } = decision.ruling;
  const waits = (why: string): Step => ask({ type, columns, reason: `${reason}, but ${why}` });
  const shared = sharedUnique(pair, decision.result, decision.other);
  if (shared !== undefined) return waits(`both rows have the same ${shared.join(', ')}, which is unique`);
  return { ...settle(decision), second: { key, ifTaken: waits(`${key.join(', ')} is taken`) } };
};
