import type { Cell, Row } from '../../model/row.ts';
import type { RowCondition, RowPage, RowWrite, StoredRow } from '../../model/rows.ts';
import type { Table } from '../../model/schema.ts';
import { id, tableId } from '../sql/quote.ts';
import { binder, guardSql, keySql, outputsSql, pageSql, whereSql } from '../sql/row-sql.ts';
import { render } from './render.ts';
import { boundSql, type rowDialect, tagSql } from './row-dialect.ts';
import { rowsOf } from './rows-of.ts';
import type { RawRow } from './session.ts';

/** A statement, and what is bound to its places. */
export interface RowStatement {
  readonly sql: string;
  readonly values: readonly (string | null)[];
}

const place = (n: number): string => `$${n}`;

/** The statements about the rows of one table, and what their answers mean. */
export const rowStatements = (
  table: Table,
  key: readonly string[],
  { dialect, all }: ReturnType<typeof rowDialect>,
) => {
  const tag = tagSql(all);

  const readers = new WeakMap<readonly string[], (row: RawRow) => Row>();
  const readerOf = (columns: readonly string[]): ((row: RawRow) => Row) => {
    const known = readers.get(columns) ?? makeReader(columns);
    readers.set(columns, known);
    return known;
  };
  const makeReader = (columns: readonly string[]): ((row: RawRow) => Row) => {
    const decoders = columns.map((name) => render(dialect.column(name)).decode);
    if (decoders.every((d) => d === undefined))
      return (row) => (row.length === columns.length ? row : row.slice(0, columns.length)) as Row;
    return (row) =>
      decoders.map((decode, i): Cell => {
        const cell = row[i]!;
        return cell === null || decode === undefined ? (cell as Cell) : decode(cell);
      });
  };

  const stored = (columns: readonly string[], row: RawRow): StoredRow => ({
    cells: readerOf(columns)(row),
    tag: row[columns.length]!,
  });

  const outputsWithTag = new WeakMap<readonly string[], string>();
  /** What is read of a single row. */
  const outputsOf = (columns: readonly string[]): string => {
    const known =
      outputsWithTag.get(columns) ?? [...(columns.length === 0 ? [] : [outputsSql(dialect, columns)]), tag].join(', ');
    outputsWithTag.set(columns, known);
    return known;
  };

  const rowSql = (
    cells: Parameters<typeof keySql>[2],
    columns: readonly string[],
    where: readonly RowCondition[],
  ): RowStatement => {
    const { bind, values } = binder<string>(place);
    const conditions = [keySql(dialect, key, cells, bind), whereSql(dialect, where, bind)].filter(Boolean);
    return { sql: `select ${outputsOf(columns)} from ${dialect.from} where ${conditions.join(' and ')}`, values };
  };

  const writeSql = (w: RowWrite, columns: readonly string[]): RowStatement => {
    const { bind, values } = binder<string | null>(place);
    const returning = ` returning ${outputsOf(columns)}`;
    const assign = (name: string, cell: Cell): string => boundWrite(name, cell === null ? null : bind(cell));
    const boundWrite = (name: string, at: string | null): string => {
      const c = dialect.column(name);
      if (at === null) return 'null';
      // no cast to bigint here: the column's own type refuses what it cannot hold
      return c.column.stored.kind === 'int' ? `${at}::${c.facts.castTo}` : boundSql(c, at);
    };
    if (w.op === 'insert') {
      const into = `insert into ${tableId(table)} as t`;
      const sql =
        w.columns.length === 0
          ? `${into} default values${returning}`
          : `${into} (${w.columns.map(id).join(', ')}) values (${w.columns.map((c, i) => assign(c, w.cells[i] ?? null)).join(', ')})${returning}`;
      return { sql, values };
    }
    const set =
      w.op === 'update' ? w.columns.map((c, i) => `${id(c)} = ${assign(c, w.cells[i] ?? null)}`).join(', ') : '';
    const conditions = [
      keySql(dialect, key, w.key, bind),
      ...guardSql(dialect, w.guard, bind),
      ...(w.guard.tag === undefined ? [] : [`${tag} = ${bind(w.guard.tag)}`]),
    ].join(' and ');
    return w.op === 'update'
      ? { sql: `update ${rowsOf(table)} as t set ${set} where ${conditions}${returning}`, values }
      : { sql: `delete from ${rowsOf(table)} as t where ${conditions}${returning}`, values };
  };

  const listSql = (page: RowPage): RowStatement => {
    const { bind, values } = binder<string>(place);
    return { sql: pageSql(dialect, key, page, bind), values };
  };

  const countSql = (where: readonly RowCondition[], how: 'exact' | 'estimated'): RowStatement => {
    const { bind, values } = binder<string>(place);
    const condition = whereSql(dialect, where, bind);
    const from = `from ${dialect.from}${condition === undefined ? '' : ` where ${condition}`}`;
    const sql =
      how === 'exact' ? `select pg_catalog.count(*)::pg_catalog.text ${from}` : `explain (format json) select ${from}`;
    return { sql, values };
  };

  return { readerOf, stored, rowSql, writeSql, listSql, countSql };
};
