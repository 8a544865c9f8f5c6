import { grouped } from '../lib/grouped.ts';
import { judge } from '../model/judge.ts';
import type { Reader } from '../model/reader.ts';
import type { Row } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import type { Segment } from '../model/selected.ts';
import { keyTypes } from '../model/selection.ts';
import type { Sides, Work } from './context.ts';
import { keyMayBeNull } from './key.ts';
import { hashTypes, sharedHash } from './key-hashes.ts';
import { mergeRuns } from './merge.ts';
import { mergeRaw } from './raw-merge.ts';
import type { Remarks } from './remarks.ts';
import { countOf, type Form, inOrder, type Reading, type Run, readRuns } from './runs.ts';
import type { Confirmation } from './settle.ts';
import type { Tally } from './tally.ts';

/**
 * Merges segments of both sides, one after the other in key order; returns the rows each side delivered. `left`: what is
 * left of them, already read.
 */
export const mergeSides = async (
  work: Work,
  readers: Sides<Reader>,
  form: Form,
  segments: readonly Segment[],
  confirmation: Confirmation,
  notes: Remarks,
  tally: Tally,
  left?: Sides<Run>,
): Promise<{ readonly source: number; readonly target: number }> => {
  const { selections, signal, onProgress } = work;
  const types =
    form.kind === 'multiset' ? allTypes(work) : form.kind === 'key_hash' ? hashTypes : keyTypes(selections.source);
  const nullable = form.kind !== 'multiset' && keyMayBeNull(work.pair);
  const reading: Sides<Reading> = {
    source: nullable ? { form, types, onNullKey: notes.nullKey('source') } : { form, types },
    target: nullable ? { form, types, onNullKey: notes.nullKey('target') } : { form, types },
  };
  const same = sameRows(work, form, tally);
  const rows = { source: 0, target: 0 };
  let seen = 0;
  for (const segment of segments) {
    const met = await mergeRuns(
      types,
      (side, s) =>
        left
          ? inOrder(once(left[side]), selections[side], reading[side])
          : readRuns(readers[side], selections[side], segment, reading[side], s),
      {
        same: (a, i, b, j) => same(a.keys![i]!, b.keys![j]!),
        unequal: confirmation.suspect,
        duplicate: form.kind === 'key_hash' ? () => sharedHash(work.pair.name) : notes.duplicate,
        breathe: (n) => {
          seen += n;
          onProgress?.({
            pair: work.pair.name,
            phase: 'scan',
            rows: seen,
            ...(segment.kind === 'all' ? expectedRows(work) : {}),
          });
          return confirmation.breathe(n);
        },
      },
      signal,
    );
    tally.identical += met.identical;
    rows.source += met.source;
    rows.target += met.target;
  }
  return rows;
};

async function* once<T>(item: T): AsyncGenerator<T> {
  yield item;
}

/** Merges the rows of both sides by their bytes, and reads the cells of those whose bytes differ. */
export const mergeBytes = async (
  work: Work,
  readers: Sides<Reader>,
  spellings: readonly string[],
  confirmation: Confirmation,
  tally: Tally,
): Promise<string> => {
  const { selections, onProgress, pair } = work;
  let seen = 0;
  const met = await mergeRaw(work, (side, signal) => readers[side].raw!.read(selections[side], spellings, { signal }), {
    same: sameRows(work, { kind: 'rows' }, tally),
    unequal: confirmation.suspect,
    breathe: (n) => {
      seen += n;
      onProgress?.({ pair: pair.name, phase: 'scan', rows: seen, ...expectedRows(work) });
      return confirmation.breathe(n);
    },
  });
  tally.identical += met.identical;
  return `rows of the same bytes are equal, ${grouped(met.read)} of ${grouped(met.source + met.target)} rows had other bytes`;
};

/** Equality of two rows of one key; what a tolerance covers is equal and counted. */
const sameRows = (work: Work, form: Form, tally: Tally): ((a: Row, b: Row) => boolean) => {
  if (form.kind === 'multiset') {
    return (a, b) => {
      const count = countOf(a);
      if (count !== countOf(b)) return false;
      // The merge itself counts one.
      tally.identical += count - 1;
      return true;
    };
  }
  const { columns } = work.pair;
  const tolerant = columns.some((c) => c.tolerance);
  return (a, b) => {
    // What was found invalid has a cell more, and is equal to nothing.
    if (a.length !== b.length) return false;
    let i = 0;
    while (i < columns.length && a[i] === b[i]) i++;
    if (i === columns.length) return true;
    if (!tolerant) return false;
    const verdict = judge(columns, a, b);
    if (verdict.columns.length > 0) return false;
    for (const column of verdict.tolerated) tally.tolerated[column]!++;
    return true;
  };
};

/** Types of all cells, for rows without a key. */
export const allTypes = (work: Work): readonly ColumnType[] => work.pair.columns.map((c) => c.as);

/** About how many rows both sides have, for the progress; nothing when that is not known. */
export const expectedRows = ({ pair: { source, target } }: Work): { total?: number } =>
  source.estimatedRows === undefined || target.estimatedRows === undefined
    ? {}
    : { total: source.estimatedRows + target.estimatedRows };
