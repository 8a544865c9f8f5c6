import type { Besides, Finding } from '../../model/endpoint.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { id, tableId } from '../sql/quote.ts';
import { isLocal, type PostgresConfig } from './config.ts';
import { ownSchema } from './inspect.ts';
import { behindPooler } from './pooler.ts';
import type { RawRow, Session, StatementOptions } from './session.ts';

export interface ExamineRequest {
  readonly tables: readonly Table[];
  readonly writable: boolean;
  readonly besides?: Besides;
}

const roleQuery = `
select r.rolname, r.rolsuper::text, (r.rolsuper or r.rolbypassrls)::text, r.rolcreaterole::text, r.rolcreatedb::text,
       pg_catalog.pg_is_in_recovery()::text, current_setting('default_transaction_read_only'), current_setting('server_encoding'),
       (pg_catalog.to_regnamespace('${ownSchema}') is not null and pg_catalog.has_schema_privilege('${ownSchema}', 'usage')
        or pg_catalog.to_regnamespace('${ownSchema}') is null and pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create'))::text,
       pg_catalog.current_database()
from pg_catalog.pg_roles r where r.rolname = current_user`;

const rightsQuery = `
select c.oid::text, pg_catalog.has_schema_privilege(c.relnamespace, 'usage')::text,
       pg_catalog.has_table_privilege(c.oid, 'select')::text, pg_catalog.has_table_privilege(c.oid, 'insert')::text,
       pg_catalog.has_table_privilege(c.oid, 'update')::text, pg_catalog.has_table_privilege(c.oid, 'delete')::text,
       c.relrowsecurity::text, (c.relrowsecurity and not c.relforcerowsecurity and pg_catalog.pg_has_role(c.relowner, 'usage'))::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2`;

const outsideQuery = `
select n.nspname, c.relname
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and n.nspname not in ('pg_catalog', 'information_schema', '${ownSchema}') and n.nspname not like 'pg\\_%'
  and pg_catalog.has_table_privilege(c.oid, 'insert, update, delete') and pg_catalog.has_schema_privilege(n.oid, 'usage')
  and not exists (select from unnest($1::pg_catalog.text[], $2::pg_catalog.text[]) as x(s, t) where x.s = n.nspname and x.t = c.relname)
order by 1, 2`;

const sequencesQuery = `
select n.nspname, s.relname from pg_catalog.pg_depend d
join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
join pg_catalog.pg_namespace n on n.oid = s.relnamespace
join pg_catalog.pg_class c on c.oid = d.refobjid join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
where d.classid = 'pg_catalog.pg_class'::regclass and cn.nspname = $1 and c.relname = $2 and d.deptype in ('a', 'i')
  and case when s.relkind = 'S' then not pg_catalog.has_sequence_privilege(s.oid, 'update') end`;

const finding = (level: Finding['level'], code: string, message: string, fix?: string): Finding => ({
  level,
  code,
  message,
  ...(fix === undefined ? {} : { fix }),
});

const connectionFindings = (config: PostgresConfig): Finding[] => {
  if (isLocal(config.host)) return [];
  if (config.tls.mode === 'verify-full') return [finding('ok', 'TLS', `TLS with ${config.host} is verified`)];
  if (config.tls.mode === 'disable') {
    return [
      finding(
        'warning',
        'TLS',
        `the connection to ${config.host} is not encrypted: the password and every row can be read on the way`,
        'sslmode=verify-full in the URL, or `tls: { mode: verify-full }`',
      ),
    ];
  }
  return [
    finding(
      'advice',
      'TLS',
      `the connection to ${config.host} is encrypted, but whose server it is is not fully checked (${config.tls.mode})`,
      'sslmode=verify-full in the URL, or `tls: { mode: verify-full }`',
    ),
  ];
};

const roleFindings = (row: RawRow, x: ExamineRequest): Finding[] => {
  const [role, superuser, , createRole, createDb, recovery, readOnly, encoding, marker, database] = row;
  const found: Finding[] = [];
  const user = id(role!);
  const tooMany = [
    ...(createRole === 'true' ? ['nocreaterole'] : []),
    ...(createDb === 'true' && x.besides?.databases !== true ? ['nocreatedb'] : []),
  ];
  if (superuser === 'true') {
    found.push(
      finding(
        'warning',
        'RIGHTS_TOO_MANY',
        `${role} is a superuser; comparing needs select on the tables, writing needs insert, update and delete`,
        `create role lockstep login; then grant it only what the other findings name`,
      ),
    );
  } else if (tooMany.length > 0) {
    found.push(
      finding(
        'advice',
        'RIGHTS_TOO_MANY',
        `${role} may create roles or databases, which is not needed here`,
        `alter role ${user} ${tooMany.join(' ')};`,
      ),
    );
  }
  if (encoding !== 'UTF8') {
    found.push(
      finding(
        'advice',
        'ENCODING',
        `the database is kept in ${encoding}, so rows cannot be hashed in it alike with others; values are compared instead, which reads more`,
      ),
    );
  }
  if (!x.writable) return found;
  if (recovery === 'true')
    found.push(
      finding('error', 'READ_ONLY', 'this server is a standby: nothing can be written to it', 'connect to its primary'),
    );
  else if (readOnly === 'on')
    found.push(
      finding(
        'warning',
        'READ_ONLY',
        `sessions of ${role} are read-only by default (default_transaction_read_only), which is a default and no right: what writes here asks for a transaction that may, and gets it`,
        'If nothing is to be written here, take `writable: true` away from the endpoint, or the rights from the role',
      ),
    );
  if (marker !== 'true') {
    found.push(
      finding(
        'warning',
        'MARKER',
        `${role} may not make the schema ${ownSchema}, where the marker of each written step is kept; repeats are then recognised only by the state of the rows`,
        `create schema ${ownSchema} authorization ${user};`,
      ),
    );
  } else found.push(finding('ok', 'MARKER', `the marker table can be kept in ${database}`));
  return found;
};

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

const shapeFindings = (table: Table, x: ExamineRequest): Finding[] => {
  const label = tableLabel(table);
  const found: Finding[] = [];
  const key = table.uniques.find((u) => u.total);
  if (!key && table.kind !== 'view') {
    found.push(
      finding(
        'warning',
        'KEY',
        `${label} has no primary key and no unique key without NULLs: it can be compared as a whole, but not repaired`,
        `alter table ${tableId(table)} add primary key (…);`,
      ),
    );
  }
  if (x.writable && table.triggers.length > 0) {
    found.push(
      finding(
        'warning',
        'TRIGGERS',
        `${label} has triggers that run on our writes and may change what is stored: ${table.triggers.join(', ')}`,
      ),
    );
  }
  return found;
};

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

/** What the doctor says of this side: rights missing or too many, with the exact statement, TLS, triggers, keys, indexes. */
export const examine = async (
  session: Session,
  config: PostgresConfig,
  x: ExamineRequest,
  o: StatementOptions,
): Promise<readonly Finding[]> => {
  const [role] = await session.query(roleQuery, undefined, o);
  const user = role![0]!;
  const superuser = role![1] === 'true';
  const bypass = role![2] === 'true';
  const found = [...connectionFindings(config), ...roleFindings(role!, x)];
  if (await behindPooler(session, o))
    found.push(
      finding(
        'advice',
        'POOLER',
        'a connection pooler (PgBouncer?) stands before the server: everything works through it, but the lock of a process that dies is free only after 30 s, and its connections count against the pooler’s',
        'Where you can, connect to the server itself: Lockstep keeps few connections.',
      ),
    );
  for (const table of x.tables) {
    const [rights] = await session.query(rightsQuery, [table.schema, table.name], o);
    if (!rights) {
      found.push(finding('error', 'TABLE_NOT_FOUND', `there is no table ${tableLabel(table)} any more`));
      continue;
    }
    const about = rightsFindings(table, rights, user, bypass, x);
    found.push(...about, ...shapeFindings(table, x));
    if (rights[1] === 'true' && rights[2] === 'true') found.push(...(await textKeyFindings(session, table, o)));
    if (!x.writable) continue;
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
  }
  if (!superuser) {
    const parts = [x.tables.map((t) => t.schema), x.tables.map((t) => t.name)];
    const writes = new Set(x.besides?.writes);
    const outside = (await session.query(outsideQuery, parts, o)).filter(
      ([schema, name]) => !writes.has(name!) && !writes.has(`${schema}.${name}`),
    );
    if (outside.length > 0) {
      const names = outside.slice(0, 5).map(([schema, name]) => `${schema}.${name}`);
      const [schema, name] = outside[0]!;
      found.push(
        finding(
          'advice',
          'RIGHTS_TOO_MANY',
          `${user} may also write to ${outside.length} table${outside.length === 1 ? '' : 's'} that ${outside.length === 1 ? 'has' : 'have'} no part in this: ${names.join(', ')}${outside.length > 5 ? ', …' : ''}`,
          `revoke insert, update, delete on ${id(schema!)}.${id(name!)} from ${id(user)};`,
        ),
      );
    }
  }
  return found;
};
