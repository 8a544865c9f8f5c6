import type { StepMark } from '../../model/writer.ts';
import { type Holder, lockTtlMs, type Taken } from '../sql/step-lock.ts';
import { errorNumber, errorNumbers } from './failures.ts';
import { locksTable, stepsTable } from './own-names.ts';
import { id, literal } from './quote.ts';
import type { Session, StatementOptions } from './session.ts';

const bytewise = 'character set utf8mb4 collate utf8mb4_bin';

const tableOf = (session: Session, name: string): string => `${id(session.context.config.database)}.${id(name)}`;
const stepsOf = (session: Session): string => tableOf(session, stepsTable);
const locksOf = (session: Session): string => tableOf(session, locksTable);

const definitions = (session: Session): string[] => [
  `create table if not exists ${stepsOf(session)} (
     run varchar(190) ${bytewise} not null, step bigint not null, token bigint not null,
     at datetime(6) not null, primary key (run, step), key (token)) engine = InnoDB`,
  `create table if not exists ${locksOf(session)} (
     name varchar(700) ${bytewise} not null primary key, run varchar(190) ${bytewise} not null,
     holder varchar(255) ${bytewise} not null, token bigint not null, since datetime(6) not null,
     expires datetime(6) not null, key (token)) engine = InnoDB`,
];

const isMissingRight = (error: unknown): boolean => [1044, 1142, 1143, 1227].includes(errorNumber(error) ?? 0);

/** Takers of locks follow one another by this row. */
const turnstile = '';

/** Makes our tables where they are missing; false: without the right to, or to write to them. */
export const makeOwnTables = async (session: Session, o: StatementOptions): Promise<boolean> => {
  const database = literal(session.context.config.database);
  const there = await session.query(
    `select table_name from information_schema.tables where table_schema = ${database}
     and table_name in (${literal(stepsTable)}, ${literal(locksTable)})`,
    o,
  );
  try {
    if (there.length < 2) for (const definition of definitions(session)) await session.raw(definition, o);
    await session.raw(
      `insert ignore into ${locksOf(session)} (name, run, holder, token, since, expires)
       values (${literal(turnstile)}, '', '', 0, utc_timestamp(6), utc_timestamp(6))`,
      o,
    );
    await session.raw('start transaction', o);
    await session.raw(
      `insert into ${stepsOf(session)} (run, step, token, at) values ('', connection_id(), 0, utc_timestamp(6))`,
      o,
    );
    return true;
  } catch (error) {
    if (isMissingRight(error)) return false;
    throw session.explain(error, o);
  } finally {
    await session.rollback();
  }
};

export type Marked = 'new' | 'already' | 'fenced';

/** Sets the step's marker, unless it is there or a later holder of the lock has been at work. Inside the step's transaction. */
export const setMarker = async (session: Session, mark: StepMark, o: StatementOptions): Promise<Marked> => {
  const token = String(mark.token);
  try {
    await session.raw(
      `insert into ${stepsOf(session)} (run, step, token, at) values (${literal(mark.run)}, ${mark.step}, ${token}, utc_timestamp(6))`,
      o,
    );
  } catch (error) {
    if (errorNumber(error) === errorNumbers.DUPLICATE) return 'already';
    throw session.explain(error, o);
  }
  // who holds this row while the step is written keeps others from taking the lock over meanwhile
  const held = await session.query(
    `select 1 from ${locksOf(session)} where token = ${token} and name <> ${literal(turnstile)} lock in share mode`,
    o,
  );
  if (held.length > 0) return 'new';
  const later = await session.query(
    `select 1 from ${locksOf(session)} where token > ${token} union all select 1 from ${stepsOf(session)} where token > ${token} limit 1`,
    o,
  );
  return later.length > 0 ? 'fenced' : 'new';
};

export const hasMarker = async (
  session: Session,
  mark: Pick<StepMark, 'run' | 'step'> & { readonly by?: bigint },
  o: StatementOptions,
): Promise<boolean> => {
  const token = mark.by === undefined ? '' : ` and token = ${mark.by}`;
  const rows = await session.query(
    `select 1 from ${stepsOf(session)} where run = ${literal(mark.run)} and step = ${mark.step}${token}`,
    o,
  );
  return rows.length > 0;
};

const expiry = `utc_timestamp(6) + interval ${lockTtlMs / 1000} second`;

const otherHolder = async (
  session: Session,
  h: Holder,
  lock: string,
  o: StatementOptions,
): Promise<Taken | undefined> => {
  const [other] = await session.query(
    `select run, holder, cast(since as char), timestampdiff(microsecond, utc_timestamp(6), expires) div 1000
     from ${locksOf(session)} where name = ${literal(h.name)} and run <> ${literal(h.run)} and expires > utc_timestamp(6)${lock}`,
    o,
  );
  if (!other) return undefined;
  const [run, holder, since, ms] = other;
  return { taken: false, run: run!, holder: holder!, since: since!, expiresInMs: Math.max(0, Number(ms)) };
};

/** Takes the lock if nobody holds it, or the same run does. Tokens only grow. */
export const takeLock = async (session: Session, h: Holder, o: StatementOptions): Promise<Taken> => {
  // looked at first without waiting for a step that is being written
  const early = await otherHolder(session, h, '', o);
  if (early) return early;
  await session.query('start transaction', o);
  try {
    const locks = locksOf(session);
    await session.query(`select token from ${locks} where name = ${literal(turnstile)} for update`, o);
    const late = await otherHolder(session, h, ' for update', o);
    if (late) return late;
    const [row] = await session.query(`select max(token) + 1 from ${locks}`, o);
    const token = BigInt(row![0]!);
    await session.query(
      `insert into ${locks} (name, run, holder, token, since, expires)
       values (${literal(h.name)}, ${literal(h.run)}, ${literal(h.holder)}, ${token}, utc_timestamp(6), ${expiry})
       on duplicate key update run = values(run), holder = values(holder), token = values(token),
         since = values(since), expires = values(expires)`,
      o,
    );
    await session.query('commit', o);
    return { taken: true, token };
  } finally {
    await session.rollback();
  }
};

/** A sign of life. */
export const renewLock = (session: Session, name: string, token: bigint): Promise<unknown> =>
  session.client
    .promise()
    .query(`update ${locksOf(session)} set expires = ${expiry} where name = ${literal(name)} and token = ${token}`);

/** Frees the lock if it still is ours. The row stays, with its token, so that an older one is known as such. */
export const freeLock = (session: Session, name: string, token: bigint): Promise<unknown> =>
  session.client
    .promise()
    .query(
      `update ${locksOf(session)} set expires = utc_timestamp(6) where name = ${literal(name)} and token = ${token}`,
    );
