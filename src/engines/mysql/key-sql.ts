import { canonical } from '../../model/canon/canonical.ts';
import { convert } from '../../model/canon/convert.ts';
import { isMisfit, misfitContent } from '../../model/canon/misfit.ts';
import { encodeUtf8 } from '../../model/canon/utf8.ts';
import type { Cell, Key, Text } from '../../model/row.ts';
import { keyBefore, keyFrom } from '../sql/keyset.ts';
import type { ColumnSql } from './columns.ts';
import { hexLiteral, isBits, isHex, isStorableText, literal } from './quote.ts';
import { isOpaqueBytes, isTinyBool } from './types.ts';

const numeric = new Set(['int', 'decimal', 'float']);
const temporal = new Set(['date', 'timestamp', 'instant']);

/** Charsets whose code points come in the order of their bytes, which is that of UTF-8. */
const ordered = new Set(['utf8mb4', 'utf8mb3', 'utf8', 'ascii']);

/** The column's own collation is the order of bytes, blanks at the end counted: its index serves. */
const isBinaryText = (c: ColumnSql): boolean =>
  ordered.has(c.facts.charset ?? '') && /(_nopad_bin|_0900_bin)$/.test(c.facts.collation ?? '');

const asBytes = (c: ColumnSql): string => {
  const { charset, dataType } = c.facts;
  if (dataType === 'uuid' || dataType === 'inet4' || dataType === 'inet6')
    return `cast(cast(${c.raw} as char) as binary)`;
  return charset === 'utf8mb4' && /^(var)?char$|text$/.test(dataType)
    ? `cast(${c.raw} as binary)`
    : `cast(convert(${c.raw} using utf8mb4) as binary)`;
};

/** A uuid that is kept as text, in the order of its canonical form if it is hyphenated as usual; capitals do not matter. */
const uuidBytes = (c: ColumnSql): string => `cast(lower(convert(${c.raw} using utf8mb4)) as binary)`;

/** The digits of a uuid that is kept as text, however it is written. */
const uuidDigits = (c: ColumnSql): string =>
  `replace(replace(replace(lower(convert(${c.raw} using utf8mb4)), '-', ''), '{', ''), '}', '')`;

const isUuidText = (c: ColumnSql): boolean => c.column.as.kind === 'uuid' && c.column.stored.kind === 'text';

/** Booleans in order, then every other number a tinyint(1) can hold, by the bytes of its digits. */
const tinyBool = (raw: string): string =>
  `cast(case ${raw} when 0 then '0' when 1 then '1' else concat('n', ${raw}) end as binary)`;

/**
 * What to order by for the order of `model/order.ts`, in a form that an index serves where there is one. Undefined:
 * the server cannot produce that order (JSON, and what only our side can convert).
 */
export const orderSql = (c: ColumnSql): string | undefined => {
  const { stored, as } = c.column;
  if (numeric.has(as.kind)) return numeric.has(stored.kind) || stored.kind === 'bool' ? c.raw : undefined;
  if (temporal.has(as.kind)) return temporal.has(stored.kind) ? c.raw : undefined;
  switch (as.kind) {
    case 'bool':
      return stored.kind === 'bool' ? (isTinyBool(c.facts) ? tinyBool(c.raw) : c.raw) : undefined;
    case 'bytes':
    case 'bit':
    case 'time':
      return stored.kind === as.kind ? c.raw : undefined;
    case 'uuid':
      return stored.kind === 'uuid' ? asBytes(c) : isUuidText(c) ? uuidBytes(c) : undefined;
    case 'text':
    case 'enum':
      if (stored.kind === 'text' || stored.kind === 'enum') return isBinaryText(c) ? c.raw : asBytes(c);
      return stored.kind === 'uuid' ? asBytes(c) : undefined;
    case 'opaque':
      return isOpaqueBytes(c.facts) ? undefined : asBytes(c);
    default:
      return undefined;
  }
};

/**
 * Values that have no place in the server's order where ours puts them (zero dates first, negative times), or texts
 * that a sort compares only in part: rows are checked to come in order.
 */
export const isDoubtful = (c: ColumnSql): boolean => {
  const { kind } = c.column.as;
  return temporal.has(kind) || ['time', 'text', 'enum', 'opaque'].includes(kind) || isUuidText(c);
};

/** The column's index has the order of keys, without exceptions. */
export const isPlainlyOrdered = (c: ColumnSql): boolean => {
  const { stored, as } = c.column;
  const exact = ['int', 'decimal'];
  const alike = stored.kind === as.kind || (exact.includes(stored.kind) && exact.includes(as.kind));
  return alike && orderSql(c) === c.raw && !isDoubtful(c);
};

const plainNumber = /^-?\d+(\.\d+)?$/;

const plainFloat = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/;

/** What is no number is compared as the text it is. */
const floatLiteral = (cell: string): string =>
  plainFloat.test(cell) ? (cell.includes('e') ? cell : `${cell}e0`) : literal(cell);

const isPlainMoment = (cell: string): boolean => /^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{1,6})?)?$/.test(cell);

const timeLiteral = (cell: string): string => (/^[-0-9:.]+$/.test(cell) ? `time'${cell}'` : literal(cell));

const everything = (operator: string, isLess: boolean): string =>
  isLess === operator.startsWith('<') ? 'true' : 'false';

/** `column operator bound`, in the order of `model/order.ts`. */
export const compareSql = (c: ColumnSql, operator: string, cell: Cell): string => {
  const { stored, as } = c.column;
  if (cell === null) return everything(operator, false);
  if (as.kind === 'bool' && isTinyBool(c.facts)) {
    const rank = isMisfit(cell) ? `n${misfitContent(cell).content}` : cell === 'true' ? '1' : '0';
    return `${tinyBool(c.raw)} ${operator} ${hexLiteral(Buffer.from(rank))}`;
  }
  if (isMisfit(cell)) return everything(operator, true); // after all that fits
  if (numeric.has(as.kind)) {
    if (cell.endsWith('N') || cell.endsWith('y')) return everything(operator, !cell.startsWith('-'));
    if (stored.kind === 'float') return `${c.raw} + 0e0 ${operator} ${floatLiteral(cell)}`;
    return `${c.raw} ${operator} ${plainNumber.test(cell) ? cell : literal(cell)}`;
  }
  if (temporal.has(as.kind)) {
    if (!isPlainMoment(cell)) return everything(operator, !(cell.endsWith(' BC') || cell.startsWith('-')));
    return `${c.raw} ${operator} ${as.kind === 'date' ? 'date' : 'timestamp'}'${cell}'`;
  }
  switch (as.kind) {
    case 'bool':
      return `${c.raw} ${operator} ${cell === 'true' ? 1 : 0}`;
    case 'time':
      return `${c.raw} ${operator} ${timeLiteral(cell)}`;
    case 'bytes':
      return `${c.raw} ${operator} ${isHex(cell) ? `x'${cell}'` : literal(cell)}`;
    case 'bit':
      return `${c.raw} ${operator} ${isBits(cell) ? `b'${cell}'` : literal(cell)}`;
  }
  if (isUuidText(c)) return `${uuidBytes(c)} ${operator} ${hexLiteral(encodeUtf8(cell))}`;
  if (isBinaryText(c) && stored.kind === 'text' && isStorableText(cell)) return `${c.raw} ${operator} ${literal(cell)}`;
  return `${asBytes(c)} ${operator} ${hexLiteral(encodeUtf8(cell))}`;
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
  return parts.length === 0 ? undefined : parts.map((p) => `(${p})`).join(' and ');
};

/** The key cell as the column's own value; undefined: the column cannot hold it. */
const ownCell = (c: ColumnSql, cell: Text): Text | undefined => {
  const { stored, as } = c.column;
  if (isMisfit(cell)) return cell;
  if (isTinyBool(c.facts) && numeric.has(as.kind)) return cell;
  const own = convert(cell, as, stored) as Text;
  return !isMisfit(own) && convert(own, stored, as) === cell ? own : undefined;
};

/** Texts of another charset than the literal's are compared as utf8mb4: a character it lacks is then no error. */
const comparedText = (c: ColumnSql): string =>
  c.facts.charset === 'utf8mb4' ? c.raw : `convert(${c.raw} using utf8mb4) collate utf8mb4_bin`;

/** One key cell as a condition that its row meets, and perhaps others; undefined: no row can have it. */
const equalSql = (c: ColumnSql, cell: Cell): string | undefined => {
  if (cell === null) return undefined;
  const { stored } = c.column;
  if (isUuidText(c)) {
    // what is no uuid is the text that it is
    return isMisfit(cell)
      ? `${comparedText(c)} = ${literal(misfitContent(cell).content)}`
      : `${uuidDigits(c)} = ${literal(cell.replaceAll('-', ''))}`;
  }
  const own = ownCell(c, cell);
  if (own === undefined) return undefined;
  if (isMisfit(own)) {
    const { stored: what, content } = misfitContent(own);
    if (what === 'n' && isTinyBool(c.facts)) return /^-?\d+$/.test(content) ? `${c.raw} = ${content}` : undefined;
    return what === 't' && (temporal.has(stored.kind) || stored.kind === 'time')
      ? `cast(${c.raw} as char) like ${literal(`${content.replaceAll(/[\\%_]/g, '')}%`)}`
      : undefined;
  }
  switch (stored.kind) {
    case 'int':
    case 'decimal':
      return plainNumber.test(own) ? `${c.raw} = ${own}` : undefined;
    case 'float':
      return Number.isFinite(Number(own)) ? `${c.raw} + 0e0 = ${floatLiteral(own)}` : undefined;
    case 'bool':
      return `${c.raw} = ${own === 'true' ? 1 : own === 'false' ? 0 : plainNumber.test(own) ? own : 'null'}`;
    case 'date':
      return isPlainMoment(own) ? `${c.raw} = date'${own}'` : undefined;
    case 'timestamp':
    case 'instant':
      return isPlainMoment(own) ? `${c.raw} = timestamp'${own}'` : undefined;
    case 'time':
      return `${c.raw} = ${timeLiteral(own)}`;
    case 'bytes':
      return isHex(own) ? `${c.raw} = x'${own}'` : undefined;
    case 'bit':
      return isBits(own) ? `${c.raw} = b'${own}'` : undefined;
    case 'uuid':
      return isStorableText(own) ? `${c.raw} = ${literal(own)}` : undefined;
    case 'opaque':
      return isOpaqueBytes(c.facts) || !isStorableText(own) ? undefined : `${c.raw} = ${literal(own)}`;
    case 'text':
    case 'enum':
      return isStorableText(own) ? `${comparedText(c)} = ${literal(own)}` : undefined;
    default:
      return undefined;
  }
};

/** Can a key cell be turned into a condition on the column, or must every row be looked at? */
const isDirect = (c: ColumnSql): boolean => {
  const { stored, as } = c.column;
  if (stored.kind === 'json' || as.kind === 'json' || isOpaqueBytes(c.facts)) return false;
  if (stored.kind === as.kind || isUuidText(c)) return true;
  if (numeric.has(as.kind)) return numeric.has(stored.kind) || stored.kind === 'bool';
  if (temporal.has(as.kind)) return temporal.has(stored.kind);
  // the same value may be spelled in several ways in a text
  return as.kind === 'text' && stored.kind !== 'text';
};

export const areDirect = (columns: readonly ColumnSql[]): boolean => columns.every(isDirect);

/** A condition that the rows of this key meet, and perhaps others; undefined: the columns cannot hold it. */
export const keyCondition = (columns: readonly ColumnSql[], key: Key): string | undefined => {
  const parts: string[] = [];
  for (const [i, c] of columns.entries()) {
    const part = equalSql(c, key[i]!);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return parts.length === 1 ? parts[0] : `(${parts.join(' and ')})`;
};

/** The one row of this key: where the column's equality is looser than sameness, its bytes are compared, too. */
export const exactCondition = (columns: readonly ColumnSql[], key: Key): string | undefined => {
  const loose = keyCondition(columns, key);
  if (loose === undefined) return undefined;
  const exact = columns.flatMap((c, i) => {
    const cell = key[i]!;
    const { stored, as } = c.column;
    if (stored.kind !== 'text' && stored.kind !== 'enum') return [];
    if (isBinaryText(c) || as.kind !== stored.kind || cell === null) return [];
    return [`${asBytes(c)} = ${hexLiteral(encodeUtf8(canonical(stored, cell)))}`];
  });
  return [loose, ...exact].join(' and ');
};
