import type { Cancel } from '../../model/cancel.ts';
import type { QueryReport } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import { rowHasher } from '../../model/hash/row-hash.ts';
import { compareKeys } from '../../model/order.ts';
import { unbounded } from '../../model/ranges.ts';
import type { Batch, Key, Row } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import { keyTypes } from '../../model/selection.ts';
import type { Throttle } from '../sql/throttle.ts';
import { type ColumnSql, columnsSql, type TableFacts, tableFacts } from './columns.ts';
import { isDoubtful, orderSql, rangeSql } from './key-sql.ts';
import { countRows, sortRows } from './keyless.ts';
import { tableId } from './quote.ts';
import { type Rendered, render } from './render.ts';
import { rowSink } from './row-sinks.ts';
import type { RowSink } from './row-stream.ts';
import { keyLabel, plainSql, type Query, segmentSql } from './select.ts';
import type { Session, StatementOptions } from './session.ts';

export const batchRows = 1000;

export interface RowsContext {
  readonly session: Session;
  readonly mariadb: boolean;
  readonly throttle: Throttle;
  readonly onQuery: ((q: QueryReport) => void) | undefined;
}

/** Keys in key order, each once. */
const distinctKeys = (selection: Selection, keys: readonly Key[]): readonly Key[] => {
  const types = keyTypes(selection);
  const sorted = [...keys].sort((a, b) => compareKeys(types, a, b));
  return sorted.filter((key, i) => i === 0 || compareKeys(types, sorted[i - 1]!, key) !== 0);
};

/** Rows of a selection, in key order. What a reader's scan and its hashes are made of. */
export class Rows {
  readonly #x: RowsContext;
  readonly #facts = new Map<string, Promise<TableFacts>>();

  constructor(x: RowsContext) {
    this.#x = x;
  }

  get session(): Session {
    return this.#x.session;
  }

  get #side(): string {
    return this.#x.session.context.name;
  }

  statement(selection: Selection, doing: string, { signal }: Cancel): StatementOptions {
    return {
      signal,
      doing: `${doing} ${tableLabel(selection.table)}`,
      table: tableId(selection.table),
      onQuery: this.#x.onQuery,
      ...(selection.filter === undefined ? {} : { filtered: true }),
    };
  }

  async columns(selection: Selection, o: Cancel): Promise<readonly ColumnSql[]> {
    const table = tableId(selection.table);
    let known = this.#facts.get(table);
    if (!known) {
      known = tableFacts(this.session, selection.table, this.#x.mariadb, {
        signal: o.signal,
        doing: `reading the catalogue of ${tableLabel(selection.table)}`,
      });
      this.#facts.set(table, known);
      known.catch(() => this.#facts.delete(table));
    }
    return columnsSql(selection, await known, this.#side);
  }

  /** Rows of the statements, as they come. */
  async *#read(
    queries: readonly Query[],
    rendered: readonly Rendered[],
    width: number,
    at: StatementOptions,
  ): AsyncGenerator<Batch<Row>, void, undefined> {
    for (const query of queries) {
      for await (const rows of this.session.stream(query.sql, rowSink(rendered, batchRows), at)) {
        await this.#pass(rows.length, at);
        const { only } = query;
        const meant = only === undefined ? rows : rows.filter((row) => only.has(keyLabel(row.slice(0, width))));
        if (meant.length > 0) yield meant;
      }
    }
  }

  /** The selection with its range as a part of its condition. */
  async bounded(selection: Selection, o: Cancel): Promise<Selection> {
    const { range, filter } = selection;
    if (range === undefined) return selection;
    const keys = (await this.columns(selection, o)).slice(0, selection.keyWidth);
    if (keys.length === 0 || keys.some((c) => orderSql(c) === undefined)) throw this.#unordered(selection);
    const inside = rangeSql(keys, range.from, range.to);
    const whole = unbounded(selection);
    if (inside === undefined) return whole;
    return { ...whole, filter: filter === undefined ? inside : `(${filter}\n) and ${inside}` };
  }

  /** The rows of a segment in key order. */
  async *scan(within: Selection, segment: Segment, o: Cancel): AsyncGenerator<Batch<Row>, void, undefined> {
    const selection = await this.bounded(within, o);
    const columns = await this.columns(selection, o);
    const at = this.statement(selection, 'reading', o);
    const sorting = { side: this.#side, table: tableLabel(selection.table) };
    const rendered = columns.map(render);
    const width = selection.keyWidth;
    const outputs = rendered.map((r) => r.sql);
    if (width === 0) {
      if (segment.kind !== 'all') throw new LockstepError('INTERNAL', 'a table without a key is read as a whole');
      const all = segmentSql(selection, columns, segment, outputs, { ordered: false });
      const types = selection.columns.map((c) => c.as);
      const counted = await countRows(this.#read(all, rendered, 0, at), types, sorting);
      for (let i = 0; i < counted.length; i += batchRows) yield counted.slice(i, i + batchRows);
      return;
    }
    const keys = columns.slice(0, width);
    const ordered = keys.every((c) => orderSql(c) !== undefined);
    if (!ordered && segment.kind === 'range') throw this.#unordered(selection);
    const asked: Segment =
      segment.kind === 'keys' ? { kind: 'keys', keys: distinctKeys(selection, segment.keys) } : segment;
    const queries = segmentSql(selection, columns, asked, outputs, { ordered });
    const rows = ofParts(selection, segment, this.#read(queries, rendered, width, at));
    if (ordered) {
      yield* keys.some(isDoubtful) ? this.#inOrder(selection, rows) : rows;
      return;
    }
    const sorted = await sortRows(rows, keyTypes(selection), sorting);
    for (let i = 0; i < sorted.length; i += batchRows) yield sorted.slice(i, i + batchRows);
  }

  /**
   * What a sink makes of the rows of a segment (all, a range or parts; of hash parts it sees all rows), in key order;
   * without a segment: of all rows in any order, each as often as it occurs. `rowsOf` tells how many a batch stands for.
   */
  async *into<T>(
    within: Selection,
    segment: Segment | undefined,
    sink: RowSink<T>,
    rowsOf: (batch: T) => number,
    o: Cancel,
  ): AsyncGenerator<T, void, undefined> {
    const selection = await this.bounded(within, o);
    const columns = await this.columns(selection, o);
    const outputs = columns.map((c) => render(c).sql);
    const at = this.statement(selection, 'hashing', o);
    const queries =
      segment === undefined
        ? [{ sql: plainSql(selection, outputs.join(', ')) }]
        : segmentSql(selection, columns, segment, outputs, { ordered: true });
    for (const { sql } of queries) {
      for await (const batch of this.session.stream(sql, sink, at)) {
        await this.#pass(rowsOf(batch), at);
        yield batch;
      }
    }
  }

  async #pass(rows: number, at: StatementOptions): Promise<void> {
    try {
      await this.#x.throttle.pass(rows, at.signal);
    } catch (error) {
      throw this.session.explain(error, at);
    }
  }

  #unordered(selection: Selection): LockstepError {
    return new LockstepError(
      'KEY_TYPES',
      `${this.#side}: ${tableLabel(selection.table)} cannot be read by key ranges: the database has no order for its key as it is compared`,
      { side: this.#side, hint: 'Choose another key (--key).' },
    );
  }

  /** Sees that keys come in key order: a row in a wrong place would be taken for a missing one. */
  orderCheck(selection: Selection): (key: Key) => void {
    const types = keyTypes(selection);
    let last: Key | undefined;
    return (key) => {
      if (last !== undefined && compareKeys(types, last, key) > 0) {
        throw new LockstepError(
          'KEY_TYPES',
          `${this.#side}: the database orders the key of ${tableLabel(selection.table)} in another way than it must be compared in (zero or impossible dates, times of more than a day, or very long texts in it)`,
          { side: this.#side, hint: 'Choose another key (--key).' },
        );
      }
      last = key;
    };
  }

  async *#inOrder(
    selection: Selection,
    batches: AsyncIterable<Batch<Row>>,
  ): AsyncGenerator<Batch<Row>, void, undefined> {
    const check = this.orderCheck(selection);
    for await (const rows of batches) {
      for (const row of rows) check(row);
      yield rows;
    }
  }
}

/** Of hash parts: the rows whose keys are in them. */
async function* ofParts(
  selection: Selection,
  segment: Segment,
  batches: AsyncIterable<Batch<Row>>,
): AsyncGenerator<Batch<Row>, void, undefined> {
  if (segment.kind !== 'parts' || segment.partition.by === 'range') {
    yield* batches;
    return;
  }
  const { count, hash } = segment.partition;
  const parts = new Set(segment.parts);
  const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
  for await (const rows of batches) {
    const own = rows.filter((row) => parts.has(hasher.bucket(row, count)));
    if (own.length > 0) yield own;
  }
}
