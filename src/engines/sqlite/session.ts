import { LockstepError } from '../../model/errors.ts';
import type { HashBatch } from '../../model/reader.ts';
import type { Row } from '../../model/row.ts';
import type { Selection } from '../../model/selected.ts';
import { bounded } from './bounded.ts';
import { type CatalogueTable, inspectDatabase } from './catalogue.ts';
import { csvFormOf, csvRows } from './csv.ts';
import { type Database, openDatabase, requireTransaction } from './database.ts';
import { define, tableDetails } from './details.ts';
import { digestOfRows } from './digest.ts';
import { examineDatabase } from './examine.ts';
import { isSqliteFailure, resultCode, resultCodes } from './failures.ts';
import { digestOfFrames } from './frame-digest.ts';
import { hashesOfFrames } from './frame-stream.ts';
import { helperFor } from './hash-helper.ts';
import { loadRows } from './load-rows.ts';
import type { Chunk, OpenArgs, Operations, StreamArgs, Work } from './operations.ts';
import { isRowid, type Orders } from './read-plan.ts';
import { countRows, hashesOfRows, keyBounds, type Snapshot, sampleKeys } from './reading.ts';
import { rowCalls } from './row-calls.ts';
import type { RowArgs, RowValue } from './row-messages.ts';
import { defineFunctions, type Meter, type Slots, scanRows } from './scan.ts';
import { advanceSequences } from './sequences.ts';
import { beginStep, giveLock, isApplied, prepareTarget, renewHeld, renewLock, takeLock } from './steps.ts';
import { commit, writeBatch } from './write.ts';

interface Stream {
  readonly batches: Generator<readonly Row[] | HashBatch | Extract<Chunk, { csv: unknown } | { odd: true }>>;
  readonly meter: Meter;
  elapsedMs: number;
}

/** Handlers of every operation, by name. */
export type Handlers = {
  readonly [Op in keyof Operations]?: (args: Operations[Op]['args']) => Operations[Op]['value'];
};

/** One connection's side of the conversation: lives in the SQLite process. */
export interface Session {
  readonly handlers: Handlers;
  /** Absolute path of the database, for messages; empty before it is open. */
  path(): string;
  close(): void;
}

const cell = new Int32Array(new SharedArrayBuffer(4));

/** A meter that holds the process back when it reads faster than so many rows a second. */
const meterOf = (rowsPerSecond: number | undefined): Meter => {
  const start = performance.now();
  let read = 0;
  return {
    rows: 0,
    bytes: 0,
    sql: '',
    pace: (rows) => {
      if (rowsPerSecond === undefined) return;
      read += rows;
      const aheadMs = (read / rowsPerSecond) * 1000 - (performance.now() - start);
      if (aheadMs > 1) Atomics.wait(cell, 0, 0, aheadMs);
    },
  };
};

/** A user's condition that SQLite cannot read is the user's to mend. */
const blamingFilter = <T>(filter: string | undefined, work: () => T): T => {
  try {
    return work();
  } catch (error) {
    if (filter !== undefined && isSqliteFailure(error) && resultCode(error) === resultCodes.ERROR) {
      throw new LockstepError('FILTER', `SQLite cannot read the condition ${filter}: ${error.message}.`, {
        cause: error,
      });
    }
    throw error;
  }
};

export const openSession = (): Session => {
  let db: Database | undefined;
  let slots: Slots | undefined;
  let args: OpenArgs | undefined;
  let orders: Orders = new Map();
  let knownVersion: string | undefined;
  const written = new Set<string>();
  const loaded = new Map<string, CatalogueTable>();
  const streams = new Map<number, Stream>();
  /** Slots of ranges, until the snapshot ends. */
  let taken: number[] = [];
  let nextStream = 1;
  let rows: ((args: RowArgs) => RowValue) | undefined;

  const database = (): Database => {
    if (!db) throw new LockstepError('INTERNAL', 'the database is not open.');
    return db;
  };
  const snapshot = (): Snapshot => {
    requireTransaction(database());
    return { db: database(), slots: slots!, orders };
  };
  const timed = <T>(meter: Meter, work: () => T): { value: T; work: Work } => {
    const start = performance.now();
    const value = work();
    return { value, work: workOf(meter, performance.now() - start) };
  };
  const end = (): null => {
    for (const stream of streams.values()) stream.batches.return(undefined);
    streams.clear();
    for (const slot of taken) slots?.release(slot);
    taken = [];
    if (db?.inTransaction) {
      orders = new Map();
      db.exec('rollback');
    }
    return null;
  };
  const within = (s: Snapshot, selection: Selection): Selection =>
    bounded(s, selection, (slot) => void taken.push(slot));
  const openStream = ({ kind, selection: asked, segment, hash }: StreamArgs): number => {
    const meter = meterOf(args!.rowsPerSecond);
    const s = snapshot();
    const selection = within(s, asked);
    const batches: Stream['batches'] =
      kind === 'rows'
        ? scanRows(s.db, s.slots, s.orders, selection, segment, meter)
        : kind === 'csv'
          ? csvRows(s, selection, segment, meter)
          : (hashesOfFrames(s, selection, segment, hash!, meter) ?? hashesOfRows(s, selection, segment, hash!, meter));
    streams.set(nextStream, { batches: blamed(asked.filter, batches), meter, elapsedMs: 0 });
    return nextStream++;
  };

  return {
    path: () => args?.path ?? '',
    close: () => {
      end();
      db?.close();
      db = undefined;
    },
    handlers: {
      open: (given) => {
        args = given;
        db = openDatabase(given);
        slots = defineFunctions(db);
        return { version: db.version };
      },
      inspect: () => inspectDatabase(database()),
      examine: (asked) => examineDatabase(database(), asked),
      begin: () => {
        const opened = database();
        opened.exec('begin');
        // A deferred transaction sees the database as of its first read.
        opened.get('select count(*) from sqlite_schema');
        return null;
      },
      end,
      stream: openStream,
      next: (number) => {
        const stream = streams.get(number);
        if (!stream) throw new LockstepError('INTERNAL', 'this stream is closed.');
        const start = performance.now();
        const { value, done } = stream.batches.next();
        stream.elapsedMs += performance.now() - start;
        if (!done) {
          if (Array.isArray(value)) return { rows: value };
          return 'csv' in value || 'odd' in value ? value : { hashes: value as HashBatch };
        }
        streams.delete(number);
        return { end: true, work: workOf(stream.meter, stream.elapsedMs) };
      },
      csvForm: (selection) => csvFormOf(snapshot(), within(snapshot(), selection)),
      close: (number) => {
        const stream = streams.get(number);
        streams.delete(number);
        stream?.batches.return(undefined);
        return stream ? workOf(stream.meter, stream.elapsedMs) : null;
      },
      count: (selection) => {
        const meter = meterOf(undefined);
        const { value, work } = timed(meter, () =>
          blamingFilter(selection.filter, () => countRows(snapshot(), within(snapshot(), selection))),
        );
        return { rows: value.rows, work: { ...work, sql: value.sql, rows: 1 } };
      },
      sample: ({ selection, rows }) =>
        blamingFilter(selection.filter, () => sampleKeys(snapshot(), within(snapshot(), selection), rows)),
      keyBounds: (selection) =>
        blamingFilter(selection.filter, () => keyBounds(snapshot(), within(snapshot(), selection)) ?? null),
      ranges: (selection) => isRowid(snapshot(), selection),
      prepareTarget: () => prepareTarget(database()),
      lock: ({ holder, nowMs, holdMs }) => takeLock(database(), holder, nowMs, holdMs),
      renew: ({ token, untilMs }) => renewLock(database(), token, untilMs),
      unlock: ({ token }) => {
        giveLock(database(), token);
        return null;
      },
      rows: (asked) => {
        rows ??= rowCalls(database(), slots!);
        return rows(asked);
      },
      details: (tables) => tableDetails(database(), tables),
      define: (sql) => {
        define(database(), sql);
        loaded.clear();
        return null;
      },
      loadRows: (rows) => loadRows(database(), rows, loaded),
      beginStep: ({ mark, unlinked }) => {
        const version = String(database().get('pragma data_version')![0]);
        const begun = beginStep(database(), mark, unlinked);
        loaded.clear();
        // What is known of the keys holds until another connection writes.
        const now = String(database().get('pragma data_version')![0]);
        if (version !== knownVersion || now !== version) orders = new Map();
        knownVersion = now;
        written.clear();
        return begun;
      },
      batch: (batch) => {
        written.add(batch.table.name);
        return writeBatch(snapshot(), batch);
      },
      commitStep: ({ mark, untilMs }) => {
        renewHeld(database(), mark.token, untilMs);
        return commit(database(), written) ?? null;
      },
      applied: (mark) => isApplied(database(), mark),
      advanceSequences: (tables) => {
        advanceSequences(database(), tables);
        return null;
      },
      digest: ({ selection, partition, hash }) => {
        const meter = meterOf(args!.rowsPerSecond);
        const { value, work } = timed(meter, () =>
          blamingFilter(selection.filter, () => {
            const s = snapshot();
            const inside = within(s, selection);
            // Where rows are held back, one thread is fast enough.
            const beside = args!.rowsPerSecond === undefined ? helperFor : undefined;
            return (
              digestOfFrames(s, inside, partition, hash, meter, beside) ??
              digestOfRows(s, inside, partition, hash, meter)
            );
          }),
        );
        return { digests: value, work: { ...work, sql: meter.sql } };
      },
    },
  };
};

const workOf = (meter: Meter, elapsedMs: number): Work => ({
  sql: meter.sql,
  rows: meter.rows,
  bytes: meter.bytes,
  elapsedMs,
});

function* blamed<T>(filter: string | undefined, batches: Generator<T>): Generator<T> {
  try {
    for (;;) {
      const next = blamingFilter(filter, () => batches.next());
      if (next.done) return;
      yield next.value;
    }
  } finally {
    batches.return(undefined);
  }
}
