import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { postgres } from '../../src/engines/postgres/index.ts';
import { sqlite } from '../../src/engines/sqlite/index.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { testDatabase } from '../servers/postgres.ts';

/** A real database with one endpoint on it. */
export interface Side extends AsyncDisposable {
  readonly endpoint: Endpoint;
  /** Runs one statement; `$1` parameters. */
  run(sql: string, values?: readonly unknown[]): Promise<void>;
}

export type EngineName = 'postgres' | 'sqlite';

const signal = new AbortController().signal;

export const openSide = async (engine: EngineName, name: string): Promise<Side> =>
  engine === 'postgres' ? postgresSide(name) : sqliteSide(name);

const postgresSide = async (name: string): Promise<Side> => {
  const db = await testDatabase();
  const endpoint = await postgres.connect(postgres.parse(db.url), { name, writable: false, signal });
  return {
    endpoint,
    run: async (sql, values) => void (await db.query(sql, values as unknown[])),
    [Symbol.asyncDispose]: async () => {
      await endpoint[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
    },
  };
};

const sqliteSide = async (name: string): Promise<Side> => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-diff-'));
  const path = join(dir, 'data.sqlite');
  const db = new DatabaseSync(path);
  db.exec('pragma journal_mode = wal');
  const endpoint = await sqlite.connect(sqlite.parse(`sqlite:${path}`), { name, writable: false, signal });
  return {
    endpoint,
    run: async (sql, values = []) => void db.prepare(sql.replaceAll(/\$(\d+)/g, '?$1')).run(...(values as string[])),
    [Symbol.asyncDispose]: async () => {
      await endpoint[Symbol.asyncDispose]();
      db.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
};
