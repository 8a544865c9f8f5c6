import type { Cancel } from '../../model/cancel.ts';
import type { DumpArchive, DumpContents, DumpTable, OpenDump, TableSum } from '../../model/dump.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Unable } from '../../model/reader.ts';
import type { RowSink } from './copy-out.ts';
import { keptByExtensions, refuseOutsideHeirs } from './dump-gaps.ts';
import { notCarriedOf, schemasOf, statementsOf } from './dump-statements.ts';
import { type PgPlace, readArchive } from './pg-archive.ts';
import { findPgTools } from './pg-tools.ts';
import { behindPooler } from './pooler.ts';
import type { Session, StatementOptions } from './session.ts';

/** Names are written in full, whatever the user's search path is; a long statement is no mistake. */
export const dumpSettings = `set local search_path to pg_catalog; set local statement_timeout to 0; set local check_function_bodies to off`;
const wantedBytes = 64 * 1024;

/** Lines of COPY's text, gathered. */
const lines = (): RowSink<Buffer> => {
  let held = Buffer.allocUnsafe(2 * wantedBytes);
  let used = 0;
  return {
    row: (bytes, start, end) => {
      if (used + end - start > held.length) {
        const wider = Buffer.allocUnsafe(2 * (used + end - start));
        held.copy(wider, 0, 0, used);
        held = wider;
      }
      used += bytes.copy(held, used, start, end);
    },
    take: (last) => {
      if (used === 0 || (!last && used < wantedBytes)) return undefined;
      const taken = held.subarray(0, used);
      held = Buffer.allocUnsafe(2 * wantedBytes);
      used = 0;
      return taken;
    },
  };
};

/** The columns of a table as COPY names them. */
export const listed = (table: DumpTable): string =>
  table.columns.length === 0 ? '' : ` (${table.columns.join(', ')})`;

/** An archive of the snapshot that `session` has begun: by tools that are new enough for the server. */
const archiveOf = async (
  session: Session,
  x: { readonly place: PgPlace; readonly version: string; readonly folders?: readonly string[] },
  what: { readonly schemas?: readonly string[]; readonly notCarried: readonly string[] },
  o: Cancel,
): Promise<DumpArchive | Unable> => {
  const at = { signal: o.signal, doing: 'sharing the snapshot with pg_dump' };
  if (process.platform === 'win32') return { unable: 'pg_dump is not used on Windows' };
  const tools = await findPgTools(majorOf(x.version), x.folders);
  if ('unable' in tools) return tools;
  if (await behindPooler(session, at)) return { unable: 'a pooler stands between here and the server' };
  const [row] = await session.query('select pg_catalog.pg_export_snapshot()', undefined, at);
  const snapshot = row![0]!;
  const { schemas } = what;
  return {
    tool: `pg_dump ${tools.version}`,
    notCarried: what.notCarried,
    read: (c) => readArchive(x.place, tools.dump, { snapshot, ...(schemas === undefined ? {} : { schemas }) }, c),
  };
};

/** Of `PostgreSQL 18.4`. */
export const majorOf = (version: string): number => Number(/\d+/.exec(version)?.[0] ?? Number.POSITIVE_INFINITY);

const whole = '"lockstep whole row"';
/** How many rows a table has, and a digest of them. */
export const sumOf = async (
  session: Session,
  table: DumpTable,
  seed: string,
  o: StatementOptions,
): Promise<TableSum> => {
  // record_out is exact for every type: floats with all digits, bytes in hex, times in UTC (see Session.begin)
  const [row] = await session.query(
    `select count(*), coalesce(sum(hashtextextended(${whole}::text, $1)), 0) from only ${table.name} ${whole}`,
    [seed],
    o,
  );
  return {
    rows: Number(row![0]),
    sum: BigInt.asUintN(64, BigInt(row![1]!)).toString(16).padStart(16, '0'),
  };
};

/** The tables of these schemas that hold rows, locked. */
const lockedTables = async (
  session: Session,
  schemas: readonly string[],
  at: StatementOptions,
): Promise<readonly DumpTable[]> => {
  const found = await session.query(
    `select quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind,
       (select coalesce(json_agg(quote_ident(a.attname) order by a.attnum), '[]') from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '')::text
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any ($1) and c.relkind in ('r', 'p') and c.relpersistence <> 't'
       and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')
     order by c.oid`,
    [schemas],
    at,
  );
  // nobody changes or drops a table until it is read
  if (found.length > 0)
    await session.query(
      `lock table ${found.map(([name]) => `only ${name}`).join(', ')} in access share mode`,
      undefined,
      at,
    );
  await refuseOutsideHeirs(
    session,
    found.map(([name]) => name!),
    schemas,
    at,
  );
  // one that was emptied or written anew since the snapshot looks empty in it, whatever it held
  const anew = await session.query(
    `select c.oid::regclass::text from pg_class c where c.oid = any ($1::regclass[]) and c.relkind = 'r'
       and c.relfilenode <> 0 and c.relfilenode is distinct from pg_relation_filenode(c.oid)`,
    [found.map(([name]) => name)],
    at,
  );
  if (anew.length > 0)
    throw new LockstepError(
      'CONTENTION',
      `${session.context.name}: ${anew[0]![0]} was truncated or rewritten just now`,
      {
        hint: 'Try again.',
        side: session.context.name,
      },
    );
  return found
    .filter(([, kind]) => kind === 'r')
    .map(([name, , columns]): DumpTable => ({ name: name!, columns: JSON.parse(columns!) as string[] }));
};

/** The sequences of these schemas, as they stand. */
const sequencesOf = async (
  session: Session,
  schemas: readonly string[],
  at: StatementOptions,
): Promise<DumpContents['sequences']> => {
  const sequences: DumpContents['sequences'][number][] = [];
  for (const [name] of await session.query(
    `select quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any ($1) and c.relkind = 'S' and c.relpersistence <> 't'
       and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e') order by c.oid`,
    [schemas],
    at,
  )) {
    const [row] = await session.query(`select last_value::text, is_called::text from ${name}`, undefined, at);
    sequences.push({ name: name!, last: row![0]!, called: row![1] === 'true' });
  }
  return sequences;
};

/** Begins a snapshot in `session` and reads what the database is made of; `release` is called when the dump is disposed of. */
export const openDump = async (
  session: Session,
  x: { readonly place: PgPlace; readonly version: string; readonly folders?: readonly string[] },
  o: Cancel & { readonly schemas?: readonly string[] },
  release: () => Promise<void>,
): Promise<OpenDump> => {
  const at = { signal: o.signal, doing: 'reading what the database is made of' };
  await session.begin('read', at);
  await session.query(dumpSettings, undefined, at);
  const schemas = await schemasOf(session, o.schemas, at);
  const tables = await lockedTables(session, schemas, at);
  const [server] = await session.query(
    `select current_setting('server_encoding'), d.datcollate, d.datctype from pg_database d where d.datname = current_database()`,
    undefined,
    at,
  );
  const sequences = await sequencesOf(session, schemas, at);
  const elsewhere = await keptByExtensions(session, o.schemas, at);
  const contents: DumpContents = {
    engine: 'postgres',
    version: x.version,
    encoding: server![0]!,
    collate: server![1]!,
    ctype: server![2]!,
    statements: await statementsOf(session, schemas, at),
    tables,
    sequences,
    notCarried: [...(await notCarriedOf(session, schemas, at)), ...elsewhere],
  };
  return {
    contents,
    archive: (c) =>
      archiveOf(session, x, { notCarried: elsewhere, ...(o.schemas === undefined ? {} : { schemas: o.schemas }) }, c),
    rows: (table, c) =>
      session.copy(`copy ${table.name}${listed(table)} to stdout`, lines(), { ...c, doing: `copying ${table.name}` }),
    sum: (table, seed, c) => sumOf(session, table, seed, { ...c, doing: `digesting ${table.name}` }),
    [Symbol.asyncDispose]: release,
  };
};
