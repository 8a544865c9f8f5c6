import { canonical } from '../../model/canon/canonical.ts';
import { convert } from '../../model/canon/convert.ts';
import type { Text } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';
import type { ColumnSql } from './columns.ts';
import { remembering } from './remember.ts';

/** A column as text: what the server is asked for, and what is still to be done with its answer. */
export interface Rendered {
  readonly sql: string;
  /** Absent: the server's text is the canonical text. */
  readonly decode?: (text: string) => Text;
}

const bits = new DataView(new ArrayBuffer(8));

/** Sixteen hex digits of a binary64, as `float8send` gives them, to the shortest decimal. */
export const decodeFloat = (hex: string): Text => {
  bits.setUint32(0, Number.parseInt(hex.slice(0, 8), 16));
  bits.setUint32(4, Number.parseInt(hex.slice(8), 16));
  const x = bits.getFloat64(0);
  return (x === 0 ? '0' : String(x)) as Text;
};

/** `2024-02-29` to `2024-02-29 00:00:00`, the era kept at the end. */
const midnight = (date: string): Text => {
  if (date.endsWith('infinity')) return date as Text;
  return (date.endsWith(' BC') ? `${date.slice(0, -3)} 00:00:00 BC` : `${date} 00:00:00`) as Text;
};

const floatHex = (value: string): string =>
  `case when ${value} = 'NaN' then '7ff8000000000000' else pg_catalog.encode(pg_catalog.float8send(${value} + 0), 'hex') end`;

const decodeJson = remembering((text) => canonical({ kind: 'json', binary: false }, text));
const decodeJsonb = remembering((text) => canonical({ kind: 'json', binary: true }, text));

/** The canonical text of the column in its own type. */
const native = (stored: ColumnType, value: string): Rendered => {
  switch (stored.kind) {
    case 'decimal':
      return { sql: `pg_catalog.trim_scale(${value})::pg_catalog.text` };
    case 'float':
      return { sql: floatHex(value), decode: decodeFloat };
    case 'bytes':
      return { sql: `pg_catalog.encode(${value}, 'hex')` };
    case 'instant':
      return { sql: `(${value} at time zone 'UTC')::pg_catalog.text` };
    case 'json':
      return { sql: `${value}::pg_catalog.text`, decode: stored.binary ? decodeJsonb : decodeJson };
    default:
      return { sql: `${value}::pg_catalog.text` };
  }
};

const printedAlike = new Set([
  'int',
  'decimal',
  'text',
  'uuid',
  'date',
  'time',
  'timestamp',
  'instant',
  'enum',
  'json',
]);
const cast = '::pg_catalog.text';

/** A rendering for COPY, which prints these types as a cast to text would, without making the text first. */
export const copied = ({ sql }: Rendered, { column }: ColumnSql): string =>
  printedAlike.has(column.stored.kind) && sql.endsWith(cast) ? sql.slice(0, -cast.length) : sql;

const isMoment = (t: ColumnType): boolean => t.kind === 'timestamp' || t.kind === 'instant';

const zeroAtEnd = /\.\d*0(?!\d)/;

/** jsonb without the blanks that the server adds, where it keeps a number otherwise than canonical: `{"a":1.0}`. */
const spelledJson = (stored: ColumnType, text: string): Text => {
  if (!zeroAtEnd.test(text)) return canonical(stored, text);
  let compact = '';
  let bare = '';
  for (let at = 0; at < text.length; ) {
    let to = at + 1;
    if (text[at] === '"') {
      while (text[to] !== '"') to += text[to] === '\\' ? 2 : 1;
      to++;
    } else {
      while (to < text.length && text[to] !== '"') to++;
      bare += text.slice(at, to);
    }
    compact += text[at] === '"' ? text.slice(at, to) : text.slice(at, to).replaceAll(' ', '');
    at = to;
  }
  return zeroAtEnd.test(bare) ? (compact as Text) : canonical(stored, text);
};

/** The value as it is written there: the scale of numbers and the blanks of JSON kept. */
const spelled = (stored: ColumnType, value: string): Rendered | undefined => {
  if (stored.kind !== 'decimal' && stored.kind !== 'json') return undefined;
  const sql = `${value}::pg_catalog.text`;
  return stored.kind === 'json' && stored.binary ? { sql, decode: (text) => spelledJson(stored, text) } : { sql };
};

/** Renders a column as the type asked for, in SQL as far as that is exact and on our side otherwise. */
export const render = (c: ColumnSql): Rendered => {
  const { stored, as } = c.column;
  const own = (c.column.exact && spelled(stored, c.value)) || native(stored, c.value);
  // a float as anything else is the shortest decimal of its own width
  if (stored.kind === 'float' && as.kind !== 'float')
    return { sql: own.sql, decode: (hex) => convert(decodeFloat(hex), stored, as) as Text };
  if (as.kind === 'text') {
    if (stored.kind === 'json') return { sql: own.sql };
    return as.padded && !(stored.kind === 'text' && stored.padded)
      ? { ...own, sql: `pg_catalog.rtrim(${own.sql}, ' ')` }
      : own;
  }
  if (as.kind === stored.kind || as.kind === 'opaque') return own;
  if (isMoment(as) && isMoment(stored)) return own;
  if (isMoment(as) && stored.kind === 'date') return { sql: own.sql, decode: midnight };
  if (as.kind === 'decimal' && stored.kind === 'int') return own;
  if ((as.kind === 'int' || as.kind === 'decimal') && stored.kind === 'bool')
    return { sql: `${c.value}::pg_catalog.int4::pg_catalog.text` };
  if (as.kind === 'bytes' && stored.kind === 'uuid')
    return { sql: `pg_catalog.encode(pg_catalog.uuid_send(${c.value}), 'hex')` };
  const first = own.decode;
  return { sql: own.sql, decode: first ? (text) => canonical(as, first(text)) : (text) => canonical(as, text) };
};
