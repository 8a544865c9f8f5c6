import type { ColumnType } from '../../model/schema.ts';

/** A field as the system tables have it. */
export interface FieldFacts {
  readonly type: number;
  readonly subType: number;
  /** Bytes. */
  readonly length: number;
  readonly precision: number;
  readonly scale: number;
  readonly characters: number;
  /** `NONE`, `OCTETS`, `UTF8`, …; empty for what is not text. */
  readonly charset: string;
  readonly dimensions: number;
}

/** RDB$FIELD_TYPE. */
const field = {
  smallint: 7,
  integer: 8,
  float: 10,
  date: 12,
  time: 13,
  char: 14,
  bigint: 16,
  boolean: 23,
  decfloat16: 24,
  decfloat34: 25,
  int128: 26,
  double: 27,
  timeTz: 28,
  timestampTz: 29,
  timestamp: 35,
  varchar: 37,
  blob: 261,
} as const;

export const isBlob = (f: FieldFacts): boolean => f.type === field.blob;
export const isChar = (f: FieldFacts): boolean => f.type === field.char;
export const isOctets = (f: FieldFacts): boolean => f.charset === 'OCTETS';
/** Types that a driver of protocol 13 does not know: the server writes them as text. */
export const isForeign = (f: FieldFacts): boolean =>
  f.type === field.decfloat16 || f.type === field.decfloat34 || f.type === field.timeTz;

const bits = { [field.smallint]: 16, [field.integer]: 32, [field.bigint]: 64 } as const;
const digits = { [field.smallint]: 4, [field.integer]: 9, [field.bigint]: 18 } as const;

const numeric = (f: FieldFacts, type: 7 | 8 | 16): ColumnType =>
  f.scale === 0 && f.subType === 0
    ? { kind: 'int', bits: bits[type] }
    : { kind: 'decimal', precision: f.precision > 0 ? f.precision : digits[type], scale: -f.scale };

/** What the model calls it. */
export const columnType = (f: FieldFacts): ColumnType => {
  if (f.dimensions > 0) return { kind: 'opaque', native: 'array' };
  switch (f.type) {
    case field.smallint:
    case field.integer:
    case field.bigint:
      return numeric(f, f.type);
    case field.int128:
      return { kind: 'decimal', precision: f.precision > 0 ? f.precision : 38, scale: -f.scale };
    case field.decfloat16:
    case field.decfloat34:
      return { kind: 'decimal', special: true };
    case field.float:
      return { kind: 'float', bits: 32 };
    case field.double:
      return { kind: 'float', bits: 64 };
    case field.date:
      return { kind: 'date' };
    case field.time:
      return { kind: 'time', fraction: 4 };
    case field.timestamp:
      return { kind: 'timestamp', fraction: 4 };
    case field.timestampTz:
      return { kind: 'instant', fraction: 4 };
    case field.boolean:
      return { kind: 'bool' };
    case field.char:
      // sixteen bytes are how Firebird keeps a UUID (gen_uuid)
      if (isOctets(f)) return f.length === 16 ? { kind: 'uuid' } : { kind: 'bytes' };
      return { kind: 'text', maxLength: f.characters, padded: true };
    case field.varchar:
      return isOctets(f) ? { kind: 'bytes' } : { kind: 'text', maxLength: f.characters };
    case field.blob:
      return f.subType === 1 && !isOctets(f) ? { kind: 'text' } : { kind: 'bytes' };
    default:
      return { kind: 'opaque', native: nativeType(f) };
  }
};

const names: Readonly<Record<number, string>> = {
  [field.smallint]: 'smallint',
  [field.integer]: 'integer',
  [field.bigint]: 'bigint',
  [field.int128]: 'int128',
  [field.float]: 'float',
  [field.double]: 'double precision',
  [field.date]: 'date',
  [field.time]: 'time',
  [field.timestamp]: 'timestamp',
  [field.timeTz]: 'time with time zone',
  [field.timestampTz]: 'timestamp with time zone',
  [field.boolean]: 'boolean',
  [field.decfloat16]: 'decfloat(16)',
  [field.decfloat34]: 'decfloat(34)',
};

/** The type as SQL writes it. */
export const nativeType = (f: FieldFacts): string => {
  const charset = f.charset === '' ? '' : ` character set ${f.charset.toLowerCase()}`;
  const array = f.dimensions > 0 ? ' array' : '';
  if (f.type === field.char) return `char(${f.characters})${charset}${array}`;
  if (f.type === field.varchar) return `varchar(${f.characters})${charset}${array}`;
  if (f.type === field.blob) return f.subType === 1 ? `blob sub_type text${charset}` : `blob sub_type ${f.subType}`;
  const type = columnType(f.dimensions > 0 ? { ...f, dimensions: 0 } : f);
  if (type.kind === 'decimal' && !type.special)
    return `${f.subType === 2 ? 'decimal' : 'numeric'}(${type.precision}, ${type.scale})${array}`;
  return `${names[f.type] ?? `type ${f.type}`}${array}`;
};
