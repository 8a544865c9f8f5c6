import type { Loader } from '../../model/build.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Batch, Row } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import { commitFailure, fenced } from '../sql/step-lock.ts';
import { columnsSql, tableFacts } from './columns.ts';
import { isRefusal } from './failures.ts';
import { loadLines, loadPlan, longestLine } from './load-data.ts';
import { setMarker } from './own-tables.ts';
import { id, tableId } from './quote.ts';
import type { Session, StatementOptions } from './session.ts';
import type { ServerFacts } from './settings.ts';
import { refuseUnsafe } from './transactional.ts';
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
/** Rows, and UTF-16 units, that are loaded at once; they are held until the server has answered. */
const loadRows = 10_000;
const loadLength = 4_000_000;
/** So many loads of a step that the server did not take as they were: its rows are not of the kind to be loaded. */
const mostFailed = 3;

const utf8Length = (text: string): number => Buffer.byteLength(text);

/** Warnings that say that something else is stored than was given. */
const altering = new Set(['1048', '1263', '1264', '1265', '1292', '1364', '1366', '1406', '1411', '1441']);

const noneHolds = 'cannot hold this value (it is not finite, out of the calendar of MySQL, or not valid text)';

/**
 * Loads by LOAD DATA LOCAL where the server takes that, and what it did not take without a warning by inserts of many
 * rows, halved until the row that is refused stands alone and is named.
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
      // what is taken back must be gone: refused rows, and a step that failed
      await refuseUnsafe(session, table, at);
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
      const plan = loadPlan(table, known);
      const into = `insert into ${tableId(table)} (${columns.map(id).join(', ')}) values `;
      await session.query('start transaction', at);
      if (mode === 'marker') {
        const marked = await setMarker(session, mark, at);
        if (marked === 'already') return { status: 'already' as const };
        if (marked === 'fenced') throw fenced(x.side, mark);
      }
      const literalOf = (row: Row): string => `(${known.map((c, i) => cellLiteral(c, row[i]!)).join(', ')})`;
      /** Halves what the server refuses, or would store as something else, until it is one row. */
      const insert = async (some: Batch<Row>, literals: readonly string[]): Promise<number> => {
        if (some.length === 0) return 0;
        const sql = into + literals.join(', ');
        if (some.length === 1 && utf8Length(sql) + 10_000 > x.facts.maxAllowedPacket) {
          o.refused(
            some[0]!,
            `the row is larger than the server takes (max_allowed_packet is ${x.facts.maxAllowedPacket})`,
          );
          return 0;
        }
        let reason: string;
        try {
          await session.raw('savepoint lockstep_insert', at);
          const { warnings } = await session.write(sql, at);
          const told = warnings === 0 ? undefined : await alteration(session, warnings, at);
          if (told === undefined) return some.length;
          reason = told;
          await session.raw('rollback to savepoint lockstep_insert', at);
        } catch (error) {
          if (!isRefusal(error)) throw session.explain(error, at);
          reason = (error as Error).message;
        }
        if (some.length === 1) {
          o.refused(some[0]!, reason);
          return 0;
        }
        const half = some.length >> 1;
        return (
          (await insert(some.slice(0, half), literals.slice(0, half))) +
          (await insert(some.slice(half), literals.slice(half)))
        );
      };
      const most = Math.min(statementLength, Math.floor(x.facts.maxAllowedPacket / 4));
      const insertAll = async (some: Batch<Row>): Promise<void> => {
        for (let from = 0; from < some.length; ) {
          const literals: string[] = [];
          for (let length = 0; literals.length < statementRows && from + literals.length < some.length; ) {
            const literal = literalOf(some[from + literals.length]!);
            length += literal.length;
            if (literals.length > 0 && length > most) break;
            literals.push(literal);
          }
          written += await insert(some.slice(from, from + literals.length), literals);
          from += literals.length;
        }
      };
      let written = 0;
      let failed = 0;
      let waiting: Row[] = [];
      let lines: string[] = [];
      let length = 0;
      const flush = async (): Promise<void> => {
        if (waiting.length === 0) return;
        if (failed < mostFailed && session.loads && (await loadLines(session, plan, lines, at))) {
          written += lines.length;
        } else {
          failed++;
          await insertAll(waiting);
        }
        waiting = [];
        lines = [];
        length = 0;
      };
      for await (const batch of rows) {
        for (const row of batch) {
          const line = plan.line(row);
          if (typeof line === 'number') {
            o.refused(row, `${columns[line]}: ${known[line]!.facts.native} ${noneHolds}`);
            continue;
          }
          if (line.length > longestLine) {
            await flush();
            await insertAll([row]);
            continue;
          }
          waiting.push(row);
          lines.push(line);
          length += line.length;
          if (waiting.length >= loadRows || length >= loadLength) await flush();
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

/**
 * What the warnings of the last statement say of values that were changed; undefined: nothing. The server keeps the first
 * ones only: what the others are about may be a value, too.
 */
const alteration = async (session: Session, warnings: number, at: StatementOptions): Promise<string | undefined> => {
  const shown = await session.query('show warnings', at);
  const told = shown.find(([, code]) => altering.has(code!))?.[2];
  if (told !== undefined && told !== null) return told;
  return shown.length < warnings ? `the server warns of ${warnings} things, and does not say of which` : undefined;
};
