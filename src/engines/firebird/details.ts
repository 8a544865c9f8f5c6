import type { ColumnDetails, DefaultValue, IndexDefinition, OtherPart, TableDetails } from '../../model/build.ts';
import { canonical } from '../../model/canon/canonical.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import type { ColumnType, Table } from '../../model/schema.ts';
import { id, literal } from '../sql/quote.ts';
import type { RawRow, Session, StatementOptions } from './session.ts';

const name = (expression: string): string => `trim(trailing from ${expression})`;
/** Sources are texts of any length: what is longer than this is shown without its end. */
const source = (expression: string): string => `cast(substring(${expression} from 1 for 4000) as varchar(4000))`;

const columns = (table: string): string => `
select ${name('rf.rdb$field_name')}, ${source('coalesce(rf.rdb$default_source, f.rdb$default_source)')},
  ${source('f.rdb$computed_source')}, coalesce(${name('rf.rdb$generator_name')}, '')
from rdb$relation_fields rf join rdb$fields f on f.rdb$field_name = rf.rdb$field_source
where rf.rdb$relation_name = ${table}`;

const indexes = (table: string): string => `
select ${name('i.rdb$index_name')}, coalesce(i.rdb$unique_flag, 0), coalesce(i.rdb$index_type, 0),
  coalesce(${name('s.rdb$field_name')}, ''), coalesce(${source('i.rdb$expression_source')}, ''),
  coalesce(${name('c.rdb$constraint_type')}, ''), coalesce(${name('c.rdb$constraint_name')}, ${name('i.rdb$index_name')})
from rdb$indices i
left join rdb$index_segments s on s.rdb$index_name = i.rdb$index_name
left join rdb$relation_constraints c on c.rdb$index_name = i.rdb$index_name
where i.rdb$relation_name = ${table} and coalesce(i.rdb$index_inactive, 0) = 0
  and coalesce(c.rdb$constraint_type, '') not in ('PRIMARY KEY', 'FOREIGN KEY')
order by i.rdb$index_name, s.rdb$field_position`;

const checks = (table: string): string => `
select distinct ${name('k.rdb$constraint_name')}, ${source('t.rdb$trigger_source')}
from rdb$relation_constraints k
join rdb$check_constraints c on c.rdb$constraint_name = k.rdb$constraint_name
join rdb$triggers t on t.rdb$trigger_name = c.rdb$trigger_name and t.rdb$trigger_type = 1
where k.rdb$constraint_type = 'CHECK' and k.rdb$relation_name = ${table}`;

const triggers = (table: string): string => `
select ${name('t.rdb$trigger_name')}, ${source('t.rdb$trigger_source')} from rdb$triggers t
where t.rdb$relation_name = ${table} and coalesce(t.rdb$system_flag, 0) = 0
  and not exists (select 1 from rdb$check_constraints c where c.rdb$trigger_name = t.rdb$trigger_name)
order by t.rdb$trigger_name`;

const text = (cell: RawRow[number] | undefined): string | undefined => (typeof cell === 'string' ? cell : undefined);

/** A default as every engine can say it; undefined: only Firebird can. */
const portableDefault = (sql: string, type: ColumnType): DefaultValue | undefined => {
  if (/^(current_timestamp(\(\d\))?|localtimestamp(\(\d\))?|'now')$/i.test(sql)) return { kind: 'now' };
  if (/^(current_date|'today')$/i.test(sql)) return { kind: 'today' };
  const number = /^-?\d+(?:\.\d+)?$/.exec(sql)?.[0];
  const word = /^(true|false)$/i.exec(sql)?.[1]?.toLowerCase();
  const quoted = /^'((?:[^']|'')*)'$/s.exec(sql)?.[1]?.replaceAll("''", "'");
  const hex = /^x'((?:[0-9a-f]{2})*)'$/i.exec(sql)?.[1];
  const given = type.kind === 'bytes' || type.kind === 'uuid' ? hex : (number ?? word ?? quoted);
  if (given === undefined) return undefined;
  const cell = canonical(type, given);
  return cell === null || isMisfit(cell) ? undefined : { kind: 'value', cell };
};

const detailsOf = async (session: Session, table: Table, o: StatementOptions): Promise<TableDetails> => {
  const label = literal(table.name);
  const found = new Map<string, ColumnDetails>();
  for (const row of await session.query(columns(label), o)) {
    const known = table.columns.find((c) => c.name === text(row[0]));
    if (known === undefined) continue;
    const given = text(row[1])
      ?.replace(/^\s*(default|=)\s*/i, '')
      .trim();
    const plain = given !== undefined && given !== '' && !/^null$/i.test(given) && !known.serial;
    const value = plain ? portableDefault(given, known.type) : undefined;
    const computed = text(row[2])
      ?.trim()
      .replace(/^\((.*)\)$/s, '$1');
    const generator = text(row[3]);
    let position: bigint | undefined;
    if (generator) {
      const [now] = await session.query(`select gen_id(${id(generator)}, 0) from rdb$database`, o);
      position = BigInt(String(now![0])) + 1n;
    }
    found.set(known.name, {
      native: known.native,
      ...(plain ? { defaultSql: given } : {}),
      ...(value !== undefined
        ? { default: value }
        : plain
          ? { default: { kind: 'native' as const, engine: 'firebird', sql: given } }
          : {}),
      ...(computed ? { expression: computed } : {}),
      ...(position === undefined ? {} : { position }),
    });
  }
  const plainIndexes: IndexDefinition[] = [];
  const others: OtherPart[] = [];
  const listed = await session.query(indexes(label), o);
  for (const [index, parts] of Map.groupBy(listed, (row) => String(row[0]))) {
    const [first] = parts;
    const unique = String(first![1]) === '1';
    const expression = text(first![4]) ?? '';
    const names = parts.map((p) => String(p[3]));
    if (expression === '') plainIndexes.push({ name: String(first![6]), columns: names, unique });
    else {
      const again = `create ${unique ? 'unique ' : ''}index ${id(index)} on {table} computed by ${expression}`;
      others.push({ kind: 'index', name: index, definition: `computed by ${expression}`, again });
    }
  }
  const conditions = await session.query(checks(label), o);
  const programs = await session.query(triggers(label), o);
  return {
    columns: found,
    indexes: plainIndexes,
    others: [
      ...conditions.map(
        ([check, definition]): OtherPart => ({
          kind: 'check',
          name: String(check),
          definition: String(definition),
          again: `alter table {table} add constraint ${id(String(check))} ${String(definition)}`,
        }),
      ),
      ...programs.map(
        ([trigger, definition]): OtherPart => ({
          kind: 'trigger',
          name: String(trigger),
          ...(definition === null ? {} : { definition: String(definition) }),
        }),
      ),
      ...others,
    ],
  };
};

/** What tables are made of, asked table by table inside a transaction of `session`. */
export const tableDetails = async (
  session: Session,
  tables: readonly Table[],
  o: StatementOptions,
): Promise<readonly TableDetails[]> => {
  const found: TableDetails[] = [];
  for (const table of tables) found.push(await detailsOf(session, table, o));
  return found;
};
