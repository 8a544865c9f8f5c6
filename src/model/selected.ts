import type { HashSpec } from './hash/spec.ts';
import type { Key } from './row.ts';
import type { ColumnType, TableName } from './schema.ts';

/** A column to read, and the type to render it as (the common type of a pair, or its own). */
export interface SelectedColumn {
  readonly name: string;
  /** The column's own type, as inspected. */
  readonly stored: ColumnType;
  /** The type it is rendered as. */
  readonly as: ColumnType;
  readonly loose?: true;
  /** The cell keeps the spelling of what is stored, not only the value (see `canon/spelling.ts`); never with a hash. */
  readonly exact?: true;
}

/** `from <= key < to` in key order (see `order.ts`); an absent bound is unbounded. Ranges that share bounds tile. */
export interface KeyRange {
  readonly from?: Key;
  readonly to?: Key;
}

/**
 * A share of a table's rows, by the hash of their keys: the same keys in every run and on both sides, and those of a
 * smaller share are among those of a greater one (see `sample.ts`).
 */
export interface Sample {
  /** 0 < share < 1 */
  readonly share: number;
  /** Which share: 64 bits as 16 hex digits. Made of the names of the two tables, so that every run takes the same. */
  readonly seed: string;
}

/** What is read of a table: columns in a given order, key first, with an optional condition. */
export interface Selection {
  readonly table: TableName;
  readonly columns: readonly SelectedColumn[];
  /**
   * The first `keyWidth` columns are the key, unique and not null.
   * 0: no key. Rows are then read as a multiset: distinct rows ordered by all columns (NULL first), each with one
   * more cell at its end: how many times it occurs, as a decimal integer.
   */
  readonly keyWidth: number;
  /** Trusted SQL of this side (command line or config file only). Absent: all rows. */
  readonly filter?: string;
  /**
   * Only rows with these keys, as if the table held no others; never without a key. Whatever is asked of a reader heeds
   * it. KEY_TYPES where the database has no order for the key (see `Reader.ranges`).
   */
  readonly range?: KeyRange;
  /** Only rows whose keys are in this sample. Heeded by `diff/sampled.ts`, through which such a pair is read; engines do not know it. */
  readonly sample?: Sample;
}

/** How a table is cut into parts that can be digested in one pass. The same parts on both sides. */
export type Partition =
  /** One integer key. Part i holds `origin + i*width <= key < origin + (i+1)*width`; part 0 and the last are unbounded. */
  | { readonly by: 'range'; readonly origin: bigint; readonly width: bigint; readonly count: number }
  /**
   * Any key: part = keyHash(key) modulo `count`, a power of two (see `hash/row-hash.ts`). `hash` is the spec of the
   * key's hash, here so that a digest, a hash stream and a scan of the same partition cut alike.
   */
  | { readonly by: 'hash'; readonly count: number; readonly hash: HashSpec };

/** A partition by the text hash of the key (see `hash/text-hash.ts`); `count` a power of two up to 2^32. */
export interface TextPartition {
  readonly by: 'text';
  readonly count: number;
  readonly seed: bigint;
}

/** The rows of a selection to read. */
export type Segment =
  | { readonly kind: 'all' }
  /** A range of keys. */
  | ({ readonly kind: 'range' } & KeyRange)
  | { readonly kind: 'keys'; readonly keys: readonly Key[] }
  | { readonly kind: 'parts'; readonly partition: Partition; readonly parts: readonly number[] }
  | { readonly kind: 'text_parts'; readonly partition: TextPartition; readonly parts: readonly number[] };
