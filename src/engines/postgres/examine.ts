import type { Finding } from '../../model/endpoint.ts';
import { finding } from '../sql/finding.ts';
import { id } from '../sql/quote.ts';
import { isLocal, type PostgresConfig } from './config.ts';
import { type ExamineRequest, tableFindings } from './examine-table.ts';
import { ownSchema } from './inspect.ts';
import { behindPooler } from './pooler.ts';
import type { RawRow, Session, StatementOptions } from './session.ts';

const roleQuery = `
select r.rolname, r.rolsuper::text, (r.rolsuper or r.rolbypassrls)::text, r.rolcreaterole::text, r.rolcreatedb::text,
       pg_catalog.pg_is_in_recovery()::text, current_setting('default_transaction_read_only'), current_setting('server_encoding'),
       (pg_catalog.to_regnamespace('${ownSchema}') is not null and pg_catalog.has_schema_privilege('${ownSchema}', 'usage')
        or pg_catalog.to_regnamespace('${ownSchema}') is null and pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create'))::text,
       pg_catalog.current_database()
from pg_catalog.pg_roles r where r.rolname = current_user`;

const outsideQuery = `
select n.nspname, c.relname
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and n.nspname not in ('pg_catalog', 'information_schema', '${ownSchema}') and n.nspname not like 'pg\\_%'
  and pg_catalog.has_table_privilege(c.oid, 'insert, update, delete') and pg_catalog.has_schema_privilege(n.oid, 'usage')
  and not exists (select from unnest($1::pg_catalog.text[], $2::pg_catalog.text[]) as x(s, t) where x.s = n.nspname and x.t = c.relname)
order by 1, 2`;

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
  for (const table of x.tables) found.push(...(await tableFindings(session, table, user, bypass, x, o)));
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
