import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { postgres } from '../../src/engines/postgres/index.ts';
import { sqlite } from '../../src/engines/sqlite/index.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { testDatabase } from '../servers/postgres.ts';

export type EngineName = 'postgres' | 'sqlite';

export const engineNames: readonly EngineName[] = ['postgres', 'sqlite'];

/** Every direction that two engines can be compared in. */
export const directions = engineNames.flatMap((source) => engineNames.map((target) => [source, target] as const));

/** A real database that a test fills with SQL of its own. */
export interface Database extends AsyncDisposable {
  readonly engine: EngineName;
  readonly url: string;
  /** Runs a script of statements. */
  run(script: string): Promise<void>;
  /** Rows as arrays of what the driver gives. */
  rows(sql: string): Promise<readonly (readonly unknown[])[]>;
  connect(name: string): Promise<Endpoint>;
}

/** A fresh empty database. */
export const database = (engine: EngineName, options = ''): Promise<Database> =>
  engine === 'postgres' ? postgresDatabase(options) : sqliteDatabase();

const signal = new AbortController().signal;

const postgresDatabase = async (options: string): Promise<Database> => {
  const db = await testDatabase(options);
  return {
    engine: 'postgres',
    url: db.url,
    run: async (script) => void (await db.query(script)),
    rows: async (sql) => (await db.query({ text: sql, rowMode: 'array' } as never)).rows,
    connect: (name) => postgres.connect(postgres.parse(db.url), { name, writable: false, signal }),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
};

const sqliteDatabase = async (): Promise<Database> => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-accept-'));
  const path = join(dir, 'data.sqlite');
  const db = new DatabaseSync(path);
  db.exec('pragma journal_mode = wal; pragma synchronous = off');
  return {
    engine: 'sqlite',
    url: `sqlite:${path}`,
    run: async (script) => db.exec(script),
    rows: async (sql) => {
      const statement = db.prepare(sql);
      statement.setReadBigInts(true);
      statement.setReturnArrays(true);
      return statement.all() as unknown as unknown[][];
    },
    connect: (name) => sqlite.connect(sqlite.parse(`sqlite:${path}`), { name, writable: false, signal }),
    [Symbol.asyncDispose]: async () => {
      db.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

/** An identifier in SQL of both engines. */
export const quotedName = (name: string): string => `"${name.replaceAll('"', '""')}"`;
/** A text in SQL of both engines (no NUL). */
export const quotedText = (text: string): string => `'${text.replaceAll("'", "''")}'`;
