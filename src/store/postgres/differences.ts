import type { Cancel } from '../../model/cancel.ts';
import type { DifferenceKind } from '../../model/change.ts';
import type { DifferencePair, Differences, DifferenceWriter, StoredDifference } from '../../model/differences.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Key } from '../../model/row.ts';
import { ChunkBuilder, hashBytes, keyHash, pack, unpack } from '../chunk.ts';
import { differenceLine, parseDifference } from '../lines.ts';
import type { Lock } from '../stored-values.ts';
import { type Attempts, takenOver } from './claims.ts';
import type { Database, Rows } from './database.ts';
import { fromJson } from './values.ts';

const bits: Readonly<Record<DifferenceKind, number>> = { only_in_source: 1, only_in_target: 2, different: 4 };

interface Open {
  readonly builder: ChunkBuilder;
  kinds: number;
}

/** What a chunk is encrypted for. */
const chunkPlace = (run: string, row: Rows[number]): string =>
  `differences ${run} ${Number(row['first'])} ${row['pair']}`;

/** Gathers a chunk per pair; a transaction is open from the first chunk to the flush. */
const differenceWriter = (
  database: Database,
  run: string,
  pairs: readonly DifferencePair[],
  next: number,
  attempts: Attempts,
): DifferenceWriter => {
  const open = new Map<number, Open>();
  let seq = next;
  let work: Awaited<ReturnType<Database['take']>> | undefined;
  const cut = async (pair: number, gathered: Open, o: Cancel): Promise<void> => {
    const { count, plain, keys } = gathered.builder.cut();
    if (count === 0) return;
    if (!work) {
      work = await database.take(o);
      await work.connection.query('begin; set local idle_in_transaction_session_timeout = 0', [], o);
    }
    const body = await pack(plain);
    const place = chunkPlace(run, { first: seq, pair });
    await work.connection.query(
      'insert into lockstep_control.difference_chunk (run, first, last, pair, kinds, keys, body) values ($1, $2, $3, $4, $5, $6, $7)',
      [run, seq, seq + count - 1, pair, gathered.kinds, keys, (lock: Lock) => lock.bytes(body, place)],
      { ...o, name: 'difference_chunk' },
    );
    seq += count;
    gathered.kinds = 0;
  };
  return {
    add: async (name, differences, o) => {
      const pair = pairs.findIndex((p) => p.name === name);
      if (pair < 0) throw new LockstepError('INTERNAL', `differences of a pair that was not announced: ${name}`);
      const gathered = open.get(pair) ?? { builder: new ChunkBuilder(), kinds: 0 };
      open.set(pair, gathered);
      for (const difference of differences) {
        gathered.kinds |= bits[difference.kind];
        gathered.builder.add(differenceLine(difference), keyHash(name, difference.key));
        if (gathered.builder.full) await cut(pair, gathered, o);
      }
    },
    flush: async (o) => {
      for (const [pair, gathered] of open) await cut(pair, gathered, o);
      if (!work) return;
      const attempt = attempts.get(run);
      if (attempt !== undefined) {
        // Nobody takes the run over between this and the commit.
        const mine = await work.connection.query(
          'select from lockstep_control.run where id = $1 and attempt = $2 for share',
          [run, attempt],
          o,
        );
        if (mine.length === 0) throw takenOver(run);
      }
      await work.connection.query('commit', [], o);
      work.give();
      work = undefined;
    },
    [Symbol.asyncDispose]: async () => {
      work?.give(true);
      work = undefined;
    },
  };
};

const pairsOf = async (database: Database, run: string, o: Cancel): Promise<readonly DifferencePair[]> => {
  const [row] = await database.query('select pairs from lockstep_control.difference_set where run = $1', [run], o);
  return row ? fromJson<readonly DifferencePair[]>(row['pairs']) : [];
};

async function* stored(row: Rows[number], pair: string): AsyncGenerator<StoredDifference> {
  let seq = Number(row['first']);
  for (const line of await unpack(row['body'] as Buffer)) yield { seq: seq++, pair, difference: parseDifference(line) };
}

/** Differences of one key in all runs, newest run first. */
export const differencesOfKey = async (
  database: Database,
  pair: string,
  key: Key,
  o: Cancel,
): Promise<readonly { readonly run: string; readonly pair: DifferencePair; readonly stored: StoredDifference }[]> => {
  const rows = await database.query(
    `select c.run, first, pair, body, pairs from lockstep_control.difference_chunk c join lockstep_control.difference_set s using (run)
     where position($1 in keys) > 0 order by run desc, first limit 1000`,
    [hashBytes(keyHash(pair, key))],
    { ...o, place: (row) => chunkPlace(row['run'] as string, row) },
  );
  const wanted = JSON.stringify(key);
  const found: { readonly run: string; readonly pair: DifferencePair; readonly stored: StoredDifference }[] = [];
  for (const row of rows) {
    const of = fromJson<readonly DifferencePair[]>(row['pairs'])[row['pair'] as number]!;
    if (of.name !== pair) continue;
    for await (const one of stored(row, of.name)) {
      if (JSON.stringify(one.difference.key) === wanted)
        found.push({ run: row['run'] as string, pair: of, stored: one });
    }
  }
  return found;
};

export const differencesOf = (database: Database, attempts: Attempts = new Map()): Differences => ({
  writer: async (run, pairs, o) => {
    const known = await pairsOf(database, run, o);
    const added = pairs.filter((p) => !known.some((k) => k.name === p.name));
    const all = [...known.map((k) => pairs.find((p) => p.name === k.name) ?? k), ...added];
    await database.query(
      `insert into lockstep_control.difference_set (run, pairs) values ($1, $2) on conflict (run) do update set pairs = excluded.pairs`,
      [run, JSON.stringify(all)],
      o,
    );
    const [row] = await database.query(
      'select max(last) as last from lockstep_control.difference_chunk where run = $1',
      [run],
      o,
    );
    return differenceWriter(database, run, all, Number(row?.['last'] ?? 0) + 1, attempts);
  },
  pairs: (run, o) => pairsOf(database, run, o),
  list: async function* (run, filter, o) {
    const pairs = await pairsOf(database, run, o);
    const pair = filter.pair === undefined ? null : pairs.findIndex((p) => p.name === filter.pair);
    const kinds =
      (filter.column === undefined
        ? filter.kinds
        : (['different'] as const).filter((k) => !filter.kinds || filter.kinds.includes(k))) ?? null;
    const mask = kinds === null ? 7 : kinds.reduce((sum, kind) => sum | bits[kind], 0);
    const column = pairs.map((p) => p.columns.findIndex((c) => c.source === filter.column));
    let after = filter.after ?? 0;
    for (;;) {
      const rows = await database.query(
        `select first, last, pair, body from lockstep_control.difference_chunk
         where run = $1 and last > $2 and ($3::int is null or pair = $3) and kinds & $4 <> 0 order by first limit 4`,
        [run, after, pair, mask],
        { ...o, place: (row) => chunkPlace(run, row) },
      );
      for (const row of rows) {
        const index = row['pair'] as number;
        const batch: StoredDifference[] = [];
        for await (const one of stored(row, pairs[index]!.name)) {
          const { difference } = one;
          if (one.seq <= after || (kinds && !kinds.includes(difference.kind))) continue;
          if (
            filter.column !== undefined &&
            !(difference.kind === 'different' && difference.columns.includes(column[index]!))
          )
            continue;
          batch.push(one);
        }
        if (batch.length > 0) yield batch;
        after = Number(row['last']);
      }
      if (rows.length < 4) return;
    }
  },
  clear: async (run, o) => {
    const pair = o.pair === undefined ? null : (await pairsOf(database, run, o)).findIndex((p) => p.name === o.pair);
    await database.query(
      'delete from lockstep_control.difference_chunk where run = $1 and ($2::int is null or pair = $2)',
      [run, pair],
      o,
    );
  },
});
