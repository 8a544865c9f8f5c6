import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { Copied, type CopiedColumn } from '../../src/store/postgres/copied.ts';
import { testDatabase } from '../servers/postgres.ts';

const columns: readonly CopiedColumn[] = [
  { name: 'n', type: 'bigint' },
  { name: 'b', type: 'bytea' },
];

test('rows are copied as the server keeps them: nulls, nothing, every byte, a megabyte, negative numbers', async () => {
  await using db = await testDatabase();
  const client = new pg.Client({ connectionString: db.url });
  await client.connect();
  try {
    const copied = (sql: string, of = columns): Promise<Record<string, unknown>[]> => {
      const statement = new Copied(sql, of);
      client.query(statement);
      return statement.rows;
    };
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const large = Buffer.alloc(1 << 20, 'lockstep');
    await client.query('create table t (n int8, b bytea); alter table t alter column b set storage external');
    await client.query('insert into t values (1, $1), (2, $2), (3, null), (null, $3), (-9007199254740991, $4)', [
      every,
      large,
      Buffer.alloc(0),
      Buffer.from([0]),
    ]);
    const expected = [
      { n: -9007199254740991, b: Buffer.from([0]) },
      { n: 1, b: every },
      { n: 2, b: large },
      { n: 3, b: null },
      { n: null, b: Buffer.alloc(0) },
    ];
    const ordered = 'select n, b from t order by n';
    // at once: the driver has them wait for each other, and reads all into the same memory
    assert.deepEqual(await Promise.all([copied(ordered), copied(ordered)]), [expected, expected]);
    assert.deepEqual(await copied('select n, b from t where false'), []);
    await assert.rejects(copied('select n, b from nothing'), { code: '42P01' });
    await assert.rejects(copied('select 1 / (n - 3), b from t where n > 0 order by n'), { code: '22012' });
    await assert.rejects(copied('select n from t where n = 1'), /a row of 1 columns, not 2/);
    assert.deepEqual(await copied('select n, b from t where n = 3'), [{ n: 3, b: null }], 'the connection goes on');
    const broken = assert.rejects(copied('select n, b from t, pg_sleep(600)'), /terminat/i);
    client.on('error', () => {});
    await db.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()',
      [db.name],
    );
    await broken;
  } finally {
    await client.end().catch(() => {});
  }
});
