import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { postgres } from '../../src/engines/postgres/index.ts';
import { testDatabase } from '../servers/postgres.ts';
import { compareAll, sums } from './tables.ts';

const signal = new AbortController().signal;

test('writers on both sides cause no false difference, and untouched rows that differ are all found', async () => {
  await using a = await testDatabase();
  await using b = await testDatabase();
  for (const db of [a, b]) {
    await db.query('create table accounts (id bigint primary key, status text, balance numeric, seen bigint)');
    await db.query(`insert into accounts select n, 'open', n, 0 from generate_series(1, 5000) n`);
    await db.query('analyze accounts');
  }
  // Rows up to 4000 are written; of the others, five differ for good.
  await b.query(`update accounts set status = 'closed' where id in (4100, 4200, 4300)`);
  await b.query('delete from accounts where id = 4400');
  await a.query('delete from accounts where id = 4500');

  const writers = await Promise.all(
    [a.url, b.url].map(async (url) => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      return client;
    }),
  );
  const stop = new AbortController();
  let written = 0;
  // The same writes reach one side, then the other: toggles, inserts and deletes, so that old values come back.
  const write = async (): Promise<void> => {
    for (let n = 1; !stop.signal.aborted; n++) {
      const id = 1 + ((n * 7919) % 400);
      const sql =
        n % 5 === 0
          ? `with gone as (delete from accounts where id = ${10_000 + (n % 50)} returning 1) insert into accounts select ${10_000 + (n % 50)}, 'new', 0, 0 where not exists (select from gone)`
          : `update accounts set status = case status when 'open' then 'held' else 'open' end where id = ${id}`;
      await writers[0]!.query(sql);
      await writers[1]!.query(sql);
      written++;
    }
  };
  const writing = write();
  try {
    const open = async (url: string, name: string) =>
      postgres.connect(postgres.parse(url), { name, writable: false, signal });
    await using source = await open(a.url, 'left');
    await using target = await open(b.url, 'right');
    for (const force of ['digest', 'hashes', 'rows', 'hashes', 'digest'] as const) {
      const before = written;
      const { differences, pair } = await compareAll(source, target, { force, settleMs: 300 });
      assert.deepEqual(
        differences.map((d) => [d.kind, d.key[0]]),
        [
          ['different', '4100'],
          ['different', '4200'],
          ['different', '4300'],
          ['only_in_source', '4400'],
          ['only_in_target', '4500'],
        ],
        pair.explain.decision,
      );
      assert.deepEqual(sums(pair), []);
      assert.ok(written > before, 'nothing was written meanwhile');
    }
  } finally {
    stop.abort();
    await writing;
    await Promise.all(writers.map((w) => w.end()));
  }
});
