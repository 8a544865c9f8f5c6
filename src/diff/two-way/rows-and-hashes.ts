import { LockstepError } from '../../model/errors.ts';
import { rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { HashBatch, Reader } from '../../model/reader.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import { inOrder, type Reading, type Run } from '../runs.ts';
import { hashRow } from './own-hashes.ts';
import type { HashWay } from './ways.ts';

/** How a side's rows are hashed. */
export interface Hashed {
  readonly way: HashWay;
  readonly spec: HashSpec;
}

const apart = (selection: Selection): LockstepError =>
  new LockstepError(
    'INTERNAL',
    `one snapshot of ${tableLabel(selection.table)} gave other rows than hashes of rows, so nothing was decided about them`,
    { hint: 'Please report this with the column types of the key and the engine version.' },
  );

/** Rows whose hashes are made of their cells. */
async function* hashedHere(
  reader: Reader,
  selection: Selection,
  segment: Segment,
  spec: HashSpec,
  signal: AbortSignal,
): AsyncGenerator<Run> {
  const hasher = rowHasher(selection.columns, selection.keyWidth, spec);
  const width = selection.columns.length;
  for await (const rows of reader.scan(selection, segment, { signal })) {
    const prints = new Int32Array(2 * rows.length);
    rows.forEach((row, i) => {
      hashRow(hasher, row, width);
      prints.set(hasher.out, 2 * i);
    });
    yield { start: 0, end: rows.length, keys: rows, prints };
  }
}

/** Rows beside the hashes that the side makes, both in key order out of one snapshot. */
async function* zipped(
  reader: Reader,
  selection: Selection,
  segment: Segment,
  hashes: AsyncIterator<HashBatch>,
  signal: AbortSignal,
): AsyncGenerator<Run> {
  let batch: HashBatch | undefined;
  let at = 0;
  for await (const rows of reader.scan(selection, segment, { signal })) {
    const prints = new Int32Array(2 * rows.length);
    for (let done = 0; done < rows.length; ) {
      while (batch === undefined || at === batch.count) {
        const item = await hashes.next();
        if (item.done) throw apart(selection);
        batch = item.value;
        at = 0;
      }
      const n = Math.min(rows.length - done, batch.count - at);
      prints.set(batch.hashes.subarray(2 * at, 2 * (at + n)), 2 * done);
      done += n;
      at += n;
    }
    yield { start: 0, end: rows.length, keys: rows, prints };
  }
  if ((batch !== undefined && at < batch.count) || !(await hashes.next()).done) throw apart(selection);
}

async function* ofSnapshot(
  reader: Reader,
  selection: Selection,
  segment: Segment,
  { way, spec }: Hashed,
  signal: AbortSignal,
): AsyncGenerator<Run> {
  if (segment.kind === 'keys' && way !== 'process') {
    const batches: HashBatch[] = [];
    for await (const batch of reader.hashing!.hashes(selection, segment, spec, { signal })) batches.push(batch);
    yield* zipped(reader, selection, segment, from(batches), signal);
  } else if (way === 'engine' && reader.share !== undefined) {
    await using beside = await reader.share({ signal });
    const hashes = beside.hashing!.hashes(selection, segment, spec, { signal })[Symbol.asyncIterator]();
    try {
      yield* zipped(reader, selection, segment, hashes, signal);
    } finally {
      await hashes.return?.();
    }
  } else yield* hashedHere(reader, selection, segment, spec, signal);
}

async function* from<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

/**
 * Whole rows of one side in key order with the hash of each (`prints`), as the side makes it. Where a side's own writing
 * of JSON can only be hashed by reading once more, the hash of the cells stands for it: such a row is looked at again.
 */
export const rowRuns = (
  reader: Reader,
  selection: Selection,
  segment: Segment,
  hashed: Hashed,
  reading: Reading,
  signal: AbortSignal,
): AsyncGenerator<Run> => inOrder(ofSnapshot(reader, selection, segment, hashed, signal), selection, reading);
