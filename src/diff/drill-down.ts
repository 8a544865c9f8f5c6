import { grouped } from '../lib/grouped.ts';
import { LockstepError } from '../model/errors.ts';
import type { Reader } from '../model/reader.ts';
import type { Partition, Segment, TextPartition } from '../model/selected.ts';
import { keyTypes } from '../model/selection.ts';
import { type Choice, isPairableByHash } from './choose.ts';
import type { Sides, Work } from './context.ts';
import { compareDigests } from './digest.ts';
import { hashTypes } from './key-hashes.ts';
import { expectedRows, mergeSides } from './merge-sides.ts';
import type { Remarks } from './remarks.ts';
import type { Form } from './runs.ts';
import { type Confirmation, startConfirmation } from './settle.ts';
import type { Tally } from './tally.ts';
import { compareTexts } from './texts.ts';
import { unlikeRows } from './unlike.ts';

/**
 * One digest pass over both sides, then the keys and hashes of the parts that differ. Buckets come in no order that a key
 * has: what both sides have is taken out first, or where that is too much, rows are paired by the hashes of their keys.
 */
export const drillDown = async (
  work: Work,
  readers: Sides<Reader>,
  choice: Extract<Choice, { path: 'digest' | 'texts' }>,
  notes: Remarks,
  tally: Tally,
): Promise<{ readonly confirmation: Confirmation | undefined; readonly found: string }> => {
  const { partition, spec, soft } = choice;
  const progress = (rows: number): void =>
    work.onProgress?.({ pair: work.pair.name, phase: 'digest', rows, ...expectedRows(work) });
  progress(0);
  const found =
    choice.path === 'digest'
      ? await compareDigests(work, readers, choice.partition, spec)
      : await compareTexts(work, readers, choice.partition);
  const all = found.rows.source + found.rows.target;
  progress(all);
  tally.identical += found.identical;
  const { differing, differingRows } = found;
  if (differing.length === 0) return { confirmation: undefined, found: 'no part differs' };
  const streamed = differingRows.source + differingRows.target;
  const segments = segmentsOf(partition, differing);
  const unlike = partition.by === 'hash' ? await unlikeRows(work, readers, segments[0]!, spec, streamed) : undefined;
  const left = unlike?.left;
  const byHash = partition.by === 'hash' && left === undefined && isPairableByHash(work, readers, soft);
  const form: Form = { kind: byHash ? 'key_hash' : 'hash', spec };
  const types = byHash ? hashTypes : keyTypes(work.selections.source);
  const confirmation = startConfirmation(work, { form, types }, tally, soft);
  const merged = left ? left.source.end + left.target.end : streamed;
  confirmation.scale = merged === 0 ? 1 : all / merged;
  tally.identical += unlike?.identical ?? 0;
  const read = await mergeSides(work, readers, form, segments, confirmation, notes, tally, left);
  const rows = unlike?.rows ?? read;
  if (rows.source !== differingRows.source || rows.target !== differingRows.target)
    throw partsDisagree(work, rows, differingRows);
  const how = byHash ? ', merged by the hashes of their keys' : '';
  return {
    confirmation,
    found: `${grouped(differing.length)} parts with ${grouped(streamed)} of ${grouped(all)} rows differ${how}`,
  };
};

/** Ranges are read a thousand at a time, in key order; buckets in one pass, since each pass reads the whole table. */
export const segmentsOf = (partition: Partition | TextPartition, parts: readonly number[]): readonly Segment[] => {
  if (partition.by === 'text') return [{ kind: 'text_parts', partition, parts }];
  if (partition.by === 'hash') return [{ kind: 'parts', partition, parts }];
  const segments: Segment[] = [];
  for (let i = 0; i < parts.length; i += 1000)
    segments.push({ kind: 'parts', partition, parts: parts.slice(i, i + 1000) });
  return segments;
};

const partsDisagree = (work: Work, streamed: Sides<number>, digested: Sides<number>): LockstepError =>
  new LockstepError(
    'INTERNAL',
    `${work.pair.name}: the parts that differ hold ${digested.source} and ${digested.target} rows by their digests, but ${streamed.source} and ${streamed.target} were read`,
    { hint: 'Nothing was decided about them. Please report this with the key type and the engine versions.' },
  );
