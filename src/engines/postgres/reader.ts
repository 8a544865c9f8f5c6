import type { Cancel } from '../../model/cancel.ts';
import type { QueryReport } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Hashing, Position, Reader } from '../../model/reader.ts';
import type { Batch, Key, Row } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import { keyTypes } from '../../model/selection.ts';
import { tableId } from '../sql/quote.ts';
import type { Throttle } from '../sql/throttle.ts';
import { bulkRowsOf } from './bulk-rows.ts';
import { changesOf } from './changed.ts';
import { type ColumnSql, columnsSql, type TableFacts, tableFacts } from './columns.ts';
import { textRows } from './copy-rows.ts';
import { hashingOf } from './hashing.ts';
import type { HashingContext } from './hashing-context.ts';
import { hasOrderedIndex } from './key-index.ts';
import { orderSql } from './key-sql.ts';
import { distinctRowsSql, sortRows } from './keyless.ts';
import { rawRowsOf } from './raw-reader.ts';
import { copied, render } from './render.ts';
import { sampleSql } from './sample.ts';
import { baseSql, segmentSql, withoutRanges } from './select.ts';
import type { Session, StatementOptions } from './session.ts';

const batchRows = 1000;

export interface ReaderContext {
  readonly session: Session;
  readonly throttle: Throttle;
  readonly position: Position;
  /** The server's text is valid UTF-8 for certain (not so in SQL_ASCII databases). */
  readonly validUtf8: boolean;
  readonly hashForms: Hashing['forms'] | undefined;
  readonly onQuery: ((q: QueryReport) => void) | undefined;
  /** Gives the session back; the transaction is over. */
  release(): Promise<void>;
  /** One more session that sees the same snapshot, where this reader is one that can be shared. */
  readonly share?: ((o: Cancel) => Promise<Reader>) | undefined;
}

/** Reads through the open transaction of a session. */
export const openReader = (x: ReaderContext): Reader => {
  const { session } = x;
  const side = session.context.name;
  const facts = new Map<string, Promise<TableFacts>>();
  let released: Promise<void> | undefined;

  const statement = (selection: Selection, doing: string, { signal }: Cancel): StatementOptions => ({
    signal,
    doing: `${doing} ${tableLabel(selection.table)}`,
    table: tableId(selection.table),
    onQuery: x.onQuery,
    ...(selection.filter === undefined ? {} : { filtered: true }),
  });

  const columnsOf = async (selection: Selection, o: Cancel): Promise<readonly ColumnSql[]> => {
    const table = tableId(selection.table);
    let known = facts.get(table);
    if (!known) {
      known = tableFacts(session, selection.table, {
        signal: o.signal,
        doing: `reading the catalogue of ${tableLabel(selection.table)}`,
      });
      facts.set(table, known);
      known.catch(() => facts.delete(table));
    }
    return columnsSql(selection, await known, side);
  };

  const paced = async function* <T>(
    batches: AsyncIterable<T>,
    rowsOf: (batch: T) => number,
    o: StatementOptions,
  ): AsyncGenerator<T, void, undefined> {
    for await (const batch of batches) {
      await x.throttle.pass(rowsOf(batch), o.signal).catch((error: unknown) => {
        throw session.explain(error, o);
      });
      yield batch;
    }
  };

  async function* scan(selection: Selection, segment: Segment, o: Cancel): AsyncGenerator<Batch<Row>, void, undefined> {
    const columns = await columnsOf(selection, o);
    const at = statement(selection, 'reading', o);
    const keyless = selection.keyWidth === 0;
    const ordering = keyless ? columns : columns.slice(0, selection.keyWidth);
    const sortable = ordering.every((c) => orderSql(c) !== undefined);
    if (keyless && segment.kind !== 'all')
      throw new LockstepError('INTERNAL', 'a table without a key is read as a whole');
    if (!keyless && !sortable && segment.kind === 'range') {
      throw withoutRanges(selection, side);
    }
    const rendered = columns.map(render);
    const query = keyless
      ? { sql: distinctRowsSql(baseSql(selection, columns), columns) }
      : segmentSql(
          selection,
          columns,
          segment,
          rendered.map((r, i) => copied(r, columns[i]!)),
          { ordered: sortable },
        );
    if ('empty' in query && query.empty) return;
    const sink = textRows(
      rendered.map((r) => r.decode),
      batchRows,
      x.validUtf8,
    );
    const rows = paced(session.copy(`copy (${query.sql}) to stdout`, sink, at), (b) => b.length, at);
    if (sortable) {
      yield* rows;
      return;
    }
    const types = keyless ? selection.columns.map((c) => c.as) : keyTypes(selection);
    const sorted = await sortRows(rows, types, keyless, { side, table: tableLabel(selection.table) });
    for (let i = 0; i < sorted.length; i += batchRows) yield sorted.slice(i, i + batchRows);
  }

  const hashing =
    x.hashForms === undefined
      ? undefined
      : hashingOf({ session, columnsOf, statement, paced, forms: x.hashForms } satisfies HashingContext);

  return {
    position: x.position,
    scan,
    count: async (selection, o) => {
      const columns = await columnsOf(selection, o);
      const [row] = await session.query(
        `select pg_catalog.count(*) from ${baseSql(selection, columns)}`,
        undefined,
        statement(selection, 'counting', o),
      );
      return Number(row![0]);
    },
    sample: async (selection, rows, o) => {
      const columns = await columnsOf(selection, o);
      const at = statement(selection, 'sampling', o);
      const sql = await sampleSql(session, selection, columns, rows, at);
      if (sql === undefined) return [];
      const sink = textRows(
        columns.slice(0, selection.keyWidth).map((c) => render(c).decode),
        batchRows,
        x.validUtf8,
      );
      const keys: Key[] = [];
      for await (const batch of session.copy(`copy (${sql}) to stdout`, sink, at)) keys.push(...batch);
      return keys;
    },
    keyBounds: async (selection, o) => {
      const columns = await columnsOf(selection, o);
      const [key] = columns;
      const at = statement(selection, 'reading the key bounds of', o);
      // there is no least and greatest boolean
      const value = key!.column.stored.kind === 'bool' ? `(${key!.value})::pg_catalog.int4` : key!.value;
      const [row] = await session.query(
        `select pg_catalog.min(${value})::pg_catalog.text, pg_catalog.max(${value})::pg_catalog.text from ${baseSql(selection, columns)}`,
        undefined,
        at,
      );
      const [min, max] = row!;
      return min == null || max == null ? undefined : { min: BigInt(min), max: BigInt(max) };
    },
    ranges: async (selection, o) => {
      const keys = (await columnsOf(selection, o)).slice(0, selection.keyWidth);
      if (keys.length === 0 || keys.some((c) => orderSql(c) === undefined)) return false;
      return hasOrderedIndex(session, selection.table, keys[0]!, statement(selection, 'looking for an index of', o));
    },
    ...(hashing ? { hashing } : {}),
    changes: changesOf({ session, scan, statement }),
    raw: rawRowsOf({ session, columnsOf, statement, paced }, x.validUtf8),
    ...(x.validUtf8 ? { bulk: bulkRowsOf({ session, columnsOf, statement, paced }) } : {}),
    ...(x.share === undefined ? {} : { share: x.share }),
    // once: by a second time the session may read for somebody else
    [Symbol.asyncDispose]: () => (released ??= x.release()),
  };
};
