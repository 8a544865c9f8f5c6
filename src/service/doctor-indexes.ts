import type { RecordEntity } from '../config/records.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Pair } from '../model/pair.ts';
import { type Table, tableLabel } from '../model/schema.ts';
import type { Diagnosis } from './diagnosis.ts';

/** A table of fewer rows is read as a whole as quickly as by an index. */
const small = 10_000;

/** Can this table have indexes at all? An API has none, and shows none. */
const indexed = (endpoint: Pick<Endpoint, 'rows' | 'role'>, table: Table): boolean =>
  table.indexes.length > 0 || endpoint.rows !== undefined || endpoint.role !== undefined;

/** A primary or unique key is found by its index, also where the engine keeps it in the table itself. */
const leads = (table: Table, column: string): boolean =>
  table.indexes.some((index) => index[0] === column) || table.uniques.some((key) => key.columns[0] === column);

/** Columns of the table that a condition in SQL names, in their order there: outside of texts, by themselves or in quotes. */
export const columnsOfFilter = (filter: string, table: Table): readonly string[] => {
  const plain = filter.replace(/'(?:[^']|'')*'/g, "''");
  const names = [...plain.matchAll(/"((?:[^"]|"")+)"|`([^`]+)`|\b([A-Za-z_][\w$]*)\b(?!\s*\()/g)].map(
    (m) => m[1]?.replaceAll('""', '"') ?? m[2] ?? m[3]!,
  );
  const found = names.flatMap(
    (name) =>
      table.columns.find((c) => c.name === name) ??
      table.columns.find((c) => c.name.toLowerCase() === name.toLowerCase()) ??
      [],
  );
  return [...new Set(found.map((c) => c.name))];
};

const adviceFor = (
  about: string,
  side: string,
  table: Table,
  columns: readonly string[],
  why: { readonly what: string; readonly effect: string },
): Diagnosis => ({
  about,
  level: 'advice',
  code: 'index',
  message: `${side} has no index on ${why.what} (${columns.join(', ')}); ${why.effect}`,
  fix: `create index on ${tableLabel(table)} (${columns.join(', ')});`,
});

/** Indexes that a pair's key and conditions would be found by. Watermarks: see `examineIncremental`. */
export const examineIndexes = (
  about: string,
  pair: Pair,
  endpoints: { readonly source: Endpoint; readonly target: Endpoint },
): readonly Diagnosis[] => {
  const found: Diagnosis[] = [];
  const key = pair.columns.slice(0, pair.keyWidth);
  for (const side of ['source', 'target'] as const) {
    const endpoint = endpoints[side];
    const table = side === 'source' ? (pair.transform?.raw ?? pair.source) : pair.target;
    if (!indexed(endpoint, table)) continue;
    const first = key[0]?.[side].name;
    if (first !== undefined && table.columns.some((c) => c.name === first) && !leads(table, first)) {
      const columns = key.map((c) => c[side].name);
      found.push(
        adviceFor(about, `${pair.name}: ${endpoint.name}`, table, columns, {
          what: 'the key',
          effect: 'looking up rows reads the whole table',
        }),
      );
    }
    const filter = pair.filter?.[side];
    if (filter === undefined || (table.estimatedRows ?? small) < small) continue;
    const columns = columnsOfFilter(filter, table);
    if (columns.length > 0 && !columns.some((c) => leads(table, c)))
      found.push(
        adviceFor(about, `${pair.name}: ${endpoint.name}`, table, columns, {
          what: 'a column of its condition',
          effect: 'finding its rows reads the whole table',
        }),
      );
  }
  return found;
};

/** Indexes that requests for records would be found by: the key, what callers filter by and what every row is filtered by. */
export const examineEntity = (entity: RecordEntity, table: Table, endpoint: Endpoint): readonly Diagnosis[] => {
  const about = `records.${entity.name}`;
  if (!indexed(endpoint, table)) return [];
  const found: Diagnosis[] = [];
  const add = (columns: readonly string[], what: string, effect: string): void =>
    void found.push(adviceFor(about, endpoint.name, table, columns, { what, effect }));
  const first = entity.key?.[0];
  if (first !== undefined && !leads(table, first)) add(entity.key!, 'the key', 'getting one row reads the whole table');
  if ((table.estimatedRows ?? small) < small) return found;
  // a parameter in the path of an alias is a filter by the column of its name
  const inPaths = entity.aliases.flatMap((alias) => [...alias.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!));
  const always = entity.rowFilter.map((term) => term.column);
  for (const column of new Set([...inPaths, ...always])) {
    if (!table.columns.some((c) => c.name === column) || leads(table, column) || entity.key?.includes(column)) continue;
    add([column], 'a filter', 'each page of a list reads the whole table');
  }
  return found;
};
