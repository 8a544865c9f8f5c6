import { LockstepError } from '../../model/errors.ts';
import type { Cell } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Partition, Segment, Selection } from '../../model/selected.ts';
import { id, literal } from '../sql/quote.ts';
import type { ColumnSql } from './columns.ts';
import { bucketSql } from './hash-sql.ts';
import { matchSql, orderSql, possibleKeys, rangeSql } from './key-sql.ts';
import { rowsOf } from './rows-of.ts';
import { textPartSql } from './text-sql.ts';

/** An array in PostgreSQL's own writing, for a parameter or a literal. */
export const textArray = (cells: readonly Cell[]): string => {
  let out = '{';
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i]!;
    if (i > 0) out += ',';
    if (cell === null) out += 'NULL';
    else if (cell.includes('"') || cell.includes('\\')) out += `"${cell.replace(/["\\]/g, '\\$&')}"`;
    else out += `"${cell}"`;
  }
  return `${out}}`;
};

/** The relation to read as `t`: the table, or the part of it that the condition and the range let through. */
export const baseSql = (selection: Selection, columns: readonly ColumnSql[]): string => {
  const table = rowsOf(selection.table);
  const names = selection.columns.map((c) => id(c.name)).join(', ');
  // the line break ends a comment that the condition may end in
  const filtered =
    selection.filter === undefined
      ? `${table} as t`
      : `(select ${names} from ${table} where (${selection.filter}\n)) as t`;
  const inside = rangeCondition(selection, columns);
  return inside === undefined ? filtered : `(select * from ${filtered} where ${inside}) as t`;
};

/** The condition of the selection's range; undefined: none. KEY_TYPES where the server has no order for the key. */
export const rangeCondition = (selection: Selection, columns: readonly ColumnSql[]): string | undefined => {
  const { range, keyWidth } = selection;
  if (range === undefined) return undefined;
  const keys = columns.slice(0, keyWidth);
  if (keys.length === 0 || keys.some((c) => orderSql(c) === undefined)) throw withoutRanges(selection);
  return rangeSql(keys, range.from, range.to);
};

export const withoutRanges = ({ table }: Selection, side?: string): LockstepError =>
  new LockstepError(
    'KEY_TYPES',
    `${side === undefined ? '' : `${side}: `}${tableLabel(table)} cannot be read by key ranges: the database has no order for its key as it is compared`,
    { ...(side === undefined ? {} : { side }), hint: 'Choose another key (--key).' },
  );

const least = -(2n ** 63n);
const greatest = 2n ** 63n - 1n;
const clamp = (x: bigint): bigint => (x < least ? least : x > greatest ? greatest : x);

/** Inclusive ranges of an integer key, adjacent parts joined, in order. */
const partRanges = (
  p: Extract<Partition, { by: 'range' }>,
  parts: readonly number[],
): readonly (readonly [bigint, bigint])[] => {
  const sorted = [...new Set(parts)].sort((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const part of sorted) {
    const previous = ranges.at(-1);
    if (previous && previous[1] + 1 === part) previous[1] = part;
    else ranges.push([part, part]);
  }
  return ranges
    .map(([first, last]): [bigint, bigint] => [
      first === 0 ? least : p.origin + BigInt(first) * p.width,
      last === p.count - 1 ? greatest : p.origin + BigInt(last + 1) * p.width - 1n,
    ])
    .filter(([from, to]) => from <= greatest && to >= least)
    .map(([from, to]): [bigint, bigint] => [clamp(from), clamp(to)]);
};

const int8 = (x: bigint): string => `'${x}'::pg_catalog.int8`;

/** Which part an integer key falls into, an int8. */
export const rangePartSql = (key: string, p: Extract<Partition, { by: 'range' }>): string => {
  const last = p.origin + BigInt(p.count - 1) * p.width;
  const fits = p.origin >= least && last <= greatest && last - p.origin <= greatest;
  const k = fits ? key : `${key}::pg_catalog.numeric`;
  const n = (x: bigint): string => (fits ? int8(x) : `'${x}'::pg_catalog.numeric`);
  const inside = fits
    ? `(${k} - ${n(p.origin)}) / ${n(p.width)}`
    : `pg_catalog.div(${k} - ${n(p.origin)}, ${n(p.width)})::pg_catalog.int8`;
  if (p.count === 1) return int8(0n);
  return `case when ${k} < ${n(p.origin)} then ${int8(0n)} when ${k} >= ${n(last)} then ${int8(BigInt(p.count - 1))} else ${inside} end`;
};

/** The condition of a segment of key hashes; nothing for all. */
export const hashSegmentSql = (keyHash: string, segment: Segment): string => {
  switch (segment.kind) {
    case 'all':
      return '';
    case 'range': {
      const bounds = [
        ...(segment.from ? [`${keyHash} >= ${int8(BigInt(segment.from[0]!))}`] : []),
        ...(segment.to ? [`${keyHash} < ${int8(BigInt(segment.to[0]!))}`] : []),
      ];
      return bounds.length === 0 ? '' : ` where ${bounds.join(' and ')}`;
    }
    case 'keys':
      return ` where ${keyHash} = any ('{${segment.keys.map(([key]) => BigInt(key!)).join(',')}}'::pg_catalog.int8[])`;
    case 'parts':
      if (segment.partition.by === 'hash')
        return ` where (${keyHash} & ${segment.partition.count - 1}) = any ('{${segment.parts.join(',')}}'::pg_catalog.int8[])`;
  }
  throw new LockstepError('INTERNAL', 'key hashes are read by buckets only');
};

export interface Query {
  readonly sql: string;
  /** The selection is known to be empty: nothing to ask. */
  readonly empty?: true;
}

const orders = (keys: readonly ColumnSql[]): string => keys.map((c) => orderSql(c)!).join(', ');

/**
 * `select outputs` of the segment's rows in key order (`ordered`), or in any order.
 */
export const segmentSql = (
  selection: Selection,
  columns: readonly ColumnSql[],
  segment: Segment,
  outputs: readonly string[],
  o: { readonly ordered: boolean },
): Query => {
  const keys = columns.slice(0, selection.keyWidth);
  const base = baseSql(selection, columns);
  const select = `select ${outputs.join(', ')}`;
  const order = o.ordered && keys.length > 0 ? ` order by ${orders(keys)}` : '';
  /** Rows whose key falls into one of these buckets. */
  const inBuckets = (bucket: string, parts: readonly number[]): Query => {
    if (parts.length === 0) return { sql: '', empty: true };
    const wanted = `'{${[...new Set(parts)].join(',')}}'::pg_catalog.int8[]`;
    const where = `${base} where ${bucket} = any (${wanted})`;
    if (order === '') return { sql: `${select} from ${where}` };
    // found first and sorted then: the planner would walk an index on a random key, a page for each row
    const found = [...outputs.map((sql, i) => `${sql} as o${i}`), ...keys.map((c, i) => `${orderSql(c)} as s${i}`)];
    const picked = outputs.map((_, i) => `x.o${i}`).join(', ');
    return {
      sql: `with x as materialized (select ${found.join(', ')} from ${where}) select ${picked} from x order by ${keys.map((_, i) => `x.s${i}`).join(', ')}`,
    };
  };
  switch (segment.kind) {
    case 'all':
      return { sql: `${select} from ${base}${order}` };
    case 'range': {
      const where = rangeSql(keys, segment.from, segment.to);
      return { sql: `${select} from ${base}${where === undefined ? '' : ` where ${where}`}${order}` };
    }
    case 'keys': {
      const possible = possibleKeys(keys, segment.keys);
      if (possible.length === 0) return { sql: '', empty: true };
      const arrays = keys.map((_, i) => `${literal(textArray(possible.map((k) => k[i]!)))}::pg_catalog.text[]`);
      const names = keys.map((_, i) => `k${i}`);
      const on = keys.map((c, i) => `(${matchSql(c, `k.k${i}`)})`).join(' and ');
      return {
        sql: `${select} from rows from (${arrays.map((a) => `unnest(${a})`).join(', ')}) as k(${names.join(', ')}) join ${base} on ${on}${order}`,
      };
    }
    case 'text_parts':
      return inBuckets(textPartSql(keys, segment.partition), segment.parts);
    case 'parts': {
      const { partition: p, parts } = segment;
      if (p.by === 'hash') return inBuckets(bucketSql(keys, p.hash, p.count), parts);
      if (parts.length === 0) return { sql: '', empty: true };
      const ranges = partRanges(p, parts);
      if (ranges.length === 0) return { sql: '', empty: true };
      const key = keys[0]!.raw;
      if (ranges.length === 1) {
        const [from, to] = ranges[0]!;
        return { sql: `${select} from ${base} where ${key} >= ${int8(from)} and ${key} <= ${int8(to)}${order}` };
      }
      // one index range after the other, in the order of the array: no sort over all of them
      const bounds = [0, 1].map((i) => `'{${ranges.map((r) => r[i]).join(',')}}'::pg_catalog.int8[]`);
      const named = outputs.map((x, i) => `${x} as o${i}`).join(', ');
      const picked = outputs.map((_, i) => `x.o${i}`).join(', ');
      return {
        sql: `select ${picked} from rows from (${bounds.map((b) => `unnest(${b})`).join(', ')}) as r(lo, hi) cross join lateral (select ${named} from ${base} where ${key} >= r.lo and ${key} <= r.hi${order}) as x`,
      };
    }
  }
};
