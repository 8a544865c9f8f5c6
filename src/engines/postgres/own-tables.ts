import { type Holder, lockTtlMs, type Taken } from '../sql/step-lock.ts';
import { ownSchema } from './inspect.ts';
import { preparedHere } from './pooler.ts';
import type { Session, StatementOptions } from './session.ts';

/**
 * Our tables in the target: one row per step that was written, in its transaction, and one per lock. They are what
 * makes a repeat harmless and a second writer visible, wherever the other one runs and keeps its records.
 */
const definitions = [
  `create table if not exists ${ownSchema}.steps (
     run text not null, step bigint not null, token bigint not null, at timestamptz not null default pg_catalog.clock_timestamp(),
     primary key (run, step))`,
  `create index if not exists steps_token on ${ownSchema}.steps (token)`,
  `create table if not exists ${ownSchema}.locks (
     name text primary key, run text not null, holder text not null, backend integer, token bigint not null unique,
     since timestamptz not null, seen timestamptz not null, expires timestamptz not null)`,
  `create sequence if not exists ${ownSchema}.tokens`,
];

const usable = `
select coalesce(
  pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('${ownSchema}')::oid, 'usage')
  and pg_catalog.has_table_privilege(pg_catalog.to_regclass('${ownSchema}.steps')::oid, 'select')
  and pg_catalog.has_table_privilege(pg_catalog.to_regclass('${ownSchema}.steps')::oid, 'insert')
  and pg_catalog.has_table_privilege(pg_catalog.to_regclass('${ownSchema}.locks')::oid, 'select')
  and pg_catalog.has_table_privilege(pg_catalog.to_regclass('${ownSchema}.locks')::oid, 'insert')
  and pg_catalog.has_table_privilege(pg_catalog.to_regclass('${ownSchema}.locks')::oid, 'update')
  and pg_catalog.has_sequence_privilege(pg_catalog.to_regclass('${ownSchema}.tokens')::oid, 'usage'), false)::text,
  coalesce(pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('${ownSchema}')::oid, 'create'),
           pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create'))::text,
  (pg_catalog.to_regnamespace('${ownSchema}') is not null)::text`;

/** Makes our tables where they are missing; false: without the right to. In a transaction of its own. */
export const makeOwnTables = async (session: Session, o: StatementOptions): Promise<boolean> => {
  await session.begin('write', o);
  try {
    await session.query(
      `select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('${ownSchema}.prepare', 0))`,
      undefined,
      o,
    );
    const [row] = await session.query(usable, undefined, o);
    if (row![0] === 'true') return true;
    if (row![1] !== 'true') return false;
    if (row![2] !== 'true') await session.query(`create schema ${ownSchema}`, undefined, o);
    for (const definition of definitions) await session.query(definition, undefined, o);
    await session.query('commit', undefined, o);
    return true;
  } finally {
    await session.rollback();
  }
};

export type Marked = 'new' | 'already' | 'fenced';

/** Sets the step's marker, unless it is there or a later holder of the lock has been at work. Inside the step's transaction. */
export const setMarker = async (
  session: Session,
  mark: { readonly run: string; readonly step: number; readonly token: bigint },
  o: StatementOptions,
): Promise<Marked> => {
  const [row] = await preparedHere(
    session,
    'lockstep_mark',
    `with held as (select 1 from ${ownSchema}.locks where token = $3::int8 for share),
          later as (select 1 where exists (select from ${ownSchema}.locks where token > $3::int8) or exists (select from ${ownSchema}.steps where token > $3::int8)),
          marker as (insert into ${ownSchema}.steps (run, step, token) values ($1, $2::int8, $3::int8) on conflict do nothing returning 1)
     select (select count(*) from marker), (select count(*) from held), (select count(*) from later)`,
    [mark.run, String(mark.step), String(mark.token)],
    o,
  );
  const [marker, held, later] = row!;
  if (marker === '0') return 'already';
  return held === '0' && later !== '0' ? 'fenced' : 'new';
};

export const hasMarker = async (
  session: Session,
  mark: { readonly run: string; readonly step: number; readonly by?: bigint },
  o: StatementOptions,
): Promise<boolean> => {
  const [row] = await session.query(
    `select exists (select from ${ownSchema}.steps where run = $1 and step = $2::int8 and token = coalesce($3::int8, token))::text`,
    [mark.run, mark.step, mark.by === undefined ? null : String(mark.by)],
    o,
  );
  return row![0] === 'true';
};

/** Takes the lock if nobody holds it. The holder is alive as long as `session` is: one whose session is gone frees it at once. */
export const takeLock = async (session: Session, h: Holder, o: StatementOptions): Promise<Taken> => {
  await session.begin('write', o);
  try {
    const [row] = await session.query(
      `insert into ${ownSchema}.locks as l (name, run, holder, backend, token, since, seen, expires)
       values ($1, $2, $3, pg_catalog.pg_backend_pid(), pg_catalog.nextval('${ownSchema}.tokens'), clock_timestamp(), clock_timestamp(), clock_timestamp() + $4::int8 * interval '1 millisecond')
       on conflict (name) do update set run = excluded.run, holder = excluded.holder, backend = excluded.backend, token = excluded.token,
         since = excluded.since, seen = excluded.seen, expires = clock_timestamp() + $4::int8 * interval '1 millisecond'
       where l.run = excluded.run or l.expires <= clock_timestamp() or l.backend is null or not exists (select from pg_catalog.pg_stat_activity a where a.pid = l.backend)
       returning l.token::text`,
      [h.name, h.run, h.holder, lockTtlMs],
      o,
    );
    if (row) {
      await session.query('commit', undefined, o);
      return { taken: true, token: BigInt(row[0]!) };
    }
    const [other] = await session.query(
      `select run, holder, since::text, (extract(epoch from expires - clock_timestamp()) * 1000)::int8::text from ${ownSchema}.locks where name = $1`,
      [h.name],
      o,
    );
    return {
      taken: false,
      run: other?.[0] ?? '?',
      holder: other?.[1] ?? '?',
      since: other?.[2] ?? '?',
      expiresInMs: Math.max(0, Number(other?.[3] ?? 0)),
    };
  } finally {
    await session.rollback();
  }
};

/** A sign of life. */
export const renewLock = (session: Session, name: string, token: bigint): Promise<unknown> =>
  session.client.query(
    `update ${ownSchema}.locks set seen = pg_catalog.clock_timestamp(), backend = pg_catalog.pg_backend_pid(), expires = pg_catalog.clock_timestamp() + ${lockTtlMs} * interval '1 millisecond' where name = $1 and token = $2::int8`,
    [name, String(token)],
  );

/** Frees the lock if it still is ours. The row stays, with its token, so that an older one is known as such. */
export const freeLock = (session: Session, name: string, token: bigint): Promise<unknown> =>
  session.client.query(
    `update ${ownSchema}.locks set backend = null, expires = pg_catalog.clock_timestamp() where name = $1 and token = $2::int8`,
    [name, String(token)],
  );
