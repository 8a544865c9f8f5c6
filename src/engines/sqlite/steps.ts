import { LockstepError } from '../../model/errors.ts';
import type { StepMark } from '../../model/writer.ts';
import { locksTable, stepsTable } from './catalogue.ts';
import type { Database } from './database.ts';
import { resultCode, resultCodes } from './failures.ts';
import type { Holder } from './operations.ts';

const hasMarkers = (db: Database): boolean =>
  db.get(`select count(*) from sqlite_schema where type = 'table' and name in (?, ?)`, stepsTable, locksTable)![0] ===
  2n;

const refused = (db: Database, why: string): LockstepError =>
  new LockstepError('PRIVILEGE', `our tables ${stepsTable} and ${locksTable} cannot be made in ${db.path}: ${why}`, {
    hint: 'Without them there is no lock and no mark of what was written. Free these names, or let this user make tables.',
  });

/** Makes our two tables. There is no writing without them: nothing else keeps a second writer of the file away. */
export const prepareTarget = (db: Database): 'marker' => {
  if (hasMarkers(db)) return 'marker';
  try {
    db.exec(`
      create table if not exists ${stepsTable} (
        run text not null, step integer not null, token integer not null, primary key (run, step)
      ) without rowid;
      create table if not exists ${locksTable} (
        name text primary key not null, run text, pair text, token integer not null, expires_at integer not null
      ) without rowid`);
  } catch (error) {
    const code = resultCode(error);
    if (code === resultCodes.AUTH || code === resultCodes.ERROR) throw refused(db, (error as Error).message);
    throw error;
  }
  // Where a view has the name, SQLite takes the table for made.
  if (!hasMarkers(db)) throw refused(db, 'something else has one of these names');
  return 'marker';
};

const inTransaction = <T>(db: Database, work: () => T): T => {
  const own = !db.inTransaction;
  if (own) db.exec('begin immediate');
  try {
    const value = work();
    if (own) db.exec('commit');
    return value;
  } catch (error) {
    if (own && db.inTransaction) db.exec('rollback');
    throw error;
  }
};

/** Takes the one writer's lock of the file; a dead holder's has run out. Returns the fencing token. */
export const takeLock = (db: Database, holder: Holder, nowMs: number, holdMs: number): bigint => {
  prepareTarget(db);
  return inTransaction(db, () => {
    const row = db.get(`select run, pair, token, expires_at from ${locksTable} where name = 'writer'`);
    const [run, pair, token, until] = row ?? [null, null, 0n, 0n];
    if (run !== null && run !== holder.run && Number(until) > nowMs) {
      const seconds = Math.ceil((Number(until) - nowMs) / 1000);
      throw new LockstepError('LOCK_HELD', `run ${run} (${pair}) is writing to this database.`, {
        hint: `Wait for it to end; if it has died, its lock runs out in ${seconds} s.`,
      });
    }
    const next = BigInt(token as bigint) + 1n;
    db.run(
      `insert into ${locksTable} (name, run, pair, token, expires_at) values ('writer', ?, ?, ?, ?)
       on conflict (name) do update set run = excluded.run, pair = excluded.pair, token = excluded.token, expires_at = excluded.expires_at`,
      holder.run,
      holder.pair,
      next,
      BigInt(Math.round(nowMs + holdMs)),
    );
    return next;
  });
};

/** Moves the end of a lock that is still ours. */
export const renewLock = (db: Database, token: bigint, untilMs: number): boolean =>
  db.run(
    `update ${locksTable} set expires_at = max(expires_at, ?) where name = 'writer' and token = ? and run is not null`,
    BigInt(Math.round(untilMs)),
    token,
  ) === 1;

/** Moves the end of the step's own lock inside its transaction, where there is one. */
export const renewHeld = (db: Database, token: bigint, untilMs: number): void => {
  if (hasMarkers(db)) renewLock(db, token, untilMs);
};

/** Gives back a lock that is still ours; its token stays, so that a later holder's is higher. */
export const giveLock = (db: Database, token: bigint): void => {
  db.run(`update ${locksTable} set run = null, pair = null, expires_at = 0 where name = 'writer' and token = ?`, token);
};

export const isApplied = (db: Database, mark: Pick<StepMark, 'run' | 'step'> & { readonly by?: bigint }): boolean => {
  if (!hasMarkers(db)) return false;
  const row = db.get(`select token from ${stepsTable} where run = ? and step = ?`, mark.run, BigInt(mark.step));
  return row !== undefined && (mark.by === undefined || mark.by === row[0]);
};

/** Begins a step's transaction, unless it has been applied. Throws FENCED when a later holder has the lock. */
export const beginStep = (db: Database, mark: StepMark, unlinked = false): 'begun' | 'already' => {
  // outside of a transaction: inside, SQLite does not listen
  db.exec(`pragma foreign_keys = ${unlinked ? 'off' : 'on'}`);
  db.exec('begin immediate');
  try {
    db.exec('pragma defer_foreign_keys = on');
    if (isApplied(db, mark)) {
      db.exec('rollback');
      return 'already';
    }
    if (!hasMarkers(db)) return 'begun';
    const token = db.get(`select token from ${locksTable} where name = 'writer'`)?.[0] as bigint | undefined;
    if (token !== undefined && token > mark.token) {
      throw new LockstepError('FENCED', `another writer has taken over (its token is ${token}, ours ${mark.token}).`);
    }
    db.run(`insert into ${stepsTable} (run, step, token) values (?, ?, ?)`, mark.run, BigInt(mark.step), mark.token);
    return 'begun';
  } catch (error) {
    if (db.inTransaction) db.exec('rollback');
    throw error;
  }
};
