import type { Key, Row } from '../../model/row.ts';
import type { OpenTwoWayRun, SideWrite, TwoWayRuns, TwoWaySide, WrittenRow } from '../../model/two-way-runs.ts';
import type { Lock } from '../stored-values.ts';
import type { Database, Rows } from './database.ts';
import { hashOf } from './key-hash.ts';
import { fromJson, plainText, toJson, toTime } from './values.ts';

const placed = (run: string, pair: string, key: Key): Rows[number] => ({
  run,
  pair: plainText(pair),
  hash: hashOf(key),
});

/** What a column of a row is encrypted for. */
const rowPlace = (row: Rows[number], column: string): string =>
  `two-way ${row['run']} ${JSON.stringify(row['pair'])} ${(row['hash'] as Buffer).toString('hex')} ${column}`;

/** Rows per statement. */
const atOnce = 1000;

const toRun = (row: Rows[number]): OpenTwoWayRun => ({
  run: row['run'] as string,
  sync: row['sync'] as string,
  plans: { source: row['source_plan'] as string | null, target: row['target_plan'] as string | null },
  children: { source: row['source_child'] as string | null, target: row['target_child'] as string | null },
});

const toWrite = (row: Rows[number], side: TwoWaySide): SideWrite => {
  const state = row[`${side}_state`] as string;
  return state === 's'
    ? { state: 'stored', row: fromJson<Row | null>(row[`${side}_stored`]) }
    : { state: state === 'm' ? 'missed' : 'open' };
};

const toWritten = (row: Rows[number]): WrittenRow => ({
  pair: row['pair'] as string,
  key: fromJson<Key>(row['key']),
  source: fromJson<Row | null>(row['source']),
  target: fromJson<Row | null>(row['target']),
  result: fromJson<Row | null>(row['result']),
  writes: { source: row['write_source'] as boolean, target: row['write_target'] as boolean },
  ...(row['conflict'] === null ? {} : { conflict: row['conflict'] as string }),
  ...(row['ruling'] === null ? {} : { ruling: fromJson<NonNullable<WrittenRow['ruling']>>(row['ruling']) }),
  written: { source: toWrite(row, 'source'), target: toWrite(row, 'target') },
});

function* chunks<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < all.length; i += atOnce) yield all.slice(i, i + atOnce);
}

const lockOf = (sync: string): string => `two-way ${sync}`;

export const twoWayRunsOf = (database: Database): TwoWayRuns => ({
  hold: (sync, o) => database.hold(lockOf(sync), o),
  letGo: (sync, o) => database.letGo(lockOf(sync), o),
  begin: async (run, sync, at, o) => {
    await database.query(
      `insert into lockstep_control.two_way_runs (run, sync, begun) values ($1, $2, $3) on conflict (run) do nothing`,
      [run, plainText(sync), toTime(at)],
      o,
    );
  },
  add: async (run, rows, o) => {
    for (const some of chunks(rows)) {
      const kept = (column: string, of: (r: (typeof some)[number]) => unknown) => (lock: Lock) =>
        some.map((r) => lock.text(toJson(of(r)), rowPlace(placed(run, r.pair, r.key), column)));
      await database.query(
        `insert into lockstep_control.two_way_rows
           (run, pair, hash, key, source, target, result, write_source, write_target, conflict, ruling)
         select $1, x.* from unnest($2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[],
           $8::boolean[], $9::boolean[], $10::text[], $11::text[]) as x`,
        [
          run,
          some.map((r) => plainText(r.pair)),
          some.map((r) => hashOf(r.key)),
          some.map((r) => JSON.stringify(r.key)),
          kept('source', (r) => r.source),
          kept('target', (r) => r.target),
          kept('result', (r) => r.result),
          some.map((r) => r.writes.source),
          some.map((r) => r.writes.target),
          some.map((r) => r.conflict ?? null),
          kept('ruling', (r) => r.ruling),
        ],
        o,
      );
    }
  },
  planned: async (run, { source, target }, o) => {
    await database.query(
      `update lockstep_control.two_way_runs
       set source_plan = coalesce($2, source_plan), target_plan = coalesce($3, target_plan) where run = $1`,
      [run, source ?? null, target ?? null],
      o,
    );
  },
  began: async (run, side, child, o) => {
    const sql = `update lockstep_control.two_way_runs set ${side}_child = $2 where run = $1`;
    await database.query(sql, [run, child], o);
  },
  get: async (run, o) => {
    const [row] = await database.query('select * from lockstep_control.two_way_runs where run = $1', [run], o);
    return row === undefined ? undefined : toRun(row);
  },
  ofPlan: async (plan, o) => {
    const sql = 'select * from lockstep_control.two_way_runs where source_plan = $1 or target_plan = $1';
    const [row] = await database.query(sql, [plan], o);
    return row === undefined ? undefined : toRun(row);
  },
  open: async (sync, o) => {
    const sql = 'select * from lockstep_control.two_way_runs where sync = $1 order by begun, run';
    return (await database.query(sql, [plainText(sync)], o)).map(toRun);
  },
  stored: async (run, { side, pair }, rows, o) => {
    for (const some of chunks(rows)) {
      // Of one key in a batch the last write counts: it was written in that order.
      const last = [...new Map(some.map((r) => [JSON.stringify(r.key), r])).values()];
      const stored = (lock: Lock) =>
        last.map((r) => lock.text(toJson(r.row), rowPlace(placed(run, pair, r.key), `${side}_stored`)));
      await database.query(
        `update lockstep_control.two_way_rows as t set ${side}_state = 's', ${side}_stored = x.stored
         from unnest($3::bytea[], $4::text[]) as x (hash, stored)
         where t.run = $1 and t.pair = $2 and t.hash = x.hash and t.${side}_state <> 'm'`,
        [run, plainText(pair), last.map((r) => hashOf(r.key)), stored],
        o,
      );
    }
  },
  missed: async (run, { side, pair }, keys, o) => {
    for (const some of chunks(keys)) {
      await database.query(
        `update lockstep_control.two_way_rows set ${side}_state = 'm', ${side}_stored = null
         where run = $1 and pair = $2 and hash = any ($3::bytea[])`,
        [run, plainText(pair), some.map(hashOf)],
        o,
      );
    }
  },
  rows: async function* (run, pair, o) {
    let after = 0n;
    for (;;) {
      const rows = await database.query(
        `select * from lockstep_control.two_way_rows where run = $1 and pair = $2 and seq > $3 order by seq limit ${atOnce}`,
        [run, plainText(pair), String(after)],
        { ...o, place: rowPlace },
      );
      if (rows.length > 0) yield rows.map(toWritten);
      if (rows.length < atOnce) return;
      after = BigInt(rows.at(-1)!['seq'] as string);
    }
  },
  find: async (run, pair, keys, o) => {
    const found: WrittenRow[] = [];
    for (const some of chunks(keys)) {
      const rows = await database.query(
        'select * from lockstep_control.two_way_rows where run = $1 and pair = $2 and hash = any ($3::bytea[])',
        [run, plainText(pair), some.map(hashOf)],
        { ...o, place: rowPlace },
      );
      found.push(...rows.map(toWritten));
    }
    return found;
  },
  pairs: async (run, o) => {
    const sql = 'select distinct pair from lockstep_control.two_way_rows where run = $1 order by pair';
    return (await database.query(sql, [run], o)).map((row) => row['pair'] as string);
  },
  end: async (run, at, o) => {
    await database.query(
      `with gone as (delete from lockstep_control.two_way_runs where run = $1 returning run, sync)
       insert into lockstep_control.two_way_writes (sync, pair, hash, at, source, target)
       select gone.sync, r.pair, r.hash, $2::timestamptz, r.source_state = 's', r.target_state = 's'
       from gone join lockstep_control.two_way_rows r using (run)
       where r.source_state = 's' or r.target_state = 's'`,
      [run, toTime(at)],
      o,
    );
  },
  turns: async ({ sync, pair, since }, keys, o) => {
    const byHash = new Map(keys.map((key) => [hashOf(key).toString('hex'), key]));
    const rows = await database.query(
      `select hash, count(*) filter (where turned) as turns from (
         select hash, source and target or source is distinct from lag(source) over (partition by hash order by at)
           and lag(source) over (partition by hash order by at) is not null as turned
         from lockstep_control.two_way_writes
         where sync = $1 and pair = $2 and hash = any ($3::bytea[]) and at >= $4) as w
       group by hash`,
      [plainText(sync), plainText(pair), keys.map(hashOf), toTime(since)],
      o,
    );
    return rows.flatMap((row) => {
      const key = byHash.get((row['hash'] as Buffer).toString('hex'));
      return key === undefined ? [] : [{ key, turns: Number(row['turns']) }];
    });
  },
  forget: async (before, o) => {
    await database.query('delete from lockstep_control.two_way_writes where at < $1', [toTime(before)], o);
  },
});
