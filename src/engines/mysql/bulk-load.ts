import type { Loader } from '../../model/build.ts';
import type { Cancel } from '../../model/endpoint.ts';
import type { Batch, Row } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import { commitFailure, fenced } from '../sql/step-lock.ts';
import { columnsSql, tableFacts } from './columns.ts';
import { isRefusal } from './failures.ts';
import { setMarker } from './own-tables.ts';
import { id, tableId } from './quote.ts';
import type { Session, StatementOptions } from './session.ts';
import type { ServerFacts } from './settings.ts';
import { cellLiteral } from './write-sql.ts';

export interface LoaderContext {
  readonly side: string;
  readonly facts: ServerFacts;
  /** Steps loaded at a time. */
  readonly lanes: number;
  lend(o: Cancel): Promise<Session>;
  release(session: Session): Promise<void>;
  prepare(o: Cancel): Promise<'marker' | 'state'>;
}

const stepRows = 50_000;
const statementRows = 2000;
const statementLength = 1_000_000;

interface Waiting {
  readonly row: Row;
  readonly sql: string;
}

const utf8Length = (text: string): number => Buffer.byteLength(text);

/**
 * Loads by inserts of many rows. Not by LOAD DATA LOCAL: the server makes warnings of its errors there, and stores
 * something else than it was given.
 */
export const openLoader = (x: LoaderContext): Loader => ({
  stepRows,
  lanes: x.lanes,
  load: async (mark, table, columns, rows, o) => {
    const mode = await x.prepare(o);
    const at: StatementOptions = {
      signal: o.signal,
      doing: `loading ${tableLabel(table)}`,
      table: tableId(table),
      privilege: 'insert',
    };
    const session = await x.lend(o);
    try {
      const own = table.columns.filter((c) => columns.includes(c.name));
      const facts = await tableFacts(session, table, x.facts.mariadb, at);
      const known = columnsSql(
        {
          table,
          columns: columns.map((name) => {
            const c = own.find((column) => column.name === name)!;
            return { name, stored: c.type, as: c.type, ...(c.loose ? { loose: true as const } : {}) };
          }),
          keyWidth: 0,
        },
        facts,
        x.side,
      );
      const into = `insert into ${tableId(table)} (${columns.map(id).join(', ')}) values `;
      await session.query('start transaction', at);
      if (mode === 'marker') {
        const marked = await setMarker(session, mark, at);
        if (marked === 'already') return { status: 'already' as const };
        if (marked === 'fenced') throw fenced(x.side, mark);
      }
      /** The row as a literal; undefined: it was refused. */
      const literalOf = (row: Row): string | undefined => {
        const cells: string[] = [];
        for (let i = 0; i < known.length; i++) {
          const sql = cellLiteral(known[i]!, row[i]!);
          if (sql === undefined) {
            o.refused(
              row,
              `${columns[i]}: ${known[i]!.facts.native} cannot hold this value (it is not finite, out of the calendar of MySQL, or not valid text)`,
            );
            return undefined;
          }
          cells.push(sql);
        }
        return `(${cells.join(', ')})`;
      };
      /** Halves what the server refuses until it is one row. */
      const insert = async (some: Batch<Waiting>): Promise<number> => {
        if (some.length === 0) return 0;
        const sql = into + some.map((w) => w.sql).join(', ');
        if (some.length === 1 && utf8Length(sql) + 10_000 > x.facts.maxAllowedPacket) {
          o.refused(
            some[0]!.row,
            `the row is larger than the server takes (max_allowed_packet is ${x.facts.maxAllowedPacket})`,
          );
          return 0;
        }
        try {
          await session.raw(sql, at);
          return some.length;
        } catch (error) {
          if (!isRefusal(error)) throw session.explain(error, at);
          if (some.length === 1) {
            o.refused(some[0]!.row, (error as Error).message);
            return 0;
          }
          const half = some.length >> 1;
          return (await insert(some.slice(0, half))) + (await insert(some.slice(half)));
        }
      };
      const most = Math.min(statementLength, Math.floor(x.facts.maxAllowedPacket / 4));
      let written = 0;
      let waiting: Waiting[] = [];
      let length = 0;
      const flush = async (): Promise<void> => {
        written += await insert(waiting);
        waiting = [];
        length = 0;
      };
      for await (const batch of rows) {
        for (const row of batch) {
          const sql = literalOf(row);
          if (sql === undefined) continue;
          if (waiting.length > 0 && length + sql.length > most) await flush();
          waiting.push({ row, sql });
          length += sql.length;
          if (waiting.length >= statementRows) await flush();
        }
      }
      await flush();
      await o.beforeCommit();
      try {
        await session.raw('commit', at);
      } catch (error) {
        throw commitFailure(x.side, mark, session.explain(error, at), session.broken, error);
      }
      return { status: 'done' as const, rows: written };
    } finally {
      await x.release(session);
    }
  },
});
