import type { Cancel } from '../../model/endpoint.ts';
import type { Publication, Published, PublishedDifferences } from '../../model/published.ts';
import type { DifferencePair, Differences, StoredDifference } from '../../model/store.ts';
import { jsonDifference } from './cells-jsonb.ts';
import { type Connection, type Database, lockKey } from './database.ts';
import { plainText, toTime } from './values.ts';

/** Characters of JSON that are sent in one statement, more or less. */
const atOnce = 4 * 1024 * 1024;

/** What is to be taken in with the next statement. */
interface Batch {
  readonly pairs: string[];
  readonly targets: string[];
  readonly kinds: string[];
  readonly digests: Buffer[];
  readonly keys: string[];
  readonly cells: string[];
  size: number;
}
const emptyBatch = (): Batch => ({ pairs: [], targets: [], kinds: [], digests: [], keys: [], cells: [], size: 0 });

/** Notes what the comparison found, and takes in what is not there yet. */
const takeIn = async (
  connection: Connection,
  batch: Batch,
  p: { readonly sync: string; readonly no: number; readonly run: string; readonly at: string | null },
  o: Cancel,
): Promise<void> => {
  if (batch.digests.length === 0) return;
  await connection.query(
    `with found as (
       insert into pg_temp.lockstep_found (pair, digest) select x.pair, x.digest from unnest($5::text[], $6::bytea[]) as x (pair, digest)
     )
     insert into lockstep_control.difference_row (sync, pair, target_table, kind, digest, key, cells, first_no, first_run, first_at)
     select $1, x.pair, x.target_table, x.kind, x.digest, x.key::jsonb, x.cells::jsonb, $2, $3, $4
     from unnest($5::text[], $6::bytea[], $7::text[], $8::text[], $9::text[], $10::text[])
       as x (pair, digest, target_table, kind, key, cells)
     where not exists (
       select from lockstep_control.difference_row r
       where r.sync = $1 and r.pair = x.pair and r.digest = x.digest and r.gone_no is null)`,
    [p.sync, p.no, p.run, p.at, batch.pairs, batch.digests, batch.targets, batch.kinds, batch.keys, batch.cells],
    { ...o, name: 'difference_row' },
  );
};

/** All kept differences of a run. Of those without a key, alike ones come one after the other and are counted. */
async function* numbered(
  list: AsyncIterable<readonly StoredDifference[]>,
  pairs: ReadonlyMap<string, DifferencePair>,
): AsyncGenerator<{ readonly pair: DifferencePair; readonly one: StoredDifference; readonly nth: number }> {
  let last = '';
  let nth = 1;
  for await (const batch of list) {
    for (const one of batch) {
      const pair = pairs.get(one.pair)!;
      if (pair.keyWidth === 0) {
        const same = JSON.stringify([one.pair, one.difference]);
        nth = same === last ? nth + 1 : 1;
        last = same;
      } else nth = 1;
      yield { pair, one, nth };
    }
  }
}

/** Everything inside the transaction; the caller commits. */
const publishOn = async (
  connection: Connection,
  differences: Differences,
  p: Publication,
  o: Cancel,
): Promise<Published> => {
  const sync = plainText(p.sync);
  const at = toTime(p.at);
  await connection.query(`select pg_advisory_xact_lock(${lockKey('$1')})`, [`differences of ${sync}`], o);
  const [last] = await connection.query(
    `select max(no) as no, max(no) filter (where run = $2) as mine, max(run) filter (where run > $2) as newer
     from lockstep_control.comparison where sync = $1`,
    [sync, p.run],
    o,
  );
  if (typeof last?.['newer'] === 'string') return { status: 'older', run: last['newer'] };
  const no = Number(last?.['mine'] ?? Number(last?.['no'] ?? 0) + 1);
  const names = p.pairs.map((pair) => plainText(pair.name));
  const record = async (shown: boolean): Promise<void> => {
    const sum = (kind: 'new' | 'modified' | 'deleted'): number => p.pairs.reduce((n, pair) => n + pair[kind], 0);
    await connection.query(
      `insert into lockstep_control.comparison
         (run, sync, no, compared_at, verdict, complete, pairs, new_rows, modified_rows, deleted_rows, shown)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
       on conflict (run) do update set compared_at = excluded.compared_at, verdict = excluded.verdict,
         complete = excluded.complete, pairs = excluded.pairs, new_rows = excluded.new_rows,
         modified_rows = excluded.modified_rows, deleted_rows = excluded.deleted_rows, shown = excluded.shown`,
      [
        ...[p.run, sync, no, at, p.verdict, p.complete, p.whole ? null : names],
        ...[sum('new'), sum('modified'), sum('deleted'), shown],
      ],
      o,
    );
  };
  const found = p.pairs.reduce((n, pair) => n + pair.new + pair.modified + pair.deleted, 0);
  if (found > p.max) {
    await record(false);
    return { status: 'not_whole', found };
  }
  await connection.query('savepoint rows', [], o);
  await connection.query(
    'create temporary table lockstep_found (pair text not null, digest bytea not null) on commit drop',
    [],
    o,
  );
  const pairs = new Map((await differences.pairs(p.run, o)).map((pair) => [pair.name, pair]));
  let batch = emptyBatch();
  let kept = 0;
  const facts = { sync, no, run: p.run, at };
  for await (const { pair, one, nth } of numbered(differences.list(p.run, {}, o), pairs)) {
    const { key, cells, digest } = jsonDifference(pair, one.difference, nth);
    batch.pairs.push(plainText(pair.name));
    batch.targets.push(plainText(pair.target));
    batch.kinds.push(one.difference.kind);
    batch.digests.push(digest);
    batch.keys.push(key);
    batch.cells.push(cells);
    batch.size += key.length + cells.length + 100;
    kept++;
    if (batch.size < atOnce) continue;
    await takeIn(connection, batch, facts, o);
    batch = emptyBatch();
  }
  await takeIn(connection, batch, facts, o);
  if (kept !== found) {
    await connection.query('rollback to savepoint rows', [], o);
    await record(false);
    return { status: 'not_whole', found };
  }
  await connection.query('analyze pg_temp.lockstep_found', [], o);
  await connection.query(
    `update lockstep_control.difference_row r set gone_no = $2, gone_run = $3, gone_at = $4
     where r.sync = $1 and r.gone_no is null and ($5::text[] is null or r.pair = any ($5))
       and not exists (select from pg_temp.lockstep_found f where f.pair = r.pair and f.digest = r.digest)`,
    [sync, no, p.run, at, p.whole ? null : names],
    o,
  );
  await record(true);
  await forget(connection, sync, toTime(p.at - p.historyMs), o);
  return { status: 'shown' };
};

/** Comparisons that ended before `until`, and what was gone by then; what still stands is kept. */
const forget = async (connection: Connection, sync: string, until: string | null, o: Cancel): Promise<void> => {
  const [row] = await connection.query(
    'select max(no) as no from lockstep_control.comparison where sync = $1 and compared_at < $2',
    [sync, until],
    o,
  );
  const no = row?.['no'] ?? null;
  if (no === null) return;
  await connection.query(
    'delete from lockstep_control.difference_row where sync = $1 and gone_no <= $2',
    [sync, no],
    o,
  );
  // Each pair's last one is what `differences` refers to.
  await connection.query(
    `delete from lockstep_control.comparison c where c.sync = $1 and c.no <= $2 and (not c.shown or exists (
       select from lockstep_control.comparison l where l.sync = $1 and l.no > c.no and l.shown
         and (l.pairs is null or l.pairs @> c.pairs)))`,
    [sync, no],
    o,
  );
};

export const publishedOf = (database: Database, differences: Differences): PublishedDifferences => ({
  publish: async (publication, o) => {
    const { connection, give } = await database.take(o);
    try {
      await connection.query('begin; set local idle_in_transaction_session_timeout = 0', [], o);
      const published = await publishOn(connection, differences, publication, o);
      await connection.query('commit', [], o);
      give();
      return published;
    } catch (error) {
      give(true);
      throw error;
    }
  },
});
