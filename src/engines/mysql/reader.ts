import type { Position, Reader } from '../../model/endpoint.ts';
import type { Key } from '../../model/row.ts';
import { changesOf } from './changed.ts';
import { hashingOf } from './hashing.ts';
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
    count: async (selection, o) => {
      await rows.columns(selection, o);
      const [row] = await session.query(plainSql(selection, 'count(*)'), rows.statement(selection, 'counting', o));
      return Number(row![0]);
    },
    sample: async (selection, wanted, o) => {
      const keys = (await rows.columns(selection, o)).slice(0, selection.keyWidth);
      const at = rows.statement(selection, 'sampling', o);
      const sql = await sampleSql(session, selection, keys, wanted, at);
      if (sql === undefined) return [];
      const found: Key[] = [];
      for await (const batch of session.stream(sql, rowSink(keys.map(render), batchRows), at)) found.push(...batch);
      return found;
    },
    keyBounds: async (selection, o) => {
      const [key] = await rows.columns(selection, o);
      const at = rows.statement(selection, 'asking for the least and the greatest key of', o);
      const [row] = await session.query(plainSql(selection, `min(${key!.raw}) + 0, max(${key!.raw}) + 0`), at);
      const [min, max] = row!;
      return min == null || max == null ? undefined : { min: BigInt(min), max: BigInt(max) };
    },
    hashing: hashingOf(rows),
    changes: changesOf(rows),
    [Symbol.asyncDispose]: () => x.release(),
  };
};
