import { asInt64, type ColumnSeeds, columnSeeds } from '../../src/model/hash/spec.ts';
import type { Kind } from '../../src/model/schema.ts';

/** The table of `src/model/hash/spec.ts` as SQL, written out from it by hand: the oracle of the hashes in JavaScript. */
export const columnHashSql = (kind: Kind, c: string, s: ColumnSeeds, form: 'bytes' | 'hex'): string => {
  const k = (role: keyof ColumnSeeds): string => `(${asInt64(s[role])})::bigint`;
  const raw = (bytes: string): string =>
    form === 'bytes'
      ? `hashbyteaextended(${bytes}, ${k('value')})`
      : `hashtextextended(encode(${bytes}, 'hex') collate "C", ${k('value')})`;
  const value = (): string => {
    switch (kind) {
      case 'int':
        return `hashint8extended(${c}, ${c} # ${k('value')})`;
      case 'decimal':
        return `case ${c}::text when 'NaN' then ${k('nan')} when 'Infinity' then ${k('infinity')} when '-Infinity' then ${k('minusInfinity')}
          else hashint8extended(0, hash_numeric_extended(${c}, case when ${c} < 0 then ${k('negative')} else ${k('value')} end)) end`;
      case 'float':
        return `hashfloat8extended(${c}::float8, ${k('value')})`;
      case 'bool':
        return `case when ${c} then ${k('yes')} when not ${c} then ${k('no')} end`;
      case 'uuid':
        return `uuid_hash_extended(${c}, ${k('value')})`;
      case 'bytes':
        return raw(c);
      case 'date':
        return raw(`date_send(${c})`);
      case 'time':
        return raw(`time_send(${c})`);
      case 'timestamp':
        return raw(`timestamp_send(${c})`);
      case 'instant':
        return raw(`timestamptz_send(${c})`);
      default:
        return `hashtextextended(${c}::text collate "C", ${k('value')})`;
    }
  };
  return `coalesce(${value()}, ${k('null')})`;
};

/** The finalised hash of some columns: of a row, or (purpose `key`) the one that chooses a bucket. */
export const rowHashSql = (
  columns: readonly { readonly kind: Kind; readonly sql: string }[],
  seed: bigint,
  form: 'bytes' | 'hex',
  purpose: 'row' | 'key' = 'row',
): string =>
  `hashint8extended(0, ${columns.map((c, i) => columnHashSql(c.kind, c.sql, columnSeeds(seed, i, purpose), form)).join(' # ')})`;
