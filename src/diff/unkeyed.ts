import type { Reader } from '../model/reader.ts';
import { keyIsMade } from '../model/transform.ts';
import type { Work } from './context.ts';
import type { Tally } from './tally.ts';

/**
 * Counts source rows whose key cannot be made among those that the pair's filter hides: a row that only the target shows
 * may be the one of such a row, and then it is hidden, not missing. Rows that the filter shows were counted before.
 */
export const countHiddenUnkeyed = async (work: Work, source: Reader, tally: Tally): Promise<void> => {
  const { pair, selections, signal } = work;
  if (pair.filter?.source === undefined || tally.unkeyed > 0 || !keyIsMade(pair)) return;
  const { filter: _, ...unfiltered } = selections.source;
  for await (const rows of source.scan(unfiltered, { kind: 'all' }, { signal }))
    for (const row of rows) if (row.slice(0, pair.keyWidth).includes(null)) tally.unkeyed++;
};
