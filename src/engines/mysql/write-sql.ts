import { isMisfit, misfitContent } from '../../model/canon/misfit.ts';
import type { Change } from '../../model/change.ts';
import type { Cell } from '../../model/row.ts';
import type { Table } from '../../model/schema.ts';
import type { ColumnSql } from './columns.ts';
import { exactCondition } from './key-sql.ts';
import { id, isBits, isHex, isStorableText, literal, tableId } from './quote.ts';
import { isOpaqueBytes, isTinyBool } from './types.ts';

const plainInteger = /^-?\d+$/;
const plainNumber = /^-?\d+(\.\d+)?$/;
const plainFloat = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/;
const moment = /^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{1,6})?)?$/;

const isMoment = (kind: string): boolean => kind === 'date' || kind === 'timestamp' || kind === 'instant';

/** A misfit as the server would take it; undefined: it does not. Digits and their signs only, as a literal in quotes. */
export const misfitText = (c: ColumnSql, cell: Cell): string | undefined => {
  const { stored: what, content } = misfitContent(cell!);
  const { kind } = c.column.stored;
  if (isTinyBool(c.facts)) return /^-?\d+$/.test(content) ? content : undefined;
  // zero dates and the like were stored before: they can be stored again
  return what === 't' && (isMoment(kind) || kind === 'time') && /^[-0-9:. ]+$/.test(content) ? content : undefined;
};

const misfitLiteral = (c: ColumnSql, cell: Cell): string | undefined => {
  const text = misfitText(c, cell);
  return text === undefined || isTinyBool(c.facts) ? text : literal(text);
};

/** A cell of a column as a literal; undefined: no column of this type can hold it. */
export const cellLiteral = (c: ColumnSql, cell: Cell): string | undefined => {
  if (cell === null) return 'null';
  if (isMisfit(cell)) return misfitLiteral(c, cell);
  const { stored } = c.column;
  switch (stored.kind) {
    case 'int':
      return plainInteger.test(cell) ? cell : undefined;
    case 'decimal':
      return plainNumber.test(cell) ? cell : undefined;
    case 'float':
      return plainFloat.test(cell) ? (cell.includes('e') ? cell : `${cell}e0`) : undefined;
    case 'bool':
      return cell === 'true' ? '1' : '0';
    case 'bytes':
      return isHex(cell) ? `x'${cell}'` : undefined;
    case 'bit':
      return isBits(cell) ? `b'${cell}'` : undefined;
    case 'date':
    case 'timestamp':
    case 'instant':
      return moment.test(cell) ? `'${cell}'` : undefined;
    case 'opaque':
      if (isOpaqueBytes(c.facts)) return isHex(cell) ? `x'${cell}'` : undefined;
      break;
  }
  return isStorableText(cell) ? literal(cell) : undefined;
};

/** What a batch's statements are made of. */
export interface WrittenTable {
  readonly table: Table;
  readonly columns: readonly ColumnSql[];
  readonly width: number;
}

/** Indexes that a change writes, without what the database computes. */
export const writtenColumns = (w: WrittenTable, change: Change): readonly number[] =>
  change.op === 'delete' ? [] : change.columns.filter((i) => !w.columns[i]!.facts.generated);

/** Key columns and their values in the row's own words. */
const at = (w: WrittenTable, change: Change): string =>
  exactCondition(w.columns.slice(0, w.width), change.key) ?? 'false';

/** Inserts of rows that name the same columns. */
export const insertSql = (w: WrittenTable, changes: readonly Change[]): string => {
  const columns = writtenColumns(w, changes[0]!);
  const names = columns.map((i) => id(w.columns[i]!.column.name)).join(', ');
  return `insert into ${tableId(w.table)} (${names}) values ${changes.map((c) => rowLiteral(w, c)).join(', ')}`;
};

/** The row's cells, in parentheses; they can be stored (`cellLiteral`). */
export const rowLiteral = (w: WrittenTable, change: Change): string =>
  `(${writtenColumns(w, change)
    .map((i) => cellLiteral(w.columns[i]!, change.after![i] ?? null)!)
    .join(', ')})`;

/**
 * Sets one row's columns; undefined: there is nothing to set. Columns that would set themselves to the time of the
 * update keep what they hold.
 */
export const updateSql = (w: WrittenTable, change: Change): string | undefined => {
  const columns = writtenColumns(w, change);
  if (columns.length === 0) return undefined;
  const set = columns.map((i) => {
    const c = w.columns[i]!;
    return `${c.raw} = ${cellLiteral(c, change.after![i] ?? null)}`;
  });
  const kept = w.columns.filter((c, i) => /on update/i.test(c.facts.extra) && !columns.includes(i));
  return setSql(w, change, [...set, ...kept.map((c) => `${c.raw} = ${c.raw}`)]);
};

const setSql = (w: WrittenTable, change: Change, set: readonly string[]): string =>
  `update ${tableId(w.table)} as t set ${set.join(', ')} where ${at(w, change)}`;

export const deleteSql = (w: WrittenTable, change: Change): string =>
  `delete t from ${tableId(w.table)} as t where ${at(w, change)}`;

/** Places of the nullable columns, apart from the key, by which a table refers to itself. */
const selfReferring = (w: WrittenTable): readonly number[] => {
  const own = new Set(
    w.table.foreignKeys
      .filter((k) => k.references.name === w.table.name && (k.references.schema ?? w.table.schema) === w.table.schema)
      .flatMap((k) => k.columns),
  );
  return w.columns.flatMap((c, i) =>
    i >= w.width && own.has(c.column.name) && c.facts.nullable && !c.facts.generated ? [i] : [],
  );
};

/**
 * Lets go of what a row that is about to be deleted refers to in its own table: foreign keys are checked row by row,
 * so that neither a row that refers to itself nor a ring of rows could be deleted. Undefined: it refers to none.
 */
export const unlinkSql = (w: WrittenTable, change: Change): string | undefined => {
  const linked = selfReferring(w).filter((i) => change.before?.[i] != null);
  const kept = w.columns.filter((c) => /on update/i.test(c.facts.extra));
  if (linked.length === 0) return undefined;
  return setSql(w, change, [
    ...linked.map((i) => `${w.columns[i]!.raw} = null`),
    ...kept.map((c) => `${c.raw} = ${c.raw}`),
  ]);
};

/**
 * The same for new rows that refer to each other in a ring: the insert without these references, and the update that
 * sets them once all rows are there. Undefined: it refers to none.
 */
export const linkLaterSql = (
  w: WrittenTable,
  change: Change,
): { readonly insert: string; readonly update: string } | undefined => {
  if (change.op !== 'insert') return undefined;
  const columns = selfReferring(w).filter((i) => change.columns.includes(i) && change.after[i] != null);
  if (columns.length === 0) return undefined;
  const before = change.after.map((cell, i) => (columns.includes(i) ? null : cell));
  const update = updateSql(w, { key: change.key, op: 'update', before, after: change.after, columns });
  return update === undefined ? undefined : { insert: insertSql(w, [{ ...change, after: before }]), update };
};

const hex = '0123456789abcdef';

/** A value that no row has, for the time between two updates; undefined: none can be made up. */
const spareLiteral = (c: ColumnSql, random: () => number): string | undefined => {
  if (c.facts.nullable) return 'null';
  const digits = (n: number): string => Array.from({ length: n }, () => hex[Math.floor(random() * 16)]!).join('');
  const { stored } = c.column;
  const below = Math.floor(random() * 2 ** 30);
  switch (stored.kind) {
    case 'int':
    case 'decimal': {
      const unsigned = /unsigned/.test(c.facts.native);
      if (stored.kind === 'int' && stored.bits < 32) return undefined;
      return unsigned ? String(2 ** 31 + below) : String(-(2 ** 30) - below);
    }
    case 'text':
      return literal(`lockstep ${digits(24)}`.slice(-Math.min(33, stored.maxLength ?? 33)));
    case 'bytes':
      return `x'${digits(16)}'`;
    case 'uuid':
      return `'${digits(8)}-${digits(4)}-4${digits(3)}-8${digits(3)}-${digits(12)}'`;
    default:
      return undefined;
  }
};

/**
 * Moves the unique columns that an update sets out of the way, so that rows can then exchange their values: unique
 * keys are checked row by row. Undefined: nothing unique is written, or nothing can be parked.
 */
export const parkSql = (w: WrittenTable, change: Change, random: () => number): string | undefined => {
  const unique = new Set(w.table.uniques.flatMap((u) => u.columns));
  const parked = writtenColumns(w, change).filter((i) => i >= w.width && unique.has(w.columns[i]!.column.name));
  if (parked.length === 0) return undefined;
  const set: string[] = [];
  for (const i of parked) {
    const value = spareLiteral(w.columns[i]!, random);
    if (value === undefined) return undefined;
    set.push(`${w.columns[i]!.raw} = ${value}`);
  }
  const kept = w.columns.filter((c, i) => /on update/i.test(c.facts.extra) && !parked.includes(i));
  return setSql(w, change, [...set, ...kept.map((c) => `${c.raw} = ${c.raw}`)]);
};
