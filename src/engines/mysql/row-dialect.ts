import { isMisfit, misfitContent } from '../../model/canon/misfit.ts';
import { LockstepError } from '../../model/errors.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import { likePattern, type RowDialect } from '../sql/row-sql.ts';
import { type ColumnSql, columnsSql, type TableFacts } from './columns.ts';
import { compareSql, exactCondition, orderSql } from './key-sql.ts';
import { hexLiteral, literal, tableId } from './quote.ts';
import { render } from './render.ts';

/** The longest text whose whole is sorted by, see `max_sort_length`. */
const longestSorted = 1000;

/** How MySQL and MariaDB write what is asked of a table's rows. Values are literals, checked and quoted by their kind. */
export const rowDialect = (
  table: Table,
  key: readonly string[],
  facts: TableFacts,
  side: string,
): { readonly dialect: RowDialect<ColumnSql, never>; readonly all: readonly ColumnSql[] } => {
  const selection = nativeSelection({ ...table, columns: table.columns.filter((c) => !c.unreadable) }, key);
  const plain = { ...selection, columns: selection.columns.map(({ exact: _, ...c }) => c) };
  const all = columnsSql(plain, facts, side);
  const byName = new Map(all.map((c) => [c.column.name, c]));
  const dialect: RowDialect<ColumnSql, never> = {
    from: `${tableId(table)} as t`,
    column: (name) => {
      const found = byName.get(name);
      if (!found)
        throw new LockstepError('COLUMN_NOT_FOUND', `${side}: ${tableLabel(table)} has no column ${name}`, { side });
      return found;
    },
    nullable: (c) => c.facts.nullable,
    raw: (c) => c.raw,
    outputs: (c) => [render(c).sql],
    order: (c) =>
      c.column.stored.kind === 'text' && (c.facts.maxLength ?? 0) > longestSorted ? undefined : orderSql(c),
    equals: (c, value) => exactCondition([c], [value]),
    compare: (c, operator, value) => {
      if (!isMisfit(value) || c.column.stored.kind === 'bool') return compareSql(c, operator, value);
      // zero dates and times of more than a day have a place in the database's order
      const { stored, content } = misfitContent(value);
      return stored === 't' && /^[-0-9:. ]+$/.test(content) ? `${c.raw} ${operator} ${literal(content)}` : undefined;
    },
    like: (c, parts) =>
      c.column.stored.kind === 'text' && parts.every((part) => part.isWellFormed())
        ? `cast(convert(${c.raw} using utf8mb4) as binary) like ${hexLiteral(Buffer.from(likePattern(parts)))}`
        : undefined,
    ordered: (c, expression, descending) => {
      const direction = descending ? ' desc' : '';
      return c.facts.nullable ? `${c.raw} is null${direction}, ${expression}${direction}` : `${expression}${direction}`;
    },
    first: (select, limit) => `${select} limit ${limit}`,
    number: (n) => String(Math.trunc(n)),
  };
  return { dialect, all };
};
