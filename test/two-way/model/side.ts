import { firebird } from '../../../src/engines/firebird/index.ts';
import { postgres } from '../../../src/engines/postgres/index.ts';
import type { Endpoint } from '../../../src/model/endpoint.ts';
import { firebirdDatabase } from '../../servers/firebird.ts';
import { testDatabase } from '../../servers/postgres.ts';

/** A database as its users have it: statements that any of the engines takes. */
export interface Side extends AsyncDisposable {
  /** In one transaction. */
  run(...statements: readonly string[]): Promise<void>;
  /** The rows of a query of one text column. */
  texts(sql: string): Promise<readonly string[]>;
  connect(): Promise<Endpoint>;
}

const { signal } = new AbortController();

export const postgresSide = async (name: string): Promise<Side> => {
  const db = await testDatabase();
  return {
    run: async (...statements) => void (await db.query(statements.join(';\n'))),
    texts: async (sql) => {
      const { rows } = await db.query(sql);
      return rows.map((row) => String(Object.values(row as object)[0]));
    },
    connect: () => postgres.connect(postgres.parse(db.url), { name, writable: true, signal }),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
};

export const firebirdSide = async (name: string): Promise<Side> => {
  const db = await firebirdDatabase();
  return {
    // A table must be committed before it is written to.
    run: async (...statements) => {
      if (statements.some((s) => s.startsWith('create'))) for (const s of statements) await db.run(s);
      else await db.run(...statements);
    },
    texts: async (sql) => (await db.run(sql)).map(([cell]) => String(cell)),
    connect: () => firebird.connect(firebird.parse(db.url), { name, writable: true, signal }),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
};
