import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Connection, Database } from './database.ts';

interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

/** The numbered files of `migrations/`, ascending. `folder`: for tests. */
export const readMigrations = (folder = new URL('./migrations/', import.meta.url)): readonly Migration[] =>
  readdirSync(folder)
    .filter((name) => /^\d{4}-.*\.sql$/.test(name))
    .sort()
    .map((name) => {
      const sql = readFileSync(new URL(name, folder), 'utf8').replaceAll('\r\n', '\n');
      return { number: Number(name.slice(0, 4)), name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    });

interface Done {
  readonly number: number;
  readonly checksum: string;
  readonly madeBy: string;
}

const done = async (connection: Connection, o: Cancel): Promise<readonly Done[]> => {
  // Not to_regclass: inside a transaction its caches do not see what another process has just made.
  const [row] = await connection.query(
    `select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'lockstep_control' and c.relname = 'migration') as there`,
    [],
    o,
  );
  if (row?.['there'] !== true) return [];
  const rows = await connection.query(
    'select number, checksum, made_by from lockstep_control.migration order by number',
    [],
    o,
  );
  return rows.map((r) => ({
    number: Number(r['number']),
    checksum: String(r['checksum']),
    madeBy: String(r['made_by']),
  }));
};

/** How many of `known` are done. Throws STORE_NEWER for a store of a newer binary, STORE for one that is not ours. */
const agreeOn = (known: readonly Migration[], found: readonly Done[], where: string): number => {
  const newer = found.filter((f) => f.number > (known.at(-1)?.number ?? 0)).at(-1);
  if (newer) {
    throw new LockstepError(
      'STORE_NEWER',
      `the control store (${where}) was written by a newer Lockstep, ${newer.madeBy}`,
      {
        hint: `Use Lockstep ${newer.madeBy} or newer, or give this one a control store of its own with --control.`,
        details: [`store version ${newer.number}, this Lockstep knows ${known.at(-1)?.number ?? 0}`],
      },
    );
  }
  for (const [i, f] of found.entries()) {
    if (known[i]?.number === f.number && known[i]?.checksum === f.checksum) continue;
    throw new LockstepError(
      'STORE',
      `the control store (${where}) has a step ${f.number} that this Lockstep does not know`,
      {
        hint: 'It was made by a development version. Use the Lockstep that made it, or another control store.',
        details: [`made by ${f.madeBy}`],
      },
    );
  }
  return found.length;
};

/** How many of `known` are done in the store `where`. Throws as `agreeOn` does. */
export const doneSteps = async (
  connection: Connection,
  known: readonly Migration[],
  where: string,
  o: Cancel,
): Promise<number> => agreeOn(known, await done(connection, o), where);

/** Brings the store's schema to this version: each file once, all in one transaction, one process at a time. */
export const migrate = async (
  database: Database,
  o: Cancel & { readonly version: string; readonly migrations?: readonly Migration[] },
): Promise<void> => {
  const known = o.migrations ?? readMigrations();
  await database.lend(o, async (connection) => {
    const where = database.description;
    if ((await doneSteps(connection, known, where, o)) === known.length) return;
    await connection.query('begin', [], o);
    await connection.query('select pg_advisory_xact_lock(7017282394)', [], o);
    const found = await done(connection, o);
    const start = agreeOn(known, found, where);
    if (found.length === 0) {
      const [row] = await connection.query(
        `select exists (select from pg_namespace where nspname = 'lockstep_control') as there`,
        [],
        o,
      );
      if (row?.['there'] !== true) await connection.query('create schema lockstep_control', [], o);
      await connection.query(
        `create table lockstep_control.migration (
          number integer primary key, name text not null, checksum text not null, made_by text not null,
          applied timestamptz not null default now())`,
        [],
        o,
      );
    }
    for (const m of known.slice(start)) {
      await connection.query(m.sql, [], o);
      await connection.query(
        'insert into lockstep_control.migration (number, name, checksum, made_by) values ($1, $2, $3, $4)',
        [m.number, m.name, m.checksum, o.version],
        o,
      );
    }
    await connection.query('commit', [], o);
  });
};
