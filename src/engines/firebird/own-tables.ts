import { LockstepError } from '../../model/errors.ts';
import type { StepMark } from '../../model/writer.ts';
import { fenced, type Holder, lockTtlMs, type Taken } from '../sql/step-lock.ts';
import { locksTable, stepsTable, tokensGenerator } from './catalogue.ts';
import { gds, isContention, isUniqueFailure, ServerFailure } from './failures.ts';
import type { Session, StatementOptions } from './session.ts';

/**
 * Our tables in the target: one row per step that was written, in its transaction, and one per lock. They are what
 * makes a repeat harmless and a second writer visible, wherever the other one runs and keeps its records.
 */
const definitions = [
  `create table ${stepsTable} (run varchar(100) character set utf8 not null, step bigint not null, token bigint not null,
     written_at timestamp default localtimestamp not null, primary key (run, step))`,
  `create table ${locksTable} (name varchar(200) character set utf8 not null primary key, run varchar(100) character set utf8,
     holder varchar(200) character set utf8, token bigint not null, since timestamp, expires_at timestamp not null)`,
  `create sequence ${tokensGenerator}`,
];

/** Any text as SQL. */
export const textSql = (text: string): string => `_utf8 x'${Buffer.from(text).toString('hex')}'`;

const exists = async (session: Session, o: StatementOptions): Promise<boolean> => {
  const [row] = await session.query(
    `select (select count(*) from rdb$relations where rdb$relation_name in ('${stepsTable}', '${locksTable}'))
       + (select count(*) from rdb$generators where rdb$generator_name = '${tokensGenerator}') from rdb$database`,
    o,
  );
  return row![0] === '3';
};

/** Does what we do in our tables, and takes it back. */
const isAllowed = async (session: Session, o: StatementOptions): Promise<boolean> => {
  await session.begin('write', o);
  try {
    for (const sql of [
      `select gen_id(${tokensGenerator}, 0) from rdb$database`,
      `insert into ${stepsTable} (run, step, token) values ('lockstep', -1, 0)`,
      `select count(*) from ${stepsTable} where run = 'lockstep'`,
      `insert into ${locksTable} (name, token, expires_at) values ('lockstep', 0, localtimestamp)`,
      `update ${locksTable} set run = null where name = 'lockstep'`,
    ])
      await session.raw({ sql }, o);
    return true;
  } catch (error) {
    if (error instanceof ServerFailure && error.has(gds.no_priv)) return false;
    // Somebody else tries the same at this moment: so it can be done.
    if (isContention(error) || isUniqueFailure(error)) return true;
    throw session.explain(error, o);
  } finally {
    await session.rollback();
  }
};

/** Makes our tables where they are missing; false: without the right to. In a transaction of its own. */
export const makeOwnTables = async (session: Session, o: StatementOptions): Promise<boolean> => {
  for (let attempt = 0; ; attempt++) {
    await session.begin('write', o);
    try {
      if (await exists(session, o)) break;
      for (const sql of definitions) {
        try {
          await session.raw({ sql }, o);
        } catch (error) {
          // Half of them may have been made by somebody who was stopped.
          if (!(error instanceof ServerFailure) || !/already exists/i.test(error.message)) throw error;
        }
      }
      await session.commit(o);
      break;
    } catch (error) {
      if (error instanceof ServerFailure && (error.has(gds.no_priv) || /no permission/i.test(error.message)))
        return false;
      // Another process makes them at the same moment.
      const mayPass = isContention(error) || isUniqueFailure(error);
      if (!mayPass || attempt === 5) throw session.explain(error, o);
    } finally {
      await session.rollback();
    }
  }
  return isAllowed(session, o);
};

const expiry = `dateadd(${lockTtlMs} millisecond to localtimestamp)`;

/** Begins a step's transaction: the marker is set, and the lock is held by it until its end. */
export const beginStep = async (
  session: Session,
  mark: StepMark,
  o: StatementOptions,
): Promise<'begun' | 'already'> => {
  for (let attempt = 0; ; attempt++) {
    await session.begin('write', o);
    try {
      // First of all: from here on nobody can take the lock over before this transaction has ended.
      const [held] = await session.raw(
        { sql: `update ${locksTable} set expires_at = ${expiry} where token = ${mark.token} returning name` },
        o,
      );
      const there = await session.raw(
        { sql: `select token from ${stepsTable} where run = ${textSql(mark.run)} and step = ${mark.step}` },
        o,
      );
      if (there.length > 0) return 'already';
      if (held?.[0] == null) {
        const later = await session.raw(
          {
            sql: `select token from ${locksTable} where token > ${mark.token} union all select token from ${stepsTable} where token > ${mark.token} rows 1`,
          },
          o,
        );
        if (later.length > 0) throw fenced(session.context.name, mark);
      }
      await session.raw(
        {
          sql: `insert into ${stepsTable} (run, step, token) values (${textSql(mark.run)}, ${mark.step}, ${mark.token})`,
        },
        o,
      );
      return 'begun';
    } catch (error) {
      await session.rollback();
      if (isUniqueFailure(error))
        throw new LockstepError(
          'CONTENTION',
          `${session.context.name}: step ${mark.step} is being written by another process at this moment`,
          { side: session.context.name },
        );
      // A sign of life of our own lock came between the beginning of the transaction and its first word.
      if (isContention(error) && attempt < 5) continue;
      throw session.explain(error, o);
    }
  }
};

/** A sign of life at the end of a step, inside its transaction. */
export const renewHeld = async (session: Session, token: bigint, o: StatementOptions): Promise<void> => {
  await session.raw({ sql: `update ${locksTable} set expires_at = ${expiry} where token = ${token}` }, o);
};

export const hasMarker = async (
  session: Session,
  mark: Pick<StepMark, 'run' | 'step'> & { readonly by?: bigint },
  o: StatementOptions,
): Promise<boolean> => {
  const rows = await session.query(
    `select token from ${stepsTable} where run = ${textSql(mark.run)} and step = ${mark.step}`,
    o,
  );
  return rows.length > 0 && (mark.by === undefined || rows[0]![0] === String(mark.by));
};

/** Takes the lock if nobody holds it; the same run takes its own over. */
export const takeLock = async (session: Session, h: Holder, o: StatementOptions): Promise<Taken> => {
  const name = textSql(h.name.slice(0, 200));
  await session.begin('write', o);
  try {
    const [row] = await session.raw(
      {
        sql: `select run, holder, since, datediff(millisecond from localtimestamp to expires_at),
                case when run is null or run = ${textSql(h.run)} or expires_at <= localtimestamp then 1 else 0 end
              from ${locksTable} where name = ${name}`,
      },
      o,
    );
    if (row && row[4] !== '1')
      return {
        taken: false,
        run: String(row[0] ?? '?'),
        holder: String(row[1] ?? '?'),
        since: String(row[2] ?? '?'),
        expiresInMs: Math.max(0, Number(row[3])),
      };
    const [drawn] = await session.raw({ sql: `select gen_id(${tokensGenerator}, 1) from rdb$database` }, o);
    const token = drawn![0] as string;
    const values = `${textSql(h.run)}, ${textSql(h.holder.slice(0, 200))}, ${token}, localtimestamp, ${expiry}`;
    await session.raw(
      {
        sql: row
          ? `update ${locksTable} set run = ${textSql(h.run)}, holder = ${textSql(h.holder.slice(0, 200))}, token = ${token}, since = localtimestamp, expires_at = ${expiry} where name = ${name}`
          : `insert into ${locksTable} (name, run, holder, token, since, expires_at) values (${name}, ${values})`,
      },
      o,
    );
    await session.commit(o);
    return { taken: true, token: BigInt(token) };
  } catch (error) {
    if (isUniqueFailure(error))
      throw new LockstepError(
        'CONTENTION',
        `${session.context.name}: ${h.name} is being locked by another at this moment`,
        {
          side: session.context.name,
        },
      );
    throw session.explain(error, o);
  } finally {
    await session.rollback();
  }
};

const change = async (session: Session, sql: string, o: StatementOptions): Promise<void> => {
  if (session.broken) return;
  try {
    await session.begin('write', o);
    await session.raw({ sql }, o);
    await session.commit(o);
  } catch {
    // A beat that fails is made up for by the next, and by the fencing token.
  } finally {
    await session.rollback();
  }
};

const patiently = (doing: string): StatementOptions => ({ signal: new AbortController().signal, doing });

/** A sign of life. */
export const renewLock = (session: Session, token: bigint): Promise<void> =>
  change(
    session,
    `update ${locksTable} set expires_at = ${expiry} where token = ${token}`,
    patiently('keeping the lock'),
  );

/** Frees the lock if it still is ours. The row stays, with its token, so that an older one is known as such. */
export const freeLock = (session: Session, token: bigint): Promise<void> =>
  change(
    session,
    `update ${locksTable} set run = null, expires_at = localtimestamp where token = ${token}`,
    patiently('giving back the lock'),
  );
