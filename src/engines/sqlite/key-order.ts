import { isMisfit } from '../../model/canon/misfit.ts';
import type { Cell, Key } from '../../model/row.ts';
import type { SelectedColumn, Selection } from '../../model/selected.ts';
import { id } from '../sql/quote.ts';
import type { CatalogueTable } from './catalogue.ts';
import { cellOf, encodeText } from './cells.ts';
import type { Bind, Database, Value } from './database.ts';

/**
 * What SQLite's own order and equality are worth for a key. `plain`: every stored key value is the one plain form of
 * its canonical text, and SQLite's order (binary collation) is the order of `model/order.ts`. Then ranges, look-ups
 * and the order are SQLite's business and use its indexes; otherwise they are computed from canonical text.
 */
export interface KeyOrder {
  readonly plain: boolean;
  /** The key columns lead an index, or are the rowid: looking up a key is cheap. */
  readonly indexed: boolean;
  /** Each key column as it is written in SQL to be compared or ordered. */
  readonly expressions: readonly string[];
}

const year = '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]';
const clock = '[0-9][0-9]:[0-9][0-9]:[0-9][0-9]';
const hex = (n: number): string => '[0-9a-f]'.repeat(n);
const uuid = [8, 4, 4, 4, 12].map(hex).join('-');

/**
 * A condition on a column that holds for values whose order and equality in SQLite are those of their canonical
 * text; undefined when there is no such condition. Texts compare as UTF-8 only in a UTF-8 database.
 */
export const plainCondition = (column: SelectedColumn, utf8: boolean): string | undefined => {
  const c = id(column.name);
  const text = `typeof(${c}) = 'text'`;
  const { as, stored } = column;
  switch (as.kind) {
    case 'int':
      return `typeof(${c}) = 'integer'`;
    case 'decimal':
      // Beyond 2^53 the shortest decimal of a real may lie on the other side of an integer than the real itself.
      return `(typeof(${c}) = 'integer' or (typeof(${c}) = 'real' and abs(${c}) < 9e15))`;
    case 'float':
      return as.bits === 64 ? `typeof(${c}) = 'real'` : undefined;
    case 'bool':
      return `(typeof(${c}) = 'integer' and ${c} in (0, 1))`;
    case 'bytes':
      return `typeof(${c}) = 'blob'`;
    case 'text':
    case 'enum':
    case 'opaque': {
      if (!utf8) return undefined;
      const padded = (as.kind === 'text' && as.padded) || (stored.kind === 'text' && stored.padded);
      if (stored.kind !== 'text' && stored.kind !== 'opaque') return undefined;
      return padded ? `(${text} and substr(${c}, -1) is not ' ')` : text;
    }
    case 'uuid':
      return utf8 ? `(${text} and ${c} glob '${uuid}')` : undefined;
    case 'date':
      return utf8 ? `(${text} and ${c} glob '${year}' and ${c} > '0001-' and ${isDay(c)})` : undefined;
    case 'timestamp':
      return utf8
        ? `(${text} and substr(${c}, 1, 19) glob '${year} ${clock}' and ${c} > '0001-' and ${isDay(c)}
           and substr(${c}, 12, 8) < '24' and substr(${c}, 15, 2) < '60' and substr(${c}, 18, 2) < '60'
           and (length(${c}) = 19 or (length(${c}) between 21 and 26 and substr(${c}, 20, 1) = '.'
           and substr(${c}, 21) not glob '*[^0-9]*' and substr(${c}, -1) <> '0')))`
        : undefined;
    default:
      return undefined;
  }
};

/** A date of the calendar is what SQLite's own date functions give back unchanged. */
const isDay = (c: string): string => `date(substr(${c}, 1, 10), '+0 days') = substr(${c}, 1, 10)`;

/** True of columns whose plain condition the table itself guarantees. */
export const isGuaranteed = (column: SelectedColumn, table: CatalogueTable): boolean => {
  if (column.name === table.rowidAlias) return column.as.kind === 'int' || column.as.kind === 'decimal';
  if (!table.strict) return false;
  return (
    (column.as.kind === 'int' && column.stored.kind === 'int') ||
    (column.as.kind === 'text' && column.stored.kind === 'text' && !column.stored.padded && !column.as.padded)
  );
};

/** Judges a keyed selection's order; looks through the key's column once where the table does not guarantee it. */
export const keyOrder = (db: Database, selection: Selection, table: CatalogueTable): KeyOrder => {
  const key = selection.columns.slice(0, selection.keyWidth);
  const names = key.map((c) => c.name);
  const indexed =
    (names.length === 1 && names[0] === table.rowidAlias) ||
    table.table.indexes.some((index) => {
      const leading = index.slice(0, names.length);
      return leading.length === names.length && leading.every((name) => names.includes(name));
    });
  const expressions = names.map((name) => `${id(name)} collate binary`);
  const conditions = key.map((c) => plainCondition(c, db.encoding === 'UTF-8'));
  if (key.length === 0 || conditions.includes(undefined)) return { plain: false, indexed, expressions };
  const open = conditions.filter((_, i) => !isGuaranteed(key[i]!, table));
  if (open.length === 0) return { plain: true, indexed, expressions };
  const odd = db.get(`select exists(select 1 from ${id(selection.table.name)} where not (${open.join(' and ')}))`)![0];
  return { plain: odd === 0n, indexed, expressions };
};

/** A whole number that SQLite keeps as one: of 64 bits. */
const integer = (cell: string): bigint | undefined => {
  if (!/^-?\d{1,19}$/.test(cell)) return undefined;
  const whole = BigInt(cell);
  return BigInt.asIntN(64, whole) === whole ? whole : undefined;
};

/** A key cell as the value that a plain column stores for it: SQL and value. Undefined when no stored value is it. */
export const keyBind = (
  column: SelectedColumn,
  cell: Cell,
  db: Database,
): { readonly sql: string; readonly value: Bind } | undefined => {
  if (cell === null || isMisfit(cell)) return undefined;
  const { as } = column;
  let value: Bind;
  switch (as.kind) {
    case 'int': {
      const whole = integer(cell);
      if (whole === undefined) return undefined;
      value = whole;
      break;
    }
    case 'decimal':
      value = integer(cell) ?? Number(cell);
      break;
    case 'float':
      value = Number(cell);
      break;
    case 'bool':
      value = cell === 'true' ? 1n : 0n;
      break;
    case 'bytes':
      value = Buffer.from(cell, 'hex');
      break;
    default: {
      if (cell.isWellFormed()) {
        value = cell;
        break;
      }
      const bytes = encodeText(cell, db.encoding);
      return bytes === undefined ? undefined : { sql: 'cast(? as text)', value: bytes };
    }
  }
  return cellOf(column, value as Value) === cell ? { sql: '?', value } : undefined;
};

/** All cells of a key bound, or undefined when one of them cannot be stored. */
export const keyBinds = (
  selection: Selection,
  key: Key,
  db: Database,
): readonly { readonly sql: string; readonly value: Bind }[] | undefined => {
  const binds = key.slice(0, selection.keyWidth).map((cell, i) => keyBind(selection.columns[i]!, cell, db));
  return binds.includes(undefined) ? undefined : (binds as { sql: string; value: Bind }[]);
};
