import type { Cancel } from './cancel.ts';
import type { Change } from './change.ts';
import type { HashSpec } from './hash/spec.ts';
import type { Batch, Row } from './row.ts';
import type { Table } from './schema.ts';

/** Identifies one transaction of a run in the target. */
export interface StepMark {
  readonly run: string;
  readonly step: number;
  /** Fencing token of the lock holder: a higher one in the target refuses this step. */
  readonly token: bigint;
}

export interface TableChanges {
  readonly table: Table;
  /** Key columns of the changes; their rows are whole native rows in the order of `nativeSelection(table, key)`. */
  readonly key: readonly string[];
  /** All of one kind. */
  readonly changes: Batch<Change>;
  /** What the changes' `hashes` were made with, where they have some. */
  readonly hash?: HashSpec;
}

export interface Written {
  readonly batch: TableChanges;
  /** Every row is stored as its change's `after`, in every cell: `stored` need not be looked at. */
  readonly asPlanned?: true;
  /** The rows as stored afterwards, read back in the same transaction; null where deleted. Order of `batch.changes`. */
  readonly stored: readonly (Row | null)[];
}

export type Applied =
  | { readonly status: 'done' }
  /** The marker was there: an earlier attempt had committed. Nothing written now. */
  | { readonly status: 'already' }
  /**
   * Rows that no longer show `before`; nothing was written. `found` is the row as it is now. Also a row to be deleted
   * that rows outside the plan refer to by a cascade or the like: `reason` says so.
   */
  | {
      readonly status: 'stale';
      readonly rows: readonly {
        readonly change: Change;
        readonly table: Table;
        readonly found: Row | null;
        readonly reason?: string;
      }[];
    }
  /** The database refused a change; nothing was written. `change` when it is known which. */
  | {
      readonly status: 'rejected';
      readonly table: Table;
      readonly change?: Change;
      readonly reason: string;
      readonly sqlState?: string;
    };

export interface WriterLock extends AsyncDisposable {
  readonly token: bigint;
}

/**
 * Hashes of whole native rows, as a writer guards and reads back batches by them. Two rows that are not the same share
 * their 64 bits by chance only.
 */
export interface ImageHashing {
  /** For new plans. */
  readonly spec: HashSpec;
  /** Leaves the hash of a row of this table, [high half, low half], in `out`; undefined: this table is written by its cells. */
  of(
    table: Table,
    key: readonly string[],
    hash: HashSpec,
    o: Cancel,
  ): Promise<((row: Row, out: Int32Array) => void) | undefined>;
}

/** Writes to one endpoint. Errors that a repeat may cure are thrown with `retry: 'now'` (see `errors.ts`). */
export interface Writer {
  /** Largest batch worth sending; 1 for an API without transactions. */
  readonly maxBatch: number;
  /** How repeats are recognised: by our marker table, or (no right to create it) only by the state of the rows. */
  prepare(o: Cancel): Promise<'marker' | 'state'>;
  /**
   * The lock against a second writer, kept in the target. Throws LOCK_HELD with the holder's facts. The same run takes
   * its own lock over, with a higher token: who asks knows that the process before is dead.
   */
  lock(holder: { readonly run: string; readonly pair: string }, o: Cancel): Promise<WriterLock>;
  /**
   * One transaction: the marker, then every batch in order, each row only where the whole native row still is its
   * `before` (absent for an insert). All or nothing. `written` is called per batch inside the transaction, before commit.
   */
  apply(
    mark: StepMark,
    batches: Iterable<TableChanges> | AsyncIterable<TableChanges>,
    o: Cancel & { written?(w: Written): void | Promise<void> },
  ): Promise<Applied>;
  /** Is the step's marker in the target? Settles a lost reply. `by`: was it set under that token? */
  applied(mark: Pick<StepMark, 'run' | 'step'> & { readonly by?: bigint }, o: Cancel): Promise<boolean>;
  /** Absent: batches are guarded by cells. */
  readonly hashing?: ImageHashing;
  /** Moves sequences and identity positions of these tables past their greatest value; never back. */
  advanceSequences(tables: readonly Table[], o: Cancel): Promise<void>;
}
