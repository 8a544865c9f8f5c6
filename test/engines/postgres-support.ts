import { postgres } from '../../src/engines/postgres/index.ts';
import type { Change } from '../../src/model/change.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Reader } from '../../src/model/reader.ts';
import type { Cell, Row } from '../../src/model/row.ts';
import type { Table } from '../../src/model/schema.ts';
import type { Segment, Selection } from '../../src/model/selected.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import type { TableChanges } from '../../src/model/writer.ts';

export const never: AbortSignal = new AbortController().signal;

export const connect = (
  url: string | Readonly<Record<string, unknown>>,
  o: {
    readonly writable?: boolean;
    readonly rowsPerSecond?: number;
    readonly statementTimeoutMs?: number;
    readonly name?: string;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Endpoint> => postgres.connect(postgres.parse(url), { name: 'db', writable: false, signal: never, ...o });

export const tableOf = async (endpoint: Endpoint, name: string): Promise<Table> => {
  const { tables } = await endpoint.inspect({ signal: never });
  const table = tables.find((t) => t.name === name);
  if (!table) throw new Error(`no table ${name}; there are ${tables.map((t) => t.name).join(', ')}`);
  return table;
};

export const keyOf = (table: Table): readonly string[] => table.uniques.find((u) => u.total)?.columns ?? [];

export const readAll = async (
  reader: Reader,
  selection: Selection,
  segment: Segment = { kind: 'all' },
): Promise<Row[]> => {
  const rows: Row[] = [];
  for await (const batch of reader.scan(selection, segment, { signal: never })) rows.push(...batch);
  return rows;
};

/** The rows of a table as they are now, whole. */
export const rowsNow = async (endpoint: Endpoint, table: Table): Promise<Row[]> => {
  await using reader = await endpoint.snapshot({ signal: never });
  return await readAll(reader, nativeSelection(table, keyOf(table)));
};

export const row = (...cells: readonly (string | null)[]): Row => cells as readonly Cell[];
const others = (table: Table, key: readonly string[]): number[] => nativeSelection(table, key).columns.map((_, i) => i);

export const insert = (table: Table, after: Row, columns?: readonly number[]): Change => {
  const key = keyOf(table);
  return { op: 'insert', key: after.slice(0, key.length), before: null, after, columns: columns ?? others(table, key) };
};
export const update = (table: Table, before: Row, after: Row): Change => {
  const key = keyOf(table);
  return {
    op: 'update',
    key: before.slice(0, key.length),
    before,
    after,
    columns: before.map((_, i) => i).filter((i) => before[i] !== after[i]),
  };
};
export const remove = (table: Table, before: Row): Change => ({
  op: 'delete',
  key: before.slice(0, keyOf(table).length),
  before,
  after: null,
});

export const batchOf = (table: Table, ...changes: readonly Change[]): TableChanges => ({
  table,
  key: keyOf(table),
  changes,
});
