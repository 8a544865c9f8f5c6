import { bytesFromHex, hexFromBytes } from '../../model/canon/bytes.ts';
import { canonical, readText } from '../../model/canon/canonical.ts';
import { decimalText } from '../../model/canon/decimal.ts';
import { isMisfit, misfit, misfitContent } from '../../model/canon/misfit.ts';
import type { Cell, Text } from '../../model/row.ts';
import { isNumber, type Json, jsonNumber, jsonOf, parseJson } from './json.ts';
import type { HttpColumn } from './resource.ts';

/** A value that its column cannot read: texts and numbers as such, everything else as the bytes of its JSON. */
const odd = (value: Exclude<Json, null>): Text =>
  typeof value === 'string' && value.isWellFormed()
    ? misfit('t', value)
    : isNumber(value)
      ? misfit('n', value.rawJSON)
      : misfit('b', hexFromBytes(Buffer.from(jsonOf(value), 'utf8')));

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Milliseconds that a Date can hold, with the digits below them. */
const momentOf = (digits: string, perSecond: 1 | 1000): string | undefined => {
  const plain = decimalText(digits);
  const parts = plain === undefined ? null : /^(-?)(\d+)(?:\.(\d+))?$/.exec(plain);
  if (parts === null) return undefined;
  const micros = perSecond === 1 ? 6 : 3;
  const [, sign, whole, fraction = ''] = parts;
  if (fraction.length > micros) return undefined;
  let total = BigInt(whole! + fraction.padEnd(micros, '0'));
  if (sign === '-') total = -total;
  const seconds = (total - (((total % 1_000_000n) + 1_000_000n) % 1_000_000n)) / 1_000_000n;
  if (seconds > 253_402_300_799n || seconds < -62_135_596_800n) return undefined;
  const rest = String(total - seconds * 1_000_000n).padStart(6, '0');
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${rest}Z`;
};

const epochOf = (cell: Text, perSecond: 1 | 1000): string | undefined => {
  const parts = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?$/.exec(cell);
  if (parts === null) return undefined;
  const seconds = BigInt(Date.parse(`${parts[1]}T${parts[2]}Z`) / 1000);
  const micros = seconds * 1_000_000n + BigInt((parts[3] ?? '').padEnd(6, '0'));
  const unit = perSecond === 1 ? 1_000_000n : 1000n;
  const digits = perSecond === 1 ? 6 : 3;
  const size = micros < 0n ? -micros : micros;
  const fraction = String(size % unit)
    .padStart(digits, '0')
    .replace(/0+$/, '');
  return `${micros < 0n ? '-' : ''}${size / unit}${fraction === '' ? '' : `.${fraction}`}`;
};

const read = (column: HttpColumn, value: Exclude<Json, null>): Text | undefined => {
  const { type, spelling } = column;
  if (typeof value === 'string') {
    // Half of a surrogate pair is how JSON can write what no text is.
    if (!value.isWellFormed()) return undefined;
    if (spelling === 'base64')
      return base64.test(value) ? (hexFromBytes(Buffer.from(value, 'base64')) as Text) : undefined;
    if (spelling === 'hex') return /^([0-9a-f]{2})*$/i.test(value) ? (value.toLowerCase() as Text) : undefined;
    if (spelling === 'epoch_seconds' || spelling === 'epoch_millis') return undefined;
    if (type.kind === 'json') return readText(type, JSON.stringify(value)) as Text | undefined;
    return readText(type, value) as Text | undefined;
  }
  if (type.kind === 'json') return readText(type, jsonOf(value)) as Text | undefined;
  if (typeof value === 'boolean')
    return type.kind === 'bool' || type.kind === 'text' ? (String(value) as Text) : undefined;
  if (!isNumber(value)) return undefined;
  const digits = value.rawJSON;
  if (spelling === 'epoch_seconds' || spelling === 'epoch_millis') {
    const moment = momentOf(digits, spelling === 'epoch_seconds' ? 1 : 1000);
    return moment === undefined ? undefined : (readText(type, moment) as Text | undefined);
  }
  const numeric = type.kind === 'int' || type.kind === 'decimal' || type.kind === 'float' || type.kind === 'bool';
  return numeric || type.kind === 'text' ? (readText(type, digits) as Text | undefined) : undefined;
};

/** The cell of a field: canonical text of the column's type, NULL where the field is null or absent, else a misfit. */
export const cellOf = (column: HttpColumn, value: Json | undefined): Cell =>
  value === undefined || value === null ? null : (read(column, value) ?? odd(value));

/** The cell with its spelling (see `model/canon/spelling.ts`): JSON and numbers as they were sent. */
export const exactCellOf = (column: HttpColumn, value: Json | undefined): Cell => {
  const cell = cellOf(column, value);
  if (cell === null || isMisfit(cell) || value === null || value === undefined) return cell;
  if (column.type.kind === 'json') {
    const text = jsonOf(value) as Text;
    return text.isWellFormed() ? text : cell;
  }
  return column.type.kind === 'decimal' && isNumber(value) ? (value.rawJSON as Text) : cell;
};

/** What a column's cell is in JSON. `like`: the value that stands there now, whose way of writing numbers is kept. */
export const sentValue = (
  column: HttpColumn,
  cell: Cell,
  like: Json | undefined,
): { readonly value: Json } | { readonly refused: string } => {
  if (cell === null) return { value: null };
  const { type, spelling } = column;
  const no = (why: string) => ({ refused: `${column.name}: ${why}` });
  if (isMisfit(cell)) {
    const { stored, content } = misfitContent(cell);
    if (stored === 't') return { value: content };
    if (stored === 'n') return { value: jsonNumber(content) };
    try {
      return { value: parseJson(Buffer.from(bytesFromHex(content)).toString('utf8')) };
    } catch {
      return no('a value that is no JSON cannot be sent');
    }
  }
  if (!cell.isWellFormed()) return no('it holds bytes that are not valid UTF-8, which JSON cannot say');
  if (spelling === 'hex') return { value: cell };
  if (spelling === 'base64') return { value: Buffer.from(cell, 'hex').toString('base64') };
  if (spelling !== undefined) {
    const digits = epochOf(cell, spelling === 'epoch_seconds' ? 1 : 1000);
    return digits === undefined ? no('it is no moment that a number can say') : { value: jsonNumber(digits) };
  }
  switch (type.kind) {
    case 'int':
    case 'decimal':
    case 'float': {
      if (!/^-?\d/.test(cell) || /y$/.test(cell)) return no(`JSON has no number ${cell}`);
      const asText = like === undefined || like === null ? column.asText : typeof like === 'string';
      return { value: asText ? cell : jsonNumber(cell) };
    }
    case 'bool': {
      if (isNumber(like)) return { value: jsonNumber(cell === 'true' ? '1' : '0') };
      return { value: typeof like === 'string' ? cell : cell === 'true' };
    }
    case 'json':
      return { value: parseJson(cell) };
    case 'timestamp':
      return { value: / BC$|infinity/.test(cell) ? cell : cell.replace(' ', 'T') };
    case 'instant':
      return { value: / BC$|infinity/.test(cell) ? cell : `${cell.replace(' ', 'T')}Z` };
    default:
      return { value: canonical(type, cell) };
  }
};
