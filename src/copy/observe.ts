import type { Cancel } from '../model/cancel.ts';
import type { Reader } from '../model/reader.ts';
import type { ColumnType, Table } from '../model/schema.ts';
import type { Selection } from '../model/selected.ts';
import type { CopyTable } from './definitions.ts';

const isWide = (type: ColumnType, widest: number): boolean =>
  type.kind === 'decimal' && (type.precision === undefined || type.precision > widest);

const digits = /^-?(\d+)(?:\.(\d+))?$/;

const typeFor = (whole: number, scale: number, widest: number): ColumnType => ({
  kind: 'decimal',
  precision: widest,
  // what is over is left to the whole part
  scale: Math.min(scale, Math.max(0, widest - whole)),
});

const selectionOf = (table: Table, names: readonly string[], key: readonly string[]): Selection => ({
  table,
  keyWidth: key.length,
  columns: [...key, ...names.filter((n) => !key.includes(n))].map((name) => {
    const c = table.columns.find((x) => x.name === name)!;
    return { name, stored: c.type, as: c.type, ...(c.loose ? { loose: true as const } : {}) };
  }),
});

/**
 * Types for decimals that are declared wider than any the target has (or without any width): by the digits that their
 * values really have, read in one pass over each table that has such columns. By `table.column`.
 */
export const observedDecimals = async (
  reader: Reader,
  tables: readonly CopyTable[],
  widest: number,
  label: (t: Table) => string,
  o: Cancel,
): Promise<ReadonlyMap<string, ColumnType>> => {
  const found = new Map<string, ColumnType>();
  for (const { source } of tables) {
    const names = source.columns.filter((c) => isWide(c.type, widest) && c.unreadable === undefined).map((c) => c.name);
    if (names.length === 0) continue;
    const key = source.uniques.find((u) => u.total)?.columns ?? [];
    const selection = selectionOf(source, names, key);
    const most = names.map(() => ({ whole: 1, scale: 0 }));
    const places = names.map((name) => selection.columns.findIndex((c) => c.name === name));
    for await (const batch of reader.scan(selection, { kind: 'all' }, o))
      for (const row of batch)
        places.forEach((place, i) => {
          const m = digits.exec(row[place] ?? '');
          if (m === null) return;
          const seen = most[i]!;
          seen.whole = Math.max(seen.whole, m[1]!.length);
          seen.scale = Math.max(seen.scale, m[2]?.length ?? 0);
        });
    names.forEach((name, i) => {
      found.set(`${label(source)}.${name}`, typeFor(most[i]!.whole, most[i]!.scale, widest));
    });
  }
  return found;
};
