import type { Standing } from '../../model/incremental.ts';
import type { Standings } from '../../model/store.ts';
import type { Database } from './database.ts';
import { fromJson, fromTime, plainText, toJson, toTime } from './values.ts';

/** Standings of other settings are kept so long, for somebody may go back to these. */
const keptDays = 30;

export const standingsOf = (database: Database): Standings => ({
  get: async (sync, pair, settings, o) => {
    const [row] = await database.query(
      `select marks, open, rows, run, at, full_run, full_at, runs from lockstep_control.standing
       where sync = $1 and pair = $2 and settings = $3`,
      [plainText(sync), plainText(pair), settings],
      o,
    );
    if (row === undefined) return undefined;
    return {
      settings,
      marks: fromJson<Standing['marks']>(row['marks']),
      open: fromJson<Standing['open']>(row['open']),
      rows: fromJson<Standing['rows']>(row['rows']),
      run: row['run'] as string,
      at: fromTime(row['at'])!,
      full: { run: row['full_run'] as string, at: fromTime(row['full_at'])! },
      runs: row['runs'] as number,
    };
  },
  put: async (sync, standings, o) => {
    if (standings.length === 0) return;
    const of = (value: (s: (typeof standings)[number]) => unknown): readonly unknown[] => standings.map(value);
    await database.query(
      `with gone as (
         delete from lockstep_control.standing
         where sync = $1 and pair = any ($2::text[]) and settings <> all ($3::text[]) and saved < now() - $12 * interval '1 day')
       insert into lockstep_control.standing (sync, pair, settings, marks, open, rows, run, at, full_run, full_at, runs)
       select $1, x.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],
                                  $9::text[], $10::timestamptz[], $11::integer[]) as x
       on conflict (sync, pair, settings) do update set
         marks = excluded.marks, open = excluded.open, rows = excluded.rows, run = excluded.run, at = excluded.at,
         full_run = excluded.full_run, full_at = excluded.full_at, runs = excluded.runs, saved = now()`,
      [
        plainText(sync),
        of((s) => plainText(s.pair)),
        of((s) => s.settings),
        of((s) => toJson(s.marks)),
        of((s) => toJson(s.open)),
        of((s) => toJson(s.rows)),
        of((s) => s.run),
        of((s) => toTime(s.at)),
        of((s) => s.full.run),
        of((s) => toTime(s.full.at)),
        of((s) => s.runs),
        keptDays,
      ],
      o,
    );
  },
});
