import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTimings, withoutValues } from './timings.ts';

const held = () => {
  let at = 0;
  return {
    elapsed: () => at,
    pass: (ms: number): void => {
      at += ms;
    },
  };
};

test('quantiles are right within five percent, from microseconds to hours', () => {
  const timings = openTimings(held());
  const sizes = Array.from({ length: 1000 }, (_, i) => 0.02 * 1.015 ** i);
  for (const ms of sizes) timings.record({ kind: 'endpoint', endpoint: 'crm', call: 'scan', ok: true }, ms);
  const [found] = timings.endpoints();
  assert.ok(found);
  assert.equal(found.count, 1000);
  for (const [name, share] of [
    ['p50', 0.5],
    ['p95', 0.95],
    ['p99', 0.99],
  ] as const) {
    const exact = sizes[Math.ceil(1000 * share) - 1]!;
    assert.ok(Math.abs(found[name] - exact) / exact < 0.06, `${name}: ${found[name]} instead of ${exact}`);
  }
  assert.ok(Math.abs(found.max - sizes.at(-1)!) <= 0.01);
});

test('what is older than two windows is forgotten, what is younger than one is not', () => {
  const clock = held();
  const timings = openTimings(clock);
  timings.record({ kind: 'route', method: 'GET', route: '/health', status: 500 }, 3);
  clock.pass(301_000);
  timings.record({ kind: 'route', method: 'GET', route: '/health', status: 200 }, 5);
  assert.deepEqual(
    timings.routes().map((r) => [r.route, r.count, r.failed, r.max]),
    [['/health', 2, 1, 5]],
  );
  clock.pass(301_000);
  assert.equal(timings.routes()[0]?.count, 1);
  clock.pass(900_000);
  assert.deepEqual(timings.routes(), []);
});

test('a statement keeps its names and loses every value', () => {
  for (const [sql, left] of [
    [
      `select "a 1", b2 from "s"."t" where x = 'it''s Ann' and y = 42.5e3`,
      'select "a 1", b2 from "s"."t" where x = ? and y = ?',
    ],
    [`select e'a\\'Ann', $tag$ 'Ann' $tag$, $1 from t`, 'select ?, … from t'],
    ['select * from `t` where `n` = "Ann"', 'select * from `t` where `n` = ?'],
    ["select * from t where n = 'a\\'Ann' and m = 'Bob'", 'select * from t where n = ?'],
    [`values (1, 'Ann'), (2, 'Bob'), (3, 'Cid')`, 'values (?, …), …'],
    [`select 'Ann was cut he`, 'select ?'],
    [`select  x\n  from t`, 'select x from t'],
  ] as const)
    assert.equal(withoutValues(sql), left);
});

test('listeners hear each record, and the same statement with other values is one', () => {
  const timings = openTimings(held());
  const heard: number[] = [];
  {
    using _listening = timings.listen((_, ms) => heard.push(ms));
    for (const id of [1, 2, 3])
      timings.record({ kind: 'statement', endpoint: 'crm', sql: `select * from t where id = ${id}`, rows: 2 }, id);
  }
  timings.record({ kind: 'statement', endpoint: 'crm', sql: 'select 1', rows: 1 }, 9);
  assert.deepEqual(heard, [1, 2, 3]);
  const found = timings.statements(10);
  assert.deepEqual(
    found.map((s) => [s.sql, s.count, s.rows]),
    [
      ['select ?', 1, 1],
      ['select * from t where id = ?', 3, 6],
    ],
  );
});

test('statements of ever new kinds do not fill the memory', () => {
  const timings = openTimings(held());
  for (let i = 0; i < 2000; i++)
    timings.record({ kind: 'statement', endpoint: 'crm', sql: `select c${i} from t`, rows: 0 }, i === 7 ? 9999 : 1);
  assert.ok(timings.statements(5000).length <= 500);
  assert.equal(timings.statements(1)[0]?.sql, 'select c7 from t');
});
