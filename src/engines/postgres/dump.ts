import type { Cancel } from '../../model/cancel.ts';
import type { DumpArchive, DumpContents, DumpProof, DumpTable, OpenDump, TableSum } from '../../model/dump.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Unable } from '../../model/reader.ts';
import type { RowSink } from './copy-out.ts';
import { CopyStream } from './copy-stream.ts';
import { keptByExtensions, refuseOutsideHeirs } from './dump-gaps.ts';
import { notCarriedOf, occupants, schemasOf, statementsOf } from './dump-statements.ts';
import { type PgPlace, readArchive, writeArchive } from './pg-archive.ts';
import { findPgTools } from './pg-tools.ts';
import { behindPooler } from './pooler.ts';
import type { Session, StatementOptions } from './session.ts';

/** Names are written in full, whatever the user's search path is; a long statement is no mistake. */
const settings = `set local search_path to pg_catalog; set local statement_timeout to 0; set local check_function_bodies to off`;
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

/** As messages of the protocol: their bounds need not be those of rows. */
const messages = async function* (pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  for await (const piece of pieces) {
    const head = Buffer.allocUnsafe(5);
    head[0] = 0x64;
    head.writeInt32BE(piece.length + 4, 1);
    yield Buffer.concat([head, piece]);
  }
};

const listed = (table: DumpTable): string => (table.columns.length === 0 ? '' : ` (${table.columns.join(', ')})`);

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
const majorOf = (version: string): number => Number(/\d+/.exec(version)?.[0] ?? Number.POSITIVE_INFINITY);

const whole = '"lockstep whole row"';
const sumOf = async (session: Session, table: DumpTable, seed: string, o: StatementOptions): Promise<TableSum> => {
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

/** Begins a snapshot in `session` and reads what the database is made of; `release` is called when the dump is disposed of. */
export const openDump = async (
  session: Session,
  x: { readonly place: PgPlace; readonly version: string; readonly folders?: readonly string[] },
  o: Cancel & { readonly schemas?: readonly string[] },
  release: () => Promise<void>,
): Promise<OpenDump> => {
  const at = { signal: o.signal, doing: 'reading what the database is made of' };
  await session.begin('read', at);
  await session.query(settings, undefined, at);
  const schemas = await schemasOf(session, o.schemas, at);
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
  const tables = found
    .filter(([, kind]) => kind === 'r')
    .map(([name, , columns]): DumpTable => ({ name: name!, columns: JSON.parse(columns!) as string[] }));
  const [server] = await session.query(
    `select current_setting('server_encoding'), d.datcollate, d.datctype from pg_database d where d.datname = current_database()`,
    undefined,
    at,
  );
  const sequences: { name: string; last: string; called: boolean }[] = [];
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

/** Runs statements in whatever order they can be: one that needs what comes later is tried again after it. */
const makeAll = async (
  session: Session,
  statements: readonly { readonly kind: string; readonly name: string; readonly sql: string }[],
  o: Cancel,
): Promise<void> => {
  let left = statements;
  while (left.length > 0) {
    const again: { statement: (typeof statements)[number]; error: unknown }[] = [];
    for (const statement of left) {
      const at = { ...o, doing: `making ${statement.kind} ${statement.name}` };
      await session.query('savepoint lockstep_make', undefined, at);
      try {
        await session.query(statement.sql, undefined, at);
        await session.query('release savepoint lockstep_make', undefined, at);
      } catch (error) {
        o.signal.throwIfAborted();
        if (session.broken) throw error;
        await session.query('rollback to savepoint lockstep_make; release savepoint lockstep_make', undefined, at);
        again.push({ statement, error });
      }
    }
    if (again.length === left.length) throw again[0]!.error;
    left = again.map((a) => a.statement);
  }
};

const mustBeEmpty = async (session: Session, at: StatementOptions): Promise<void> => {
  const { name } = session.context;
  const there = await session.query(occupants, [await schemasOf(session, undefined, at)], at);
  if (there.length > 0)
    throw new LockstepError('CONFLICT', `${name} is not empty: it has ${there.map((r) => r[0]).join(', ')}`, {
      hint: 'A backup is restored into an empty database only. Create one, and name it after the backup.',
      side: name,
    });
};

/** Throws BACKUP when tables are not what was backed up. */
const compareWith = async (
  session: Session,
  contents: DumpContents,
  proof: DumpProof,
  kept: string,
  at: StatementOptions,
): Promise<void> => {
  const wrong: string[] = [];
  for (const [i, table] of contents.tables.entries()) {
    const [is, was] = [await sumOf(session, table, proof.seed, at), proof.sums[i]];
    if (was === undefined || is.rows !== was.rows || is.sum !== was.sum)
      wrong.push(`${table.name}: ${is.rows} rows with digest ${is.sum}, backed up ${was?.rows} with ${was?.sum}`);
  }
  if (wrong.length === 0) return;
  throw new LockstepError('BACKUP', `${wrong.length} of ${contents.tables.length} tables are not what was backed up`, {
    details: wrong.slice(0, 10),
    hint: `${kept} Use another backup: lockstep backup list`,
    side: session.context.name,
  });
};

/** Restores an archive into the empty database of `session`, and compares; see `Dumping.restoreArchive`. */
export const restoreArchive = async (
  session: Session,
  x: { readonly place: PgPlace; readonly version: string; readonly folders?: readonly string[] },
  contents: DumpContents,
  archive: AsyncIterable<Buffer>,
  proof: DumpProof,
  o: Cancel,
): Promise<void> => {
  const at: StatementOptions = { signal: o.signal, doing: 'restoring' };
  const tools = await findPgTools(Math.max(majorOf(contents.version), majorOf(x.version)), x.folders);
  if ('unable' in tools)
    throw new LockstepError('USAGE', `this backup was made by pg_dump, and takes pg_restore: ${tools.unable}`, {
      hint: `Install the client programs of PostgreSQL ${majorOf(contents.version)} or newer.`,
    });
  await session.begin('read', at);
  await session.query(settings, undefined, at);
  await mustBeEmpty(session, at);
  await session.query('rollback', undefined, at);
  const { config } = session.context;
  await writeArchive({ ...x.place, config }, tools.restore, archive, o);
  await session.begin('read', at);
  await session.query(settings, undefined, at);
  await compareWith(session, contents, proof, 'Drop the database that it was restored into.', at);
  await session.query('commit', undefined, at);
};

/** Makes a dump again in the empty database of `session`, in one transaction; see `Dumping.restore`. */
export const restoreDump = async (
  session: Session,
  contents: DumpContents,
  rows: (table: DumpTable, at: number) => AsyncIterable<Buffer>,
  proof: DumpProof,
  o: Cancel,
): Promise<void> => {
  const at: StatementOptions = { signal: o.signal, doing: 'restoring' };
  await session.begin('write', at);
  await session.query(settings, undefined, at);
  await mustBeEmpty(session, at);
  // who may not create a schema may still use the one that every database has
  const schemas = new Set((await session.query('select quote_ident(nspname) from pg_namespace', undefined, at)).flat());
  const of = (when: string) =>
    contents.statements.filter((s) => s.when === when && !(s.kind === 'schema' && schemas.has(s.name)));
  await makeAll(session, of('before_rows'), o);
  for (const [i, table] of contents.tables.entries()) {
    const doing = { ...o, doing: `restoring ${table.name}` };
    try {
      const copy = new CopyStream(`copy ${table.name}${listed(table)} from stdin`);
      await session.copyStream(copy, messages(rows(table, i)), doing);
    } catch (error) {
      throw error instanceof LockstepError ? error : session.explain(error, doing);
    }
  }
  for (const { name, last, called } of contents.sequences)
    await session.query('select setval($1::regclass, $2, $3)', [name, last, called], at);
  await makeAll(session, of('after_rows'), o);
  await compareWith(session, contents, proof, 'Nothing was kept of this restore.', at);
  await makeAll(session, of('proved'), o);
  await session.query('commit', undefined, at);
};
