import type { SelectedColumn, Selection } from './endpoint.ts';
import type { Pair } from './pair.ts';
import type { ColumnType, Table } from './schema.ts';

/** What one side of a pair reads: its columns rendered as the common types. */
export const pairSelection = (pair: Pair, side: 'source' | 'target'): Selection => {
  const table = pair[side];
  const filter = pair.filter?.[side];
  return {
    table: table.schema === undefined ? { name: table.name } : { schema: table.schema, name: table.name },
    columns: pair.columns.map((c): SelectedColumn => {
      const column = c[side];
      return { name: column.name, stored: column.type, as: c.as, ...(column.loose ? { loose: true as const } : {}) };
    }),
    keyWidth: pair.keyWidth,
    ...(filter === undefined ? {} : { filter }),
  };
};

/** A table's whole native rows: key columns first (in the order of `key`), then the rest as in the table. */
export const nativeSelection = (table: Table, key: readonly string[]): Selection => {
  const rest = table.columns.filter((c) => !key.includes(c.name));
  const keys = key.map((name) => table.columns.find((c) => c.name === name)!);
  return {
    table: table.schema === undefined ? { name: table.name } : { schema: table.schema, name: table.name },
    columns: [...keys, ...rest].map(
      (c): SelectedColumn => ({
        name: c.name,
        stored: c.type,
        as: c.type,
        ...(c.loose ? { loose: true as const } : {}),
      }),
    ),
    keyWidth: key.length,
  };
};

export const keyTypes = (selection: Selection): readonly ColumnType[] =>
  selection.columns.slice(0, selection.keyWidth).map((c) => c.as);
