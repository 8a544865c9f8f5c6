import type { TableDetails } from '../../model/build.ts';
import type { Change } from '../../model/change.ts';
import type { Finding } from '../../model/endpoint.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { Digest, HashBatch } from '../../model/reader.ts';
import type { Key, Row } from '../../model/row.ts';
import type { Schema, Table } from '../../model/schema.ts';
import type { Partition, Segment, Selection } from '../../model/selected.ts';
import type { StepMark } from '../../model/writer.ts';
import type { RowArgs, RowValue } from './row-messages.ts';

export interface OpenArgs {
  /** The endpoint's name, for messages. */
  readonly side: string;
  /** Absolute. */
  readonly path: string;
  readonly readOnly: boolean;
  readonly immutable: boolean;
  /** How long SQLite itself waits for another connection's lock. */
  readonly busyTimeoutMs: number;
  readonly rowsPerSecond?: number | undefined;
}

export interface StreamArgs {
  readonly kind: 'rows' | 'hashes' | 'csv';
  readonly selection: Selection;
  readonly segment: Segment;
  readonly hash?: HashSpec | undefined;
}

/** Facts about what a call or stream has done, for `--explain`. */
export interface Work {
  readonly sql: string;
  readonly rows: number;
  readonly bytes: number;
  readonly elapsedMs: number;
}

/** One batch of a stream; `end` when there is no more. */
export type Chunk =
  | { readonly rows: readonly Row[] }
  | { readonly hashes: HashBatch }
  | { readonly csv: Uint8Array; readonly count: number }
  /** A row that CSV of its types does not say. */
  | { readonly odd: true }
  | { readonly end: true; readonly work: Work };

export interface Holder {
  readonly run: string;
  readonly pair: string;
}

/** One batch of changes on its way to the database. */
export interface BatchArgs {
  readonly table: Table;
  readonly key: readonly string[];
  readonly changes: readonly Change[];
}

/** Rows to insert; cells in the order of `columns`. */
export interface LoadArgs {
  readonly table: Table;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

/** What a batch came to: stored rows, or the outcome that ends the step (nothing is left written). */
export type BatchResult =
  | { readonly stored: readonly (Row | null)[] }
  | { readonly stale: readonly { readonly index: number; readonly found: Row | null; readonly reason?: string }[] }
  | { readonly rejected: { readonly index?: number; readonly reason: string; readonly code?: string } };

/** What an SQLite process does, by name: the arguments and the answer of each. */
export interface Operations {
  open: { args: OpenArgs; value: { readonly version: string } };
  inspect: { args: null; value: Schema };
  examine: { args: { readonly tables: readonly Table[]; readonly writable: boolean }; value: readonly Finding[] };
  /** Opens the read transaction that is the snapshot. */
  begin: { args: null; value: null };
  /** Ends any transaction and open stream. */
  end: { args: null; value: null };
  stream: { args: StreamArgs; value: number };
  next: { args: number; value: Chunk };
  /** The name of the CSV form that these columns can be read in; null: none. */
  csvForm: { args: Selection; value: string | null };
  close: { args: number; value: Work | null };
  count: { args: Selection; value: { readonly rows: number; readonly work: Work } };
  sample: { args: { readonly selection: Selection; readonly rows: number }; value: readonly Key[] };
  keyBounds: { args: Selection; value: { readonly min: bigint; readonly max: bigint } | null };
  ranges: { args: Selection; value: boolean };
  digest: {
    args: { readonly selection: Selection; readonly partition: Partition | undefined; readonly hash: HashSpec };
    value: { readonly digests: readonly Digest[]; readonly work: Work };
  };
  prepareTarget: { args: null; value: 'marker' | 'state' };
  lock: { args: { readonly holder: Holder; readonly nowMs: number; readonly holdMs: number }; value: bigint };
  /** Keeps a lock; false when another has taken it. */
  renew: { args: { readonly token: bigint; readonly untilMs: number }; value: boolean };
  unlock: { args: { readonly token: bigint }; value: null };
  /** `already`: nothing was begun. */
  /** `unlinked`: foreign keys are not looked at until the step has ended. */
  beginStep: { args: { readonly mark: StepMark; readonly unlinked?: true }; value: 'begun' | 'already' };
  /** Which rows were not taken. */
  loadRows: { args: LoadArgs; value: readonly { readonly index: number; readonly reason: string }[] };
  /** Rows one by one, in a transaction of their own. */
  rows: { args: RowArgs; value: RowValue };
  details: { args: readonly Table[]; value: readonly TableDetails[] };
  /** Runs one definition. */
  define: { args: string; value: null };
  batch: { args: BatchArgs; value: BatchResult };
  /** Null when committed; else the refusal, with the transaction still open. */
  commitStep: {
    args: { readonly mark: StepMark; readonly untilMs: number };
    value: { readonly table: string; readonly reason: string; readonly code: string } | null;
  };
  applied: { args: { readonly run: string; readonly step: number; readonly by?: bigint }; value: boolean };
  advanceSequences: { args: readonly Table[]; value: null };
}
