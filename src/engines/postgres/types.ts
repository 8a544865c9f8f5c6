import type { ColumnType } from '../../model/schema.ts';

/** A column's type as the catalogue has it, domains already resolved to what they are made of. */
export interface CatalogueType {
  readonly schema: string;
  readonly name: string;
  /** pg_type.typtype of the base: b base, e enum, c composite, r range, m multirange, p pseudo. */
  readonly kind: string;
  readonly category: string;
  readonly typmod: number;
  /** As `format_type` writes the base type, e.g. `integer[]`. */
  readonly formatted: string;
  readonly labels: readonly string[];
}

const numericType = (typmod: number): ColumnType => {
  if (typmod < 4) return { kind: 'decimal', special: true };
  const precision = ((typmod - 4) >> 16) & 0xffff;
  // eleven bits with a sign since PostgreSQL 15; before, never above 1000
  const scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
  return { kind: 'decimal', precision, scale, special: true };
};

const fraction = (typmod: number): number => (typmod < 0 ? 6 : typmod);
const sized = (typmod: number): { maxLength?: number } => (typmod < 4 ? {} : { maxLength: typmod - 4 });

/** What the model calls it. Types that only PostgreSQL has are `opaque`: compared as their text. */
export const columnType = (t: CatalogueType): ColumnType => {
  if (t.kind === 'e') return { kind: 'enum', labels: t.labels };
  if (t.name === 'citext' && t.category === 'S') return { kind: 'text' };
  if (t.schema === 'pg_catalog') {
    switch (t.name) {
      case 'bool':
        return { kind: 'bool' };
      case 'int2':
        return { kind: 'int', bits: 16 };
      case 'int4':
        return { kind: 'int', bits: 32 };
      case 'int8':
      case 'oid':
        return { kind: 'int', bits: 64 };
      case 'numeric':
        return numericType(t.typmod);
      case 'money':
        return { kind: 'decimal', precision: 19, scale: 2 };
      case 'float4':
        return { kind: 'float', bits: 32 };
      case 'float8':
        return { kind: 'float', bits: 64 };
      case 'text':
        return { kind: 'text' };
      case 'varchar':
        return { kind: 'text', ...sized(t.typmod) };
      case 'bpchar':
        return { kind: 'text', ...sized(t.typmod), padded: true };
      case 'name':
        return { kind: 'text', maxLength: 63 };
      case 'char':
        return { kind: 'text', maxLength: 1 };
      case 'bytea':
        return { kind: 'bytes' };
      case 'uuid':
        return { kind: 'uuid' };
      case 'date':
        return { kind: 'date' };
      case 'time':
        return { kind: 'time', fraction: fraction(t.typmod) };
      case 'timestamp':
        return { kind: 'timestamp', fraction: fraction(t.typmod) };
      case 'timestamptz':
        return { kind: 'instant', fraction: fraction(t.typmod) };
      case 'interval':
        return { kind: 'interval' };
      case 'bit':
      case 'varbit':
        return { kind: 'bit' };
      case 'json':
        return { kind: 'json', binary: false };
      case 'jsonb':
        return { kind: 'json', binary: true };
    }
  }
  return { kind: 'opaque', native: t.formatted };
};
