import { isDeepStrictEqual } from 'node:util';
import { fit } from '../model/canon/fit.ts';
import { isMisfit } from '../model/canon/misfit.ts';
import { LockstepError } from '../model/errors.ts';
import type { Batch, Cell, Row, Text } from '../model/row.ts';
import { type Column, type ColumnType, type Table, type TableName, tableLabel } from '../model/schema.ts';
import type { SelectedColumn, Selection } from '../model/selected.ts';
import { rejectionOf } from '../model/transform.ts';

/** How rows of a source table become rows of its target. */
export interface RowWay {
  readonly selection: Selection;
  /** Target columns in the order of the rows' cells. */
  readonly columns: readonly string[];
  /** The row as the target will have it; or why it cannot. */
  readonly turn: (row: Row) => Row | Misfit;
}

/** Why a row cannot be in the target; the column, where it is one. */
export interface Misfit {
  readonly reason: string;
  readonly column?: string;
}

/** A row that is not in the target, and why. */
export interface Refused {
  /** The row's key; where it has none, its first cells. */
  readonly key: Readonly<Record<string, Cell>>;
  readonly reason: string;
  /** The column, where it is one. */
  readonly column?: string;
}

const nameOf = ({ schema, name, only }: Table): TableName => ({
  ...(schema === undefined ? {} : { schema }),
  name,
  ...(only === undefined ? {} : { only }),
});

const plainText = /^[^\0\ud800-\udfff]*$/;

/** What a cell of this type, read as that very type, needs no second look for; undefined: always one. */
const surely = (from: ColumnType, column: Column): ((cell: Text) => boolean) | undefined => {
  const { type } = column;
  if (column.loose || !isDeepStrictEqual(from, type)) return undefined;
  switch (type.kind) {
    case 'bool':
    case 'uuid':
    case 'bytes':
    case 'float':
    case 'date':
      return (cell) => cell.charCodeAt(0) !== 0xdc00;
    case 'int': {
      const safe = type.bits === 64 ? 18 : type.bits === 32 ? 9 : 4;
      return (cell) => cell.length <= safe && cell.charCodeAt(0) !== 0xdc00;
    }
    case 'text': {
      const longest = type.maxLength ?? Number.POSITIVE_INFINITY;
      return type.padded ? undefined : (cell) => cell.length <= longest && plainText.test(cell);
    }
    case 'decimal':
      return type.precision === undefined ? (cell) => /^[-0-9.]+$/.test(cell) : undefined;
    case 'time':
    case 'timestamp':
    case 'instant':
      return type.fraction === 6 ? (cell) => cell.charCodeAt(0) !== 0xdc00 : undefined;
    default:
      return undefined;
  }
};

/**
 * How to read a source table for its target, and how to turn each row: what the target cannot hold exactly is refused,
 * never changed. `key`: the columns that rows are read by, none for a table without a key. `sameEngine`: what a column holds,
 * a column of the very same type holds again, be it as odd as a zero date.
 */
export const rowWay = (source: Table, target: Table, key: readonly string[], sameEngine: boolean): RowWay => {
  const taken = source.columns.flatMap((c): { source: Column; target: Column }[] => {
    const there = target.columns.find((x) => x.name === c.name);
    return there === undefined || there.generated === 'always' ? [] : [{ source: c, target: there }];
  });
  const unreadable = taken.find((c) => c.source.unreadable !== undefined);
  if (unreadable !== undefined)
    throw new LockstepError('CONFIG', `${tableLabel(source)} cannot be copied: ${unreadable.source.unreadable}`, {
      hint: 'Leave the table out with --exclude-table.',
    });
  const ordered = [
    ...key.map((name) => taken.find((c) => c.source.name === name)!),
    ...taken.filter((c) => !key.includes(c.source.name)),
  ];
  const columns = ordered.map((c): SelectedColumn => {
    const carried = c.source.loose === true && c.target.loose !== true;
    const exact = c.source.loose === true && c.target.loose === true && key.length > 0;
    return {
      name: c.source.name,
      stored: c.source.type,
      as: carried ? c.target.type : c.source.type,
      ...(c.source.loose ? { loose: true as const } : {}),
      ...(exact ? { exact: true as const } : {}),
    };
  });
  const sure = ordered.map((c, i) =>
    sameEngine && c.source.native === c.target.native ? () => true : surely(columns[i]!.as, c.target),
  );
  const turn = (row: Row): Row | Misfit => {
    const rejected = key.length > 0 ? rejectionOf(row, ordered.length) : undefined;
    if (rejected !== undefined) return { reason: rejected.reasons.join('; ') };
    let out: Cell[] | undefined;
    for (let i = 0; i < ordered.length; i++) {
      const cell = row[i]!;
      if (cell === null ? ordered[i]!.target.nullable : sure[i]?.(cell)) continue;
      const { target: column } = ordered[i]!;
      // a loose column keeps what it is given: what came out of one goes into the other as it is
      if (cell !== null && columns[i]!.exact && (isMisfit(cell) || isDeepStrictEqual(columns[i]!.as, column.type)))
        continue;
      const fitted = fit(cell, columns[i]!.as, column);
      if (!fitted.ok) return { reason: fitted.reason, column: column.name };
      if (fitted.cell === cell) continue;
      out ??= [...row];
      out[i] = fitted.cell;
    }
    const cells = out ?? row;
    return cells.length > ordered.length ? cells.slice(0, ordered.length) : cells;
  };
  return {
    selection: { table: nameOf(source), columns, keyWidth: key.length },
    columns: ordered.map((c) => c.target.name),
    turn,
  };
};

/** What a refused row is known by. */
export const refusedRow = (way: RowWay, row: Row, reason: string, column?: string): Refused => {
  const width = way.selection.keyWidth === 0 ? Math.min(3, way.columns.length) : way.selection.keyWidth;
  return {
    key: Object.fromEntries(way.columns.slice(0, width).map((name, i) => [name, row[i] ?? null])),
    reason,
    ...(column === undefined ? {} : { column }),
  };
};

/** Rows on their way to the target. A table without a key is read as rows with how often each occurs. */
export async function* turned(
  way: RowWay,
  batches: AsyncIterable<Batch<Row>>,
  refused: (row: Row, reason: string, column: string | undefined, times: number) => void,
): AsyncGenerator<Batch<Row>, void, undefined> {
  const keyless = way.selection.keyWidth === 0;
  const width = way.columns.length;
  for await (const batch of batches) {
    const out: Row[] = [];
    for (const row of batch) {
      const made = way.turn(row);
      const times = keyless ? Number(row[width]) : 1;
      if ('reason' in made) {
        refused(row, made.reason, made.column, times);
        continue;
      }
      for (let i = 0; i < times; i++) {
        out.push(made);
        if (out.length === 10_000) yield out.splice(0);
      }
    }
    if (out.length > 0) yield out;
  }
}
