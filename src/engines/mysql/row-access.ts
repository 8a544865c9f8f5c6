import { LockstepError } from '../../model/errors.ts';
import type { Cell, Key, Row, Text } from '../../model/row.ts';
import type { RefusalKind, RowAccess, RowOutcome, RowWrite, TableRows } from '../../model/rows.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { pageSql, whereSql } from '../sql/row-sql.ts';
import { findRow, type RowTable, type RowTransaction, writeInTurn, writeRow, writeRows } from '../sql/row-writes.ts';
import { type ColumnSql, tableFacts } from './columns.ts';
import { errorNumber, isRefusal, type ServerFailure } from './failures.ts';
import { id, tableId } from './quote.ts';
import { render } from './render.ts';
import { rowDialect } from './row-dialect.ts';
import { rowSink } from './row-sinks.ts';
import type { Session, StatementOptions } from './session.ts';
import { refuseUnsafe } from './transactional.ts';
import { cellLiteral } from './write-sql.ts';

export interface RowsContext {
  readonly side: string;
  readonly mariadb: boolean;
  readonly writable: boolean;
  /** A session that is ready for statements of their own. */
  lend(o: StatementOptions): Promise<Session>;
  keep(session: Session): Promise<void>;
}

const kinds: Readonly<Record<number, RefusalKind>> = {
  1062: 'unique',
  1452: 'foreign_key',
  1216: 'foreign_key',
  1451: 'referenced',
  1217: 'referenced',
  4025: 'check',
  3819: 'check',
  1048: 'not_null',
  1364: 'not_null',
};

const refusalOf = (error: unknown): RowOutcome => {
  const e = error as ServerFailure;
  const number = errorNumber(error)!;
  const kind = kinds[number] ?? (number === 1644 ? 'other' : e.sqlState?.startsWith('22') ? 'value' : 'other');
  const constraint =
    kind === 'unique'
      ? /for key '(?:[^']*\.)?([^'.]+)'$/.exec(e.message)?.[1]
      : kind === 'check'
        ? /(?:CONSTRAINT `|constraint ')([^`']+)[`']/i.exec(e.message)?.[1]
        : /CONSTRAINT `([^`]+)`/.exec(e.message)?.[1];
  const column =
    kind === 'not_null' || kind === 'value' ? /(?:[Cc]olumn|Field) [`']([^`']+)[`']/.exec(e.message)?.[1] : undefined;
  return {
    status: 'refused',
    kind,
    ...(constraint === undefined ? {} : { constraint: constraint.split('.').at(-1)! }),
    ...(column === undefined ? {} : { column: column.split('.').at(-1)! }),
    // SIGNAL of a trigger
    ...(number === 1644 ? { words: e.message } : {}),
  };
};

const isAltered = (error: unknown): boolean =>
  error instanceof LockstepError && ['TABLE_NOT_FOUND', 'COLUMN_NOT_FOUND'].includes(error.code);

/** Rows one by one, on the endpoint's own connections. */
export const rowAccess = (x: RowsContext): RowAccess => ({
  of: async (table, key, o) => {
    const at = { signal: o.signal, doing: `reading the catalogue of ${tableLabel(table)}` };
    const session = await x.lend(at);
    try {
      const facts = await tableFacts(session, table, x.mariadb, at);
      return tableRows(x, table, key, rowDialect(table, key, facts, x.side));
    } finally {
      await x.keep(session);
    }
  },
});

const tableRows = (
  x: RowsContext,
  table: Table,
  key: readonly string[],
  { dialect, all }: ReturnType<typeof rowDialect>,
): TableRows => {
  const label = tableLabel(table);
  const t: RowTable<ColumnSql, never> = {
    d: dialect,
    key,
    all: all.map((c) => c.column.name),
    ...(table.triggers.length > 0 ? {} : { types: new Map(table.columns.map((c) => [c.name, c.type])) }),
    update: (set, where) => `update ${tableId(table)} as t set ${set} where ${where}`,
    delete: (where) => `delete t from ${tableId(table)} as t where ${where}`,
    lock: ' for update',
    place: () => '?',
  };
  const statement = (doing: string, privilege: string, signal: AbortSignal): StatementOptions => ({
    signal,
    doing: `${doing} ${label}`,
    table: tableId(table),
    privilege,
  });
  const within = async <T>(at: StatementOptions, work: (session: Session) => Promise<T>): Promise<T> => {
    const session = await x.lend(at);
    try {
      return await work(session);
    } catch (error) {
      await session.rollback();
      const explained = session.explain(error, at);
      throw isAltered(explained)
        ? new LockstepError('SCHEMA_DRIFT', `${x.side}: ${label} has been altered`, { side: x.side, cause: explained })
        : explained;
    } finally {
      await x.keep(session);
    }
  };
  const select = async (
    session: Session,
    sql: string,
    columns: readonly string[],
    at: StatementOptions,
  ): Promise<Row[]> => {
    const rendered = columns.map((name) => render(dialect.column(name)));
    const rows: Row[] = [];
    for await (const some of session.stream(sql, rowSink(rendered, 1000), at)) rows.push(...some);
    return rows;
  };
  /** The column that counts up by itself. */
  const counter = table.columns.find((c) => c.serial)?.name;

  const transaction = (session: Session, at: StatementOptions): RowTransaction<never> => ({
    rows: (sql, _, columns) => select(session, sql, columns, at),
    run: async (sql) => {
      await session.raw(sql, at);
      return undefined;
    },
    bound: async (name, cell) => cellLiteral(dialect.column(name), cell),
    insert: async (columns, cells) => {
      const values = columns.map((name, i) => cellLiteral(dialect.column(name), cells[i]!));
      await session.raw(
        columns.length === 0
          ? `insert into ${tableId(table)} () values ()`
          : `insert into ${tableId(table)} (${columns.map(id).join(', ')}) values (${values.join(', ')})`,
        at,
      );
      const found: (Cell | undefined)[] = [];
      for (const name of key) {
        const i = columns.indexOf(name);
        if (i >= 0) found.push(cells[i]!);
        else if (name === counter) found.push((await session.raw('select last_insert_id()', at))[0]![0] as Text);
        else found.push(undefined);
      }
      return found.includes(undefined) ? undefined : (found as Key);
    },
  });

  let safe = false;

  const writeTogether = (writes: readonly RowWrite[], columns: readonly string[], at: StatementOptions) =>
    within(at, async (session) => {
      const tx = transaction(session, at);
      if (!safe) await refuseUnsafe(session, table, at);
      safe = true;
      await session.query('start transaction', at);
      return writeRows(writes, (w) => writeRow(t, tx, w, columns), {
        commit: async () => {
          await session.query('commit', at);
        },
        rollback: () => session.rollback(),
        refusal: (error) => {
          if (!isRefusal(error)) throw error;
          return refusalOf(error);
        },
      });
    });

  const write: TableRows['write'] = async (writes, { columns, atomic }, { signal }) => {
    const at = statement('writing to', 'select, insert, update, delete', signal);
    return writeInTurn(writes, atomic, (some) => writeTogether(some, columns, at));
  };

  return {
    sortable: (column) => dialect.order(dialect.column(column)) !== undefined,
    list: async (page, { signal }) => {
      const sql = pageSql(dialect, key, page, () => '?');
      const at = statement('reading', 'select', signal);
      return within(at, (session) => select(session, sql, page.columns, at));
    },
    count: async (where, _how, { signal }) => {
      const condition = whereSql(dialect, where, () => '?');
      const sql = `select count(*) from ${dialect.from}${condition === undefined ? '' : ` where ${condition}`}`;
      const at = statement('counting', 'select', signal);
      return within(at, async (session) => Number((await session.raw(sql, at))[0]![0]));
    },
    get: async (cells, { columns, where }, { signal }) => {
      const at = statement('reading', 'select', signal);
      return within(at, (session) =>
        findRow(t, { rows: (sql, _, names) => select(session, sql, names, at) }, cells, { visible: where }, columns),
      );
    },
    ...(x.writable && table.kind !== 'view' ? { write } : {}),
  };
};
