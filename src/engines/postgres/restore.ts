import type { Cancel } from '../../model/cancel.ts';
import type { DumpContents, DumpProof, DumpTable } from '../../model/dump.ts';
import { LockstepError } from '../../model/errors.ts';
import { CopyStream } from './copy-stream.ts';
import { dumpSettings, listed, majorOf, sumOf } from './dump.ts';
import { occupants, schemasOf } from './dump-statements.ts';
import { type PgPlace, writeArchive } from './pg-archive.ts';
import { findPgTools } from './pg-tools.ts';
import type { Session, StatementOptions } from './session.ts';

/** As messages of the protocol: their bounds need not be those of rows. */
const messages = async function* (pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  for await (const piece of pieces) {
    const head = Buffer.allocUnsafe(5);
    head[0] = 0x64;
    head.writeInt32BE(piece.length + 4, 1);
    yield Buffer.concat([head, piece]);
  }
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
  await session.query(dumpSettings, undefined, at);
  await mustBeEmpty(session, at);
  await session.query('rollback', undefined, at);
  const { config } = session.context;
  await writeArchive({ ...x.place, config }, tools.restore, archive, o);
  await session.begin('read', at);
  await session.query(dumpSettings, undefined, at);
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
  await session.query(dumpSettings, undefined, at);
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
