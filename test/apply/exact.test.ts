import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { loadEngine } from '../../src/engines/registry.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { factsOf } from '../../src/work/recorded.ts';
import { type RevertInput, revert } from '../../src/work/revert.ts';
import { testDatabase } from '../servers/postgres.ts';
import { applied, type Bench, bench, planned, synced } from './bench.ts';

let b: Bench;
let folder: string;
before(async () => {
  b = await bench();
  folder = mkdtempSync(join(tmpdir(), 'lockstep-exact-'));
});
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await b[Symbol.asyncDispose]();
});

const { signal } = new AbortController();

const open = async (engine: string, url: string, writable: boolean): Promise<Endpoint> => {
  const { connect, parse } = (await loadEngine(engine))!;
  return connect(parse(url), { name: writable ? 'target' : 'source', writable, signal });
};

const undo = (run: string, target: Endpoint): ReturnType<typeof revert> =>
  revert({
    store: b.store,
    run,
    target,
    facts: factsOf(target, 'target'),
    clock: systemClock,
    random: () => 0,
    signal,
    actor: 'tester',
    correlation: 'test',
  } satisfies RevertInput);

const inFile = async <T>(name: string, work: (db: DatabaseSync) => T): Promise<T> => {
  const db = new DatabaseSync(join(folder, name));
  try {
    return work(db);
  } finally {
    db.close();
  }
};

const columns = ['k', 'i', 'r', 'd', 't', 'c', 'b', 'f', 'day', 'at', 'j', 'u', 'x'];
const declared = `k text primary key, i integer, r real, d decimal(10,2), t text, c char(5), b blob, f boolean, day date,
  at datetime, j json, u uuid, x something`;

/** One literal after the other of each column: what nobody would write, and what everybody does. */
const odd: Readonly<Record<string, readonly string[]>> = {
  i: ['1', "'one'", '1.5', "x'00ff'", 'null', '-9223372036854775808'],
  r: ['1.0', '-0.0', "'near'", '1e300', "x'01'", '0.1'],
  d: ['1.5', '2', "'1,50'", "x'02'", '12345678.25', '-0.0'],
  t: ["'a'", "cast(x'61ff62' as text)", "x'6162'", "'a' || char(0) || 'b'", "''", "'5'"],
  c: ["'ab'", "'ab   '", "x'20'", "'  '", 'null', "'abcdefgh'"],
  b: ["x'0a'", "'0a'", "'\\x0a'", '7', "x''", '1.5'],
  f: ['1', "'true'", "'t'", '2', '0', "'FALSE'"],
  day: ["'2024-02-29'", "'2024-2-29'", "'2024-02-29T00:00:00'", '2460370', "'20240229'", "x'32'"],
  at: [
    "'2024-02-29 12:00:00'",
    "'2024-02-29T12:00:00'",
    "'2024-02-29 12:00:00.500'",
    "'2024-02-29T12:00:00Z'",
    '1709208000',
    "'2024-02-29'",
  ],
  j: [`'{"a":1}'`, `'{"a": 1}'`, `'{"b":2,"a":1.0}'`, "'[1, 2]'", '5', '0.30000000000000004'],
  u: [
    "'6b1c5f8e-0d2a-4c57-9a5e-000000000001'",
    "'6B1C5F8E-0D2A-4C57-9A5E-000000000002'",
    "x'6b1c5f8e0d2a4c579a5e000000000003'",
    "'{6b1c5f8e-0d2a-4c57-9a5e-000000000004}'",
    '17',
    "'none'",
  ],
  x: ["'1'", '1', '1.0', "x'31'", "'one'", 'null'],
};
const oddRows = 6;
const key = (i: number): string => (i === 3 ? "'k3' || char(10)" : i === 4 ? "x'6b34'" : `'k${i}'`);

const lies = (table: string): string =>
  `create table ${table} (${declared});` +
  Array.from({ length: oddRows }, (_, i) => {
    const cells = columns.slice(1).map((c) => odd[c]![i]!);
    return `insert into ${table} values (${[key(i), ...cells].join(', ')});`;
  }).join('\n');

/** Storage class and content of every cell. */
const picture = (name: string): Promise<readonly unknown[]> =>
  inFile(name, (db) => {
    const cells = columns.map((c) => `typeof(${c}) || ' ' || quote(${c}) || ' ' || hex(${c})`).join(', ');
    return db
      .prepare(`select ${cells} from things order by typeof(k), k`)
      .all()
      .map((row) => Object.values(row));
  });

test('SQLite: revert leaves every cell as it was, to the storage class and the last byte', async () => {
  await inFile('target.db', (db) => db.exec(lies('things')));
  const was = await picture('target.db');
  await inFile('source.db', (db) => {
    db.exec(`create table things (${declared})`);
    // Two rows go, two are rewritten in every column, one in one column, one comes.
    const plain = `1, 1.5, 7.25, 'new', 'new', x'99', 1, '2025-01-01', '2025-01-01 01:01:01', '{"n":1}', '6b1c5f8e-0d2a-4c57-9a5e-00000000000a', 'new'`;
    for (const k of [key(0), key(1), "'k9'"]) db.exec(`insert into things values (${k}, ${plain})`);
    const [c] = [columns.slice(1).map((name) => (name === 'i' ? '77' : odd[name]![5]!))];
    db.exec(`insert into things values (${key(5)}, ${c!.join(', ')})`);
  });
  await using source = await open('sqlite', `sqlite:${join(folder, 'source.db')}`, false);
  await using target = await open('sqlite', `sqlite:${join(folder, 'target.db')}`, true);
  const done = await synced(b.store, { source, target });
  assert.deepEqual(done.sync.applied, { insert: 1, update: 3, delete: 3 });
  assert.deepEqual([done.result!.numbers.changed_by_target, done.result!.altered.length], [0, 0]);
  assert.notDeepEqual(await picture('target.db'), was);
  const back = await undo(done.run, target);
  assert.deepEqual([back.exit, back.keptCount], [0, 0]);
  assert.deepEqual(await picture('target.db'), was);
  const again = await undo(back.run, target);
  assert.equal(again.exit, 0);
  assert.equal((await planned(b.store, { source, target })).plan.header.counts.update, 0, 'a revert can be reverted');
});

test('SQLite: a stranger who only spells a value anew has moved the row', async () => {
  const table = 'create table s (id integer primary key, at datetime, n text);';
  await inFile('spell-source.db', (db) => db.exec(`${table} insert into s values (1, '2024-02-29 12:00:00', 'new')`));
  await inFile('spell-target.db', (db) => db.exec(`${table} insert into s values (1, '2024-02-29 12:00:00', 'old')`));
  await using source = await open('sqlite', `sqlite:${join(folder, 'spell-source.db')}`, false);
  await using target = await open('sqlite', `sqlite:${join(folder, 'spell-target.db')}`, true);
  const done = await synced(b.store, { source, target });
  assert.equal(done.sync.applied.update, 1);
  await inFile('spell-target.db', (db) => db.exec("update s set n = 'old'"));
  const { plan } = await planned(b.store, { source, target });
  await inFile('spell-target.db', (db) => db.exec("update s set at = '2024-02-29T12:00:00'"));
  const late = await applied(b.store, plan.header.id, { target });
  assert.equal(late.result.numbers.moved, 1);
  const rows = await inFile('spell-target.db', (db) => db.prepare('select at, n from s').all());
  assert.deepEqual({ ...rows[0] }, { at: '2024-02-29T12:00:00', n: 'old' });
});

test('PostgreSQL: revert leaves JSON and numbers as they were written', async () => {
  const made = `create table things (id bigint primary key, j json, b jsonb, n numeric, note text);
    insert into things values (1, '{"a": 1,  "b":2.0}', '{"a": 1.0}', 1.500, 'old'), (2, ' [1, 2]', '[1.00]', 0.10, 'gone'),
      (3, '{"z":1, "a":2, "z":3}', '{}', 7.0, 'old');`;
  await using left = await testDatabase();
  await using right = await testDatabase();
  await left.query(`create table things (id bigint primary key, j json, b jsonb, n numeric, note text);
    insert into things values (1, '{"a":9}', '{"a": 9}', 9.90, 'new'), (3, '{"z":3,"a":2}', '{}', 7, 'new');`);
  await right.query(made);
  const all = async (): Promise<unknown> =>
    (await right.query('select id, j::text, b::text, n::text, note from things order by id')).rows;
  const was = await all();
  await using source = await open('postgres', left.url, false);
  await using target = await open('postgres', right.url, true);
  const done = await synced(b.store, { source, target });
  assert.deepEqual(done.sync.applied, { insert: 0, update: 2, delete: 1 });
  assert.deepEqual([done.result!.numbers.changed_by_target, done.sync.verdict], [0, 'agrees']);
  assert.notDeepEqual(await all(), was);
  const back = await undo(done.run, target);
  assert.deepEqual([back.exit, back.keptCount], [0, 0]);
  assert.deepEqual(await all(), was);
});
