import { LockstepError } from '../../model/errors.ts';
import type { Table } from '../../model/schema.ts';
import type { SelectedColumn } from '../../model/selected.ts';
import { nativeSelection } from '../../model/selection.ts';
import { id } from '../sql/quote.ts';
import type { RowDialect } from '../sql/row-sql.ts';
import { sortKey } from '../sql/sort-key.ts';
import { findTable } from './catalogue.ts';
import { rawExpressions } from './cells.ts';
import type { Bind, Database } from './database.ts';
import { isGuaranteed, keyBind, plainCondition } from './key-order.ts';
import { type Slots, sortFunction } from './scan.ts';

export interface RowColumn {
  readonly column: SelectedColumn;
  readonly nullable: boolean;
  /**
   * SQLite's own order and equality are those of the values: every stored one is the plain form of its canonical text.
   * Otherwise order and equality are computed from that text, row by row.
   */
  plain(): boolean;
  /** The value in a form that sorts as the values do. */
  readonly sortable: string;
}

const glob = (part: string): string => part.replace(/[*?[]/g, '[$&]');

/** How SQLite writes what is asked of a table's rows. */
export const rowDialect = (
  db: Database,
  slots: Slots,
  table: Table,
  key: readonly string[],
): { readonly dialect: RowDialect<RowColumn, Bind>; readonly all: readonly RowColumn[] } => {
  const { columns } = nativeSelection({ ...table, columns: table.columns.filter((c) => !c.unreadable) }, key);
  const selected = columns.map(({ exact: _, ...c }): SelectedColumn => c);
  const catalogue = findTable(db, table.name);
  const slot = slots.take({ columns: selected });
  const known = new Map<string, { readonly version: bigint; readonly plain: boolean }>();

  const isPlain = (c: SelectedColumn): boolean => {
    if (isGuaranteed(c, catalogue)) return true;
    const condition = plainCondition(c, db.encoding === 'UTF-8');
    if (condition === undefined) return false;
    // what this connection writes is plain; others may write anything
    const version = db.get('pragma data_version')![0] as bigint;
    const before = known.get(c.name);
    if (before?.version === version) return before.plain;
    const odd = `select exists(select 1 from ${id(table.name)} where ${id(c.name)} is not null and not (${condition}))`;
    const plain = db.get(odd)![0] === 0n;
    known.set(c.name, { version, plain });
    return plain;
  };

  const all = selected.map(
    (column, i): RowColumn => ({
      column,
      nullable: table.columns.find((c) => c.name === column.name)!.nullable || column.loose === true,
      plain: () => isPlain(column),
      sortable: `${sortFunction}(${slot}, ${i}, ${rawExpressions(column.name)})`,
    }),
  );
  const byName = new Map(all.map((c) => [c.column.name, c]));
  const binary = (c: RowColumn): string => `${id(c.column.name)} collate binary`;
  const compare: RowDialect<RowColumn, Bind>['compare'] = (c, operator, value, bind) => {
    const raw = id(c.column.name);
    if (!c.plain()) return `(${raw} is not null and ${c.sortable} ${operator} ${bind(sortKey(c.column.as, value))})`;
    const bound = keyBind(c.column, value, db);
    if (bound === undefined) return undefined;
    const at = (): string => bound.sql.replace('?', bind(bound.value));
    // the column's own collation finds the row by an index; the binary one decides
    return operator === '=' ? `${raw} = ${at()} and ${binary(c)} = ${at()}` : `${binary(c)} ${operator} ${at()}`;
  };
  return {
    all,
    dialect: {
      from: id(table.name),
      column: (name) => {
        const found = byName.get(name);
        if (!found) throw new LockstepError('COLUMN_NOT_FOUND', `${table.name} has no column ${name}.`);
        return found;
      },
      nullable: (c) => c.nullable,
      raw: (c) => id(c.column.name),
      outputs: (c) => [rawExpressions(c.column.name)],
      order: (c) => (c.plain() ? binary(c) : c.sortable),
      equals: (c, value, bind) => compare(c, '=', value, bind),
      compare,
      like: (c, parts, bind) =>
        c.column.stored.kind === 'text'
          ? `typeof(${id(c.column.name)}) = 'text' and ${id(c.column.name)} glob ${bind(parts.map(glob).join('*'))}`
          : undefined,
      ordered: (c, expression, descending) =>
        c.nullable
          ? `${id(c.column.name)} is null${descending ? ' desc' : ''}, ${expression}${descending ? ' desc' : ''}`
          : `${expression}${descending ? ' desc' : ''}`,
      first: (select, limit) => `${select} limit ${limit}`,
      number: (n, bind) => bind(BigInt(n)),
    },
  };
};
