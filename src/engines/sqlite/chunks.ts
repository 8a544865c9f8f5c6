import type { SelectedColumn, Selection } from '../../model/endpoint.ts';
import type { Row } from '../../model/row.ts';
import { id } from '../sql/quote.ts';
import { findTable } from './catalogue.ts';
import { rawCell, rawExpressions } from './cells.ts';
import type { Bind, Value } from './database.ts';
import { isSqliteFailure, resultCode, resultCodes } from './failures.ts';
import { chunkExpression, type FrameColumn, frameColumn, frameExpression, unframed } from './frame.ts';
import { type Cursor, cursor, load } from './frame-hash.ts';
import type { Condition } from './read-plan.ts';
import type { Snapshot } from './reading.ts';
import { type Meter, whereOf } from './scan.ts';

/** A selection whose rows can be read as frames: the columns, and what orders the chunks. */
export interface Framed {
  readonly columns: readonly SelectedColumn[];
  readonly frames: readonly FrameColumn[];
}

const targetBytes = 200_000;
export const mostRows = 2000;
/** SQLite takes at most 1,000 arguments and 1,000 levels in one expression; a frame has up to three of each a column. */
const mostColumns = 300;
/** So many chunks in a row that had to be read row by row, and frames are given up. */
const patience = 20;

export const framed = (s: Snapshot, selection: Selection): Framed | undefined => {
  if (s.db.encoding !== 'UTF-8' || selection.columns.length > mostColumns) return undefined;
  const { affinities } = findTable(s.db, selection.table.name);
  const frames = selection.columns.map((c) => frameColumn(c, affinities.get(c.name) ?? 'BLOB', s.db.exactReals));
  return frames.includes(undefined) ? undefined : { columns: selection.columns, frames: frames as FrameColumn[] };
};

/** Rows of one chunk as a consumer sees them, framed or one by one. */
export interface Sink {
  /** A chunk begins: forget the rows of one that was given up. */
  start(): void;
  /** The cursor is at the start of a framed row; must move it to its end. */
  frame(c: Cursor): void;
  /** `extra`: the value of the walk's own column. */
  row(row: Row, extra: Value): void;
  /** Of the last row: what the next chunk comes after. */
  last(): readonly Bind[];
}

/** How chunks follow each other. */
export interface Walk {
  /** A number of our own in front of each row, e.g. the rowid. */
  readonly extra?: string;
  readonly order: string;
  readonly after: string;
}

/** Reads a piece chunk by chunk, yielding after each with its number of rows. */
export function* walk(
  s: Snapshot,
  selection: Selection,
  f: Framed,
  w: Walk,
  piece: Condition,
  sink: Sink,
  meter: Meter,
): Generator<number> {
  const from = ` from ${id(selection.table.name)}`;
  const own: readonly FrameColumn[] =
    w.extra === undefined ? [] : [{ kind: 'number', sql: `${w.extra}, '|'`, odd: '' }];
  const expression = frameExpression([...own, ...f.frames]);
  const raw = [w.extra ?? 'null', ...selection.columns.map((c) => rawExpressions(c.name))].join(', ');
  const c = cursor();
  let after: readonly Bind[] | undefined;
  let limit = 100;
  let given = 0;
  for (;;) {
    const where = whereOf(selection, piece, after === undefined ? '' : `(${w.after})`);
    const tail = `${from}${where} order by ${w.order} limit ${limit}`;
    const values = [...piece.values, ...(after ?? [])];
    sink.start();
    let rows = -1;
    if (given < patience) {
      const sql = `select ${chunkExpression} from (select ${expression} as f${tail})`;
      meter.sql ||= sql;
      const blob = readBlob(s, sql, values);
      rows = blob === undefined ? -1 : readFrames(blob, c, sink);
      if (rows >= 0) meter.bytes += blob?.length ?? 0;
    }
    const wasFramed = rows >= 0;
    if (!wasFramed) {
      given++;
      sink.start();
      rows = readRows(s, selection, `select ${raw}${tail}`, values, sink);
    } else given = 0;
    meter.rows += rows;
    meter.pace(rows);
    if (rows > 0) yield rows;
    if (rows < limit) return;
    after = sink.last();
    if (wasFramed) limit = Math.max(1, Math.min(mostRows, Math.ceil((targetBytes * rows) / c.bytes.length)));
    else limit = 100;
  }
}

const readBlob = (s: Snapshot, sql: string, values: readonly Bind[]): Uint8Array | null | undefined => {
  try {
    return s.db.get(sql, ...values)![0] as Uint8Array | null;
  } catch (error) {
    if (isSqliteFailure(error) && resultCode(error) === resultCodes.TOOBIG) return undefined;
    throw error;
  }
};

/** Rows read; -1 when one of them is not framed. */
const readFrames = (blob: Uint8Array | null, c: Cursor, sink: Sink): number => {
  if (blob === null) return 0;
  load(c, blob);
  let rows = 0;
  while (c.at < blob.length) {
    if (c.bytes[c.at] === unframed) return -1;
    sink.frame(c);
    rows++;
  }
  return rows;
};

const readRows = (s: Snapshot, selection: Selection, sql: string, values: readonly Bind[], sink: Sink): number => {
  let rows = 0;
  const found = s.db.iterate(sql, ...values);
  for (let next = found.next(); !next.done; next = found.next()) {
    const v = next.value;
    const row = selection.columns.map((c, i) => rawCell(c, v[1 + 2 * i]!, v[2 + 2 * i]!, s.db.encoding));
    sink.row(row, v[0]!);
    rows++;
  }
  return rows;
};
