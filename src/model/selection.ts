import { plainCell } from './canon/spelling.ts';
import type { Pair } from './pair.ts';
import type { Key, Row } from './row.ts';
import type { Column, ColumnType, Table, TableName } from './schema.ts';
import type { SelectedColumn, Selection } from './selected.ts';

const nameOf = ({ schema, name, only }: Table): TableName => ({
  ...(schema === undefined ? {} : { schema }),
  name,
  ...(only === undefined ? {} : { only }),
});

/** What one side of a pair reads: its columns rendered as the common types. */
export const pairSelection = (pair: Pair, side: 'source' | 'target'): Selection => {
  const table = pair[side];
  const filter = pair.filter?.[side];
  return {
    table: nameOf(table),
    columns: pair.columns.map((c): SelectedColumn => {
      const column = c[side];
      return { name: column.name, stored: column.type, as: c.as, ...(column.loose ? { loose: true as const } : {}) };
    }),
    keyWidth: pair.keyWidth,
    ...(filter === undefined ? {} : { filter }),
    ...(pair.sample === undefined ? {} : { sample: pair.sample }),
  };
};

/** The store keeps more of a cell than its value: storage classes and odd texts of SQLite, scale, blanks of JSON. */
const keepsSpelling = ({ type, loose }: Column): boolean =>
  loose === true || type.kind === 'json' || (type.kind === 'decimal' && type.precision === undefined);

/**
 * A table's whole native rows: key columns first (in the order of `key`), then the rest as in the table. Where the
 * store keeps more than the value, cells are exact: such a row, written back, is what was there to the last byte.
 */
export const nativeSelection = (table: Table, key: readonly string[]): Selection => {
  const rest = table.columns.filter((c) => !key.includes(c.name));
  const keys = key.map((name) => table.columns.find((c) => c.name === name)!);
  return {
    table: nameOf(table),
    columns: [...keys, ...rest].map(
      (c): SelectedColumn => ({
        name: c.name,
        stored: c.type,
        as: c.type,
        ...(c.loose ? { loose: true as const } : {}),
        ...(key.length > 0 && keepsSpelling(c) && (c.loose || !key.includes(c.name)) ? { exact: true as const } : {}),
      }),
    ),
    keyWidth: key.length,
  };
};

/** The key of a row of `nativeSelection`, in canonical text. */
export const plainKey = (selection: Selection, row: Row): Key =>
  row.slice(0, selection.keyWidth).map((cell, i) => plainCell(selection.columns[i]!.stored, cell));

export const keyTypes = (selection: Selection): readonly ColumnType[] =>
  selection.columns.slice(0, selection.keyWidth).map((c) => c.as);
