import { LockstepError } from '../../model/errors.ts';
import type { Column, ForeignKey, Schema, Table, TableName, UniqueKey } from '../../model/schema.ts';
import { literal } from '../sql/quote.ts';
import type { RawRow, Session, StatementOptions } from './session.ts';
import { columnType, type FieldFacts, nativeType } from './types.ts';

/** Our own tables and generator: never shown, never compared. */
export const stepsTable = 'LOCKSTEP_STEPS';
export const locksTable = 'LOCKSTEP_LOCKS';
export const tokensGenerator = 'LOCKSTEP_TOKENS';

const name = (expression: string): string => `trim(trailing from ${expression})`;

/** Tables, views and external tables; not what lives for one session only. */
const relations = `
select ${name('r.rdb$relation_name')}, case when r.rdb$view_blr is null then 0 else 1 end
from rdb$relations r
where coalesce(r.rdb$system_flag, 0) = 0 and coalesce(r.rdb$relation_type, 0) in (0, 1, 2)
  and r.rdb$relation_name not in ('${stepsTable}', '${locksTable}')
order by r.rdb$relation_name`;

const fields = (only: string): string => `
select ${name('rf.rdb$relation_name')}, ${name('rf.rdb$field_name')}, f.rdb$field_type, coalesce(f.rdb$field_sub_type, 0),
  f.rdb$field_length, coalesce(f.rdb$field_precision, 0), coalesce(f.rdb$field_scale, 0),
  coalesce(f.rdb$character_length, f.rdb$field_length), coalesce(${name('cs.rdb$character_set_name')}, ''),
  coalesce(f.rdb$dimensions, 0), case when coalesce(rf.rdb$null_flag, f.rdb$null_flag, 0) = 0 then 0 else 1 end,
  case when rf.rdb$default_value is null and f.rdb$default_value is null then 0 else 1 end,
  case when f.rdb$computed_blr is null then 0 else 1 end, coalesce(rf.rdb$identity_type, -1),
  coalesce(${name('rf.rdb$generator_name')}, '')
from rdb$relation_fields rf
join rdb$fields f on f.rdb$field_name = rf.rdb$field_source
left join rdb$character_sets cs on cs.rdb$character_set_id = f.rdb$character_set_id and f.rdb$field_type in (14, 37, 261)
where coalesce(rf.rdb$system_flag, 0) = 0${only}
order by rf.rdb$relation_name, rf.rdb$field_position`;

const indexes = `
select ${name('i.rdb$relation_name')}, ${name('i.rdb$index_name')}, coalesce(i.rdb$unique_flag, 0),
  case when i.rdb$expression_blr is null then 0 else 1 end, coalesce(${name('s.rdb$field_name')}, ''),
  coalesce(${name('c.rdb$constraint_type')}, ''), coalesce(${name('c.rdb$constraint_name')}, '')
from rdb$indices i
left join rdb$index_segments s on s.rdb$index_name = i.rdb$index_name
left join rdb$relation_constraints c on c.rdb$index_name = i.rdb$index_name
where coalesce(i.rdb$system_flag, 0) = 0 and coalesce(i.rdb$index_inactive, 0) = 0
order by i.rdb$relation_name, case when c.rdb$constraint_type = 'PRIMARY KEY' then 0 else 1 end, i.rdb$index_name, s.rdb$field_position`;

const foreignKeys = `
select ${name('c.rdb$relation_name')}, ${name('c.rdb$constraint_name')}, ${name('s.rdb$field_name')},
  ${name('u.rdb$relation_name')}, ${name('us.rdb$field_name')}, ${name('r.rdb$delete_rule')}, ${name('r.rdb$update_rule')}
from rdb$relation_constraints c
join rdb$ref_constraints r on r.rdb$constraint_name = c.rdb$constraint_name
join rdb$relation_constraints u on u.rdb$constraint_name = r.rdb$const_name_uq
join rdb$index_segments s on s.rdb$index_name = c.rdb$index_name
join rdb$index_segments us on us.rdb$index_name = u.rdb$index_name and us.rdb$field_position = s.rdb$field_position
where c.rdb$constraint_type = 'FOREIGN KEY'
order by c.rdb$relation_name, c.rdb$constraint_name, s.rdb$field_position`;

const triggers = `
select ${name('t.rdb$relation_name')}, ${name('t.rdb$trigger_name')} from rdb$triggers t
where coalesce(t.rdb$system_flag, 0) = 0 and coalesce(t.rdb$trigger_inactive, 0) = 0 and t.rdb$relation_name is not null
order by t.rdb$relation_name, t.rdb$trigger_sequence, t.rdb$trigger_name`;

/** Generators that a trigger of a table uses, with the columns of the table that it touches. */
const generators = `
select distinct ${name('t.rdb$relation_name')}, ${name('f.rdb$field_name')}, ${name('g.rdb$depended_on_name')}
from rdb$triggers t
join rdb$dependencies g on g.rdb$dependent_name = t.rdb$trigger_name and g.rdb$dependent_type = 2 and g.rdb$depended_on_type = 14
join rdb$dependencies f on f.rdb$dependent_name = t.rdb$trigger_name and f.rdb$dependent_type = 2 and f.rdb$depended_on_type = 0
  and f.rdb$depended_on_name = t.rdb$relation_name
where coalesce(t.rdb$system_flag, 0) = 0 and coalesce(t.rdb$trigger_inactive, 0) = 0 and t.rdb$trigger_type in (1, 17, 25, 113)
  and f.rdb$field_name is not null`;

const text = (cell: RawRow[number]): string => cell as string;

/** A field with what only this engine needs to know of it. */
export interface CatalogueColumn {
  readonly name: string;
  readonly facts: FieldFacts;
  readonly computed: boolean;
  /** The generator behind an identity column. */
  readonly generator: string | undefined;
}

const readFacts = (row: RawRow): FieldFacts => ({
  type: Number(row[2]),
  subType: Number(row[3]),
  length: Number(row[4]),
  precision: Number(row[5]),
  scale: Number(row[6]),
  characters: Number(row[7]),
  charset: text(row[8]!),
  dimensions: Number(row[9]),
});

const readCatalogueColumn = (row: RawRow): CatalogueColumn => ({
  name: text(row[1]!),
  facts: readFacts(row),
  computed: row[12] === '1',
  generator: row[14] === '' ? undefined : text(row[14]!),
});

const readColumn = (row: RawRow): Column => {
  const facts = readFacts(row);
  const identity = Number(row[13]);
  return {
    name: text(row[1]!),
    type: columnType(facts),
    native: nativeType(facts),
    nullable: row[10] === '0' && identity < 0,
    ...(row[12] === '1' ? { generated: 'always' as const } : identity === 0 ? { generated: 'identity' as const } : {}),
    ...(identity >= 0 ? { serial: true as const } : {}),
    ...(row[11] === '1' ? { hasDefault: true as const } : {}),
    ...(facts.dimensions > 0
      ? { unreadable: `${text(row[1]!)} is an array, which SQL shows by its elements only` }
      : {}),
  };
};

const grouped = (rows: readonly RawRow[]): Map<string, RawRow[]> => {
  const groups = new Map<string, RawRow[]>();
  for (const row of rows) {
    const group = groups.get(text(row[0]!));
    if (group) group.push(row);
    else groups.set(text(row[0]!), [row]);
  }
  return groups;
};

const readIndexes = (
  rows: readonly RawRow[],
  columns: readonly Column[],
): { uniques: UniqueKey[]; indexes: string[][] } => {
  const nullable = new Set(columns.filter((c) => c.nullable).map((c) => c.name));
  const found = new Map<
    string,
    { unique: boolean; expression: boolean; columns: string[]; kind: string; label: string }
  >();
  for (const [, index, unique, expression, column, kind, constraint] of rows) {
    const entry = found.get(text(index!)) ?? {
      unique: unique === '1',
      expression: expression === '1',
      columns: [],
      kind: text(kind!),
      label: constraint === '' ? text(index!) : text(constraint!),
    };
    if (column !== '') entry.columns.push(text(column!));
    found.set(text(index!), entry);
  }
  const plain = [...found.values()].filter((i) => !i.expression && i.columns.length > 0);
  return {
    indexes: plain.map((i) => i.columns),
    uniques: plain
      .filter((i) => i.unique)
      .map((i) => ({
        name: i.label,
        columns: i.columns,
        primary: i.kind === 'PRIMARY KEY',
        total: i.columns.every((c) => !nullable.has(c)),
      })),
  };
};

/** What a foreign key does to its own rows when the referenced one is deleted or changed; the others refuse it. */
const keyActions: Readonly<Record<string, NonNullable<ForeignKey['onDelete']>>> = {
  CASCADE: 'cascade',
  'SET NULL': 'set_null',
  'SET DEFAULT': 'set_default',
};

const readForeignKeys = (rows: readonly RawRow[]): ForeignKey[] => {
  const keys = new Map<
    string,
    { to: string; columns: string[]; referenced: string[]; onDelete: string; onUpdate: string }
  >();
  for (const [, constraint, column, to, referenced, onDelete, onUpdate] of rows) {
    const key = keys.get(text(constraint!)) ?? {
      to: text(to!),
      columns: [],
      referenced: [],
      onDelete: text(onDelete!),
      onUpdate: text(onUpdate!),
    };
    keys.set(text(constraint!), key);
    key.columns.push(text(column!));
    key.referenced.push(text(referenced!));
  }
  return [...keys].map(([label, key]) => ({
    name: label,
    columns: key.columns,
    references: { name: key.to },
    referencedColumns: key.referenced,
    deferrable: false,
    ...(keyActions[key.onDelete] === undefined ? {} : { onDelete: keyActions[key.onDelete]! }),
    ...(keyActions[key.onUpdate] === undefined ? {} : { onUpdate: keyActions[key.onUpdate]! }),
  }));
};

/** Reads the catalogue, inside a transaction of `session`: six queries, whatever the number of tables. */
export const inspectSchema = async (session: Session, o: StatementOptions): Promise<Schema> => {
  const tables = await session.query(relations, o);
  const columnRows = grouped(await session.query(fields(''), o));
  const indexRows = grouped(await session.query(indexes, o));
  const keyRows = grouped(await session.query(foreignKeys, o));
  const triggerRows = grouped(await session.query(triggers, o));
  const filled = new Set((await session.query(generators, o)).map(([table, column]) => `${table} ${column}`));
  return {
    tables: tables.map(([label, view]): Table => {
      const table = text(label!);
      const plain = (columnRows.get(table) ?? []).map(readColumn);
      const { uniques, indexes: leading } = readIndexes(indexRows.get(table) ?? [], plain);
      const primary = uniques.find((u) => u.primary)?.columns;
      const isSerial = (c: Column): boolean =>
        primary?.length === 1 && primary[0] === c.name && c.type.kind === 'int' && filled.has(`${table} ${c.name}`);
      return {
        name: table,
        kind: view === '1' ? 'view' : 'table',
        columns: plain.map((c) => (isSerial(c) ? { ...c, serial: true as const } : c)),
        uniques,
        foreignKeys: readForeignKeys(keyRows.get(table) ?? []),
        triggers: (triggerRows.get(table) ?? []).map((row) => text(row[1]!)),
        indexes: leading,
      };
    }),
  };
};

/** A table as it is now. */
export interface TableFacts {
  readonly columns: ReadonlyMap<string, CatalogueColumn>;
  readonly isView: boolean;
}

/** Asks the catalogue about one table; throws TABLE_NOT_FOUND. */
export const tableFacts = async (session: Session, table: TableName, o: StatementOptions): Promise<TableFacts> => {
  const rows = await session.query(fields(` and rf.rdb$relation_name = ${literal(table.name)}`), o);
  if (rows.length === 0)
    throw new LockstepError('TABLE_NOT_FOUND', `${session.context.name}: there is no table ${table.name}.`, {
      side: session.context.name,
      hint: 'Was it renamed or dropped meanwhile?',
    });
  const [relation] = await session.query(
    `select case when rdb$view_blr is null then 0 else 1 end from rdb$relations where rdb$relation_name = ${literal(table.name)}`,
    o,
  );
  return {
    columns: new Map(rows.map((row) => [text(row[1]!), readCatalogueColumn(row)])),
    isView: relation?.[0] === '1',
  };
};

/** The generators that a table's triggers draw the values of a column from. */
export const triggerGenerators = async (
  session: Session,
  table: string,
  column: string,
  o: StatementOptions,
): Promise<readonly string[]> =>
  (
    await session.query(
      `${generators} and t.rdb$relation_name = ${literal(table)} and f.rdb$field_name = ${literal(column)}`,
      o,
    )
  ).map((row) => text(row[2]!));

/** Does an active ascending index begin with this column? */
export const hasAscendingIndex = async (
  session: Session,
  table: string,
  column: string,
  o: StatementOptions,
): Promise<boolean> => {
  const [row] = await session.query(
    `select count(*) from rdb$indices i join rdb$index_segments s on s.rdb$index_name = i.rdb$index_name
     where i.rdb$relation_name = ${literal(table)} and s.rdb$field_name = ${literal(column)} and s.rdb$field_position = 0
       and coalesce(i.rdb$index_inactive, 0) = 0 and coalesce(i.rdb$index_type, 0) = 0`,
    o,
  );
  return Number(row![0]) > 0;
};
