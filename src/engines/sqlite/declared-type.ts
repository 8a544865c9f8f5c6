import type { ColumnType } from '../../model/schema.ts';

/** SQLite's column affinity (sqlite.org/datatype3.html, 3.1). */
export type Affinity = 'INTEGER' | 'TEXT' | 'BLOB' | 'REAL' | 'NUMERIC';

/** The affinity that SQLite gives a declared type, by its own rules in their order. */
export const affinityOf = (declared: string, strict: boolean): Affinity => {
  const type = declared.toUpperCase();
  if (strict && type === 'ANY') return 'BLOB';
  if (type.includes('INT')) return 'INTEGER';
  if (/CHAR|CLOB|TEXT/.test(type)) return 'TEXT';
  if (type === '' || type.includes('BLOB')) return 'BLOB';
  if (/REAL|FLOA|DOUB/.test(type)) return 'REAL';
  return 'NUMERIC';
};

const numbers = (declared: string): number[] =>
  (/\(([^)]*)\)/.exec(declared)?.[1] ?? '')
    .split(',')
    .map((n) => Number.parseInt(n, 10))
    .filter((n) => Number.isInteger(n));

const fractionOf = (declared: string): number => Math.min(6, Math.max(0, numbers(declared)[0] ?? 6));

/**
 * What a declared type means. Words that SQLite's own affinity rules do not know (BOOLEAN, DATE, UUID, JSON, …) are
 * read as people mean them; what nobody knows is opaque, compared by storage class and content.
 */
export const columnType = (declared: string): ColumnType => {
  const type = declared.toUpperCase().trim();
  const [first, second] = numbers(type);
  const is = (...words: string[]): boolean =>
    words.some((word) => type === word || new RegExp(`^${word}\\b`).test(type));
  if (is('INTERVAL')) return { kind: 'interval' };
  if (is('POINT')) return { kind: 'opaque', native: type };
  if (type.includes('INT')) {
    return { kind: 'int', bits: 64 };
  }
  if (is('BOOL', 'BOOLEAN', 'BIT')) return { kind: 'bool' };
  if (/REAL|FLOA|DOUB/.test(type)) return { kind: 'float', bits: 64 };
  // STRING has no affinity of its own: SQLite stores what looks like a number as one, so it holds numbers and texts.
  if (is('STRING')) return { kind: 'decimal' };
  if (is('NUM', 'NUMERIC', 'NUMBER', 'DECIMAL', 'DEC', 'MONEY', 'SMALLMONEY')) {
    return first === undefined ? { kind: 'decimal' } : { kind: 'decimal', precision: first, scale: second ?? 0 };
  }
  if (is('CHAR', 'CHARACTER', 'NCHAR', 'NATIVE CHARACTER') && !type.includes('VARYING')) {
    return first === undefined ? { kind: 'text', padded: true } : { kind: 'text', maxLength: first, padded: true };
  }
  if (/CHAR|CLOB|TEXT/.test(type)) {
    return first === undefined ? { kind: 'text' } : { kind: 'text', maxLength: first };
  }
  if (/BLOB|BINARY|BYTEA|IMAGE/.test(type)) return { kind: 'bytes' };
  if (is('DATE')) return { kind: 'date' };
  if (is('TIMESTAMPTZ') || /^TIMESTAMP.*WITH TIME ZONE/.test(type))
    return { kind: 'instant', fraction: fractionOf(type) };
  if (is('DATETIME', 'DATETIME2', 'SMALLDATETIME', 'TIMESTAMP'))
    return { kind: 'timestamp', fraction: fractionOf(type) };
  if (is('TIME')) return { kind: 'time', fraction: fractionOf(type) };
  if (is('JSONB')) return { kind: 'json', binary: true };
  if (is('JSON')) return { kind: 'json', binary: false };
  if (is('UUID', 'GUID', 'UNIQUEIDENTIFIER')) return { kind: 'uuid' };
  return { kind: 'opaque', native: type };
};
