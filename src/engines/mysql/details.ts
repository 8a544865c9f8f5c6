import type { ColumnDetails, IndexDefinition, OtherPart, TableDetails } from '../../model/build.ts';
import type { Table } from '../../model/schema.ts';
import { portableDefault } from './default-sql.ts';
import { id, literal } from './quote.ts';
import type { Session, StatementOptions } from './session.ts';

const columns = (where: string): string => `
select column_name, column_type, character_set_name, collation_name, column_default, extra, generation_expression
from information_schema.columns where ${where} order by ordinal_position`;

const statistics = (where: string): string => `
select index_name, non_unique, column_name, sub_part, index_type from information_schema.statistics
where ${where} and index_name <> 'PRIMARY' order by index_name, seq_in_index`;

const checks = (database: string, table: string): string => `
select k.constraint_name, c.check_clause
from information_schema.table_constraints k
join information_schema.check_constraints c on c.constraint_schema = k.constraint_schema and c.constraint_name = k.constraint_name
where k.constraint_type = 'CHECK' and k.table_schema = ${database} and k.table_name = ${table}`;

const indexesOf = (rows: readonly (readonly (string | null)[])[], own: readonly string[]) => {
  const plain: IndexDefinition[] = [];
  const others: OtherPart[] = [];
  for (const [name, parts] of Map.groupBy(rows, (row) => row[0]!)) {
    const whole = parts.every((p) => p[2] !== null && p[3] === null && /^BTREE$/i.test(p[4]!));
    const names = parts.map((p): string => p[2] ?? '(expression)');
    const unique = parts[0]![1] === '0';
    if (whole) plain.push({ name, columns: names, unique });
    else {
      const definition = `${unique ? 'unique ' : ''}${parts[0]![4]} (${parts.map((p) => `${p[2] ?? '(expression)'}${p[3] === null ? '' : `(${p[3]})`}`).join(', ')})`;
      const listed = parts.map((p) => `${id(p[2] ?? '')}${p[3] === null ? '' : `(${p[3]})`}`).join(', ');
      const kind = /^(FULLTEXT|SPATIAL)$/i.test(parts[0]![4]!)
        ? `${parts[0]![4]!.toLowerCase()} `
        : unique
          ? 'unique '
          : '';
      const again = parts.every((p) => p[2] !== null && own.includes(p[2] as string))
        ? { again: `create ${kind}index ${id(name)} on {table} (${listed})` }
        : {};
      others.push({ kind: 'index', name, definition, ...again });
    }
  }
  return { plain, others };
};

const detailsOf = async (
  session: Session,
  table: Table,
  mariadb: boolean,
  o: StatementOptions,
): Promise<TableDetails> => {
  const database = literal(table.schema ?? session.context.config.database);
  const name = literal(table.name);
  const where = `table_schema = ${database} and table_name = ${name}`;
  const found = new Map<string, ColumnDetails>();
  const [facts] = await session.query(
    `select auto_increment, create_options from information_schema.tables where ${where}`,
    o,
  );
  for (const [column, type, charset, collation, given, extra, made] of await session.query(columns(where), o)) {
    const known = table.columns.find((c) => c.name === column);
    if (known === undefined) continue;
    const computed = known.generated === 'always';
    const plain = given != null && given !== 'NULL' && !computed && !known.serial;
    const value = plain ? portableDefault(given, known.type, mariadb) : undefined;
    const update = /\bon update (current_timestamp(?:\(\d?\))?)/i.exec(extra ?? '')?.[1];
    const text = charset == null ? type! : `${type} character set ${charset} collate ${collation}`;
    found.set(column!, {
      native: `${known.type.kind === 'json' && mariadb ? 'json' : text}${update === undefined ? '' : ` on update ${update}`}`,
      ...(plain ? { defaultSql: given } : {}),
      ...(value !== undefined
        ? { default: value }
        : plain
          ? { default: { kind: 'native' as const, engine: 'mysql', sql: mariadb ? given : `(${given})` } }
          : {}),
      ...(computed && made != null ? { expression: made } : {}),
      ...(known.serial && facts?.[0] != null ? { position: BigInt(facts[0]) } : {}),
    });
  }
  const { plain, others } = indexesOf(
    await session.query(statistics(where), o),
    table.columns.map((c) => c.name),
  );
  // an index that a foreign key made for itself is named as it, and made with it
  const own = new Set(table.foreignKeys.map((k) => k.name));
  // MySQL before 8.0.16 has no checks, and no table that lists them
  const conditions = await session.raw(checks(database, name), o).catch(() => []);
  const triggers = await session.query(
    `select trigger_name, concat(action_timing, ' ', event_manipulation, ' ', action_statement) from information_schema.triggers
     where event_object_schema = ${database} and event_object_table = ${name} order by trigger_name`,
    o,
  );
  return {
    columns: found,
    indexes: plain.filter((i) => !own.has(i.name)),
    others: [
      ...conditions
        .filter(([, clause]) => !/^json_valid\(/i.test(clause!))
        .map(
          ([check, clause]): OtherPart => ({
            kind: 'check',
            name: check!,
            definition: clause!,
            again: `alter table {table} add constraint ${id(check!)} check (${clause})`,
          }),
        ),
      ...triggers.map(
        ([trigger, definition]): OtherPart => ({ kind: 'trigger', name: trigger!, definition: definition! }),
      ),
      ...(/partitioned/i.test(facts?.[1] ?? '') ? [{ kind: 'partitioning' as const, name: table.name }] : []),
      ...others,
    ],
  };
};

/** What tables are made of, asked table by table. */
export const tableDetails = async (
  session: Session,
  tables: readonly Table[],
  mariadb: boolean,
  o: StatementOptions,
): Promise<readonly TableDetails[]> => {
  const found: TableDetails[] = [];
  for (const table of tables) found.push(await detailsOf(session, table, mariadb, o));
  return found;
};
