import type { Cancel } from './cancel.ts';
import type { HashSpec } from './hash/spec.ts';
import type { KeyBatch } from './reader.ts';
import type { Batch, Key } from './row.ts';
import type { ColumnType } from './schema.ts';
import type { Partition } from './selected.ts';
import type { BaseRow } from './two-way.ts';

/** A 64-bit row hash as a signed integer; null: the side has no such row, and only where nothing is agreed. */
export type StoredHash = bigint | null;

/** Which archive of a pair: what it was made with. Hashes of one are never compared with those of another. */
export interface ArchiveFacts {
  readonly id: string;
  readonly sync: string;
  readonly pair: string;
  /** A hash of all that decides what a row of the archive means: tables, columns, types, key, tolerances, databases. */
  readonly settings: string;
  /** What the row hashes of both sides are made with: fixed when the archive was begun. */
  readonly hash: HashSpec;
  /** How a key is found in a partition by ranges: its single integer cell; otherwise only by the key's hash. */
  readonly integerKey: boolean;
  /** When the first comparison had been taken in as a whole (milliseconds since 1970); null: not yet. */
  readonly completed: number | null;
}

/** Rows and sums modulo 2^64 of the hashes of each side, of one part. */
export interface ArchiveDigest {
  readonly part: number;
  readonly source: { readonly rows: number; readonly sum: bigint };
  readonly target: { readonly rows: number; readonly sum: bigint };
}

/** What the archive knows of keys before their rows are read, packed as `HashBatch` is. */
export interface ArchiveHashes {
  readonly count: number;
  readonly keys: KeyBatch;
  /** Two per row and side: high half, low half. */
  readonly source: Int32Array;
  readonly target: Int32Array;
}

/** Some parts of a partition, or some keys. */
export type ArchivePlaces =
  | { readonly partition: Partition; readonly parts: readonly number[] }
  | { readonly keys: readonly Key[] };

/** What both sides agreed on for one key: to be kept. `base` null: that the row is gone, so the key is forgotten. */
export interface Agreed {
  readonly key: Key;
  /** The key's hash by the archive's spec, as `keyHash` gives it: a signed 64-bit integer. */
  readonly keyHash: bigint;
  readonly base: BaseRow | null;
  readonly source: StoredHash;
  readonly target: StoredHash;
}

/** The last agreed state of each row of one two-way pair. */
export interface Archive {
  readonly facts: ArchiveFacts;
  rows(o: Cancel): Promise<number>;
  /** Of every part that has rows, in one pass. Without a partition: one, part 0. */
  digest(partition: Partition | undefined, o: Cancel): Promise<readonly ArchiveDigest[]>;
  /** Keys and hashes of some parts or keys, or of all, in key order (see `order.ts`). Nothing is held open between batches. */
  hashes(of: ArchivePlaces | undefined, o: Cancel): AsyncIterable<ArchiveHashes>;
  /** By key, in any order; keys that are not there are left out. */
  find(keys: readonly Key[], o: Cancel): Promise<readonly { readonly key: Key; readonly base: BaseRow }[]>;
  /**
   * Of these keys, those that both sides agreed on by an archive of the same place under other settings, as JSON: asked
   * until this one is complete.
   */
  earlier(keys: readonly Key[], o: Cancel): Promise<ReadonlySet<string>>;
  /** All of them or none. Of keys that come twice the last one counts. FENCED: the archive was forgotten meanwhile. */
  keep(agreed: Batch<Agreed>, o: Cancel): Promise<void>;
  /** Says that the first comparison was taken in. */
  complete(at: number, o: Cancel): Promise<void>;
}

/** The archives of all two-way pairs. */
export interface Archives {
  /**
   * The archive of a pair under these settings. Another one of the same pair is left as it is until this one is
   * complete, and then forgotten.
   */
  open(
    of: Pick<ArchiveFacts, 'sync' | 'pair' | 'settings' | 'integerKey'> & {
      readonly form: HashSpec['form'];
      /** Stands for the databases, tables and key. */
      readonly place?: string;
      /** What the key's cells are: so that keys can be put in order. */
      readonly keyTypes: readonly ColumnType[];
    },
    o: Cancel,
  ): Promise<Archive>;
  /** Without making one. */
  list(of: { readonly sync: string; readonly pair?: string }, o: Cancel): Promise<readonly ArchiveFacts[]>;
  /**
   * Of a store that was restored: what was agreed is out of date, and would make old values of edits that came since. The
   * next run of each pair compares as if it were the first, and knows the keys that both sides had. Returns how many pairs.
   */
  outdate(o: Cancel): Promise<number>;
  /** Forgets what was agreed: the next run compares as if it were the first. Returns how many rows were forgotten. */
  forget(of: { readonly sync: string; readonly pair?: string }, o: Cancel): Promise<number>;
}
