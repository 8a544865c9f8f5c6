import type { TableActivity } from '../../model/activity.ts';
import type { Table } from '../../model/schema.ts';
import type { Session, StatementOptions } from './session.ts';

// counters are kept when the server is stopped in order, and begin again after a crash; without a reset nobody knows since when
const sql = `
select s.n_tup_ins::text, s.n_tup_upd::text, s.n_tup_del::text,
  (extract(epoch from pg_catalog.clock_timestamp() - coalesce(d.stats_reset, pg_catalog.pg_postmaster_start_time())) * 1000)::int8::text,
  (d.stats_reset is null)::text
from pg_catalog.pg_stat_user_tables s, pg_catalog.pg_stat_database d
where s.schemaname = $1 and s.relname = $2 and d.datname = pg_catalog.current_database()`;

/** In the order of `tables`; undefined for what the server keeps no counters of. */
export const tableActivity = async (
  session: Session,
  tables: readonly Table[],
  o: StatementOptions,
): Promise<readonly (TableActivity | undefined)[]> => {
  const found: (TableActivity | undefined)[] = [];
  for (const { schema, name, kind } of tables) {
    const [row] = kind === 'table' ? await session.query(sql, [schema, name], o) : [];
    found.push(
      row && {
        inserted: Number(row[0]),
        updated: Number(row[1]),
        deleted: Number(row[2]),
        overMs: Math.max(1, Number(row[3])),
        ...(row[4] === 'true' ? { atMost: true as const } : {}),
      },
    );
  }
  return found;
};
