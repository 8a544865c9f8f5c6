import { convert } from '../../model/canon/convert.ts';
import { compareCells } from '../../model/order.ts';
import { inRange } from '../../model/ranges.ts';
import type { Changes } from '../../model/reader.ts';
import type { Cell, Row, Text } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import { keyTypes } from '../../model/selection.ts';
import type { MemoryDatabase } from './store.ts';

/** Rows by a column, for tests; `rows` are those of the snapshot. */
export const changesOf = (database: MemoryDatabase, rows: (table: string) => readonly Row[]): Changes => ({
  columns: {
    latest: async (name, column, { signal }) => {
      signal.throwIfAborted();
      const { table } = database.find(name);
      const at = table.columns.findIndex((c) => c.name === column.name);
      let value: Cell = null;
      for (const row of rows(tableLabel(table))) {
        const cell = row[at] ?? null;
        if (cell !== null && (value === null || compareCells(column.as, cell, value) > 0)) value = cell;
      }
      const now = new Date(database.clock.now())
        .toISOString()
        .replace('T', ' ')
        .replace(/\.?0*Z$/, '') as Text;
      return column.as.kind === 'int' ? { value } : { value, now };
    },
    since: async function* (selection, column, from, { signal }) {
      signal.throwIfAborted();
      const { table } = database.find(selection.table);
      const place = (wanted: string): number => table.columns.findIndex((c) => c.name === wanted);
      const at = place(column.name);
      const keys = selection.columns.map((c) => ({ at: place(c.name), ...c }));
      yield rows(tableLabel(table))
        .filter((row) => row[at] == null || compareCells(column.as, row[at], from) >= 0)
        .map((row) => keys.map((c) => convert(row[c.at] ?? null, c.stored, c.as)))
        .filter((key) => selection.range === undefined || inRange(keyTypes(selection), selection.range, key));
    },
  },
});
