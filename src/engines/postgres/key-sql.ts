import { canonical } from '../../model/canon/canonical.ts';
import { convert } from '../../model/canon/convert.ts';
import { canonicalDouble } from '../../model/canon/float.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import { encodeUtf8 } from '../../model/canon/utf8.ts';
import { compareCells } from '../../model/order.ts';
import type { Cell, Key, Text } from '../../model/row.ts';
import { keyBefore, keyFrom } from '../sql/keyset.ts';
import { literal } from '../sql/quote.ts';
import type { ColumnSql } from './columns.ts';
import { render } from './render.ts';

const numeric = new Set(['int', 'decimal', 'float']);
const temporal = new Set(['date', 'timestamp', 'instant']);

/** PostgreSQL's text holds neither U+0000 nor bytes that are no UTF-8. */
export const isStorableText = (cell: string): boolean => cell.isWellFormed() && !cell.includes('\0');

const asBytes = (c: ColumnSql): string => `pg_catalog.convert_to(${render(c).sql}, 'UTF8')`;
const exactText = (c: ColumnSql): string => `(${render(c).sql}) collate "C"`;
const byBytes = (c: ColumnSql): string => (c.facts.utf8 ? exactText(c) : asBytes(c));

/** The index of a text column serves our order when the column's own order is by bytes. */
const isPlainText = (c: ColumnSql): boolean => {
  const { stored, as } = c.column;
  if (stored.kind !== 'text' || as.kind !== 'text' || !c.facts.builtin || !c.facts.binaryOrder) return false;
  const { typeName } = c.facts;
  return typeName === 'bpchar' ? as.padded === true : (typeName === 'text' || typeName === 'varchar') && !as.padded;
};

/**
 * What to order by for the order of `model/order.ts`, in a form that an index serves where there is one. Undefined:
 * the server cannot produce that order (JSON, and what only our side can convert).
 */
export const orderSql = (c: ColumnSql): string | undefined => {
  const { stored, as } = c.column;
  if (numeric.has(as.kind)) {
    if (numeric.has(stored.kind)) return c.facts.typeName === 'float4' || c.facts.typeName === 'oid' ? c.raw : c.value;
    return stored.kind === 'bool' ? `${c.value}::pg_catalog.int4` : undefined;
  }
  if (temporal.has(as.kind)) return temporal.has(stored.kind) ? c.raw : undefined;
  if (as.kind === 'bytes') return stored.kind === 'bytes' || stored.kind === 'uuid' ? c.raw : undefined;
  if (as.kind === 'bool' || as.kind === 'time' || as.kind === 'uuid' || as.kind === 'bit')
    return stored.kind === as.kind ? c.raw : undefined;
  if (as.kind === 'json' || stored.kind === 'float') return undefined;
  if (stored.kind === 'uuid') return c.raw; // the order of its bytes is that of its text
  return isPlainText(c) ? c.raw : byBytes(c);
};

const int64 = (cell: string): boolean => /^-?\d{1,19}$/.test(cell) && BigInt.asIntN(64, BigInt(cell)) === BigInt(cell);
const uuidText = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * Floats that are compared as decimals lie where their shortest decimals do: 0.7 as a float4 is less than 0.7 as a
 * number. So a bound is moved to the float next to it.
 */
const compareFloat = (c: ColumnSql, operator: string, cell: Text): string => {
  const { stored, as } = c.column;
  const x = Number(cell);
  const near = canonicalDouble(c.facts.typeName === 'float4' ? Math.fround(x) : x) as Text;
  const side = compareCells(as, convert(near, stored, as), cell);
  const isUpper = operator.startsWith('<');
  const moved = side === 0 ? operator : side > 0 ? (isUpper ? '<' : '>=') : isUpper ? '<=' : '>';
  return `${c.raw} ${moved} ${literal(near)}::pg_catalog.float8`;
};

/** `column operator bound`, in the order of `model/order.ts`. */
const compareSql = (c: ColumnSql, operator: string, cell: Cell): string => {
  const { stored, as } = c.column;
  if (cell === null) return operator === '>' || operator === '>=' ? 'true' : 'false';
  if (isMisfit(cell)) return operator === '<' || operator === '<=' ? 'true' : 'false'; // after all that fits
  if (numeric.has(as.kind)) {
    if (stored.kind === 'int' && int64(cell))
      return `${c.facts.typeName === 'oid' ? c.value : c.raw} ${operator} ${literal(cell)}::pg_catalog.int8`;
    if (stored.kind === 'float') return compareFloat(c, operator, cell);
    return `${stored.kind === 'bool' ? `${c.value}::pg_catalog.int4` : c.value}::pg_catalog.numeric ${operator} ${literal(cell)}::pg_catalog.numeric`;
  }
  if (temporal.has(as.kind)) {
    const bound = as.kind === 'date' ? 'date' : stored.kind === 'instant' ? 'timestamptz' : 'timestamp';
    return `${c.raw} ${operator} ${literal(cell)}::pg_catalog.${bound}`;
  }
  switch (as.kind) {
    case 'bool':
    case 'time':
      return `${c.raw} ${operator} ${literal(cell)}::pg_catalog.${as.kind}`;
    case 'uuid':
      return `${c.raw} ${operator} ${literal(cell)}::pg_catalog.uuid`;
    case 'bytes':
      return `${stored.kind === 'uuid' ? `pg_catalog.uuid_send(${c.raw})` : c.raw} ${operator} pg_catalog.decode(${literal(cell)}, 'hex')`;
    case 'bit':
      return `${c.raw} ${operator} ${literal(cell)}::${c.facts.castTo}`;
  }
  if (!isStorableText(cell) || !c.facts.utf8) {
    const bytes = Buffer.from(encodeUtf8(cell)).toString('hex');
    return `${asBytes(c)} ${operator} pg_catalog.decode('${bytes}', 'hex')`;
  }
  if (stored.kind === 'uuid' && uuidText.test(cell)) return `${c.raw} ${operator} ${literal(cell)}::pg_catalog.uuid`;
  if (isPlainText(c)) return `${c.raw} ${operator} ${literal(cell)}::${c.facts.castTo}`;
  return `${byBytes(c)} ${operator} ${literal(cell)}`;
};

/** `from <= key < to`; undefined: everything. */
export const rangeSql = (
  columns: readonly ColumnSql[],
  from: Key | undefined,
  to: Key | undefined,
): string | undefined => {
  const parts: string[] = [];
  if (from) parts.push(keyFrom(columns.length, (i, op) => compareSql(columns[i]!, op, from[i]!)));
  if (to) parts.push(keyBefore(columns.length, (i, op) => compareSql(columns[i]!, op, to[i]!)));
  return parts.length === 0 ? undefined : parts.join(' and ');
};

const numberText = /^-?\d+(\.\d+)?(e[-+]?\d+)?$|^NaN$|^-?Infinity$/;
const dateText = /^(\d{4,7})-(\d\d-\d\d)( \d\d:\d\d:\d\d(\.\d{1,6})?)?( BC)?$/;
/** The server's days begin on 24 November 4714 BC. */
const withinYears = (cell: string, most: number): boolean => {
  const match = dateText.exec(cell);
  if (match === null) return false;
  const year = Number(match[1]);
  return match[5] ? year < 4714 || (year === 4714 && match[2]! >= '11-24') : year <= most;
};

/** Could the column hold this key cell at all? What it cannot hold has no row, and must not fail a cast. */
export const isPossible = (c: ColumnSql, cell: Text): boolean => {
  if (isMisfit(cell)) return false;
  const { stored, as } = c.column;
  if (stored.kind === 'float') {
    if (as.kind !== 'text' && !numberText.test(cell)) return false;
    // the float next to a decimal, or to a text, may be written otherwise
    const own = convert(cell, as, stored)!;
    return !isMisfit(own) && convert(own, stored, as) === cell;
  }
  // read as text, `007` is not the number 7
  if (as.kind === 'text' && stored.kind !== 'text' && stored.kind !== 'opaque' && stored.kind !== 'json') {
    if (canonical(stored, cell) !== cell) return false;
  }
  switch (stored.kind) {
    case 'bool':
      return ['true', 'false', '0', '1'].includes(cell);
    case 'int':
      return int64(cell);
    case 'decimal':
      return /^-?\d+(\.\d+)?$|^NaN$|^-?Infinity$/.test(cell);
    case 'enum':
      return stored.labels.includes(cell);
    case 'uuid':
      return uuidText.test(cell) || /^[0-9a-f]{32}$/.test(cell);
    case 'bytes':
      return /^([0-9a-f]{2})*$/.test(cell);
    case 'date':
      return cell.endsWith('infinity') || withinYears(cell, c.column.as.kind === 'date' ? 5_874_897 : 294_276);
    case 'timestamp':
    case 'instant':
      return cell.endsWith('infinity') || withinYears(cell, 294_276);
    case 'time':
      return /^\d\d:\d\d:\d\d(\.\d{1,6})?$/.test(cell);
    case 'bit':
      return /^[01]*$/.test(cell);
    default:
      return isStorableText(cell);
  }
};

/** Keys that some row of this side can have, each once. */
export const possibleKeys = (columns: readonly ColumnSql[], keys: readonly Key[]): readonly Key[] => {
  const seen = new Set<string>();
  return keys.filter((key) => {
    if (!columns.every((c, i) => key[i] != null && isPossible(c, key[i]!))) return false;
    const label = JSON.stringify(key);
    if (seen.has(label)) return false;
    seen.add(label);
    return true;
  });
};

/** The column is that key cell, given as the text expression `k`: by its index, and by its exact text. */
export const matchSql = (c: ColumnSql, k: string): string => {
  const { stored, as } = c.column;
  switch (stored.kind) {
    case 'bool':
      return numeric.has(as.kind)
        ? `${c.raw} = ${k}::pg_catalog.int4::pg_catalog.bool`
        : `${c.raw} = ${k}::pg_catalog.bool`;
    case 'int':
      return `${c.facts.typeName === 'oid' ? c.value : c.raw} = ${k}::pg_catalog.int8`;
    case 'decimal':
      return `${c.value} = ${k}::pg_catalog.numeric`;
    case 'float':
      return `${c.raw} = ${k}::pg_catalog.${c.facts.typeName === 'float4' ? 'float4' : 'float8'}`;
    case 'uuid':
      return `${c.raw} = ${k}::pg_catalog.uuid`;
    case 'bytes':
      return `${c.raw} = pg_catalog.decode(${k}, 'hex')`;
    case 'date':
      return as.kind === 'date' ? `${c.raw} = ${k}::pg_catalog.date` : `${c.raw} = ${k}::pg_catalog.timestamp`;
    case 'timestamp':
      return `${c.raw} = ${k}::pg_catalog.timestamp`;
    case 'instant':
      return `${c.raw} = ${k}::pg_catalog.timestamptz`;
    case 'time':
      return `${c.raw} = ${k}::pg_catalog.time`;
    case 'enum':
    case 'bit':
      return `${c.raw} = ${k}::${c.facts.castTo}`;
    case 'json':
      return stored.binary ? `${c.raw} = ${k}::pg_catalog.jsonb` : `${c.raw}::pg_catalog.text = ${k}`;
  }
  const exact = `${exactText(c)} = ${k} collate "C"`;
  if (stored.kind === 'text' && (c.facts.typeName === 'text' || c.facts.typeName === 'varchar')) {
    if (as.kind === 'text' && as.padded) return exact;
    return c.facts.exactEquality ? `${c.raw} = ${k}` : `${c.raw} = ${k} and ${exact}`;
  }
  if (stored.kind === 'text' && (c.facts.typeName === 'name' || c.facts.typeName === 'char')) return exact;
  // citext and bpchar: their own equality is looser than sameness, but it has the index. Others may fail to parse a
  // key of the other side, and are found by their text alone
  return stored.kind === 'text' && as.kind === 'text' ? `${c.raw} = ${k}::${c.facts.castTo} and ${exact}` : exact;
};
