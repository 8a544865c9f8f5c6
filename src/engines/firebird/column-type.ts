import type { ColumnType } from '../../model/schema.ts';

/** A type that holds every value of a kind, as Firebird writes it. */
export interface Made {
  readonly sql: string;
  readonly type: ColumnType;
  /** Bytes it takes of the row at most. */
  readonly bytes: number;
  readonly blob?: true;
  /** What it becomes where the row is too long. */
  readonly off?: Made;
  readonly note?: string;
}

/** What depends on the server and the database. */
export interface Limits {
  /** Firebird 4 has numbers of 38 digits, and times with a zone. */
  readonly major: number;
  /** Bytes of a database page: a key takes a quarter of one. */
  readonly pageSize: number;
}

export interface Place {
  /** Most columns of a key that this one is part of; 0: of none. */
  readonly keyColumns: number;
}

const longestVarchar = 8191;

export const widestDecimal = ({ major }: Limits): number => (major >= 4 ? 38 : 18);

/** Bytes of one column of a key of so many: keys of several columns take a mark of one byte with every four. */
const keyBytes = ({ pageSize }: Limits, columns: number): number => {
  const all = pageSize / 4 - 16;
  return Math.floor(columns === 1 ? all : (all / columns) * 0.8 - 8);
};

const utf8 = 'character set utf8';

const textBlob: Made = { sql: `blob sub_type text ${utf8}`, type: { kind: 'text' }, bytes: 8, blob: true };

const varchar = (n: number, note?: string): Made => ({
  sql: `varchar(${n}) ${utf8}`,
  type: { kind: 'text', maxLength: n },
  bytes: 4 * n + 4,
  ...(note === undefined ? {} : { note }),
});

const text = (type: Extract<ColumnType, { kind: 'text' }>, place: Place, limits: Limits): Made => {
  const { maxLength, padded } = type;
  const most = place.keyColumns === 0 ? longestVarchar : Math.floor(keyBytes(limits, place.keyColumns) / 4);
  if (maxLength !== undefined && maxLength >= 1 && maxLength <= most) {
    const made: Made = padded ? { sql: `char(${maxLength}) ${utf8}`, type, bytes: 4 * maxLength } : varchar(maxLength);
    return place.keyColumns === 0 ? { ...made, off: textBlob } : made;
  }
  if (place.keyColumns === 0) return textBlob;
  return varchar(
    most,
    `holds ${most} characters: a key of this database has no longer ones; rows with longer ones are refused`,
  );
};

const bytes = (place: Place, limits: Limits): Made => {
  if (place.keyColumns === 0) return { sql: 'blob sub_type binary', type: { kind: 'bytes' }, bytes: 8, blob: true };
  const n = keyBytes(limits, place.keyColumns);
  const note = `holds ${n} bytes: a key of this database has no longer ones; rows with longer ones are refused`;
  return { sql: `varchar(${n}) character set octets`, type: { kind: 'bytes' }, bytes: n + 4, note };
};

const decimal = (type: Extract<ColumnType, { kind: 'decimal' }>, limits: Limits): Made => {
  const { precision, scale = 0 } = type;
  const widest = widestDecimal(limits);
  const held = precision !== undefined && precision <= widest && scale >= 0 && scale <= precision;
  const [p, s] = held ? [precision, scale] : [widest, Math.max(0, Math.min(widest, scale))];
  return {
    sql: `numeric(${p}, ${s})`,
    type: { kind: 'decimal', precision: p, scale: s },
    bytes: 16,
    ...(held
      ? {}
      : { note: `is numeric(${p}, ${s}): Firebird has no wider numbers; rows with more digits are refused` }),
  };
};

const moment = (sql: string, kind: 'time' | 'timestamp' | 'instant', fraction: number): Made => ({
  sql,
  type: { kind, fraction: 4 },
  bytes: 8,
  ...(fraction > 4 ? { note: 'keeps 1/10,000 s; rows with finer times are refused' } : {}),
});

const plain = (sql: string, type: ColumnType, width = 8): Made => ({ sql, type, bytes: width });

/** The type that holds every value of a kind, or as near to it as Firebird comes: then a note says so. */
export const typeOf = (type: ColumnType, place: Place, limits: Limits): Made => {
  switch (type.kind) {
    case 'bool':
      return plain('boolean', type, 1);
    case 'int':
      return plain(type.bits === 16 ? 'smallint' : type.bits === 32 ? 'integer' : 'bigint', type);
    case 'float':
      return plain(type.bits === 32 ? 'float' : 'double precision', type);
    case 'decimal':
      return decimal(type, limits);
    case 'text':
      return text(type, place, limits);
    case 'bytes':
      return bytes(place, limits);
    case 'date':
      return plain('date', type);
    case 'time':
      return moment('time', 'time', type.fraction);
    case 'timestamp':
      return moment('timestamp', 'timestamp', type.fraction);
    case 'instant':
      if (limits.major >= 4) return moment('timestamp with time zone', 'instant', type.fraction);
      return {
        ...moment('timestamp', 'timestamp', 6),
        note: 'is a time without a zone, in UTC, to 1/10,000 s; rows with finer times are refused',
      };
    case 'uuid':
      return plain('char(16) character set octets', type, 16);
    case 'enum': {
      const longest = Math.max(1, ...type.labels.map((label) => [...label].length));
      return {
        ...text({ kind: 'text', maxLength: longest }, place, limits),
        note: `is text: Firebird will not check that it is one of its ${type.labels.length} labels`,
      };
    }
    default:
      return text({ kind: 'text' }, place, limits);
  }
};
