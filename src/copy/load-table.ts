import { ahead } from '../lib/ahead.ts';
import type { Loader, LoadOptions } from '../model/build.ts';
import type { Cancel } from '../model/cancel.ts';
import { compareKeys } from '../model/order.ts';
import type { Reader } from '../model/reader.ts';
import type { Key, Row } from '../model/row.ts';
import type { Table } from '../model/schema.ts';
import type { Segment } from '../model/selected.ts';
import { keyTypes } from '../model/selection.ts';
import { type Refused, type RowWay, refusedRow, turned } from './rows.ts';

/** One transaction of a copy: a range of a table's keys. */
export interface CopyStep {
  /** Unique in the run; the number in the target's marker. */
  readonly step: number;
  readonly from?: Key;
  readonly to?: Key;
}

/** Kinds whose ranges every engine reads by an index. */
const ranged = new Set(['int', 'uuid', 'date', 'timestamp', 'instant', 'decimal']);
const keysPerStep = 20;
/** Where ranges may cost a scan each: so many times larger. */
const coarse = 10;

/**
 * Cuts a table into steps of about `stepRows` rows by a sample of its keys. Together they cover every key there is, and
 * every key that will ever be: the first and the last have no end.
 */
export const cutSteps = async (
  reader: Reader,
  way: RowWay,
  rows: number,
  stepRows: number,
  first: number,
  o: Cancel,
): Promise<readonly CopyStep[]> => {
  const { selection } = way;
  const whole = [{ step: first }];
  if (selection.keyWidth === 0) return whole;
  const cheap = selection.columns.slice(0, selection.keyWidth).every((c) => ranged.has(c.as.kind));
  const count = Math.ceil(rows / (cheap ? stepRows : stepRows * coarse));
  if (count < 2) return whole;
  const types = keyTypes(selection);
  const keys = [...(await reader.sample(selection, count * keysPerStep, o))].sort((a, b) => compareKeys(types, a, b));
  const bounds: Key[] = [];
  for (let i = 1; i < count; i++) {
    const key = keys[Math.floor((i * keys.length) / count)];
    const last = bounds.at(-1);
    if (key !== undefined && (last === undefined || compareKeys(types, last, key) < 0)) bounds.push(key);
  }
  return [undefined, ...bounds].map((from, i) => ({
    step: first + i,
    ...(from === undefined ? {} : { from }),
    ...(bounds[i] === undefined ? {} : { to: bounds[i] }),
  }));
};

/** Batches that are read while others are written. */
const batchesAhead = 8;

/** What a step came to. */
export interface StepResult {
  readonly step: CopyStep;
  readonly already: boolean;
  readonly rows: number;
  /** How many rows were refused, and some of them. */
  readonly refused: number;
  readonly examples: readonly Refused[];
  readonly form: string;
}

export interface LoadWork extends Cancel {
  readonly run: string;
  readonly token: bigint;
  readonly loader: Loader;
  readonly target: Table;
  readonly way: RowWay;
  readonly steps: readonly CopyStep[];
  /** Every reader sees the same snapshot; a step is read by one of them. */
  readonly readers: readonly Reader[];
  /** How many refused rows of a step are kept. */
  readonly keep: number;
  /** Inside the step's transaction, before it is committed. */
  beforeCommit(result: StepResult): Promise<void>;
  /** Aborted: finish the steps under way and begin no other. */
  readonly stop?: AbortSignal;
  onRows(rows: number): void;
}

const segmentOf = ({ from, to }: CopyStep): Segment =>
  from === undefined && to === undefined
    ? { kind: 'all' }
    : { kind: 'range', ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };

/** The first byte form that both sides know; undefined: rows are read and written as cells. */
const commonForm = async (x: LoadWork, reader: Reader): Promise<string | undefined> => {
  if (reader.bulk === undefined || x.loader.bytes === undefined) return undefined;
  const { selection, columns } = x.way;
  // a byte form has no look at values: only where the types are the same to the letter
  const theirs = new Set(await x.loader.bytes.forms(x.target, columns, x));
  const ours = await reader.bulk.forms(selection, x);
  return ours.find((form) => theirs.has(form));
};

const loadStep = async (x: LoadWork, reader: Reader, step: CopyStep, form: string | undefined): Promise<StepResult> => {
  const mark = { run: x.run, step: step.step, token: x.token };
  const { selection, columns } = x.way;
  const segment = segmentOf(step);
  if (form !== undefined) {
    const result = { step, already: false, rows: 0, refused: 0, examples: [], form };
    const loaded = await x.loader.bytes!.load(
      mark,
      x.target,
      columns,
      { form, bytes: reader.bulk!.read(selection, segment, form, x) },
      { signal: x.signal, refused: () => {}, beforeCommit: () => x.beforeCommit(result) },
    );
    if (loaded.status === 'already') return { ...result, already: true };
    if (loaded.status === 'done') return { ...result, rows: loaded.rows };
    // a row that the database would not take: row by row it says which
  }
  let count = 0;
  const examples: Refused[] = [];
  const refuse = (row: Row, reason: string, column?: string, times = 1): void => {
    count += times;
    if (examples.length < x.keep) examples.push(refusedRow(x.way, row, reason, column));
  };
  const result = (rows: number): StepResult => ({ step, already: false, rows, refused: count, examples, form: 'rows' });
  const o: LoadOptions = {
    signal: x.signal,
    refused: (row, reason) => refuse(row, reason),
    beforeCommit: () => x.beforeCommit(result(0)),
  };
  const rows = turned(x.way, ahead(reader.scan(selection, segment, x), batchesAhead), refuse);
  const loaded = await x.loader.load(mark, x.target, columns, rows, o);
  if (loaded.status === 'already') return { ...result(0), already: true, refused: 0, examples: [] };
  return result(loaded.status === 'done' ? loaded.rows : 0);
};

/** Loads a table, as many steps beside each other as there are readers. The first failure ends all of them. */
export const loadTable = async (x: LoadWork): Promise<readonly StepResult[]> => {
  const form = await commonForm(x, x.readers[0]!);
  const waiting = [...x.steps];
  const done: StepResult[] = [];
  const failed = new AbortController();
  const signal = AbortSignal.any([x.signal, failed.signal]);
  const lane = async (reader: Reader): Promise<void> => {
    for (;;) {
      if (x.stop?.aborted || signal.aborted) return;
      const step = waiting.shift();
      if (step === undefined) return;
      const result = await loadStep({ ...x, signal }, reader, step, form);
      done.push(result);
      x.onRows(result.rows + result.refused);
    }
  };
  const lanes = x.readers.map((reader) =>
    lane(reader).catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  const ended = await Promise.allSettled(lanes);
  for (const e of ended) if (e.status === 'rejected') throw failed.signal.reason;
  return done;
};
