import { grouped } from '../lib/grouped.ts';
import { LockstepError } from '../model/errors.ts';
import type { HashSpec } from '../model/hash/spec.ts';
import { judge } from '../model/judge.ts';
import type { Reader } from '../model/reader.ts';
import type { PairReport } from '../model/report.ts';
import type { Key, Row } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import type { Partition, Segment, TextPartition } from '../model/selected.ts';
import { keyTypes } from '../model/selection.ts';
import { keyIsMade, rejectionOf } from '../model/transform.ts';
import { type Choice, commonHash, tolerant } from './choose.ts';
import type { Side, Sides, Work } from './context.ts';
import { compareDigests, type PartsCompared } from './digest.ts';
import { keyIsGuaranteed, keyMayBeNull } from './key.ts';
import { hashTypes, sharedHash } from './key-hashes.ts';
import { mergeRuns } from './merge.ts';
import { commonSpellings, mergeRaw } from './raw-merge.ts';
import { shownKeys } from './report.ts';
import { type AnyKey, asKey, countOf, type Form, inOrder, type Reading, type Run, readRuns } from './runs.ts';
import { type Confirmation, startConfirmation } from './settle.ts';
import type { Tally } from './tally.ts';
import { compareTexts } from './texts.ts';
import { unlikeRows } from './unlike.ts';

/** How a pair was scanned; its suspected differences wait in `confirmation` (absent: there are none). */
export interface Scanned {
  readonly strategy: PairReport['strategy'];
  readonly why: string;
  readonly confirmation: Confirmation | undefined;
  /** Keys that could not be compared, with examples, for people. */
  readonly remarks: readonly string[];
}

/** Reads both sides once, in the chosen way, and suspects what is unequal. */
export const scan = async (work: Work, readers: Sides<Reader>, choice: Choice, tally: Tally): Promise<Scanned> => {
  const { selections } = work;
  const types = keyTypes(selections.source);
  const notes = remarksOn(work, tally);
  if (choice.path === 'rows') {
    const confirmation = startConfirmation(work, { form: { kind: 'rows' }, types }, tally, tolerant(work));
    const spellings = await commonSpellings(work, readers);
    if (spellings) {
      const read = await mergeBytes(work, readers, spellings, confirmation, tally);
      return { strategy: 'merge', why: `${choice.why}; ${read}`, confirmation, remarks: notes.list() };
    }
    await mergeSides(work, readers, { kind: 'rows' }, [{ kind: 'all' }], confirmation, notes, tally);
    return { strategy: 'merge', why: choice.why, confirmation, remarks: notes.list() };
  }
  if (choice.path === 'key_hashes') {
    const form: Form = { kind: 'key_hash', spec: choice.spec };
    const confirmation = startConfirmation(work, { form, types: hashTypes }, tally, choice.soft);
    await mergeSides(work, readers, form, [{ kind: 'all' }], confirmation, notes, tally);
    return { strategy: 'digest', why: choice.why, confirmation, remarks: notes.list() };
  }
  const form: Form = { kind: 'hash', spec: choice.spec };
  const confirmation = startConfirmation(work, { form, types }, tally, choice.soft);
  if (choice.path === 'hashes') {
    await mergeSides(work, readers, form, [{ kind: 'all' }], confirmation, notes, tally);
    return { strategy: 'digest', why: choice.why, confirmation, remarks: notes.list() };
  }
  const { partition, spec } = choice;
  const digests =
    choice.path === 'digest'
      ? () => compareDigests(work, readers, choice.partition, spec)
      : () => compareTexts(work, readers, choice.partition);
  const found = await drillDown(work, readers, digests, partition, spec, confirmation, notes, tally);
  return { strategy: 'digest', why: `${choice.why}; ${found}`, confirmation, remarks: notes.list() };
};

/** Without a key: one digest of all rows, and where it differs, distinct rows with their counts. */
export const scanMultiset = async (work: Work, readers: Sides<Reader>, tally: Tally): Promise<Scanned> => {
  const common = commonHash(work, readers);
  if (typeof common !== 'string') {
    const whole = await compareDigests(work, readers, undefined, common.spec);
    if (whole.differing.length === 0) {
      tally.identical = whole.identical;
      return {
        strategy: 'digest',
        why: 'no key: one digest of all rows of each side, equal',
        confirmation: undefined,
        remarks: [],
      };
    }
  }
  const form: Form = { kind: 'multiset' };
  const notes = remarksOn(work, tally);
  const confirmation = startConfirmation(work, { form, types: allTypes(work) }, tally, new Set());
  await mergeSides(work, readers, form, [{ kind: 'all' }], confirmation, notes, tally);
  return {
    strategy: 'merge',
    why: 'no key: distinct rows and their counts are merged',
    confirmation,
    remarks: notes.list(),
  };
};

const allTypes = (work: Work): readonly ColumnType[] => work.pair.columns.map((c) => c.as);

/** One digest pass over both sides, then the keys and hashes of the parts that differ. */
const drillDown = async (
  work: Work,
  readers: Sides<Reader>,
  digests: () => Promise<PartsCompared>,
  partition: Partition | TextPartition,
  spec: HashSpec,
  confirmation: Confirmation,
  notes: Remarks,
  tally: Tally,
): Promise<string> => {
  const progress = (rows: number): void =>
    work.onProgress?.({ pair: work.pair.name, phase: 'digest', rows, ...expectedRows(work) });
  progress(0);
  const found = await digests();
  const all = found.rows.source + found.rows.target;
  progress(all);
  tally.identical += found.identical;
  const { differing, differingRows } = found;
  if (differing.length === 0) return 'no part differs';
  const streamed = differingRows.source + differingRows.target;
  const form: Form = { kind: 'hash', spec };
  const segments = segmentsOf(partition, differing);
  const [segment] = segments;
  // ranges come in the order of an index; buckets would have to be sorted
  const unlike = partition.by === 'hash' ? await unlikeRows(work, readers, segment!, spec, streamed) : undefined;
  const left = unlike?.left;
  const merged = left ? left.source.end + left.target.end : streamed;
  confirmation.scale = merged === 0 ? 1 : all / merged;
  tally.identical += unlike?.identical ?? 0;
  const read = await mergeSides(work, readers, form, segments, confirmation, notes, tally, left);
  const rows = unlike?.rows ?? read;
  if (rows.source !== differingRows.source || rows.target !== differingRows.target)
    throw partsDisagree(work, rows, differingRows);
  return `${grouped(differing.length)} parts with ${grouped(streamed)} of ${grouped(all)} rows differ`;
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
  const nullable = form.kind !== 'multiset' && !keyIsGuaranteed(work.pair) && keyMayBeNull(work.pair);
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
const mergeBytes = async (
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

interface Remarks {
  duplicate(key: AnyKey, source: number, target: number): void;
  nullKey(side: Side): (rows: number, example: Key) => void;
  list(): readonly string[];
}

/** Counts keys that cannot be compared, with examples. */
export const remarksOn = (work: Work, tally: Tally): Remarks => {
  const { pair: table, endpoints } = work;
  const duplicates: string[] = [];
  const nulls = { source: 0, target: 0 };
  const examples: { source?: string; target?: string } = {};
  const describe = (key: AnyKey): string =>
    asKey(key, table.keyWidth)
      .map((cell, i) => `${table.columns[i]!.source.name}=${cell ?? 'NULL'}`)
      .join(', ');
  return {
    duplicate: (key, source, target) => {
      tally.duplicateKeys++;
      tally.apart.source += source;
      tally.apart.target += target;
      work.open?.add(asKey(key, table.keyWidth), 'apart');
      if (duplicates.length >= shownKeys) return;
      const places = [
        source > 1 ? `${grouped(source)} times in ${endpoints.source.name}` : '',
        target > 1 ? `${grouped(target)} times in ${endpoints.target.name}` : '',
      ];
      duplicates.push(
        `key ${describe(key)} appears ${places.filter(Boolean).join(' and ')}; its rows are not compared`,
      );
    },
    nullKey: (side) => (rows, example) => {
      examples[side] ??= rejectionOf(example, table.columns.length)?.reasons.join('; ') ?? describe(example);
      nulls[side] += rows;
      if (side === 'source' && keyIsMade(table)) tally.unkeyed += rows;
      else tally.nullKeys += rows;
      tally.apart[side] += rows;
    },
    list: () => [
      ...duplicates,
      ...(['source', 'target'] as const)
        .filter((side) => nulls[side] > 0)
        .map(
          (side) =>
            `${grouped(nulls[side])} ${nulls[side] === 1 ? 'row' : 'rows'} in ${endpoints[side].name} with a NULL in the key (${examples[side]}) cannot be paired`,
        ),
    ],
  };
};

const expectedRows = ({ pair: { source, target } }: Work): { total?: number } =>
  source.estimatedRows === undefined || target.estimatedRows === undefined
    ? {}
    : { total: source.estimatedRows + target.estimatedRows };

const partsDisagree = (work: Work, streamed: Sides<number>, digested: Sides<number>): LockstepError =>
  new LockstepError(
    'INTERNAL',
    `${work.pair.name}: the parts that differ hold ${digested.source} and ${digested.target} rows by their digests, but ${streamed.source} and ${streamed.target} were read`,
    { hint: 'Nothing was decided about them. Please report this with the key type and the engine versions.' },
  );
