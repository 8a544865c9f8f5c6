import { type Clock, systemClock } from '../../lib/clock.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { MemoryReader } from './reader.ts';
import { memoryRows } from './rows.ts';
import { MemoryDatabase, type MemoryTable } from './store.ts';
import { memoryWriter } from './writer.ts';

export interface MemoryConfig {
  readonly database: MemoryDatabase;
  /** Rows per batch; 1000 unless told. */
  readonly batchRows?: number;
  /** `false`: there is no right to keep a step marker. */
  readonly marker?: boolean;
  /** How long a lock holds without a step, milliseconds; 30 s unless told. */
  readonly lockMs?: number;
}

/** A database in memory, for tests. */
export const memoryDatabase = (tables: readonly MemoryTable[], clock: Clock = systemClock): MemoryDatabase =>
  new MemoryDatabase(tables, clock);

/** A connection to a database in memory; several may share one. */
export const memoryEndpoint = (
  from: MemoryDatabase | readonly MemoryTable[],
  o: Omit<MemoryConfig, 'database'> & { readonly name?: string; readonly writable?: boolean } = {},
): Endpoint & { readonly database: MemoryDatabase } => {
  const database = from instanceof MemoryDatabase ? from : memoryDatabase(from);
  const name = o.name ?? 'memory';
  const tables = [...database.tables.values()].map((t) => t.table);
  const schema = tables.find((t) => t.schema !== undefined)?.schema;
  let snapshots = 0;
  return {
    name,
    database,
    engine: 'memory',
    version: 'memory',
    fingerprint: { server: `memory:${database.id}`, database: name, address: name },
    inspect: async ({ signal }) => {
      signal.throwIfAborted();
      return { tables, ...(schema === undefined ? {} : { defaultSchema: schema }) };
    },
    snapshot: async ({ signal, onQuery }) => {
      signal.throwIfAborted();
      const position = `memory:${++snapshots}`;
      return new MemoryReader(database, { position, batchRows: o.batchRows ?? 1000, ...(onQuery ? { onQuery } : {}) });
    },
    rows: memoryRows(database, o.writable !== false),
    ...(o.writable === false
      ? {}
      : { writer: memoryWriter(database, { marker: o.marker ?? true, lockMs: o.lockMs ?? 30_000 }) }),
    [Symbol.asyncDispose]: async () => {},
  };
};
