import { LockstepError } from '../../model/errors.ts';
import type { Cell, Key, Row } from '../../model/row.ts';
import type { RefusalKind, RowAccess, RowOutcome, RowWrite, TableRows } from '../../model/rows.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { id, tableId } from '../sql/quote.ts';
import type { Room } from '../sql/room.ts';
import { type Bind, binder, pageSql, whereSql } from '../sql/row-sql.ts';
import { findRow, type RowTable, type RowTransaction, writeInTurn, writeRow, writeRows } from '../sql/row-writes.ts';
import { tableFacts } from './catalogue.ts';
import { type ColumnSql, outputsOf, rowReader } from './columns.ts';
import type { WireParameter } from './driver.ts';
import { gds, isRefusal, type ServerFailure } from './failures.ts';
import { written } from './literals.ts';
import { blobParameter, doubleParameter } from './parameters.ts';
import { rowDialect } from './row-dialect.ts';
import type { Session, StatementOptions } from './session.ts';

export interface RowsContext {
  readonly side: string;
  readonly noneCharset: string;
  readonly writable: boolean;
  readonly room: Room<Session>;
}

const refusalOf = (e: ServerFailure): RowOutcome => {
  const has = (...codes: readonly number[]): boolean => e.has(...codes);
  const kind: RefusalKind = has(gds.unique_key_violation, gds.no_dup)
    ? 'unique'
    : has(gds.foreign_key_references_present)
      ? 'referenced'
      : has(gds.foreign_key, gds.foreign_key_target_doesnt_exist)
        ? 'foreign_key'
        : has(gds.check_constraint)
          ? 'check'
          : has(gds.not_valid)
            ? 'not_null'
            : has(gds.except)
              ? 'other'
              : 'value';
  const name = /constraint "?([^"\s]+)"? on/i.exec(e.message)?.[1];
  const column = kind === 'not_null' ? /column (?:"[^"]*"\.)?"([^"]+)"/i.exec(e.message)?.[1] : undefined;
  return {
    status: 'refused',
    kind,
    ...(name === undefined ? {} : { constraint: name }),
    ...(column === undefined ? {} : { column }),
    ...(has(gds.except) ? { words: e.message.replaceAll(/\s*\n\s*/g, ' ').trim() } : {}),
  };
};

const isAltered = (error: unknown): boolean =>
  error instanceof LockstepError && ['TABLE_NOT_FOUND', 'COLUMN_NOT_FOUND'].includes(error.code);

/** Rows one by one, on connections of their own. */
export const rowAccess = (x: RowsContext): RowAccess => {
  /** Does something in a transaction; what is not committed is rolled back. */
  const within = async <T>(
    mode: 'read' | 'write',
    table: Table,
    at: StatementOptions,
    work: (session: Session) => Promise<T>,
  ): Promise<T> => {
    const session = await x.room.lendInTurn(at);
    try {
      await session.begin(mode, at);
      return await work(session);
    } catch (error) {
      const explained = session.explain(error, at);
      const label = tableLabel(table);
      throw isAltered(explained)
        ? new LockstepError('SCHEMA_DRIFT', `${x.side}: ${label} has been altered`, { side: x.side, cause: explained })
        : explained;
    } finally {
      await session.rollback();
      await x.room.keep(session);
    }
  };
  return {
    of: async (table, key, o) => {
      const at = { signal: o.signal, doing: `reading the catalogue of ${tableLabel(table)}` };
      const facts = await within('read', table, at, (session) => tableFacts(session, table, at));
      return tableRows(x, within, table, key, rowDialect(table, key, facts, x));
    },
  };
};

type Within = <T>(
  mode: 'read' | 'write',
  table: Table,
  at: StatementOptions,
  work: (session: Session) => Promise<T>,
) => Promise<T>;

const tableRows = (
  x: RowsContext,
  within: Within,
  table: Table,
  key: readonly string[],
  { dialect, all }: ReturnType<typeof rowDialect>,
): TableRows => {
  const label = tableLabel(table);
  const types = new Map(table.columns.map((c) => [c.name, c.type]));
  const t: RowTable<ColumnSql, WireParameter> = {
    d: dialect,
    key,
    all: all.map((c) => c.column.name),
    ...(table.triggers.length > 0 ? {} : { types }),
    update: (set, where) => `update ${tableId(table)} t set ${set} where ${where}`,
    delete: (where) => `delete from ${tableId(table)} t where ${where}`,
    lock: ' with lock',
    place: () => '?',
  };
  const statement = (doing: string, privilege: string, signal: AbortSignal): StatementOptions => ({
    signal,
    doing: `${doing} ${label}`,
    table: tableId(table),
    privilege,
  });
  const select = async (
    session: Session,
    sql: string,
    parameters: readonly WireParameter[],
    columns: readonly string[],
    at: StatementOptions,
  ): Promise<Row[]> => {
    const wanted = columns.map((name) => dialect.column(name));
    const raw = await session.raw({ sql, parameters, texts: outputsOf(wanted).texts }, at);
    return rowReader(session, wanted, label, at).rows(raw);
  };

  const transaction = (session: Session, at: StatementOptions): RowTransaction<WireParameter> => {
    const bound = async (name: string, cell: Cell, bind: Bind<WireParameter>): Promise<string | undefined> => {
      const as = written(dialect.column(name), cell);
      if ('reason' in as) return undefined;
      if ('sql' in as) return as.sql;
      if ('double' in as) return bind(doubleParameter(as.double));
      return `cast(${bind(blobParameter(await session.writeBlob(as.blob, at)))} as blob sub_type binary)`;
    };
    return {
      bound,
      rows: (sql, values, columns) => select(session, sql, values, columns, at),
      run: async (sql, parameters) => {
        await session.raw({ sql, parameters }, at);
        return undefined;
      },
      insert: async (columns, cells) => {
        const { bind, values } = binder<WireParameter>(() => '?');
        const given: string[] = [];
        for (const [i, name] of columns.entries()) given.push((await bound(name, cells[i]!, bind))!);
        const made = key.filter((name) => !columns.includes(name));
        const returning = made.length === 0 ? '' : ` returning ${made.map(id).join(', ')}`;
        const sql =
          columns.length === 0
            ? `insert into ${tableId(table)} default values${returning}`
            : `insert into ${tableId(table)} (${columns.map(id).join(', ')}) values (${given.join(', ')})${returning}`;
        const texts = made.map((name) => dialect.column(name).reader);
        const raw = await session.raw({ sql, parameters: values, texts }, at);
        if (made.length === 0) return key.map((name) => cells[columns.indexOf(name)]!);
        const [row] = await rowReader(
          session,
          made.map((name) => dialect.column(name)),
          label,
          at,
        ).rows(raw);
        const keyCells = key.map((name) => row?.[made.indexOf(name)] ?? cells[columns.indexOf(name)]);
        return keyCells.some((cell) => cell == null) ? undefined : (keyCells as Key);
      },
    };
  };

  const writeTogether = (
    writes: readonly RowWrite[],
    columns: readonly string[],
    at: StatementOptions,
  ): Promise<readonly RowOutcome[]> =>
    within('write', table, at, (session) =>
      writeRows(writes, (w) => writeRow(t, transaction(session, at), w, columns), {
        commit: () => session.commit(at),
        rollback: () => session.rollback(),
        refusal: (error) => {
          if (!isRefusal(error)) throw error;
          return refusalOf(error);
        },
      }),
    );

  const write: TableRows['write'] = async (writes, { columns, atomic }, { signal }) => {
    const at = statement('writing to', 'select, insert, update, delete', signal);
    return writeInTurn(writes, atomic, (some) => writeTogether(some, columns, at));
  };

  return {
    sortable: (column) => dialect.order(dialect.column(column)) !== undefined,
    list: async (page, { signal }) => {
      const { bind, values } = binder<WireParameter>(() => '?');
      const sql = pageSql(dialect, key, page, bind);
      const at = statement('reading', 'select', signal);
      return within('read', table, at, (session) => select(session, sql, values, page.columns, at));
    },
    count: async (where, _how, { signal }) => {
      const { bind, values } = binder<WireParameter>(() => '?');
      const condition = whereSql(dialect, where, bind);
      const sql = `select count(*) from ${dialect.from}${condition === undefined ? '' : ` where ${condition}`}`;
      const at = statement('counting', 'select', signal);
      return within('read', table, at, async (session) =>
        Number((await session.raw({ sql, parameters: values }, at))[0]![0]),
      );
    },
    get: async (cells, { columns, where }, { signal }) => {
      const at = statement('reading', 'select', signal);
      return within('read', table, at, (session) =>
        findRow(
          t,
          { rows: (sql, values, names) => select(session, sql, values, names, at) },
          cells,
          { visible: where },
          columns,
        ),
      );
    },
    ...(x.writable && table.kind !== 'view' ? { write } : {}),
  };
};
