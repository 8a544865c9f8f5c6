import { type Clock, systemClock } from '../../lib/clock.ts';
import type { Loader, SchemaBuilder } from '../../model/build.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Table } from '../../model/schema.ts';
import type { Applied, StepMark, TableChanges, Writer, WriterLock, Written } from '../../model/writer.ts';
import { sqliteLoader } from './bulk-load.ts';
import type { Connection } from './connection.ts';
import { schemaBuilder } from './create-table.ts';
import type { BatchResult, Holder } from './operations.ts';

/** A dead holder's lock runs out after this. */
const holdMs = 60_000;
const beatMs = 15_000;

const never = (): Cancel => ({ signal: new AbortController().signal });

/**
 * Writes through one connection, one step at a time (SQLite has one writer): later calls wait for their turn. The
 * connection is opened when it is first needed, and again after it was killed. `closed` ends with the endpoint: a lock
 * that was not given back is then renewed no longer, and runs out.
 */
export const sqliteWriter = (
  connect: (o: Cancel) => Promise<Connection>,
  closed: AbortSignal,
  clock: Clock = systemClock,
): { readonly writer: Writer; readonly builder: SchemaBuilder; readonly loader: Loader } => {
  let open: Connection | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  const connection = async (o: Cancel): Promise<Connection> => {
    if (open === undefined || open.ended) open = await connect(o);
    return open;
  };
  /** Runs `work` when all that came before is done. */
  const alone = <T>(o: Cancel, work: (c: Connection) => Promise<T>): Promise<T> => {
    const mine = turn.then(async () => {
      o.signal.throwIfAborted();
      return work(await connection(o));
    });
    turn = mine.catch(() => {});
    return mine;
  };

  const writer: Writer = {
    maxBatch: 1000,
    prepare: (o) => alone(o, (c) => c.call('prepareTarget', null, o)),
    applied: (mark, o) => alone(o, (c) => c.call('applied', mark, o)),
    advanceSequences: async (tables, o) => {
      await alone(o, (c) => c.call('advanceSequences', tables, o));
    },
    lock: async (holder: Holder, o): Promise<WriterLock> => {
      const token = await alone(o, (c) => c.call('lock', { holder, nowMs: clock.now(), holdMs }, o));
      const held = new AbortController();
      const beat = async (): Promise<void> => {
        for (;;) {
          await clock.sleep(beatMs, AbortSignal.any([held.signal, closed]));
          // A beat that fails is made up for by the next; a lock that is lost shows as FENCED.
          await alone(never(), (c) => c.call('renew', { token, untilMs: clock.now() + holdMs }, never())).catch(
            () => {},
          );
        }
      };
      const beating = beat().catch(() => {});
      return {
        token,
        [Symbol.asyncDispose]: async () => {
          if (held.signal.aborted) return;
          held.abort();
          await beating;
          await alone(never(), (c) => c.call('unlock', { token }, never()));
        },
      };
    },
    apply: (mark, batches, o) => alone(o, (c) => applyStep(c, clock, mark, batches, o)),
  };
  return {
    writer,
    builder: schemaBuilder((sql, o) => alone(o, (c) => c.call('define', sql, o))),
    loader: sqliteLoader(alone, clock),
  };
};

const applyStep = async (
  c: Connection,
  clock: Clock,
  mark: StepMark,
  batches: Iterable<TableChanges> | AsyncIterable<TableChanges>,
  o: Cancel & { written?(w: Written): void | Promise<void> },
): Promise<Applied> => {
  if ((await c.call('beginStep', { mark }, o)) === 'already') return { status: 'already' };
  const tables = new Map<string, Table>();
  let finished = false;
  try {
    for await (const batch of batches) {
      o.signal.throwIfAborted();
      tables.set(batch.table.name, batch.table);
      const { table, key, changes } = batch;
      const refused = outcome(batch, await c.call('batch', { table, key, changes }, o));
      if ('status' in refused) return refused;
      await o.written?.({ batch, stored: refused.stored });
    }
    o.signal.throwIfAborted();
    const done = await c.call('commitStep', { mark, untilMs: clock.now() + holdMs }, o);
    if (done === null) {
      finished = true;
      return { status: 'done' };
    }
    return { status: 'rejected', table: tables.get(done.table)!, reason: done.reason, sqlState: done.code };
  } finally {
    if (!finished && !c.ended) await c.call('end', null, never()).catch(() => {});
  }
};

const outcome = (
  batch: TableChanges,
  result: BatchResult,
): Extract<Applied, { status: 'stale' | 'rejected' }> | { readonly stored: Written['stored'] } => {
  const { table, changes } = batch;
  if ('stale' in result) {
    return {
      status: 'stale',
      rows: result.stale.map(({ index, found, reason }) => ({
        change: changes[index]!,
        table,
        found,
        ...(reason === undefined ? {} : { reason }),
      })),
    };
  }
  if ('rejected' in result) {
    const { index, reason, code } = result.rejected;
    return {
      status: 'rejected',
      table,
      reason,
      ...(index === undefined ? {} : { change: changes[index]! }),
      ...(code === undefined ? {} : { sqlState: code }),
    };
  }
  return result;
};
