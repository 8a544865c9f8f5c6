import type { Cancel } from '../../model/cancel.ts';
import type { Connector } from './connector.ts';
import { type Connection, openDatabase } from './database.ts';
import { doneSteps, readMigrations } from './migrate.ts';

/** A right that a control store does not give. */
export interface Lacking {
  /** What cannot be done without it. */
  readonly what: string;
  /** The statement that gives it. */
  readonly fix: string;
  /** Only the service needs it. */
  readonly served?: true;
}

/** How a control store is found, without changing anything of it. */
export interface StoreFound {
  /** e.g. `PostgreSQL 18.4` */
  readonly server: string;
  /** The last step of its schema; 0: there is none yet. */
  readonly version: number;
  /** The last step that this Lockstep knows. */
  readonly known: number;
  readonly lacks: readonly Lacking[];
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** What whoever is connected may not do and has to. */
const lackingOf = async (
  connection: Connection,
  at: { readonly version: number; readonly known: number },
  o: Cancel,
): Promise<readonly Lacking[]> => {
  const [row] = await connection.query(
    `select current_user as me, current_database() as db, has_database_privilege(current_database(), 'create') as creates,
       exists (select from pg_namespace where nspname = 'lockstep_queue') as queue,
       pg_get_userbyid(s.nspowner) as owner, pg_has_role(s.nspowner, 'usage') as owns,
       array(select c.relname::text from pg_class c
         where c.relnamespace = s.oid and c.relkind in ('r', 'p') and c.relname <> 'migration'
           and not (has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
             -- the log of who did what is only ever added to
             and (c.relname = 'audit' or has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete')))
         order by c.relname) as closed
     from (select 1) one left join pg_namespace s on s.nspname = 'lockstep_control'`,
    [],
    o,
  );
  const { me, db, creates, queue, owner, owns, closed } = row as {
    readonly me: string;
    readonly db: string;
    readonly creates: boolean;
    readonly queue: boolean;
    readonly owner: string | null;
    readonly owns: boolean | null;
    readonly closed: readonly string[];
  };
  const create = `grant create on database ${quoted(db)} to ${quoted(me)};`;
  const found: Lacking[] = [];
  if (owner === null && !creates) found.push({ what: `${me} may not make its schema`, fix: create });
  if (owner !== null && owns !== true && at.version < at.known)
    found.push({
      what: `${me} may not bring it to version ${at.known}: its schema is ${owner}’s`,
      fix: `grant ${quoted(owner)} to ${quoted(me)};`,
    });
  if (at.version > 0 && closed.length > 0)
    found.push({
      what: `${me} may not read and write ${closed.slice(0, 5).join(', ')}${closed.length > 5 ? `, and ${closed.length - 5} more` : ''}`,
      fix: `grant select, insert, update, delete on all tables in schema lockstep_control to ${quoted(me)};`,
    });
  if (owner !== null && !queue && !creates)
    found.push({ what: `${me} may not make the queue of the service`, fix: create, served: true });
  return found;
};

/** Throws what opening it would: it cannot be reached, is of a newer Lockstep, or was not made by one. */
export const examineStore = async (connector: Connector, o: Cancel): Promise<StoreFound> => {
  const known = readMigrations();
  await using database = openDatabase(connector);
  return await database.lend(o, async (connection) => {
    await connection.query('begin transaction read only', [], o);
    const at = {
      version: known[(await doneSteps(connection, known, connector.description, o)) - 1]?.number ?? 0,
      known: known.at(-1)!.number,
    };
    const lacks = await lackingOf(connection, at, o);
    const [row] = await connection.query(`select current_setting('server_version') as version`, [], o);
    await connection.query('rollback', [], o);
    return { server: `PostgreSQL ${String(row?.['version']).split(' ')[0]}`, ...at, lacks };
  });
};
