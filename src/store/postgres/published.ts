import type { Cancel } from '../../model/cancel.ts';
import type { DifferenceKind } from '../../model/change.ts';
import type { DifferencePair, Differences, StoredDifference } from '../../model/differences.ts';
import type { Publication, Published, PublishedDifferences } from '../../model/published.ts';
import { type JsonDifference, jsonDifference } from './cells-jsonb.ts';
import { type Connection, type Database, lockKey } from './database.ts';
import { plainText, toTime } from './values.ts';

/** Differences, and characters of JSON, that are looked at in one statement, more or less. */
const rowsAtOnce = 5000;
const charactersAtOnce = 4 * 1024 * 1024;

interface Found extends JsonDifference {
  readonly kind: DifferenceKind;
}
interface Batch {
  readonly pair: DifferencePair;
  readonly found: readonly Found[];
}
interface Facts {
  readonly sync: string;
  readonly no: number;
  readonly run: string;
  readonly at: string | null;
}

/**
 * Notes what the comparison found, and takes in what is not there yet. Only the digests of what is travel. `offset 0`
 * keeps the look-up one by the index, whatever the statistics of a table that grows from nothing say.
 */
const takeIn = async (connection: Connection, { pair, found }: Batch, p: Facts, o: Cancel): Promise<void> => {
  const name = plainText(pair.name);
  const unknown = await connection.query(
    `with x as materialized (
       select i, substring($3::bytea from 16 * i + 1 for 16) as digest from generate_series(0, length($3::bytea) / 16 - 1) as i
     ), noted as (
       insert into pg_temp.lockstep_found (pair, digest) select $2, x.digest from x
     )
     select x.i from x where not exists (
       select from lockstep_control.difference_row r
       where r.sync = $1 and r.pair = $2 and r.digest = x.digest and r.gone_no is null offset 0)`,
    [p.sync, name, Buffer.concat(found.map((f) => f.digest))],
    o,
  );
  if (unknown.length === 0) return;
  const rows = unknown.map((row) => {
    const { kind, digest, key, cells } = found[row['i'] as number]!;
    return `{"kind":"${kind}","digest":"${digest.toString('hex')}","key":${key},"cells":${cells}}`;
  });
  await connection.query(
    `insert into lockstep_control.difference_row (sync, pair, target_table, kind, digest, key, cells, first_no, first_run, first_at)
     select $1, $2, $3, x.kind, decode(x.digest, 'hex'), x.key, x.cells, $4, $5, $6
     from jsonb_to_recordset($7) as x (kind text, digest text, key jsonb, cells jsonb)`,
    [p.sync, name, plainText(pair.target), p.no, p.run, p.at, `[${rows.join(',')}]`],
    o,
  );
};

/** All kept differences of a run. Of those without a key, alike ones come one after the other and are counted. */
async function* numbered(
  list: AsyncIterable<readonly StoredDifference[]>,
  pairs: ReadonlyMap<string, DifferencePair>,
): AsyncGenerator<{ readonly pair: DifferencePair; readonly found: readonly Found[] }> {
  const last = new Map<DifferencePair, { readonly same: string; readonly nth: number }>();
  const number = (pair: DifferencePair, one: StoredDifference): number => {
    if (pair.keyWidth > 0) return 1;
    const before = last.get(pair);
    const same = JSON.stringify(one.difference);
    const nth = before?.same === same ? before.nth + 1 : 1;
    last.set(pair, { same, nth });
    return nth;
  };
  for await (const batch of list) {
    // A chunk is of one pair.
    const pair = pairs.get(batch[0]!.pair)!;
    const found = batch.map((one) => ({
      kind: one.difference.kind,
      ...jsonDifference(pair, one.difference, number(pair, one)),
    }));
    yield { pair, found };
  }
}

/** Chunks of one pair put together as long as they are small. */
async function* batches(chunks: AsyncIterable<Batch>): AsyncGenerator<Batch> {
  let pair: DifferencePair | undefined;
  let found: Found[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    if (pair !== undefined && (pair !== chunk.pair || found.length >= rowsAtOnce || size >= charactersAtOnce)) {
      yield { pair, found };
      found = [];
      size = 0;
    }
    pair = chunk.pair;
    for (const one of chunk.found) {
      found.push(one);
      size += one.key.length + one.cells.length;
    }
  }
  if (pair !== undefined && found.length > 0) yield { pair, found };
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
  const facts = { sync, no, run: p.run, at };
  let kept = 0;
  for await (const batch of batches(numbered(differences.list(p.run, {}, o), pairs))) {
    kept += batch.found.length;
    await takeIn(connection, batch, facts, o);
  }
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
      await connection.query(
        'begin isolation level read committed; set local idle_in_transaction_session_timeout = 0',
        [],
        o,
      );
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
