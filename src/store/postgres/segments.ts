import type { Cancel } from '../../model/cancel.ts';
import type { Segments, SegmentWriter, TakenSegment } from '../../model/segments.ts';
import type { KeyRange } from '../../model/selected.ts';
import { ChunkBuilder, pack, unpack } from '../chunk.ts';
import { differenceLine, parseDifference } from '../lines.ts';
import type { Lock } from '../stored-values.ts';
import { type Attempts, takenOver } from './claims.ts';
import type { Database } from './database.ts';
import { lockHolders } from './run-lock.ts';
import { fromJson, plainText } from './values.ts';

/** Processes that are counted: more of them cut nothing finer. */
const mostMembers = 64;

/** What was found longer ago is not added to what is found now. */
const mostIdle = '1 hour';

/** Workers that a segment may cost. */
const mostDeaths = 5;

/** Held by a process for as long as it lives: who has segments is alive while it holds its own. */
const lockOf = (worker: string): string => `run segments of ${worker}`;

/** The run of the set `s` goes on. */
const isRunning = `exists (select from lockstep_control.run r where r.id = s.run and r.state = 'running')`;

/** Nobody is at work on the segment `g`; who gave no sign of life for so many milliseconds is not. */
const isIdle = (silentMs: string): string => `(g.worker is null or g.seen_at < now() - ${silentMs} * interval '1 ms'
             or not exists (${lockHolders(`'segments of ' || g.worker`)}))`;

/** Workers that the segment `g`, when nobody is at work on it, has cost: one that gave it back is none of them. */
const cost = 'g.deaths + (g.worker is not null)::integer';

/** What differences of a segment are encrypted for. */
const chunkPlace = (set: string, row: Readonly<Record<string, unknown>>): string =>
  `segment ${set} ${row['n']} ${row['part']}`;

const writerOf = (database: Database, { set, n, attempt }: TakenSegment): SegmentWriter => {
  const builder = new ChunkBuilder();
  let part = 0;
  const cut = async (o: Cancel): Promise<void> => {
    const { count, plain } = builder.cut();
    if (count === 0) return;
    const body = await pack(plain);
    const place = chunkPlace(set, { n, part });
    await database.query(
      'insert into lockstep_control.segment_chunk (segment_set, n, attempt, part, body) values ($1, $2, $3, $4, $5)',
      [set, n, attempt, part++, (lock: Lock) => lock.bytes(body, place)],
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
        `update lockstep_control.segment set result = $4, worker = null
         where segment_set = $1 and n = $2 and attempt = $3 and result is null returning n`,
        [set, n, attempt, (lock: Lock) => lock.text(JSON.stringify(result), `segment ${set} ${n}`)],
        o,
      );
      if (rows.length === 0) return false;
      // The run makes headway, whatever it costs.
      await database.query(
        `update lockstep_control.run r set deaths = 0 from lockstep_control.segment_set s
         where s.id = $1 and r.id = s.run and deaths > 0`,
        [set],
        o,
      );
      return true;
    },
  };
};

/** Segments in the control store. Who is alive is known by a lock of the session, at once, and by its signs of life. */
export const segmentsOf = (database: Database, attempts: Attempts): Segments => ({
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
  open: ({ id, run, pair, what, way, why, kept }, ranges, o) =>
    database.lend(o, async (connection) => {
      await connection.query('begin', [], o);
      const mine = await connection.query(
        'select id from lockstep_control.run where id = $1 and ($2::int is null or attempt = $2) for share',
        [run, attempts.get(run) ?? null],
        o,
      );
      if (mine.length === 0) throw takenOver(run);
      await connection.query(
        // also those that runs have left which ended otherwise
        `delete from lockstep_control.segment_set s where (run = $1 and pair = $2)
           or exists (select from lockstep_control.run r where r.id = s.run and r.state not in ('queued', 'running'))`,
        [run, plainText(pair)],
        o,
      );
      await connection.query(
        'insert into lockstep_control.segment_set (id, run, pair, what, way, why, kept) values ($1, $2, $3, $4, $5, $6, $7)',
        [id, run, plainText(pair), what, way, plainText(why), Number.isFinite(kept) ? kept : null],
        o,
      );
      await connection.query(
        `insert into lockstep_control.segment (segment_set, n, bounds)
         select $1, (ordinality - 1)::integer, bounds from unnest($2::text[]) with ordinality as b(bounds, ordinality)`,
        [id, ranges.map((range) => JSON.stringify(range))],
        o,
      );
      await connection.query('commit', [], o);
    }),
  find: async (run, pair, o) => {
    const [row] = await database.query(
      `select s.id, what, way, why, kept, count(*) as total
       from lockstep_control.segment_set s join lockstep_control.segment g on g.segment_set = s.id
       where run = $1 and pair = $2 and ${isRunning}
       group by s.id having coalesce(max(seen_at), now()) > now() - interval '${mostIdle}'`,
      [run, plainText(pair)],
      o,
    );
    const text = (name: string): string => row![name] as string;
    return (
      row && {
        id: text('id'),
        run,
        pair,
        what: text('what'),
        way: text('way'),
        why: text('why'),
        total: Number(row['total']),
        kept: row['kept'] === null ? Number.POSITIVE_INFINITY : Number(row['kept']),
      }
    );
  },
  take: async ({ id }, { worker, silentMs, ...o }) => {
    await database.hold(lockOf(worker), o);
    const [row] = await database.query(
      `with next as (
         select g.n from lockstep_control.segment g join lockstep_control.segment_set s on s.id = g.segment_set
         where s.id = $1 and result is null and ${cost} < $4 and ${isRunning} and ${isIdle('$3')}
         order by g.n limit 1 for update of g skip locked)
       update lockstep_control.segment g set attempt = attempt + 1, deaths = ${cost}, worker = $2, seen_at = now()
       from next where g.segment_set = $1 and g.n = next.n returning g.n, bounds, attempt`,
      [id, plainText(worker), silentMs, mostDeaths],
      o,
    );
    if (row === undefined) return undefined;
    const n = row['n'] as number;
    const attempt = row['attempt'] as number;
    if (attempt > 1)
      await database.query(
        'delete from lockstep_control.segment_chunk where segment_set = $1 and n = $2 and attempt < $3',
        [id, n, attempt],
        o,
      );
    return { set: id, n, attempt, range: fromJson<unknown>(row['bounds']) as KeyRange };
  },
  beat: async ({ set, n, attempt }, o) => {
    const rows = await database.query(
      `update lockstep_control.segment g set seen_at = now() from lockstep_control.segment_set s
       where s.id = $1 and g.segment_set = $1 and n = $2 and attempt = $3 and result is null and ${isRunning} returning n`,
      [set, n, attempt],
      o,
    );
    return rows.length === 1;
  },
  giveBack: async ({ set, n, attempt }, o) => {
    await database.query(
      `update lockstep_control.segment set worker = null
       where segment_set = $1 and n = $2 and attempt = $3 and result is null`,
      [set, n, attempt],
      o,
    );
  },
  writer: (taken) => writerOf(database, taken),
  counts: async ({ id }, { silentMs, ...o }) => {
    const [row] = await database.query(
      `select count(*)::integer as total, count(result)::integer as done,
              (count(*) filter (where idle and cost < $3))::integer as free,
              (count(*) filter (where idle and cost >= $3))::integer as worn
       from (select result, ${cost} as cost, result is null and ${isIdle('$2')} as idle
             from lockstep_control.segment g where segment_set = $1) g`,
      [id, silentMs, mostDeaths],
      o,
    );
    const count = (name: string): number => row![name] as number;
    return { total: count('total'), done: count('done'), free: count('free'), worn: count('worn') };
  },
  results: async ({ id }, o) => {
    const rows = await database.query(
      'select result from lockstep_control.segment where segment_set = $1 and result is not null order by n',
      [id],
      o,
    );
    return rows.map((row) => fromJson(row['result']));
  },
  differences: async function* ({ id }, o) {
    let [n, part] = [-1, -1];
    for (;;) {
      const rows = await database.query(
        `select c.n, c.part, c.body from lockstep_control.segment g
         join lockstep_control.segment_chunk c using (segment_set, n, attempt)
         where segment_set = $1 and g.result is not null and (c.n, c.part) > ($2, $3) order by c.n, c.part limit 4`,
        [id, n, part],
        { ...o, place: (row) => chunkPlace(id, row) },
      );
      for (const row of rows) {
        yield (await unpack(row['body'] as Buffer)).map(parseDifference);
        n = row['n'] as number;
        part = row['part'] as number;
      }
      if (rows.length < 4) return;
    }
  },
  close: async ({ id, run }, o) => {
    await database.query(
      `delete from lockstep_control.segment_set s using lockstep_control.run r
       where s.id = $1 and r.id = s.run and ($2::int is null or r.attempt = $2)`,
      [id, attempts.get(run) ?? null],
      o,
    );
  },
});
