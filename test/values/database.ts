import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { postgres } from '../../src/engines/postgres/index.ts';
import { sqlite } from '../../src/engines/sqlite/index.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Reader } from '../../src/model/reader.ts';
import type { Row } from '../../src/model/row.ts';
import type { ColumnType, Table } from '../../src/model/schema.ts';
import type { SelectedColumn, Selection } from '../../src/model/selected.ts';
import { testDatabase } from '../servers/postgres.ts';
import { pgTypes } from './vectors.ts';

/** A database of one engine that the tests of values may also speak to directly. */
export interface Values extends AsyncDisposable {
  readonly engine: 'postgres' | 'sqlite';
  readonly endpoint: Endpoint;
  run(sql: string): Promise<void>;
  /** What the database itself says of a table's column `v` that must not change: its text and storage. */
  truth(table: string): Promise<unknown[]>;
}

const connection = { name: 'values', writable: true, signal: AbortSignal.timeout(300_000) };

export const postgresValues = async (): Promise<Values> => {
  const db = await testDatabase();
  for (const statement of pgTypes) await db.query(statement);
  const endpoint = await postgres.connect(postgres.parse(db.url), connection);
  await endpoint.writer!.prepare(connection);
  return {
    engine: 'postgres',
    endpoint,
    run: async (sql) => void (await db.query(sql)),
    truth: async (table) => (await db.query(`select id, v::text as v from ${table} order by id`)).rows,
    [Symbol.asyncDispose]: async () => {
      await endpoint[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
    },
  };
};

export const sqliteValues = async (): Promise<Values> => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-values-'));
  const path = join(dir, 'values.db');
  const raw = new DatabaseSync(path);
  raw.exec('pragma journal_mode = wal; pragma synchronous = off; create table none (id int)');
  const endpoint = await sqlite.connect(sqlite.parse(`sqlite:${path}`), connection);
  await endpoint.writer?.prepare(connection);
  return {
    engine: 'sqlite',
    endpoint,
    run: async (sql) => raw.exec(sql),
    truth: async (table) =>
      raw
        .prepare(`select id, typeof(v) as t, hex(cast(v as blob)) as h, quote(v) as q from ${table} order by id`)
        .all(),
    [Symbol.asyncDispose]: async () => {
      await endpoint[Symbol.asyncDispose]();
      raw.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

/** Column `v` of a table with an integer key `id`, rendered as `as` or as its own type. */
export const selectV = (table: Table, as?: ColumnType): Selection => ({
  table: table.schema === undefined ? { name: table.name } : { schema: table.schema, name: table.name },
  columns: ['id', 'v'].map((name): SelectedColumn => {
    const c = table.columns.find((column) => column.name === name)!;
    return {
      name,
      stored: c.type,
      as: name === 'v' ? (as ?? c.type) : { kind: 'int', bits: 64 },
      ...(c.loose ? { loose: true } : {}),
    };
  }),
  keyWidth: 1,
});

export const tablesOf = async (db: Values): Promise<ReadonlyMap<string, Table>> =>
  new Map((await db.endpoint.inspect(connection)).tables.map((t) => [t.name, t]));

export const readV = async (db: Values, selection: Selection): Promise<Row[]> => {
  await using reader = await db.endpoint.snapshot(connection);
  const rows = (await Array.fromAsync(reader.scan(selection, { kind: 'all' }, connection))).flat();
  if (reader.raw) await rawAgrees(reader, selection, rows);
  return rows;
};

/** Rows read as bytes must have the cells of the scan, in every spelling. */
const rawAgrees = async (reader: Reader, selection: Selection, rows: readonly Row[]): Promise<void> => {
  const offered = await reader.raw!.spellings(selection, connection);
  if (!offered) return;
  for (let n = 0; n < Math.max(...offered.map((o) => o.length)); n++) {
    const found: Row[] = [];
    const spellings: readonly string[] = offered.map((o) => o[n] ?? o[0]!);
    for await (const batch of reader.raw!.read(selection, spellings, connection))
      for (let i = 0; i < batch.count; i++) found.push(batch.row(i));
    assert.deepEqual(found, rows, `as bytes: ${spellings.join(', ')}`);
  }
};

/** Row hashes, one per row in key order, as the engine computes them. */
export const hashV = async (db: Values, selection: Selection): Promise<string[]> => {
  await using reader = await db.endpoint.snapshot(connection);
  const hashes: string[] = [];
  for await (const b of reader.hashing!.hashes(selection, { kind: 'all' }, { seed: 20n, form: 'hex' }, connection)) {
    for (let i = 0; i < b.count; i++) hashes.push(`${b.hashes[2 * i]} ${b.hashes[2 * i + 1]}`);
  }
  return hashes;
};

/** Inserts native rows (id, v) through the writer. */
export const writeV = async (db: Values, table: Table, rows: readonly Row[], step: number): Promise<void> => {
  const changes = rows.map((after) => ({
    op: 'insert' as const,
    key: after.slice(0, 1),
    before: null,
    after,
    columns: [0, 1],
  }));
  const applied = await db.endpoint.writer!.apply(
    { run: 'values', step, token: 0n },
    [{ table, key: ['id'], changes }],
    connection,
  );
  if (applied.status !== 'done') throw new Error(`${table.name}: ${JSON.stringify(applied)}`);
};
