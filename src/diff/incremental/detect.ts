import { grouped } from '../../lib/grouped.ts';
import type { Standing } from '../../model/incremental.ts';
import type { Reader } from '../../model/reader.ts';
import type { PairReport } from '../../model/report.ts';
import type { Key } from '../../model/row.ts';
import type { Segment } from '../../model/selected.ts';
import { keyTypes } from '../../model/selection.ts';
import { commonHash, tolerant } from '../choose.ts';
import type { Sides, Work } from '../context.ts';
import { hashKeys } from '../lists.ts';
import { mergeSides } from '../merge-sides.ts';
import { remarksOn } from '../remarks.ts';
import type { Form } from '../runs.ts';
import type { Scanned } from '../scan.ts';
import { startConfirmation } from '../settle.ts';
import type { Tally } from '../tally.ts';
import { isColumnWord } from './methods.ts';
import { explained, type Prepared } from './prepare.ts';
import type { IncrementalRequest } from './request.ts';

/** Reads the rows of the given keys (ascending) on both sides, and suspects what is unequal. */
export const scanKeys = async (
  work: Work,
  readers: Sides<Reader>,
  prepared: Prepared & { readonly keys: readonly Key[] },
  tally: Tally,
): Promise<Scanned> => {
  const hash = commonHash(work, readers);
  const form: Form = typeof hash === 'string' ? { kind: 'rows' } : { kind: 'hash', spec: hash.spec };
  const soft = typeof hash === 'string' ? tolerant(work) : hash.soft;
  const confirmation = startConfirmation(work, { form, types: keyTypes(work.selections.source) }, tally, soft);
  // Suspects are always looked up by their keys: between them lies the whole table.
  confirmation.scale = Number.POSITIVE_INFINITY;
  const notes = remarksOn(work, tally);
  const segments: Segment[] = [];
  for (let i = 0; i < prepared.keys.length; i += hashKeys)
    segments.push({ kind: 'keys', keys: prepared.keys.slice(i, i + hashKeys) });
  await mergeSides(work, readers, form, segments, confirmation, notes, tally);
  return { strategy: 'incremental', why: explained(work, prepared), confirmation, remarks: notes.list() };
};

/** Where the next comparison can start, after everything was confirmed; with what the report has to say of it. */
export interface Concluded {
  readonly report: PairReport;
  readonly standing: Standing | undefined;
}

/** Adds what is known only at the end: differences that were missed before, and where the next comparison can start. */
export const conclude = async (
  work: Work,
  prepared: Prepared,
  request: IncrementalRequest,
  plain: PairReport,
): Promise<Concluded> => {
  const { facts, marks, seen } = prepared;
  const incremental = facts.mode === 'changes';
  const open = work.open?.list();
  const warnings: string[] = [...plain.warnings];
  let missed: number | undefined;
  if (seen !== undefined && open !== undefined && request.earlier !== undefined) {
    const found = open.filter(
      ({ key, what }) => what !== 'apart' && !(request.rule.deletes === 'keys' && what !== 'different') && !seen(key),
    );
    missed = found.length;
    if (missed > 0) warnings.unshift(missedText(request, request.earlier, facts.by, found));
  }
  const rows = incremental ? await wholeRows(work, request, plain, facts.table_rows!) : plain.rows;
  let notKept = facts.not_kept;
  if (marks !== undefined && open === undefined)
    notKept = `more than ${grouped(work.open?.most ?? 0)} keys do not agree: until they do, the next comparison ${incremental ? 'starts where this one did' : 'is of all rows again'}`;
  if (notKept !== undefined && notKept !== facts.not_kept) warnings.push(notKept);
  const self = { run: request.run, at: request.at };
  // What all rows have shown may be more than the earlier standing holds: it is no place to start from any more.
  const nowhere = open === undefined && !incremental;
  const standing: Standing | undefined =
    marks === undefined || (open === undefined && incremental)
      ? undefined
      : {
          settings: request.settings,
          marks: nowhere ? { source: null, target: null } : marks,
          open: open?.map(({ key }) => key) ?? [],
          rows,
          ...self,
          full: incremental ? request.earlier!.full : self,
          runs: incremental ? request.earlier!.runs + 1 : 0,
        };
  return {
    standing,
    report: {
      ...plain,
      not_compared: [...plain.not_compared, ...prepared.notCompared],
      warnings,
      incremental: {
        ...facts,
        ...(incremental ? { table_rows: rows } : {}),
        ...(missed === undefined ? {} : { missed }),
        ...(notKept === undefined ? {} : { not_kept: notKept }),
      },
    },
  };
};

/** Loud: what the incremental comparisons vouch for was wrong. */
const missedText = (
  { rule }: IncrementalRequest,
  earlier: Standing,
  by: Prepared['facts']['by'],
  found: readonly { readonly key: Key; readonly what: string }[],
): string => {
  const deleted = found.filter((f) => f.what !== 'different').length;
  const of = deleted > 0 ? ` (${grouped(deleted)} of them rows that only one side has)` : '';
  const example = found[0]!.key.join(', ');
  const cause =
    deleted === found.length && rule.deletes === 'none' ? 'Deleted rows are not seen: set deletes: keys' : '';
  const columns = [by.source, by.target].filter((name, i, all) => name !== null && all.indexOf(name) === i);
  const told = columns.some((name) => isColumnWord(name!))
    ? `Rows were written without a greater ${columns.join(' or ')}, or later than the overlap: lengthen it, or name another column`
    : `${columns.join(' and ')} should have shown them. Was a copy of the database's files put back? If not, please report it`;
  return `INCREMENTAL COMPARISONS MISSED ${grouped(found.length)} ${found.length === 1 ? 'DIFFERENCE' : 'DIFFERENCES'}${of} since run ${earlier.full.run}, e.g. key ${example}. ${
    cause || told
  }`;
};

/**
 * Rows of the whole tables. Where keys were not compared, a row that only the target shows has the source counted: an
 * empty source must be known as one.
 */
const wholeRows = async (
  work: Work,
  { rule }: IncrementalRequest,
  report: PairReport,
  known: Sides<number>,
): Promise<Sides<number>> => {
  if (rule.deletes === 'keys' || report.only_in_target === 0) return known;
  await using reader = await work.snapshot('source', work.signal);
  return { ...known, source: await reader.count(work.selections.source, work) };
};
