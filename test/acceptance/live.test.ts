import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { compareAll, sums } from '../diff/tables.ts';
import { database } from './databases.ts';

/** Eight compares here; LOCKSTEP_TEST_COMPARES=100 for a longer look. */
const compares = Number(process.env['LOCKSTEP_TEST_COMPARES'] ?? 8);
const perSecond = 1000;

test(`${compares} compares while ${perSecond} writes/s reach both sides within 200 ms: no false difference, every real one`, async (t) => {
  await using a = await database('postgres');
  await using b = await database('postgres');
  for (const db of [a, b])
    await db.run(`create table live (id bigint primary key, v bigint not null, note text);
      insert into live select n, 0, 'note ' || n from generate_series(1, 30000) n; analyze live`);
  // Writers touch keys up to 20,000 and above 100,000. Of the others, these differ for good.
  await b.run(`update live set note = 'other' where id in (20001, 25000);
    update live set v = case id when 26000 then 1 else -1 end where id in (26000, 26001);
    delete from live where id = 27000; insert into live values (50000, 0, 'extra')`);
  const real = ['20001', '25000', '26000', '26001', '27000', '50000'];

  const stop = new AbortController();
  const clients = await Promise.all(
    [a.url, b.url].map(async (connectionString) => {
      const client = new pg.Client({ connectionString });
      await client.connect();
      return client;
    }),
  );
  let written = 0;
  let furthest = 0;
  // Values go up, come back, rows come and go: a row may look the same at two moments and differ between them.
  const script = (n: number): string => {
    const at = 1 + ((n * 7919) % 20_000);
    if (n % 10 === 0)
      return `insert into live values (${100_000 + (n % 500)}, ${n}, 'new') on conflict (id) do update set v = ${n}`;
    if (n % 10 === 5) return `delete from live where id = ${100_000 + ((n * 31) % 500)}`;
    return `update live set v = ${n % 3} where id = ${at % 50 === 0 ? at : 1 + (n % 97)}`;
  };
  const began = performance.now();
  const writing = (async () => {
    for (let n = 0; !stop.signal.aborted; ) {
      const due = Math.floor(((performance.now() - began) / 1000) * perSecond) - n;
      if (due <= 0) {
        await delay(5);
        continue;
      }
      const batch: string[] = [];
      for (let i = 0; i < Math.min(due, 50); i++) batch.push(script(n++));
      const sent = performance.now();
      // The same writes, one side after the other, the second one late.
      const text = batch.join(';');
      await clients[n % 2]!.query(text);
      await delay(n % 60);
      await clients[1 - (n % 2)]!.query(text);
      written += batch.length;
      furthest = Math.max(furthest, performance.now() - sent);
    }
  })();
  try {
    await using from = await a.connect('from');
    await using to = await b.connect('to');
    let suspected = 0;
    for (let i = 0; i < compares; i++) {
      const before = written;
      const force = (['digest', 'hashes', 'rows'] as const)[i % 3]!;
      const { differences, pair } = await compareAll(from, to, { force, settleMs: 400 });
      assert.deepEqual(
        differences.map((d) => d.key[0] as string),
        real,
        `compare ${i} by ${force}`,
      );
      assert.deepEqual(sums(pair), []);
      assert.ok(written > before);
      suspected += pair.in_flight;
    }
    const rate = written / ((performance.now() - began) / 1000);
    t.diagnostic(
      `${Math.round(rate)} writes/s, sides at most ${Math.round(furthest)} ms apart, ${suspected} rows in flight`,
    );
  } finally {
    stop.abort();
    await writing;
    await Promise.all(clients.map((c) => c.end()));
  }
});
