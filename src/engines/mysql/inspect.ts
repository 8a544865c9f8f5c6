import type { Column, ForeignKey, Schema, Table, UniqueKey } from '../../model/schema.ts';
import { factColumns, factsOf, jsonColumns, jsonName } from './columns.ts';
import { locksTable, stepsTable } from './own-names.ts';
import { literal } from './quote.ts';
import type { Session, StatementOptions, TextRow } from './session.ts';
import { type ColumnFacts, columnType, isTinyBool } from './types.ts';

const tables = (database: string): string => `
select table_name, table_type, table_rows from information_schema.tables
where table_schema = ${literal(database)} and table_type in ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
  and table_name not in ('${stepsTable}', '${locksTable}')
order by cast(table_name as binary)`;

const columns = (database: string): string => `
select ${factColumns} from information_schema.columns c
where c.table_schema = ${literal(database)} order by c.table_name, c.ordinal_position`;

const indexes = (database: string): string => `
select table_name, index_name, non_unique, column_name, sub_part
from information_schema.statistics where table_schema = ${literal(database)}
order by table_name, index_name <> 'PRIMARY', cast(index_name as binary), seq_in_index`;

/** The columns of a foreign key's two sides are read apart: joined they are slow on old servers. */
const foreignKeys = (database: string): string => `
select k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema, k.referenced_table_name, k.referenced_column_name
from information_schema.key_column_usage k
where k.table_schema = ${literal(database)} and k.referenced_table_name is not null
order by k.table_name, k.constraint_name, k.ordinal_position`;

const keyRules = (database: string): string => `
select table_name, constraint_name, delete_rule, update_rule
from information_schema.referential_constraints where constraint_schema = ${literal(database)}`;

const triggers = (database: string): string => `
select event_object_table, trigger_name from information_schema.triggers
where event_object_schema = ${literal(database)} order by event_object_table, trigger_name`;

const actions: Readonly<Record<string, NonNullable<ForeignKey['onDelete']>>> = {
  CASCADE: 'cascade',
  'SET NULL': 'set_null',
  'SET DEFAULT': 'set_default',
};

const columnOf = (f: ColumnFacts): Column => ({
  name: f.name,
  type: columnType(f),
  native: f.native,
  nullable: f.nullable,
  ...(isTinyBool(f) ? { loose: true as const } : {}),
  ...(f.generated ? { generated: 'always' as const } : {}),
  ...(/auto_increment/i.test(f.extra) ? { serial: true as const } : {}),
  ...(f.hasDefault || /DEFAULT_GENERATED/i.test(f.extra) ? { hasDefault: true as const } : {}),
});

const grouped = (rows: readonly TextRow[]): ReadonlyMap<string, readonly TextRow[]> => {
  const found = new Map<string, TextRow[]>();
  for (const row of rows) {
    const own = found.get(row[0]!);
    if (own) own.push(row);
    else found.set(row[0]!, [row]);
  }
  return found;
};

/** Rows of an index list by index, in their order. */
const byIndex = (rows: readonly TextRow[]): TextRow[][] => {
  const found = new Map<string, TextRow[]>();
  for (const row of rows) found.set(row[1]!, [...(found.get(row[1]!) ?? []), row]);
  return [...found.values()];
};

const uniqueOf = (rows: readonly TextRow[], cols: readonly Column[]): UniqueKey | undefined => {
  const [, name, nonUnique] = rows[0]!;
  // a part of a column, or an expression, is no key of whole columns
  const plain = rows.every((row) => row[3] !== null && row[4] === null);
  const names = rows.flatMap((row) => (row[3] === null || row[4] !== null ? [] : [row[3]!]));
  if (nonUnique !== '0' || names.length === 0) return undefined;
  const total = plain && names.every((n) => cols.find((c) => c.name === n)?.nullable === false);
  return { name: name!, columns: names, total, primary: name === 'PRIMARY' };
};

const foreignKeysOf = (rows: readonly TextRow[], rules: ReadonlyMap<string, TextRow>): ForeignKey[] =>
  byIndex(rows).map((parts): ForeignKey => {
    const [table, name, , schema, referenced] = parts[0]!;
    const rule = rules.get(JSON.stringify([table, name]));
    const onDelete = actions[rule?.[2] ?? ''];
    const onUpdate = actions[rule?.[3] ?? ''];
    return {
      name: name!,
      columns: parts.map((p) => p[2]!),
      references: { schema: schema!, name: referenced! },
      referencedColumns: parts.map((p) => p[5]!),
      deferrable: false,
      ...(onDelete === undefined ? {} : { onDelete }),
      ...(onUpdate === undefined ? {} : { onUpdate }),
    };
  });

const inspectDatabase = async (
  session: Session,
  database: string,
  mariadb: boolean,
  o: StatementOptions,
): Promise<Table[]> => {
  const found = await session.query(tables(database), o);
  if (found.length === 0) return [];
  const json = await jsonColumns(session, database, mariadb, o);
  const cols = grouped(await session.query(columns(database), o));
  const idx = grouped(await session.query(indexes(database), o));
  const fks = grouped(await session.query(foreignKeys(database), o));
  const rules = new Map(
    (await session.query(keyRules(database), o)).map((row) => [JSON.stringify([row[0], row[1]]), row]),
  );
  const trg = grouped(await session.query(triggers(database), o));
  return found.map(([name, type, estimate]): Table => {
    const list = (cols.get(name!) ?? []).map((row) => columnOf(factsOf(row, json.has(jsonName(name!, row[1]!)))));
    const lists = byIndex(idx.get(name!) ?? []);
    return {
      schema: database,
      name: name!,
      kind: type === 'VIEW' ? 'view' : 'table',
      columns: list,
      uniques: lists.flatMap((rows) => uniqueOf(rows, list) ?? []),
      foreignKeys: foreignKeysOf(fks.get(name!) ?? [], rules),
      triggers: (trg.get(name!) ?? []).map((row) => row[1]!),
      ...(estimate == null || type === 'VIEW' ? {} : { estimatedRows: Number(estimate) }),
      indexes: lists.map((rows) => rows.flatMap((row) => (row[3] === null ? [] : [row[3]!]))),
    };
  });
};

/** Reads the catalogue: seven queries for each database, whatever the number of tables. */
export const inspectSchema = async (
  session: Session,
  databases: readonly string[],
  mariadb: boolean,
  o: StatementOptions,
): Promise<Schema> => {
  const all: Table[] = [];
  for (const database of databases) all.push(...(await inspectDatabase(session, database, mariadb, o)));
  return { tables: all, defaultSchema: session.context.config.database };
};
