import type { ColumnType } from '../../model/schema.ts';
import { literal } from './quote.ts';

/** A type that holds every value of a kind, as MySQL writes it. */
export interface Made {
  readonly sql: string;
  readonly type: ColumnType;
  /** Bytes it takes of the row at most. */
  readonly bytes: number;
  /** Its content lies outside of the row: an index holds the beginning only. */
  readonly long: boolean;
  /** What it becomes where the row is too long. */
  readonly off?: Made;
  readonly note?: string;
}

/** Most columns of a key that this one is part of; 0: of none. */
export interface Place {
  readonly keyColumns: number;
}

const indexBytes = 3072;
const longestVarchar = 16_000;

/** Texts are compared by their bytes and keep the blanks at their ends. */
const binary = (mariadb: boolean): string =>
  `character set utf8mb4 collate ${mariadb ? 'utf8mb4_nopad_bin' : 'utf8mb4_0900_bin'}`;

const longText = (mariadb: boolean): Made => ({
  sql: `longtext ${binary(mariadb)}`,
  type: { kind: 'text' },
  bytes: 12,
  long: true,
});

const varchar = (n: number, mariadb: boolean, note?: string): Made => ({
  sql: `varchar(${n}) ${binary(mariadb)}`,
  type: { kind: 'text', maxLength: n },
  bytes: 4 * n + 2,
  long: 4 * n > 764,
  ...(note === undefined ? {} : { note }),
});

const text = (type: Extract<ColumnType, { kind: 'text' }>, place: Place, mariadb: boolean): Made => {
  const { maxLength, padded } = type;
  if (maxLength !== undefined && maxLength >= 1 && maxLength <= longestVarchar) {
    if (padded && maxLength <= 255)
      return { sql: `char(${maxLength}) ${binary(mariadb)}`, type, bytes: 4 * maxLength, long: false };
    const made = varchar(maxLength, mariadb);
    return place.keyColumns > 0 ? made : { ...made, off: longText(mariadb) };
  }
  if (place.keyColumns === 0) return longText(mariadb);
  const n = Math.floor(indexBytes / 4 / place.keyColumns);
  return varchar(
    n,
    mariadb,
    `holds ${n} characters: MySQL has no longer ones in a key; rows with longer ones are refused`,
  );
};

const bytes = (place: Place): Made => {
  if (place.keyColumns === 0) return { sql: 'longblob', type: { kind: 'bytes' }, bytes: 12, long: true };
  const n = Math.floor(indexBytes / place.keyColumns);
  const note = `holds ${n} bytes: MySQL has no longer ones in a key; rows with longer ones are refused`;
  return { sql: `varbinary(${n})`, type: { kind: 'bytes' }, bytes: n + 2, long: false, note };
};

const decimal = (type: Extract<ColumnType, { kind: 'decimal' }>): Made => {
  const { precision, scale = 0 } = type;
  if (precision !== undefined && precision <= 65 && scale >= 0 && scale <= 30 && scale <= precision)
    return {
      sql: `decimal(${precision},${scale})`,
      type: { kind: 'decimal', precision, scale },
      bytes: 30,
      long: false,
    };
  return {
    sql: 'decimal(65,30)',
    type: { kind: 'decimal', precision: 65, scale: 30 },
    bytes: 30,
    long: false,
    note: 'is decimal(65,30), the widest MySQL has; rows with more digits are refused',
  };
};

const plain = (sql: string, type: ColumnType, width = 8): Made => ({ sql, type, bytes: width, long: false });

/** The type that holds every value of a kind, or as near to it as MySQL comes: then a note says so. */
export const typeOf = (type: ColumnType, place: Place, mariadb: boolean): Made => {
  switch (type.kind) {
    case 'bool':
      return plain('tinyint(1)', type, 1);
    case 'int':
      return plain(type.bits === 16 ? 'smallint' : type.bits === 32 ? 'int' : 'bigint', type);
    case 'float':
      return plain(type.bits === 32 ? 'float' : 'double', type);
    case 'decimal':
      return decimal(type);
    case 'text':
      return text(type, place, mariadb);
    case 'bytes':
      return bytes(place);
    case 'date':
      return plain('date', type);
    case 'time':
      return plain(`time(${type.fraction})`, type);
    case 'timestamp':
      return plain(`datetime(${type.fraction})`, type);
    case 'instant':
      // its own TIMESTAMP ends in 2038
      return {
        ...plain(`datetime(${type.fraction})`, { kind: 'timestamp', fraction: type.fraction }),
        note: 'is a time without a zone, in UTC',
      };
    case 'uuid':
      return plain('char(36) character set ascii collate ascii_bin', { kind: 'text', maxLength: 36, padded: true }, 36);
    case 'json':
      return { ...plain('json', { kind: 'json', binary: !mariadb }, 12), long: true };
    case 'enum':
      return {
        ...plain(`enum(${type.labels.map(literal).join(', ')}) ${binary(mariadb)}`, type, 2),
      };
    case 'interval':
    case 'bit':
    case 'opaque':
      return text({ kind: 'text' }, place, mariadb);
  }
};
