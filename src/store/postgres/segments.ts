import type { Cancel, KeyRange } from '../../model/endpoint.ts';
import type { SegmentSet, Segments, SegmentWriter, TakenSegment } from '../../model/segments.ts';
import { ChunkBuilder, pack, unpack } from '../chunk.ts';
import { differenceLine, parseDifference } from '../lines.ts';
import type { Database } from './database.ts';
import { lockHolders } from './run-lock.ts';
import { fromJson, plainText } from './values.ts';

/** Processes that are counted: more of them cut nothing finer. */
const mostMembers = 64;

/** What was found longer ago is not added to what is found now. */
const mostIdle = '1 hour';

/** Workers that a segment may cost. */
const mostAttempts = 5;

/** Held by a process for as long as it lives: who has segments is alive while it holds its own. */
const lockOf = (worker: string): string => `run segments of ${worker}`;

const isRunning = `exists (select from lockstep_control.run r where r.id = s.run and r.state = 'running')`;

/** Nobody is at work on the segment `s`; who gave no sign of life for so many milliseconds is not. */
const isIdle = (silentMs: string): string => `(s.worker is null or s.seen_at < now() - ${silentMs} * interval '1 ms'
             or not exists (${lockHolders(`'segments of ' || s.worker`)}))`;

const writerOf = (database: Database, taken: TakenSegment): SegmentWriter => {
  const { run, pair, n, attempt } = taken;
  const builder = new ChunkBuilder();
  let part = 0;
  const cut = async (o: Cancel): Promise<void> => {
    const { count, plain } = builder.cut();
    if (count === 0) return;
    await database.query(
      'insert into lockstep_control.segment_chunk (run, pair, n, attempt, part, body) values ($1, $2, $3, $4, $5, $6)',
      [run, pair, n, attempt, part++, await pack(plain)],
      o,
    );
  };
  return {
    add: async (differences, o) => {
      for (const difference of differences) {
        builder.add(differenceLine(difference), 0);
        if (builder.full) await cut(o);
      }
    },
    end: async (result, o) => {
      await cut(o);
      const rows = await database.query(
        `update lockstep_control.segment set result = $5, worker = null
         where run = $1 and pair = $2 and n = $3 and attempt = $4 and result is null returning n`,
        [run, pair, n, attempt, JSON.stringify(result)],
        o,
      );
      if (rows.length === 0) return false;
      // The run makes headway, whatever it costs.
      await database.query('update lockstep_control.run set deaths = 0 where id = $1 and deaths > 0', [run], o);
      return true;
    },
  };
};

/** Segments in the control store. Who is alive is known by a lock of the session, at once, and by its signs of life. */
export const segmentsOf = (database: Database): Segments => ({
  join: async (o) => {
    for (let place = 0; place < mostMembers; place++) if (await database.hold(`run member ${place}`, o)) return;
  },
  members: async (o) => {
    const [row] = await database.query(
      `select count(*)::integer as members from generate_series(0, ${mostMembers - 1}) place
       where exists (${lockHolders(`'member ' || place`)})`,
      [],
      o,
    );
    return row!['members'] as number;
  },
  open: ({ run, pair, what, way, why, kept }, ranges, o) =>
    database.lend(o, async (connection) => {
      await connection.query('begin', [], o);
      await connection.query(
        // also those that runs have left which ended otherwise
        `delete from lockstep_control.segment_set s where (run = $1 and pair = $2)
           or exists (select from lockstep_control.run r where r.id = s.run and r.state not in ('queued', 'running'))`,
        [run, plainText(pair)],
        o,
      );
      await connection.query(
        'insert into lockstep_control.segment_set (run, pair, what, way, why, kept) values ($1, $2, $3, $4, $5, $6)',
        [run, plainText(pair), what, way, plainText(why), Number.isFinite(kept) ? kept : null],
        o,
      );
      await connection.query(
        `insert into lockstep_control.segment (run, pair, n, bounds)
         select $1, $2, (ordinality - 1)::integer, bounds from unnest($3::text[]) with ordinality as b(bounds, ordinality)`,
        [run, plainText(pair), ranges.map((range) => JSON.stringify(range))],
        o,
      );
      await connection.query('commit', [], o);
    }),
  find: async (run, pair, o): Promise<SegmentSet | undefined> => {
    const [row] = await database.query(
      `select what, way, why, kept, (select count(*) from lockstep_control.segment g where g.run = s.run and g.pair = s.pair) as total
       from lockstep_control.segment_set s where run = $1 and pair = $2 and ${isRunning}
         and not exists (select from lockstep_control.segment g where g.run = s.run and g.pair = s.pair
                         having max(seen_at) < now() - interval '${mostIdle}')`,
      [run, plainText(pair)],
      o,
    );
    return (
      row && {
        run,
        pair,
        what: row['what'] as string,
        way: row['way'] as string,
        why: row['why'] as string,
        total: Number(row['total']),
        kept: row['kept'] === null ? Infinity : Number(row['kept']),
      }
    );
  },
  take: async ({ run, pair }, { worker, silentMs, ...o }) => {
    await database.hold(lockOf(worker), o);
    const [row] = await database.query(
      `with next as (
         select n from lockstep_control.segment s
         where run = $1 and pair = $2 and result is null and attempt < $5 and ${isRunning}
           and ${isIdle('$4')}
         order by n limit 1 for update of s skip locked)
       update lockstep_control.segment s set attempt = attempt + 1, worker = $3, seen_at = now()
       from next where s.run = $1 and s.pair = $2 and s.n = next.n returning s.n, bounds, attempt`,
      [run, plainText(pair), plainText(worker), silentMs, mostAttempts],
      o,
    );
    if (row === undefined) return undefined;
    const n = row['n'] as number;
    const attempt = row['attempt'] as number;
    if (attempt > 1)
      await database.query(
        'delete from lockstep_control.segment_chunk where run = $1 and pair = $2 and n = $3 and attempt < $4',
        [run, plainText(pair), n, attempt],
        o,
      );
    return { run, pair, n, attempt, range: fromJson<unknown>(row['bounds']) as KeyRange };
  },
  beat: async ({ run, pair, n, attempt }, o) => {
    const rows = await database.query(
      `update lockstep_control.segment s set seen_at = now()
       where run = $1 and pair = $2 and n = $3 and attempt = $4 and result is null and ${isRunning} returning n`,
      [run, plainText(pair), n, attempt],
      o,
    );
    return rows.length === 1;
  },
  giveBack: async ({ run, pair, n, attempt }, o) => {
    await database.query(
      `update lockstep_control.segment set worker = null
       where run = $1 and pair = $2 and n = $3 and attempt = $4 and result is null`,
      [run, plainText(pair), n, attempt],
      o,
    );
  },
  writer: (taken) => writerOf(database, { ...taken, pair: plainText(taken.pair) }),
  counts: async ({ run, pair }, { silentMs, ...o }) => {
    const [row] = await database.query(
      `select count(*)::integer as total, count(result)::integer as done,
              (count(*) filter (where idle and attempt < $4))::integer as free,
              (count(*) filter (where idle and attempt >= $4))::integer as worn
       from (select result, attempt, result is null and ${isIdle('$3')} as idle
             from lockstep_control.segment s where run = $1 and pair = $2) s`,
      [run, plainText(pair), silentMs, mostAttempts],
      o,
    );
    const count = (name: string): number => row![name] as number;
    return { total: count('total'), done: count('done'), free: count('free'), worn: count('worn') };
  },
  results: async ({ run, pair }, o) => {
    const rows = await database.query(
      'select result from lockstep_control.segment where run = $1 and pair = $2 and result is not null order by n',
      [run, plainText(pair)],
      o,
    );
    return rows.map((row) => fromJson(row['result']));
  },
  differences: async function* ({ run, pair }, o) {
    let [n, part] = [-1, -1];
    for (;;) {
      const rows = await database.query(
        `select c.n, c.part, c.body from lockstep_control.segment s
         join lockstep_control.segment_chunk c using (run, pair, n, attempt)
         where run = $1 and pair = $2 and s.result is not null and (c.n, c.part) > ($3, $4) order by c.n, c.part limit 4`,
        [run, plainText(pair), n, part],
        o,
      );
      for (const row of rows) {
        yield (await unpack(row['body'] as Buffer)).map(parseDifference);
        n = row['n'] as number;
        part = row['part'] as number;
      }
      if (rows.length < 4) return;
    }
  },
  close: async ({ run, pair }, o) => {
    await database.query(
      'delete from lockstep_control.segment_set where run = $1 and pair = $2',
      [run, plainText(pair)],
      o,
    );
  },
});
