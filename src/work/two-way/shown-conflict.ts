import { hidden } from '../../model/canon/concealed.ts';
import { show, shownCell } from '../../model/canon/show.ts';
import type { Conflict } from '../../model/conflicts.ts';
import type { Cell, Text } from '../../model/row.ts';
import type { BaseCell } from '../../model/two-way.ts';

/** One column of a conflict side by side. A member is left out where there is no such row, or no value is kept. */
export interface ShownConflictCell {
  readonly column: string;
  /** Its name in the target, where that is another. */
  readonly target_column?: string;
  readonly disputed: boolean;
  readonly base?: Cell;
  readonly source?: Cell;
  readonly target?: Cell;
  /** What was chosen, once it is. */
  readonly result?: Cell;
}

/** A conflict as it is told in JSON, by the command line and over the API. */
export interface ShownConflict {
  readonly id: string;
  readonly version: number;
  readonly sync: string;
  readonly pair: string;
  readonly key: Readonly<Record<string, Cell>>;
  readonly type: Conflict['type'];
  readonly state: Conflict['state'];
  readonly reason: string;
  readonly policy: string | null;
  /** Which rows there are. */
  readonly rows: { readonly base: boolean; readonly source: boolean; readonly target: boolean };
  readonly cells: readonly ShownConflictCell[];
  readonly run: string;
  readonly found: string;
  readonly seen: string;
  readonly closed: string | null;
  readonly closed_by: string | null;
  /** What a person chose; `pending` until then; null where a policy chose, or there is nothing to decide any more. */
  readonly resolution:
    | {
        readonly take: 'source' | 'target' | 'base';
        /** Given by hand, by source column. */
        readonly cells: Readonly<Record<string, Cell>> | null;
        readonly by: string;
        readonly at: string;
        readonly why: string | null;
      }
    | 'pending'
    | null;
}

export const timeOf = (ms: number): string => new Date(ms).toISOString();

const kept = (cell: BaseCell | undefined): cell is Cell => cell === null || typeof cell === 'string';

/** The key of a conflict by column, for people. */
export const conflictKey = (c: Conflict): Readonly<Record<string, Cell>> =>
  Object.fromEntries(
    c.columns
      .slice(0, c.keyWidth)
      .map(({ column, as }, i) => [column, as === undefined ? (c.key[i] ?? null) : shownCell(c.key[i] ?? null, as)]),
  );

const isConcealed = (c: Conflict, column: string): boolean => c.columns.some((x) => x.column === column && x.concealed);

/** A reason may quote any value of the row. */
export const shownReason = (c: Conflict): string =>
  c.columns.some((x) => x.concealed) ? 'not shown: it may quote concealed values' : c.reason;

const givenCells = (c: Conflict, cells: Readonly<Record<string, string | null>>): Readonly<Record<string, Cell>> =>
  Object.fromEntries(
    Object.entries(cells).map(([column, cell]) => [
      column,
      (cell !== null && isConcealed(c, column) ? show(hidden) : cell) as Cell,
    ]),
  );

export const shownConflict = (c: Conflict): ShownConflict => {
  const { resolution } = c;
  const shown = (i: number, cell: Cell): Cell => {
    const { as: type, concealed } = c.columns[i]!;
    if (concealed && cell !== null) return show(hidden) as Text;
    return type === undefined ? cell : shownCell(cell, type);
  };
  return {
    id: c.id,
    version: c.version,
    sync: c.sync,
    pair: c.pair,
    key: conflictKey(c),
    type: c.type,
    state: c.state,
    reason: shownReason(c),
    policy: c.policy ?? null,
    rows: { base: c.base !== null, source: c.source !== null, target: c.target !== null },
    cells: c.columns.map((column, i): ShownConflictCell => {
      const base = c.base?.[i];
      return {
        column: column.column,
        ...(column.target === column.column ? {} : { target_column: column.target }),
        disputed: column.disputed,
        ...(kept(base) ? { base: shown(i, base) } : {}),
        ...(c.source === null ? {} : { source: shown(i, c.source[i] ?? null) }),
        ...(c.target === null ? {} : { target: shown(i, c.target[i] ?? null) }),
        ...(c.result == null ? {} : { result: shown(i, c.result[i] ?? null) }),
      };
    }),
    run: c.run,
    found: timeOf(c.found),
    seen: timeOf(c.seen),
    closed: c.closed === null ? null : timeOf(c.closed),
    closed_by: c.closedBy,
    resolution:
      resolution === null
        ? c.state === 'pending'
          ? 'pending'
          : null
        : {
            take: resolution.take,
            cells: 'cells' in resolution ? givenCells(c, resolution.cells) : null,
            by: resolution.by,
            at: timeOf(resolution.at),
            why: resolution.why,
          },
  };
};
