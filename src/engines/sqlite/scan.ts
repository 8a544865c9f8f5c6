import { LockstepError } from '../../model/errors.ts';
import type { Cell, Row, Text } from '../../model/row.ts';
import type { Segment, SelectedColumn, Selection } from '../../model/selected.ts';
import { id } from '../sql/quote.ts';
import { sortKey } from '../sql/sort-key.ts';
import { imageOf, isDoubtful, rawCell, rawExpressions, rawImage } from './cells.ts';
import type { Bind, Database, Value } from './database.ts';
import { type Condition, type Orders, planRead, type ReadPlan } from './read-plan.ts';

/** Counts what a stream reads, and slows it down to the endpoint's limit. */
export interface Meter {
  rows: number;
  bytes: number;
  sql: string;
  /** Called after every batch with its number of rows. */
  pace(rows: number): void;
}

const batchRows = 1000;
const batchBytes = 1 << 20;

/** `where` of a piece: the selection's filter and the piece's condition. */
export const whereOf = (selection: Selection, condition: Condition, extra = ''): string => {
  const parts = [condition.sql, selection.filter === undefined ? '' : `(${selection.filter}\n)`, extra];
  const all = parts.filter((p) => p !== '').join(' and ');
  return all === '' ? '' : ` where ${all}`;
};

/** SQL function names of ours, defined on each connection (see `defineFunctions`). */
export const sortFunction = 'lockstep_sort';
export const keepFunction = 'lockstep_keep';

interface Slot {
  readonly columns: readonly SelectedColumn[];
  readonly keep?: ReadPlan['keep'];
}

/** What the SQL functions of a connection refer to by number. */
export interface Slots {
  readonly take: (slot: Slot) => number;
  readonly release: (slot: number) => void;
}

/** Defines the functions that order and choose rows by their canonical cells. */
export const defineFunctions = (db: Database): Slots => {
  const slots = new Map<bigint, Slot>();
  let next = 0n;
  const cells = (slot: Slot, values: readonly Value[], from: number): Cell[] =>
    slot.columns.map((c, i) => rawCell(c, values[from + 2 * i]!, values[from + 2 * i + 1]!, db.encoding));
  db.define(sortFunction, (slot, column, storage, value) => {
    const c = slots.get(slot as bigint)!.columns[Number(column)]!;
    return sortKey(c.as, rawCell(c, storage!, value!, db.encoding));
  });
  db.define(keepFunction, (...values) => {
    const slot = slots.get(values[0] as bigint)!;
    return slot.keep!(cells(slot, values, 1)) ? 1n : 0n;
  });
  return {
    take: (slot) => {
      slots.set(next, slot);
      return Number(next++);
    },
    release: (slot) => void slots.delete(BigInt(slot)),
  };
};

/** The statement of one piece of a plan, without its columns. */
interface Statement {
  readonly tail: string;
  readonly values: readonly Bind[];
  readonly lookup: boolean;
}

const statementOf = (selection: Selection, plan: ReadPlan, piece: Condition, slot: number): Statement => {
  const keys = selection.keyWidth > 0 ? selection.columns.slice(0, selection.keyWidth) : selection.columns;
  const raw = keys.map((c) => rawExpressions(c.name));
  const keep = plan.keep ? `${keepFunction}(${slot}, ${raw.join(', ')})` : '';
  const by = plan.order.plain
    ? plan.order.expressions
    : keys.map((_, i) => `${sortFunction}(${slot}, ${i}, ${raw[i]})`);
  const order = plan.lookup ? '' : ` order by ${by.join(', ')}`;
  return {
    tail: ` from ${id(selection.table.name)}${whereOf(selection, piece, keep)}${order}`,
    values: piece.values,
    lookup: plan.lookup,
  };
};

/** Reads a statement's rows as cells; goes over to raw bytes when a text shows that it is not valid in its encoding. */
function* readStatement(db: Database, selection: Selection, s: Statement, meter: Meter): Generator<Row> {
  const { columns } = selection;
  // A look-up of one key runs thousands of times: its statement is kept.
  const open = (sql: string): Iterable<Value[]> => (s.lookup ? db.all(sql, ...s.values) : db.iterate(sql, ...s.values));
  let raw = db.encoding !== 'UTF-8';
  let done = 0;
  if (!raw) {
    const sql = `select ${columns.map((c) => id(c.name)).join(', ')}${s.tail}`;
    meter.sql ||= sql;
    for (const values of open(sql)) {
      raw = values.some(isDoubtful);
      if (raw) break;
      yield columns.map((c, i) => imageOf(c, values[i]!));
      done++;
    }
  }
  if (!raw) return;
  const sql = `select ${columns.map((c) => rawExpressions(c.name)).join(', ')}${s.tail} limit -1 offset ${done}`;
  meter.sql ||= sql;
  for (const values of open(sql))
    yield columns.map((c, i) => rawImage(c, values[2 * i]!, values[2 * i + 1]!, db.encoding));
}

/** A key column may hold NULL in SQLite against the rules; such a row cannot be told apart. */
export const refuseNullKey = (selection: Selection, row: Row): void => {
  for (let i = 0; i < selection.keyWidth; i++) {
    if (row[i] !== null) continue;
    const column = selection.columns[i]!.name;
    throw new LockstepError('KEY_MISSING', `${selection.table.name} has a row whose key column ${column} is NULL.`, {
      hint: 'Compare it by another unique key (--key), or without one.',
    });
  }
};

function* readPieces(db: Database, selection: Selection, plan: ReadPlan, slot: number, meter: Meter): Generator<Row> {
  for (const piece of plan.pieces) {
    for (const row of readStatement(db, selection, statementOf(selection, plan, piece, slot), meter)) {
      refuseNullKey(selection, row);
      yield row;
    }
  }
}

/** Rows of no key, sorted, with equal ones counted: their number is the last cell. */
function* counted(rows: Iterable<Row>): Generator<Row> {
  let last: Row | undefined;
  let times = 0;
  for (const row of rows) {
    if (last?.every((cell, i) => cell === row[i])) {
      times++;
      continue;
    }
    if (last) yield [...last, String(times) as Text];
    last = row;
    times = 1;
  }
  if (last) yield [...last, String(times) as Text];
}

const sizeOf = (row: Row): number => row.reduce((sum, cell) => sum + 8 + (cell?.length ?? 0), 0);

/** The rows of a segment in key order, in batches. */
export function* scanRows(
  db: Database,
  slots: Slots,
  orders: Orders,
  selection: Selection,
  segment: Segment,
  meter: Meter,
): Generator<Row[]> {
  const plan = planRead(db, selection, segment, orders);
  const columns = selection.keyWidth > 0 ? selection.columns.slice(0, selection.keyWidth) : selection.columns;
  const slot = slots.take({ columns, ...(plan.keep ? { keep: plan.keep } : {}) });
  try {
    const read = readPieces(db, selection, plan, slot, meter);
    const rows = selection.keyWidth === 0 ? counted(read) : read;
    let batch: Row[] = [];
    let bytes = 0;
    for (const row of rows) {
      batch.push(row);
      bytes += sizeOf(row);
      if (batch.length < batchRows && bytes < batchBytes) continue;
      yield count(meter, batch, bytes);
      batch = [];
      bytes = 0;
    }
    if (batch.length > 0) yield count(meter, batch, bytes);
  } finally {
    slots.release(slot);
  }
}

const count = (meter: Meter, batch: Row[], bytes: number): Row[] => {
  meter.rows += batch.length;
  meter.bytes += bytes;
  meter.pace(batch.length);
  return batch;
};
