import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { mysql } from '../../src/engines/mysql/index.ts';
import { postgres } from '../../src/engines/postgres/index.ts';
import { sqlite } from '../../src/engines/sqlite/index.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { mariadbDatabase } from '../servers/mariadb.ts';
import { testDatabase } from '../servers/postgres.ts';

export type EngineName = 'postgres' | 'sqlite';
/** Engines of whole stories. */
export type DatabaseName = EngineName | 'mysql';

export const engineNames: readonly EngineName[] = ['postgres', 'sqlite'];

/** Every direction that two engines can be compared in. */
export const directions = engineNames.flatMap((source) => engineNames.map((target) => [source, target] as const));

/** A real database that a test fills with SQL of its own. */
export interface Database<E extends DatabaseName = DatabaseName> extends AsyncDisposable {
  readonly engine: E;
  readonly url: string;
  /** Runs a script of statements. */
  run(script: string): Promise<void>;
  /** Rows as arrays of what the driver gives. */
  rows(sql: string): Promise<readonly (readonly unknown[])[]>;
  connect(name: string): Promise<Endpoint>;
}

/** A fresh empty database. */
export const database = <E extends DatabaseName>(engine: E, options = ''): Promise<Database<E>> => {
  const made =
    engine === 'postgres' ? postgresDatabase(options) : engine === 'mysql' ? mysqlDatabase() : sqliteDatabase();
  return made as Promise<Database<DatabaseName>> as Promise<Database<E>>;
};

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

const mysqlDatabase = async (): Promise<Database> => {
  const db = await mariadbDatabase();
  await db.query(`set sql_mode = concat(@@sql_mode, ',PIPES_AS_CONCAT')`);
  return {
    engine: 'mysql',
    url: db.url,
    run: async (script) => void (await db.query(script)),
    rows: (sql) => db.rows(sql),
    connect: (name) => mysql.connect(mysql.parse(db.url), { name, writable: false, signal }),
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
