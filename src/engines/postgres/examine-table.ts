import type { Besides, Finding } from '../../model/endpoint.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { finding, keyFindings, triggerFindings } from '../sql/finding.ts';
import { id, tableId } from '../sql/quote.ts';
import type { RawRow, Session, StatementOptions } from './session.ts';

/** What the doctor looks at. */
export interface ExamineRequest {
  readonly tables: readonly Table[];
  readonly writable: boolean;
  readonly besides?: Besides;
}

const rightsQuery = `
select c.oid::text, pg_catalog.has_schema_privilege(c.relnamespace, 'usage')::text,
       pg_catalog.has_table_privilege(c.oid, 'select')::text, pg_catalog.has_table_privilege(c.oid, 'insert')::text,
       pg_catalog.has_table_privilege(c.oid, 'update')::text, pg_catalog.has_table_privilege(c.oid, 'delete')::text,
       c.relrowsecurity::text, (c.relrowsecurity and not c.relforcerowsecurity and pg_catalog.pg_has_role(c.relowner, 'usage'))::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2`;

const sequencesQuery = `
select n.nspname, s.relname from pg_catalog.pg_depend d
join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
join pg_catalog.pg_namespace n on n.oid = s.relnamespace
join pg_catalog.pg_class c on c.oid = d.refobjid join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
where d.classid = 'pg_catalog.pg_class'::regclass and cn.nspname = $1 and c.relname = $2 and d.deptype in ('a', 'i')
  and case when s.relkind = 'S' then not pg_catalog.has_sequence_privilege(s.oid, 'update') end`;

const rightsFindings = (table: Table, row: RawRow, role: string, bypass: boolean, x: ExamineRequest): Finding[] => {
  const label = tableLabel(table);
  const name = tableId(table);
  const user = id(role);
  const [, usage, ...rights] = row;
  const names = ['select', 'insert', 'update', 'delete'];
  const has = names.filter((_, i) => rights[i] === 'true');
  const needed = x.writable && table.kind !== 'view' ? names : ['select'];
  const missing = needed.filter((r) => !has.includes(r));
  const found: Finding[] = [];
  if (usage !== 'true' && table.schema !== undefined) {
    found.push(
      finding(
        'error',
        'RIGHTS_MISSING',
        `${role} may not use the schema ${table.schema}`,
        `grant usage on schema ${id(table.schema)} to ${user};`,
      ),
    );
  }
  if (missing.length > 0) {
    found.push(
      finding(
        'error',
        'RIGHTS_MISSING',
        `${role} may not ${missing.join(', ')} on ${label}`,
        `grant ${missing.join(', ')} on ${name} to ${user};`,
      ),
    );
  }
  const extra = x.writable ? [] : has.filter((r) => r !== 'select');
  if (extra.length > 0 && !bypass) {
    found.push(
      finding(
        'advice',
        'RIGHTS_TOO_MANY',
        `${role} may ${extra.join(', ')} on ${label}, which is only read here`,
        `revoke ${extra.join(', ')} on ${name} from ${user};`,
      ),
    );
  }
  if (row[6] === 'true' && !bypass && row[7] !== 'true') {
    found.push(
      finding(
        'error',
        'ROW_SECURITY',
        `a row-level security policy hides rows of ${label} from ${role}: reading it is refused, so that hidden rows are not taken for missing ones`,
        `alter role ${user} bypassrls;`,
      ),
    );
  }
  return found;
};

const shapeFindings = (table: Table, x: ExamineRequest): readonly Finding[] => [
  ...keyFindings(table, tableId(table)),
  ...(x.writable ? triggerFindings(table) : []),
];

const textKeyFindings = async (session: Session, table: Table, o: StatementOptions): Promise<Finding[]> => {
  const key = table.uniques.find((u) => u.total);
  const columns = (key?.columns ?? []).filter(
    (name) => table.columns.find((c) => c.name === name)?.type.kind === 'text',
  );
  if (columns.length === 0) return [];
  const keySql = key!.columns.map((c) => `t.${id(c)}${columns.includes(c) ? ' collate "C"' : ''}`).join(', ');
  const plan = await session.query(
    `explain (costs off) select 1 from (select ${key!.columns.map(id).join(', ')} from ${tableId(table)}) as t order by ${keySql} limit 1`,
    undefined,
    o,
  );
  if (!plan.some(([line]) => /Sort/.test(line ?? ''))) return [];
  const indexSql = key!.columns.map((c) => `${id(c)}${columns.includes(c) ? ' collate "C"' : ''}`).join(', ');
  return [
    finding(
      'advice',
      'INDEX',
      `the key of ${tableLabel(table)} holds text in a locale's order; reading it in byte order sorts the table each time`,
      `create index concurrently on ${tableId(table)} (${indexSql});`,
    ),
  ];
};

/** What the doctor says of one table: rights, triggers, keys, indexes. `bypass`: no policy hides rows from `user`. */
export const tableFindings = async (
  session: Session,
  table: Table,
  user: string,
  bypass: boolean,
  x: ExamineRequest,
  o: StatementOptions,
): Promise<readonly Finding[]> => {
  const [rights] = await session.query(rightsQuery, [table.schema, table.name], o);
  if (!rights) return [finding('error', 'TABLE_NOT_FOUND', `there is no table ${tableLabel(table)} any more`)];
  const found = [...rightsFindings(table, rights, user, bypass, x), ...shapeFindings(table, x)];
  if (rights[1] === 'true' && rights[2] === 'true') found.push(...(await textKeyFindings(session, table, o)));
  if (!x.writable) return found;
  for (const [schema, name] of await session.query(sequencesQuery, [table.schema, table.name], o)) {
    found.push(
      finding(
        'error',
        'RIGHTS_MISSING',
        `${user} may not move on the sequence ${schema}.${name} of ${tableLabel(table)}`,
        `grant usage, select, update on sequence ${id(schema!)}.${id(name!)} to ${id(user)};`,
      ),
    );
  }
  return found;
};
