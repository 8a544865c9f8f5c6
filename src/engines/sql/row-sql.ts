import type { Cell, Key, Text } from '../../model/row.ts';
import type { RowCondition, RowGuard, RowOrder, RowPage } from '../../model/rows.ts';

/** Binds a value to a statement; gives what stands for it there. */
export type Bind<V> = (value: V) => string;

export type CompareOperator = '=' | '<' | '<=' | '>' | '>=';

/** How one engine writes what is asked of a row. `C`: its column, `V`: what it binds. */
export interface RowDialect<C, V> {
  /** The table as `t`. */
  readonly from: string;
  column(name: string): C;
  nullable(c: C): boolean;
  /** The column in SQL. */
  raw(c: C): string;
  /** What is asked for to read the column; one expression or more. */
  outputs(c: C): readonly string[];
  /** What it is ordered by, in the database's own order; undefined: it has none that pages can follow. */
  order(c: C): string | undefined;
  /** The cell is that value, exactly; undefined: no cell of the column is. */
  equals(c: C, value: Text, bind: Bind<V>): string | undefined;
  /** One statement text for any number of values; absent: one condition for each. */
  in?(c: C, values: readonly Text[], bind: Bind<V>): string;
  /** In the order of `order`; undefined: SQL cannot say the value. */
  compare(c: C, operator: CompareOperator, value: Text, bind: Bind<V>): string | undefined;
  like(c: C, parts: readonly string[], bind: Bind<V>): string | undefined;
  /** `order by` item with NULL greater than every value. */
  ordered(c: C, expression: string, descending: boolean): string;
  /** The first `limit` rows of a `select`. */
  first(select: string, limit: string): string;
  /** Binds a whole number. */
  number(n: number, bind: Bind<V>): string;
}

/** Collects bound values; `place` writes the n-th of them (from 1). */
export const binder = <V>(place: (n: number) => string): { readonly bind: Bind<V>; readonly values: V[] } => {
  const values: V[] = [];
  return {
    values,
    bind: (value) => {
      values.push(value);
      return place(values.length);
    },
  };
};

const operators = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;

const conditionSql = <C, V>(d: RowDialect<C, V>, w: RowCondition, bind: Bind<V>): string => {
  const c = d.column(w.column);
  switch (w.op) {
    case 'null':
      return `${d.raw(c)} is ${w.is ? '' : 'not '}null`;
    case 'eq':
      return d.equals(c, w.value, bind) ?? 'false';
    case 'ne': {
      const same = d.equals(c, w.value, bind);
      return same === undefined ? `${d.raw(c)} is not null` : `not (${same})`;
    }
    case 'in': {
      if (d.in) return d.in(c, w.values, bind);
      const any = w.values.map((value) => d.equals(c, value, bind)).filter((x) => x !== undefined);
      return any.length === 0 ? 'false' : `(${any.map((x) => `(${x})`).join(' or ')})`;
    }
    case 'like':
      return d.like(c, w.parts, bind) ?? 'false';
    default:
      return d.compare(c, operators[w.op], w.value, bind) ?? 'false';
  }
};

/** All conditions as one, in parentheses each; undefined without any. */
export const whereSql = <C, V>(
  d: RowDialect<C, V>,
  where: readonly RowCondition[],
  bind: Bind<V>,
): string | undefined =>
  where.length === 0 ? undefined : where.map((w) => `(${conditionSql(d, w, bind)})`).join(' and ');

/** The rows under a key. */
export const keySql = <C, V>(d: RowDialect<C, V>, key: readonly string[], cells: Key, bind: Bind<V>): string =>
  key
    .map((name, i) => {
      const cell = cells[i];
      return cell == null ? 'false' : `(${d.equals(d.column(name), cell, bind) ?? 'false'})`;
    })
    .join(' and ');

export const guardSql = <C, V>(d: RowDialect<C, V>, guard: RowGuard, bind: Bind<V>): readonly string[] =>
  [whereSql(d, guard.visible, bind), whereSql(d, guard.allowed, bind)].filter((x) => x !== undefined);

/** The order of pages: what was asked for, then the rest of the key. */
export const fullOrder = (order: readonly RowOrder[], key: readonly string[]): readonly RowOrder[] => [
  ...order,
  ...key.filter((k) => !order.some((o) => o.column === k)).map((column) => ({ column, descending: false })),
];

/**
 * Rows after the one with these cells. Each value is compared as rows are ordered, so that no row is passed over and
 * none comes twice: where a column can hold no NULL in the one form that planners turn into an index range.
 */
const afterSql = <C, V>(
  d: RowDialect<C, V>,
  order: readonly RowOrder[],
  cells: readonly Cell[],
  bind: Bind<V>,
): string => {
  const from = (i: number): string => {
    const { column, descending } = order[i]!;
    const c = d.column(column);
    const cell = cells[i] ?? null;
    const raw = d.raw(c);
    const last = i === order.length - 1;
    const is = (op: CompareOperator): string => d.compare(c, op, cell!, bind) ?? 'false';
    if (cell === null) {
      if (last) return descending ? `${raw} is not null` : 'false';
      return descending ? `(${raw} is not null or (${from(i + 1)}))` : `${raw} is null and (${from(i + 1)})`;
    }
    const nullAfter = !descending && d.nullable(c) ? ` or ${raw} is null` : '';
    const strict = descending ? '<' : '>';
    if (last) return nullAfter === '' ? is(strict) : `(${is(strict)}${nullAfter})`;
    if (nullAfter !== '') return `(${is(strict)}${nullAfter} or (${is('=')} and (${from(i + 1)})))`;
    return `${is(descending ? '<=' : '>=')} and (${is(strict)} or (${from(i + 1)}))`;
  };
  return from(0);
};

/** What is asked for, by table and list of columns: the same lists are read again and again. */
const outputs = new WeakMap<object, WeakMap<readonly string[], string>>();

export const outputsSql = <C, V>(d: RowDialect<C, V>, columns: readonly string[]): string => {
  const known = outputs.get(d) ?? new WeakMap<readonly string[], string>();
  outputs.set(d, known);
  const sql = known.get(columns) ?? columns.flatMap((name) => d.outputs(d.column(name))).join(', ');
  known.set(columns, sql);
  return sql;
};

/** The statement of a page. */
export const pageSql = <C, V>(d: RowDialect<C, V>, key: readonly string[], page: RowPage, bind: Bind<V>): string => {
  const order = fullOrder(page.order, key);
  const conditions = [
    whereSql(d, page.where, bind),
    page.after === undefined ? undefined : `(${afterSql(d, order, page.after, bind)})`,
  ].filter((x) => x !== undefined);
  const items = order.map(({ column, descending }) => {
    const c = d.column(column);
    return d.ordered(c, d.order(c)!, descending);
  });
  const where = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`;
  const select = `select ${outputsSql(d, page.columns)} from ${d.from}${where} order by ${items.join(', ')}`;
  return d.first(select, d.number(page.limit, bind));
};

/** A pattern of LIKE with `escape '\'` (as the engine writes that character) out of the parts of a text. */
export const likePattern = (parts: readonly string[]): string =>
  parts.map((part) => part.replace(/[\\%_]/g, '\\$&')).join('%');
