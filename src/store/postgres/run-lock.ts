import { lockKey } from './database.ts';

/** Held by the process that is at work on the run. */
export const lockOf = (run: string): string => `run ${run}`;

/** SQL: the sessions that hold the lock of the run whose id is the expression `id`. */
export const lockHolders = (id: string): string => `select l.pid
    from pg_locks l, lateral (select ${lockKey(`'run ' || ${id}`)} as key) k
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1
      and l.database = (select oid from pg_database where datname = current_database())
      and l.classid::bigint = (k.key >> 32) & 4294967295 and l.objid::bigint = k.key & 4294967295`;
