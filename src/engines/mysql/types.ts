import type { ColumnType } from '../../model/schema.ts';

/** A column as the catalogue describes it. */
export interface ColumnFacts {
  readonly name: string;
  /** e.g. `int`, `varchar`. */
  readonly dataType: string;
  /** e.g. `int(10) unsigned zerofill`. */
  readonly native: string;
  readonly charset: string | undefined;
  readonly collation: string | undefined;
  readonly maxLength: number | undefined;
  readonly precision: number | undefined;
  readonly scale: number | undefined;
  readonly fraction: number;
  readonly nullable: boolean;
  readonly extra: string;
  readonly generated: boolean;
  readonly hasDefault: boolean;
  /** MariaDB keeps JSON as text that a constraint checks. */
  readonly jsonText: boolean;
}

const labels = (native: string): string[] =>
  [...native.matchAll(/'((?:[^']|'')*)'/g)].map((m) => m[1]!.replaceAll("''", "'"));

const text = (f: ColumnFacts): ColumnType => {
  if (f.charset === undefined) return { kind: 'bytes' };
  if (f.jsonText) return { kind: 'json', binary: false };
  // the limit of the TEXT types is one of bytes
  const length = /^(var)?char$/.test(f.dataType) && f.maxLength !== undefined ? { maxLength: f.maxLength } : {};
  return { kind: 'text', ...length, ...(f.dataType === 'char' ? { padded: true as const } : {}) };
};

const integers: Readonly<Record<string, readonly [signed: 16 | 32 | 64, unsigned: 16 | 32 | 64 | undefined]>> = {
  tinyint: [16, 16],
  smallint: [16, 32],
  mediumint: [32, 32],
  int: [32, 64],
  bigint: [64, undefined],
};

/** What a column's values are. `tinyint(1)` is MySQL's BOOLEAN, and so is `bit(1)` to most programs. */
export const columnType = (f: ColumnFacts): ColumnType => {
  const unsigned = /\bunsigned\b/.test(f.native);
  const integer = integers[f.dataType];
  if (integer !== undefined) {
    if (isTinyBool(f)) return { kind: 'bool' };
    const bits = unsigned ? integer[1] : integer[0];
    return bits === undefined ? { kind: 'decimal', precision: 20, scale: 0 } : { kind: 'int', bits };
  }
  switch (f.dataType) {
    case 'decimal':
      return { kind: 'decimal', precision: f.precision ?? 10, scale: f.scale ?? 0 };
    case 'float':
      return { kind: 'float', bits: 32 };
    case 'double':
      return { kind: 'float', bits: 64 };
    case 'year':
      return { kind: 'int', bits: 16 };
    case 'bit':
      return f.precision === 1 ? { kind: 'bool' } : { kind: 'bit' };
    case 'date':
      return { kind: 'date' };
    case 'time':
      return { kind: 'time', fraction: f.fraction };
    case 'datetime':
      return { kind: 'timestamp', fraction: f.fraction };
    case 'timestamp':
      return { kind: 'instant', fraction: f.fraction };
    case 'enum':
      return { kind: 'enum', labels: labels(f.native) };
    case 'set':
      return { kind: 'text' };
    case 'json':
      return { kind: 'json', binary: true };
    case 'uuid':
      return { kind: 'uuid' };
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
      return text(f);
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return { kind: 'bytes' };
    default:
      return { kind: 'opaque', native: f.dataType };
  }
};

/** `tinyint(1)` holds any number from -128 to 127: a boolean that the server does not enforce. */
export const isTinyBool = (f: ColumnFacts): boolean => f.dataType === 'tinyint' && /^tinyint\(1\)$/.test(f.native);

/** Types without a text of their own: their bytes are shown as hex. */
export const isOpaqueBytes = (f: ColumnFacts): boolean =>
  /^(geometry|point|linestring|polygon|multi\w+|geom\w*collection|vector)$/.test(f.dataType);
