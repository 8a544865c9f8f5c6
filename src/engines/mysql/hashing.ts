import type { Cancel } from '../../model/cancel.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import { LockstepError } from '../../model/errors.ts';
import { rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { HashBatch, Hashing, KeyBatch } from '../../model/reader.ts';
import type { Batch, Row } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import type { ColumnSql } from './columns.ts';
import { digestSink, hashSink, inParts } from './hash-sinks.ts';
import { byKeyHash } from './key-hashes.ts';
import { isDoubtful, orderSql } from './key-sql.ts';
import { batchRows, type Rows } from './rows.ts';
import { textHashing } from './text-digests.ts';

/** Row hashes made on our side, of the rows as they stream by. */
export const hashingOf = (rows: Rows): Hashing => ({
  forms: ['bytes', 'hex'],
  supports: (c) => (c.as.kind === 'json' ? 'weak' : 'exact'),
  digest: async (selection, partition, hash, o) => {
    const columns = await rows.columns(selection, o);
    const sink = digestSink(columns, selection.keyWidth, partition, hash, batchRows);
    for await (const _ of rows.into(selection, undefined, sink, (n) => n, o));
    return sink.digests();
  },
  hashes: (selection, segment, hash, o) => hashes(rows, selection, segment, hash, o),
  byKeyHash: (selection, segment, hash, o) => byKeyHash(rows, selection, segment, hash, o),
  travels: true,
  texts: textHashing(rows),
});

async function* hashes(
  rows: Rows,
  selection: Selection,
  segment: Segment,
  hash: HashSpec,
  o: Cancel,
): AsyncGenerator<HashBatch, void, undefined> {
  if (selection.keyWidth === 0) {
    throw new LockstepError('KEY_TYPES', `${tableLabel(selection.table)} has no key to put its rows in order by`, {
      hint: 'Choose a key (--key).',
    });
  }
  const columns = await rows.columns(selection, o);
  const keys = columns.slice(0, selection.keyWidth);
  if (segment.kind === 'keys' || keys.some((c) => orderSql(c) === undefined)) {
    yield* ofRows(rows, selection, segment, hash, o);
    return;
  }
  const sink = hashSink(columns, selection.keyWidth, hash, batchRows, {
    wanted: wantedOf(keys, segment),
    inOrder: keys.some(isDoubtful) ? rows.orderCheck(selection) : undefined,
  });
  yield* rows.into(selection, segment, sink, (b) => b.count, o);
}

const wantedOf = (keys: readonly ColumnSql[], segment: Segment): ReturnType<typeof inParts> | undefined =>
  segment.kind === 'parts' && segment.partition.by === 'hash'
    ? inParts(keys, segment.partition, segment.parts)
    : undefined;

/** Hashes of rows that are chosen or put in order on our side. */
async function* ofRows(
  rows: Rows,
  selection: Selection,
  segment: Segment,
  hash: HashSpec,
  o: Cancel,
): AsyncGenerator<HashBatch, void, undefined> {
  const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
  for await (const batch of rows.scan(selection, segment, o)) {
    const words = new Int32Array(batch.length * 2);
    batch.forEach((row, i) => {
      hasher.hash(row);
      words[2 * i] = hasher.out[0]!;
      words[2 * i + 1] = hasher.out[1]!;
    });
    yield { count: batch.length, hashes: words, keys: keysOf(selection, batch) };
  }
}

const keysOf = (selection: Selection, batch: Batch<Row>): KeyBatch => {
  const [first] = selection.columns;
  if (selection.keyWidth === 1 && first!.as.kind === 'int' && !batch.some((row) => isMisfit(row[0]!)))
    return { kind: 'int64', values: BigInt64Array.from(batch, (row) => BigInt(row[0]!)) };
  return { kind: 'keys', values: batch.map((row) => row.slice(0, selection.keyWidth)) };
};
