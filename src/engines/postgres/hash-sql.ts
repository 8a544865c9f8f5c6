import { asInt64, type ColumnSeeds, columnSeeds, type HashSpec } from '../../model/hash/spec.ts';
import type { SelectedColumn } from '../../model/selected.ts';
import type { ColumnSql } from './columns.ts';
import { render } from './render.ts';

/** The row hash of `model/hash/spec.ts` as SQL. Names are qualified: nobody's function can take their place. */

const constant = (x: bigint): string => `(${asInt64(x)})::pg_catalog.int8`;

const hashText = (text: string, seed: bigint): string =>
  `pg_catalog.hashtextextended((${text}) collate "C", ${constant(seed)})`;

const hashBytes = (bytes: string, seed: bigint, form: HashSpec['form']): string =>
  form === 'bytes'
    ? `pg_catalog.hashbyteaextended(${bytes}, ${constant(seed)})`
    : hashText(`pg_catalog.encode(${bytes}, 'hex')`, seed);

const isMoment = (kind: string): boolean => kind === 'timestamp' || kind === 'instant';

/**
 * How a column can be hashed here. `exact`: what is hashed is the canonical value; `jsonb`: the server's writing of it;
 * `weak`: JSON as somebody wrote it; undefined: only our side can make the canonical value of it.
 */
export const hashSupport = ({ stored, as }: SelectedColumn): 'exact' | 'jsonb' | 'weak' | undefined => {
  switch (as.kind) {
    case 'json':
      return stored.kind === 'json' ? (stored.binary ? 'jsonb' : 'weak') : undefined;
    case 'text':
      return stored.kind === 'float' ? undefined : 'exact';
    case 'int':
      return stored.kind === 'int' || stored.kind === 'bool' ? 'exact' : undefined;
    case 'decimal':
      return stored.kind === 'decimal' || stored.kind === 'int' || stored.kind === 'bool' ? 'exact' : undefined;
    case 'timestamp':
    case 'instant':
      return isMoment(stored.kind) || stored.kind === 'date' ? 'exact' : undefined;
    case 'bytes':
      return stored.kind === 'bytes' || stored.kind === 'uuid' ? 'exact' : undefined;
    default:
      return stored.kind === as.kind ? 'exact' : undefined;
  }
};

const decimalHash = (n: string, special: boolean, s: ColumnSeeds): string => {
  const hash = (seed: bigint): string =>
    `pg_catalog.hashint8extended(0, pg_catalog.hash_numeric_extended(${n}, ${constant(seed)}))`;
  if (!special)
    return `pg_catalog.hashint8extended(0, pg_catalog.hash_numeric_extended(${n}, case when ${n} < 0 then ${constant(s.negative)} else ${constant(s.value)} end))`;
  // two comparisons for an ordinary number: below zero, and below infinity (NaN is above it)
  return `case when ${n} >= 0 then case when ${n} < 'Infinity' then ${hash(s.value)} when ${n} = 'NaN' then ${constant(s.nan)} else ${constant(s.infinity)} end when ${n} > '-Infinity' then ${hash(s.negative)} when ${n} = '-Infinity' then ${constant(s.minusInfinity)} end`;
};

/** The hash of a value that is not NULL. */
const valueHash = (c: ColumnSql, s: ColumnSeeds, { form, json }: HashSpec): string => {
  const { stored, as } = c.column;
  const v = c.value;
  switch (as.kind) {
    case 'int': {
      const n = stored.kind === 'bool' ? `${v}::pg_catalog.int4` : v;
      return `pg_catalog.hashint8extended(${n}, ${n}::pg_catalog.int8 # ${constant(s.value)})`;
    }
    case 'decimal': {
      const n =
        stored.kind === 'decimal'
          ? v
          : stored.kind === 'bool'
            ? `${v}::pg_catalog.int4::pg_catalog.numeric`
            : `${v}::pg_catalog.numeric`;
      return decimalHash(n, stored.kind === 'decimal' && stored.special === true, s);
    }
    case 'float':
      // one NaN, whatever bits made it (servers before 15 hash them apart)
      return `pg_catalog.hashfloat8extended(case when ${v} = 'NaN' then 'NaN'::pg_catalog.float8 else ${v} end, ${constant(s.value)})`;
    case 'bool':
      return `case when ${v} then ${constant(s.yes)} when not ${v} then ${constant(s.no)} end`;
    case 'uuid':
      return `pg_catalog.uuid_hash_extended(${v}, ${constant(s.value)})`;
    case 'bytes':
      return hashBytes(stored.kind === 'uuid' ? `pg_catalog.uuid_send(${v})` : v, s.value, form);
    case 'json':
      return json === 'sent' && stored.kind === 'json' && stored.binary
        ? hashBytes(`pg_catalog.jsonb_send(${v})`, s.value, 'bytes')
        : hashText(render(c).sql, s.value);
    case 'date':
      return hashBytes(`pg_catalog.date_send(${v})`, s.value, form);
    case 'time':
      return hashBytes(`pg_catalog.time_send(${v})`, s.value, form);
    case 'timestamp':
    case 'instant':
      return hashBytes(
        stored.kind === 'instant'
          ? `pg_catalog.timestamptz_send(${v})`
          : `pg_catalog.timestamp_send(${stored.kind === 'date' ? `${v}::pg_catalog.timestamp` : v})`,
        s.value,
        form,
      );
    default:
      return hashText(
        as.kind === 'text' && stored.kind === 'text' && !(as.padded && !stored.padded) ? v : render(c).sql,
        s.value,
      );
  }
};

const xorOf = (columns: readonly ColumnSql[], hash: HashSpec, purpose: 'row' | 'key'): string => {
  const parts = columns.map((c, i) => {
    const seeds = columnSeeds(hash.seed, i, purpose);
    return `coalesce(${valueHash(c, seeds, hash)}, ${constant(seeds.null)})`;
  });
  return `pg_catalog.hashint8extended(0, ${parts.join(' # ')})`;
};

/** The row's hash, an int8. */
export const rowHashSql = (columns: readonly ColumnSql[], hash: HashSpec): string => xorOf(columns, hash, 'row');

/** The hash of the row's key, an int8. */
export const keyHashSql = (keyColumns: readonly ColumnSql[], hash: HashSpec): string => xorOf(keyColumns, hash, 'key');

/** The bucket of a row's key among `count`, a power of two, an int8. */
export const bucketSql = (keyColumns: readonly ColumnSql[], hash: HashSpec, count: number): string =>
  `(${keyHashSql(keyColumns, hash)} & ${count - 1})`;

/** Known results: a server that gives others hashes differently (another byte order, a fork), and does not hash for us. */
export const hashVectors: readonly (readonly [string, string])[] = [
  [`pg_catalog.hashtextextended('abc' collate "C", 0)`, '-6747756470228489321'],
  [`pg_catalog.hashtextextended('' collate "C", 0)`, '-6939563903564495251'],
  [`pg_catalog.hashtextextended('' collate "C", 1)`, '-150071773020461347'],
  ['pg_catalog.hashint8extended(0, 123)', '-1576307458232343297'],
];
