import { LockstepError } from '../../model/errors.ts';
import type { RowAccess, RowOutcome, RowWrite, TableRows } from '../../model/rows.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { tableId } from '../sql/quote.ts';
import type { Room } from '../sql/room.ts';
import { tableFacts } from './columns.ts';
import { isRefusal } from './failures.ts';
import { isStorableText } from './key-sql.ts';
import { behindPooler } from './pooler.ts';
import { rowDialect } from './row-dialect.ts';
import { altered, refusalOf } from './row-failures.ts';
import { type Asked, rowQueue } from './row-queue.ts';
import { type RowStatement, rowStatements } from './row-statements.ts';
import type { RawRow, Session, StatementOptions } from './session.ts';

export interface RowsContext {
  readonly side: string;
  readonly room: Room<Session>;
  readonly writable: boolean;
}

/** Statements of a table that a session keeps; whoever asks in more ways than that has them parsed each time. */
const keptStatements = 100;

/** Rows one by one, on the endpoint's own connections. One statement is one round trip. */
export const rowAccess = (x: RowsContext): RowAccess => {
  /**
   * Does the session lie behind a pooler? What is set there would be met by others, and what is kept lost: each
   * statement then brings its settings in a transaction of its own, and is parsed each time.
   */
  const pooled = new WeakMap<Session, boolean>();
  let generation = 0;

  /** `read`: behind a pooler, in a transaction that ends with the work. */
  const within = async <T>(
    mode: 'read' | 'write',
    at: StatementOptions,
    work: (session: Session) => Promise<T>,
  ): Promise<T> => {
    const session = await x.room.lendInTurn(at);
    return await withSession(session, mode, at, work);
  };

  const giveBack = async (session: Session): Promise<void> => {
    // of what ends at once nobody waits for the end
    if (!session.idle) await session.rollback();
    const kept = x.room.keep(session);
    if (session.broken) await kept;
  };

  const withSession = async <T>(
    session: Session,
    mode: 'read' | 'write',
    at: StatementOptions,
    work: (session: Session) => Promise<T>,
  ): Promise<T> => {
    try {
      if (!pooled.has(session)) {
        const behind = await behindPooler(session, at);
        if (!behind) await session.pin(x.writable, at);
        pooled.set(session, behind);
      }
      if (mode === 'read' && pooled.get(session)) await session.begin('read', at);
      return await work(session);
    } finally {
      await giveBack(session);
    }
  };

  return {
    of: async (table, key, o) => {
      const doing = `reading the catalogue of ${tableLabel(table)}`;
      const facts = await within('read', { signal: o.signal, doing }, (session) =>
        tableFacts(session, table, { signal: o.signal, doing }),
      );
      generation++;
      const made = rowDialect(table, key, facts, x.side);
      return tableRows(table, key, made, x.writable && table.kind !== 'view');
    },
  };

  function tableRows(
    table: Table,
    key: readonly string[],
    made: ReturnType<typeof rowDialect>,
    writable: boolean,
  ): TableRows {
    const prefix = `lockstep_${generation}_`;
    const { dialect } = made;
    const { readerOf, stored, rowSql, writeSql, listSql, countSql } = rowStatements(table, key, made);
    const label = tableLabel(table);
    const reading = `reading ${label}`;

    const names = new Map<string, string>();
    const nameOf = (sql: string): string | undefined => {
      const known = names.get(sql);
      if (known !== undefined || names.size >= keptStatements) return known;
      const name = `${prefix}${names.size}`;
      names.set(sql, name);
      return name;
    };

    /** Rejects with what the server said. */
    const raw = (
      session: Session,
      sql: string,
      values: readonly (string | null)[],
      at: StatementOptions,
    ): Promise<RawRow[]> => session.prepared(pooled.get(session) ? undefined : nameOf(sql), sql, values, at);

    const explained = (session: Session, error: unknown, at: StatementOptions): LockstepError =>
      altered(error)
        ? new LockstepError('SCHEMA_DRIFT', `${x.side}: ${label} has been altered (${at.doing})`, {
            side: x.side,
            cause: error,
            hint: 'A repeat reads its columns again.',
          })
        : session.explain(error, at);

    const from = tableId(table);
    const statement = (doing: string, privilege: string, signal: AbortSignal): StatementOptions => ({
      signal,
      doing,
      table: from,
      privilege,
    });

    const { ask } = rowQueue({
      room: x.room,
      direct: (session) => pooled.get(session) === false,
      slowly: (lent, { make, at }) =>
        withSession(lent, 'read', at, async (session) => {
          const { name, sql, values } = make();
          try {
            return await session.prepared(pooled.get(session) ? undefined : name, sql, values, at);
          } catch (error) {
            throw explained(session, error, at);
          }
        }),
      giveBack,
      explain: explained,
    });
    const asked = ({ sql, values }: RowStatement): Asked => ({ name: nameOf(sql), sql, values });

    const writeOne = async (
      session: Session,
      w: RowWrite,
      columns: readonly string[],
      at: StatementOptions,
    ): Promise<RowOutcome> => {
      if (w.op !== 'delete') {
        const odd = w.cells.findIndex((cell) => cell !== null && !isStorableText(cell));
        if (odd >= 0) return { status: 'refused', kind: 'value', column: w.columns[odd]! };
      }
      if (w.op === 'update' && w.columns.length === 0) throw new LockstepError('INTERNAL', 'an update sets nothing');
      const { sql, values } = writeSql(w, columns);
      const rows = await raw(session, sql, values, at);
      if (rows.length === 1) return { status: 'done', row: w.op === 'delete' ? null : stored(columns, rows[0]!) };
      if (rows.length > 1)
        throw new LockstepError('INTERNAL', `${x.side}: ${label} has several rows under one key; all were written`);
      if (w.op === 'insert') return { status: 'refused', kind: 'other' }; // a trigger or rule turned it away
      const look = rowSql(w.key, columns, w.guard.visible);
      const [found] = await raw(session, look.sql, look.values, at);
      return found === undefined ? { status: 'missing' } : { status: 'stale', found: stored(columns, found) };
    };

    const refused = (session: Session, error: unknown, at: StatementOptions, op: RowWrite['op']): RowOutcome => {
      if (altered(error) || !isRefusal(error)) throw explained(session, error, at);
      return refusalOf(error, table, op);
    };

    const write: NonNullable<TableRows['write']> = (writes, { columns, atomic }, { signal }) => {
      const at = statement(`writing to ${label}`, 'select, insert, update, delete', signal);
      if (!atomic && writes.length > 1) return eachAlone(writes, columns, signal);
      return within('write', at, async (session) => {
        const [only] = writes;
        if (!pooled.get(session) && writes.length === 1)
          return [await writeOne(session, only!, columns, at).catch((error) => refused(session, error, at, only!.op))];
        const outcomes: RowOutcome[] = [];
        if (pooled.get(session)) await session.begin('write', at);
        else await session.query('begin isolation level read committed, read write', undefined, at);
        let failed: number | undefined;
        for (const [i, w] of writes.entries()) {
          const outcome = await writeOne(session, w, columns, at).catch((error) => refused(session, error, at, w.op));
          outcomes.push(outcome);
          if (outcome.status !== 'done') {
            failed = i;
            break;
          }
        }
        if (failed === undefined) {
          try {
            const { command } = await session.raw('commit', undefined, at);
            if (command === 'COMMIT') return outcomes;
            throw new LockstepError('INTERNAL', `${x.side}: the transaction was rolled back at its commit`);
          } catch (error) {
            // a constraint that waits for the commit: it does not say whose it is
            const outcome = refused(session, error, at, writes.at(-1)!.op);
            return writes.map((_, i) => (i === writes.length - 1 ? outcome : { status: 'undone' }));
          }
        }
        await session.rollback();
        return writes.map((_, i) => (i === failed ? outcomes[i]! : { status: 'undone' }));
      });
    };

    const eachAlone = async (
      writes: readonly RowWrite[],
      columns: readonly string[],
      signal: AbortSignal,
    ): Promise<readonly RowOutcome[]> => {
      const outcomes: RowOutcome[] = [];
      for (const w of writes) outcomes.push(...(await write([w], { columns, atomic: true }, { signal })));
      return outcomes;
    };

    return {
      sortable: (column) => dialect.order(dialect.column(column)) !== undefined,
      list: (page, { signal }) =>
        ask(
          () => asked(listSql(page)),
          statement(reading, 'select', signal),
          // some are slow, and hold up what is sent with them
          2,
        ).then((rows) => rows.map(readerOf(page.columns))),
      count: async (where, how, { signal }) => {
        const at = statement(`counting ${label}`, 'select', signal);
        const count = countSql(where, how);
        const rows = await ask(() => asked(count), at);
        if (how === 'exact') return Number(rows[0]![0]);
        const [plan] = JSON.parse(rows[0]![0]!) as [{ Plan: { 'Plan Rows': number } }];
        return plan.Plan['Plan Rows'];
      },
      get: (cells, q, { signal }) =>
        ask(() => asked(rowSql(cells, q.columns, q.where)), statement(reading, 'select', signal), 1).then(([row]) =>
          row === undefined ? undefined : stored(q.columns, row),
        ),
      ...(writable ? { write } : {}),
    };
  }
};
