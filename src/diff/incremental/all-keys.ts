import { grouped } from '../../lib/grouped.ts';
import type { Reader, Unable } from '../../model/reader.ts';
import type { Key } from '../../model/row.ts';
import type { Segment } from '../../model/selected.ts';
import { keyTypes } from '../../model/selection.ts';
import { commonHash, cut, tableRows } from '../choose.ts';
import type { Sides, Work } from '../context.ts';
import { compareDigests } from '../digest.ts';
import { segmentsOf } from '../drill-down.ts';
import { mergeRuns } from '../merge.ts';
import { type AnyKey, asKey, type Form, readRuns } from '../runs.ts';
import { mostChanged } from './changed-keys.ts';

/** Tables up to this many rows are merged at once. */
const smallRows = 20_000;

/** The keys that only one side shows, and how many rows there are. */
export interface KeysCompared {
  readonly keys: readonly Key[];
  readonly rows: Sides<number>;
}

/**
 * Compares the keys of all rows and nothing else: by digests of the keys where both databases can make them, and the
 * keys themselves where these differ.
 */
export const compareKeysOf = async (whole: Work, readers: Sides<Reader>): Promise<KeysCompared | Unable> => {
  const width = whole.pair.keyWidth;
  const pair = { ...whole.pair, columns: whole.pair.columns.slice(0, width) };
  const only = (side: 'source' | 'target') => ({
    ...whole.selections[side],
    columns: whole.selections[side].columns.slice(0, width),
  });
  const work: Work = { ...whole, pair, selections: { source: only('source'), target: only('target') } };
  const types = keyTypes(work.selections.source);
  const hash = commonHash(work, readers);
  let segments: readonly Segment[] = [{ kind: 'all' }];
  const rows = { source: 0, target: 0 };
  const estimate = await tableRows(work, readers);
  if (typeof hash !== 'string' && hash.soft.size === 0 && estimate > smallRows) {
    const sampled = await readers.source.sample(work.selections.source, 1000, work);
    const partition = await cut(work, readers, estimate, sampled, hash.spec);
    const found = await compareDigests(work, readers, partition, hash.spec);
    rows.source = found.rows.source - found.differingRows.source;
    rows.target = found.rows.target - found.differingRows.target;
    segments = found.differing.length === 0 ? [] : segmentsOf(partition, found.differing);
  }
  const form: Form = { kind: 'rows' };
  const keys: Key[] = [];
  const most = mostChanged(work);
  let count = 0;
  // Read to the end all the same: whoever stops a statement may lose the snapshot, which is wanted still.
  const note = (key: AnyKey): void => {
    if (++count <= most) keys.push(asKey(key, width));
  };
  for (const segment of segments) {
    const met = await mergeRuns(
      types,
      (side, s) => readRuns(readers[side], work.selections[side], segment, { form, types }, s),
      { same: () => true, unequal: note, duplicate: note, breathe: () => undefined },
      work.signal,
    );
    rows.source += met.source;
    rows.target += met.target;
  }
  return count <= most ? { keys, rows } : { unable: `${grouped(count)} keys are on one side only` };
};
