import type { Position, Reader } from '../../model/reader.ts';
import type { Key } from '../../model/row.ts';
import { changesOf } from './changed.ts';
import { hashingOf } from './hashing.ts';
import { isPlainlyOrdered } from './key-sql.ts';
import { literal } from './quote.ts';
import { render } from './render.ts';
import { rowSink } from './row-sinks.ts';
import { batchRows, Rows, type RowsContext } from './rows.ts';
import { sampleSql } from './sample.ts';
import { plainSql } from './select.ts';

export interface ReaderContext extends RowsContext {
  readonly position: Position | undefined;
  /** Gives the session back; the transaction is over. */
  release(): Promise<void>;
}

/** Reads through the open transaction of a session. */
export const openReader = (x: ReaderContext): Reader => {
  const rows = new Rows(x);
  const { session } = x;
  return {
    ...(x.position === undefined ? {} : { position: x.position }),
    scan: (selection, segment, o) => rows.scan(selection, segment, o),
    count: async (within, o) => {
      const selection = await rows.bounded(within, o);
      await rows.columns(selection, o);
      const [row] = await session.query(plainSql(selection, 'count(*)'), rows.statement(selection, 'counting', o));
      return Number(row![0]);
    },
    sample: async (within, wanted, o) => {
      const selection = await rows.bounded(within, o);
      const keys = (await rows.columns(selection, o)).slice(0, selection.keyWidth);
      const at = rows.statement(selection, 'sampling', o);
      const sql = await sampleSql(session, selection, keys, wanted, at);
      if (sql === undefined) return [];
      const found: Key[] = [];
      for await (const batch of session.stream(sql, rowSink(keys.map(render), batchRows), at)) found.push(...batch);
      return found;
    },
    keyBounds: async (within, o) => {
      const selection = await rows.bounded(within, o);
      const [key] = await rows.columns(selection, o);
      const at = rows.statement(selection, 'asking for the least and the greatest key of', o);
      const [row] = await session.query(plainSql(selection, `min(${key!.raw}) + 0, max(${key!.raw}) + 0`), at);
      const [min, max] = row!;
      return min == null || max == null ? undefined : { min: BigInt(min), max: BigInt(max) };
    },
    ranges: async (selection, o) => {
      const keys = (await rows.columns(selection, o)).slice(0, selection.keyWidth);
      if (keys.length === 0 || !keys.every(isPlainlyOrdered)) return false;
      const { table } = selection;
      const { database } = session.context.config;
      const [row] = await session.query(
        `select count(*) from information_schema.statistics
         where table_schema = ${literal(table.schema ?? database)} and table_name = ${literal(table.name)}
           and seq_in_index = 1 and sub_part is null and index_type = 'BTREE' and column_name = ${literal(keys[0]!.column.name)}`,
        rows.statement(selection, 'looking for an index of', o),
      );
      return row![0] !== '0';
    },
    hashing: hashingOf(rows),
    changes: changesOf(rows),
    [Symbol.asyncDispose]: () => x.release(),
  };
};
