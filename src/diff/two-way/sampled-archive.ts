import type { ArchiveHashes } from '../../model/archive.ts';
import type { KeyBatch } from '../../model/reader.ts';
import type { Key, Text } from '../../model/row.ts';
import { inSample } from '../../model/sample.ts';
import type { Selection } from '../../model/selected.ts';

/**
 * What the archive knows of a selection's sample. A key that was agreed on and is not in it has been deleted by nobody:
 * it is not looked at.
 */
export const sampledHashes = (
  selection: Selection,
  batches: AsyncIterable<ArchiveHashes>,
): AsyncIterable<ArchiveHashes> => {
  const { sample } = selection;
  return sample === undefined ? batches : only(inSample(selection, sample), batches);
};

const keyOf = (keys: KeyBatch, i: number): Key =>
  keys.kind === 'int64' ? [String(keys.values[i]!) as Text] : keys.values[i]!;

const pairsAt = (hashes: Int32Array, rows: readonly number[]): Int32Array =>
  Int32Array.from(rows.flatMap((i) => [hashes[2 * i]!, hashes[2 * i + 1]!]));

async function* only(
  isIn: (key: Key) => boolean,
  batches: AsyncIterable<ArchiveHashes>,
): AsyncGenerator<ArchiveHashes> {
  for await (const { count, keys, source, target } of batches) {
    const rows: number[] = [];
    for (let i = 0; i < count; i++) if (isIn(keyOf(keys, i))) rows.push(i);
    if (rows.length === 0) continue;
    yield {
      count: rows.length,
      keys:
        keys.kind === 'int64'
          ? { kind: 'int64', values: BigInt64Array.from(rows, (i) => keys.values[i]!) }
          : { kind: 'keys', values: rows.map((i) => keys.values[i]!) },
      source: pairsAt(source, rows),
      target: pairsAt(target, rows),
    };
  }
}
