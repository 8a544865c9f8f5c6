import { randomUUID } from 'node:crypto';
import type { Generation, Generations } from '../../model/generations.ts';
import type { Database } from './database.ts';
import { fromJson } from './values.ts';

/** A server that has no name of its own: it may be any of the others. */
const isUnknown = (server: string | undefined): server is undefined => server === undefined || server.startsWith('at ');

const generationOf = (
  timeline: string,
  generations: Readonly<Record<string, string>>,
  underWay: readonly string[],
): Generation => ({
  // after a promotion writes may be missing that were told to the old primary: its time line is another one
  of: (server) =>
    isUnknown(server)
      ? `${timeline} ${generations['*'] ?? ''}`
      : `${timeline} ${generations[server] ?? ''} ${generations['?'] ?? ''}`,
  writing: (server) =>
    underWay.length > 0 && (isUnknown(server) || underWay.includes(server) || underWay.includes('?')),
});

export const generationsOf = (database: Database): Generations => ({
  read: async (o) => {
    // a replica lags behind: it may not know of a write yet
    const [row] = await database.query(
      `select case when pg_catalog.pg_is_in_recovery() then null
           else pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8) end as timeline,
         (select pg_catalog.json_object_agg(server, generation) from lockstep_control.cache_generation)::text as generations,
         array(select server from lockstep_control.cache_writing where until > pg_catalog.clock_timestamp()) as writing`,
      [],
      { ...o, name: 'generations' },
    );
    const timeline = row!['timeline'] as string | null;
    if (timeline === null) return undefined;
    return generationOf(
      timeline,
      fromJson<Readonly<Record<string, string>> | null>(row!['generations']) ?? {},
      row!['writing'] as readonly string[],
    );
  },
  outdate: async (server, o) => {
    const id = randomUUID();
    await database.query(
      `with ended as (delete from lockstep_control.cache_writing where until < pg_catalog.clock_timestamp() - interval '1 hour'),
         begun as (insert into lockstep_control.cache_writing (id, server, until)
           values ($1, $2, pg_catalog.clock_timestamp() + interval '2 minutes'))
       select lockstep_control.cache_outdate($3)`,
      [id, isUnknown(server) ? '?' : server, server ?? null],
      { ...o, name: 'outdate' },
    );
    return async (later) => {
      await database.query('delete from lockstep_control.cache_writing where id = $1', [id], {
        ...later,
        name: 'outdated',
      });
    };
  },
});
