import type { Change } from '../../model/change.ts';
import type { Cell } from '../../model/row.ts';
import type { Column, Table } from '../../model/schema.ts';
import type { Selection } from '../../model/selected.ts';
import { id, tableId } from '../sql/quote.ts';
import type { ColumnSql } from './columns.ts';
import type { WireParameter } from './driver.ts';
import { written } from './literals.ts';
import { blobParameter, doubleParameter } from './parameters.ts';
import type { Session, StatementOptions } from './session.ts';

/** What cannot be written, and why. */
export class Refused extends Error {
  readonly change: Change | undefined;
  readonly sqlState: string;
  constructor(change: Change | undefined, reason: string, sqlState: string) {
    super(reason);
    this.change = change;
    this.sqlState = sqlState;
  }
}

/** One statement that writes one row. `?` stands for each parameter. */
export interface Statement {
  readonly change: Change;
  readonly sql: string;
  readonly parameters: readonly WireParameter[];
  /** A BLOB goes with a statement of its own. */
  readonly alone: boolean;
}

/** What the steps of one batch share. */
export interface Work {
  readonly session: Session;
  readonly table: Table;
  readonly selection: Selection;
  readonly columns: readonly ColumnSql[];
  readonly at: StatementOptions;
}

export const columnOf = (w: Work, index: number): Column =>
  w.table.columns.find((c) => c.name === w.columns[index]!.column.name)!;

/** A cell as SQL, its parameter pushed where it needs one. */
const cellSql = async (
  w: Work,
  change: Change,
  index: number,
  cell: Cell,
  out: WireParameter[],
): Promise<{ sql: string; blob: boolean }> => {
  const c = w.columns[index]!;
  const as = written(c, cell);
  if ('reason' in as) throw new Refused(change, `${c.column.name} cannot be stored: ${as.reason}`, 'VALUE');
  if ('sql' in as) return { sql: as.sql, blob: false };
  if ('double' in as) {
    out.push(doubleParameter(as.double));
    return { sql: '?', blob: false };
  }
  out.push(blobParameter(await w.session.writeBlob(as.blob, w.at)));
  // As bytes: a text would be taken for one of the connection's character set.
  return { sql: 'cast(? as blob sub_type binary)', blob: true };
};

export const insertOf = async (w: Work, change: Extract<Change, { op: 'insert' }>): Promise<Statement> => {
  const parameters: WireParameter[] = [];
  const names: string[] = [];
  const values: string[] = [];
  let alone = false;
  for (const i of change.columns) {
    const { sql, blob } = await cellSql(w, change, i, change.after[i]!, parameters);
    names.push(id(w.columns[i]!.column.name));
    values.push(sql);
    alone ||= blob;
  }
  const override = w.table.columns.some((c) => c.generated === 'identity') ? ' overriding system value' : '';
  const sql =
    names.length === 0
      ? `insert into ${tableId(w.table)} default values`
      : `insert into ${tableId(w.table)} (${names.join(', ')})${override} values (${values.join(', ')})`;
  return { change, sql, parameters, alone };
};

export const updateOf = async (
  w: Work,
  change: Change,
  cells: readonly (readonly [number, Cell])[],
  address: string,
): Promise<Statement> => {
  const parameters: WireParameter[] = [];
  const sets: string[] = [];
  let alone = false;
  for (const [i, cell] of cells) {
    const { sql, blob } = await cellSql(w, change, i, cell, parameters);
    sets.push(`${id(w.columns[i]!.column.name)} = ${sql}`);
    alone ||= blob;
  }
  return {
    change,
    sql: `update ${tableId(w.table)} set ${sets.join(', ')} where rdb$db_key = x'${address}'`,
    parameters,
    alone,
  };
};

export const deleteOf = (w: Work, change: Change, address: string): Statement => ({
  change,
  sql: `delete from ${tableId(w.table)} where rdb$db_key = x'${address}'`,
  parameters: [],
  alone: false,
});
