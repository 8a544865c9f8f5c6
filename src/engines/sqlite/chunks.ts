import { columnSeeds, type HashSpec } from '../../model/hash/spec.ts';
import type { Row } from '../../model/row.ts';
import type { SelectedColumn, Selection } from '../../model/selected.ts';
import { id } from '../sql/quote.ts';
import { findTable } from './catalogue.ts';
import { rawCell, rawExpressions } from './cells.ts';
import type { Bind, Value } from './database.ts';
import { isSqliteFailure, resultCode, resultCodes } from './failures.ts';
import { chunkExpressions, type FrameColumn, frameColumn, frameColumns, frameExpression, nullToken } from './frame.ts';
import { BrokenFrame, type Cursor, cursor, load } from './frame-cursor.ts';
import type { Condition } from './read-plan.ts';
import type { Snapshot } from './reading.ts';
import { type Meter, whereOf } from './scan.ts';

/** A selection whose rows can be read as frames. */
export interface Framed {
  readonly columns: readonly SelectedColumn[];
  readonly frames: readonly FrameColumn[];
  readonly token: Uint8Array;
}

const targetBytes = 100_000;
export const mostRows = 2000;
/** SQLite takes at most 1,000 arguments and 1,000 levels in one expression; a frame has up to three of each a column. */
const mostColumns = 300;
/** So many chunks in a row that had to be read row by row, and frames are given up. */
const patience = 20;

/** Ten bytes of the run's seed, which nobody knows before the run. */
const tokenOf = (hash: HashSpec): Uint8Array => {
  const { value, negative } = columnSeeds(hash.seed, -1, 'key');
  const random = Buffer.alloc(16);
  random.writeBigUInt64LE(value, 0);
  random.writeBigUInt64LE(negative, 8);
  return nullToken(random.subarray(0, 10));
};

export const framed = (s: Snapshot, selection: Selection, hash: HashSpec): Framed | undefined => {
  if (s.db.encoding !== 'UTF-8' || !s.db.joinsEmpty || selection.columns.length > mostColumns) return undefined;
  const { affinities, table } = findTable(s.db, selection.table.name);
  const strict = new Set(table.columns.filter((c) => c.loose !== true).map((c) => c.name));
  const frames = selection.columns.map((c) =>
    frameColumn(c, !strict.has(c.name), affinities.get(c.name) ?? 'BLOB', s.db.exactReals),
  );
  if (frames.includes(undefined)) return undefined;
  return { columns: selection.columns, frames: frameColumns(frames as FrameColumn[]), token: tokenOf(hash) };
};

/** Rows of one chunk as a consumer sees them, framed or one by one. */
export interface Sink {
  /** A chunk begins: forget the rows of one that was given up. */
  start(): void;
  /** The cursor is at the start of a framed row; must move it to its end. */
  frame(c: Cursor): void;
  row(row: Row): void;
  /** What the next chunk comes after; `greatest`: the walk's own number in the last row. */
  last(greatest: Value): readonly Bind[];
}

/** How chunks follow each other. */
export interface Walk {
  /** A number that grows from row to row, if there is one: the rowid. */
  readonly number?: string;
  readonly order: string;
  readonly after: string;
}

/**
 * Takes a chunk to be read elsewhere; false: it is not taken. `again` reads its rows one by one into the sink, should it
 * not hold what its frames should.
 */
export type Hand = (blob: Uint8Array, rows: number, again: () => void) => boolean;

/** Reads a piece chunk by chunk, yielding after each with its number of rows, also of those that were handed on. */
export function* walk(
  s: Snapshot,
  selection: Selection,
  f: Framed,
  w: Walk,
  piece: Condition,
  sink: Sink,
  meter: Meter,
  hand?: Hand,
): Generator<number> {
  const number = w.number ?? 'null';
  const select = `select ${chunkExpressions}, max(n) from (select ${number} as n, ${frameExpression(f.frames, f.token)} as f`;
  const raw = [number, ...selection.columns.map((c) => rawExpressions(c.name))].join(', ');
  const c = cursor(f.token);
  let after: readonly Bind[] | undefined;
  let limit = 100;
  let given = 0;
  for (;;) {
    const where = whereOf(selection, piece, after === undefined ? '' : `(${w.after})`);
    const tail = ` from ${id(selection.table.name)}${where} order by ${w.order} limit ${limit}`;
    const values = [...piece.values, ...(after ?? [])];
    const rowByRow = (): Read => {
      sink.start();
      return readRows(s, selection, `select ${raw}${tail}`, values, sink);
    };
    let read: Read | undefined;
    if (given < patience) {
      const sql = `${select}${tail})`;
      meter.sql ||= sql;
      sink.start();
      read = readFrames(s, sql, values, c, sink, hand === undefined ? undefined : (b, n) => hand(b, n, rowByRow));
    }
    const wasFramed = read !== undefined;
    if (read === undefined) {
      given++;
      read = rowByRow();
    } else {
      given = 0;
      meter.bytes += read.bytes;
    }
    const { rows, greatest } = read;
    meter.rows += rows;
    meter.pace(rows);
    if (rows > 0) yield rows;
    if (rows < limit) return;
    after = sink.last(greatest);
    limit = wasFramed ? Math.max(1, Math.min(mostRows, Math.ceil((targetBytes * rows) / read.bytes))) : 100;
  }
}

interface Read {
  readonly rows: number;
  readonly greatest: Value;
  /** Of frames. */
  readonly bytes: number;
}

/** Undefined when the chunk is too large for one value. */
export const readChunk = (s: Snapshot, sql: string, values: readonly Bind[]): readonly Value[] | undefined => {
  try {
    return s.db.get(sql, ...values);
  } catch (error) {
    if (isSqliteFailure(error) && resultCode(error) === resultCodes.TOOBIG) return undefined;
    throw error;
  }
};

/** Reads the frames of a chunk; false when they are not all, or not what they should be. */
export const readBlob = (c: Cursor, blob: Uint8Array, rows: number, sink: Sink): boolean => {
  load(c, blob);
  try {
    for (let i = 0; i < rows; i++) sink.frame(c);
  } catch (error) {
    if (error instanceof BrokenFrame) return false;
    throw error;
  }
  return c.at === c.bytes.length;
};

/** Reads a chunk as frames, or hands it on; undefined when it does not hold all its rows, or not what its frames should. */
const readFrames = (
  s: Snapshot,
  sql: string,
  values: readonly Bind[],
  c: Cursor,
  sink: Sink,
  hand: ((blob: Uint8Array, rows: number) => boolean) | undefined,
): Read | undefined => {
  const chunk = readChunk(s, sql, values);
  if (chunk === undefined) return undefined;
  const [found, count, greatest] = chunk as [Uint8Array | null, bigint, Value];
  const blob = found ?? new Uint8Array();
  const read: Read = { rows: Number(count), greatest, bytes: blob.length };
  const isRead = hand?.(blob, read.rows) === true || readBlob(c, blob, read.rows, sink);
  // Chunks are freed at once: the collector does not see how much memory hangs on them.
  (blob.buffer as ArrayBuffer).transfer(0);
  return isRead ? read : undefined;
};

const readRows = (s: Snapshot, selection: Selection, sql: string, values: readonly Bind[], sink: Sink): Read => {
  let rows = 0;
  let greatest: Value = null;
  for (const v of s.db.iterate(sql, ...values)) {
    greatest = v[0]!;
    sink.row(selection.columns.map((c, i) => rawCell(c, v[1 + 2 * i]!, v[2 + 2 * i]!, s.db.encoding)));
    rows++;
  }
  return { rows, greatest, bytes: 0 };
};
