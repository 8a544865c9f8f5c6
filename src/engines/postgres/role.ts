import type { ServerRole } from '../../model/endpoint.ts';
import type { Session, StatementOptions } from './session.ts';

// a server that takes writes knows its timeline by the log it writes; its last checkpoint may be older than a promotion
const sql = `
select pg_catalog.pg_is_in_recovery()::text,
  case when pg_catalog.pg_is_in_recovery() then (select timeline_id::text from pg_catalog.pg_control_checkpoint())
    else ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int8::text end,
  case when not pg_catalog.pg_is_in_recovery() or not exists (select from pg_catalog.pg_stat_wal_receiver where pid is not null) then null
    when pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() then '0'
    else greatest(0, extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) * 1000)::int8::text end`;

/** Asked in a transaction of its own. A standby that receives nothing at the moment does not know how far it is behind. */
export const serverRole = async (session: Session, o: StatementOptions): Promise<ServerRole> => {
  const [row] = await session.query(sql, undefined, o);
  const [standby, timeline, behind] = row!;
  return {
    standby: standby === 'true',
    timeline: Number(timeline),
    behindMs: behind == null ? null : Number(behind),
  };
};
