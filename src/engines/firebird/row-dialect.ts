import { isMisfit } from '../../model/canon/misfit.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Text } from '../../model/row.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import { tableId } from '../sql/quote.ts';
import { type Bind, likePattern, type RowDialect } from '../sql/row-sql.ts';
import type { TableFacts } from './catalogue.ts';
import { type ColumnSql, columnsSql } from './columns.ts';
import type { WireParameter } from './driver.ts';
import { keyColumnSql } from './key-sql.ts';
import { comparable } from './literals.ts';
import { doubleParameter } from './parameters.ts';

type Dialect = RowDialect<ColumnSql, WireParameter>;

/** A value in a condition: a literal, or a parameter for a double, which no literal says exactly. */
const valueSql = (c: ColumnSql, value: Text, bind: Bind<WireParameter>): string | undefined => {
  if (isMisfit(value)) return undefined;
  if (c.column.stored.kind === 'float')
    return Number.isFinite(Number(value)) ? bind(doubleParameter(Number(value))) : undefined;
  return comparable(c, value);
};

/** How Firebird writes what is asked of a table's rows. */
export const rowDialect = (
  table: Table,
  key: readonly string[],
  facts: TableFacts,
  o: { readonly side: string; readonly noneCharset: string },
): { readonly dialect: Dialect; readonly all: readonly ColumnSql[] } => {
  const selection = nativeSelection({ ...table, columns: table.columns.filter((c) => !c.unreadable) }, key);
  const plain = { ...selection, columns: selection.columns.map(({ exact: _, ...c }) => c) };
  const all = columnsSql(plain, facts.columns, o);
  const byName = new Map(all.map((c) => [c.column.name, c]));
  /** Texts are compared by their bytes, everything else by itself. */
  const expression = (c: ColumnSql): string | undefined => keyColumnSql(c)?.compared;
  const bytes = (c: ColumnSql, value: Text): string | undefined => keyColumnSql(c)?.bound(value);
  const byBytes = (c: ColumnSql): boolean => c.column.stored.kind === 'text' && expression(c) !== undefined;
  const dialect: Dialect = {
    from: `${tableId(table)} t`,
    column: (name) => {
      const found = byName.get(name);
      if (!found)
        throw new LockstepError('COLUMN_NOT_FOUND', `${o.side}: ${tableLabel(table)} has no column ${name}`, {
          side: o.side,
        });
      return found;
    },
    nullable: (c) => table.columns.find((x) => x.name === c.column.name)!.nullable,
    raw: (c) => c.sql,
    outputs: (c) => c.outputs,
    order: expression,
    equals: (c, value, bind) => {
      const own = valueSql(c, value, bind);
      if (own === undefined) return undefined;
      const exact = byBytes(c) ? bytes(c, value) : undefined;
      // the column's own equality finds the row by an index; the bytes decide
      return exact === undefined ? `${c.sql} = ${own}` : `${c.sql} = ${own} and ${expression(c)} = ${exact}`;
    },
    compare: (c, operator, value, bind) => {
      const by = expression(c);
      const bound = byBytes(c) ? bytes(c, value) : valueSql(c, value, bind);
      return by === undefined || bound === undefined ? undefined : `${by} ${operator} ${bound}`;
    },
    like: (c, parts) => {
      if (c.column.stored.kind !== 'text' || !parts.every((part) => part.isWellFormed())) return undefined;
      return `${c.sql} like _utf8 x'${Buffer.from(likePattern(parts)).toString('hex')}' escape '\\'`;
    },
    ordered: (_, by, descending) => `${by}${descending ? ' desc nulls first' : ' nulls last'}`,
    first: (select, limit) => `${select} rows ${limit}`,
    number: (n) => String(Math.trunc(n)),
  };
  return { dialect, all };
};
