import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonical } from '../../src/model/canon/canonical.ts';
import { jsonbText } from '../../src/model/canon/jsonb-text.ts';
import type { Change } from '../../src/model/change.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Row } from '../../src/model/row.ts';
import type { Table } from '../../src/model/schema.ts';
import type { Applied } from '../../src/model/writer.ts';
import { testDatabase } from '../servers/postgres.ts';
import { batchOf, connect, insert, never, remove, row, rowsNow, tableOf, update } from './postgres-support.ts';

let step = 0;

/** Writes, and tells whether the hashes alone vouched for it: then what is stored is the planned row itself. */
const write = async (
  target: Endpoint,
  table: Table,
  ...changes: readonly Change[]
): Promise<{ readonly applied: Applied; readonly byHash: boolean }> => {
  let byHash = false;
  const applied = await target.writer!.apply({ run: 'r_test', step: ++step, token: 1n }, [batchOf(table, ...changes)], {
    signal: never,
    written: (w) => {
      byHash = w.stored.every((stored, i) => stored === w.batch.changes[i]!.after);
    },
  });
  return { applied, byHash };
};

const everyKind = `create table a (id bigint primary key, i int, n numeric(12,2), free numeric, f float8, r float4, b bool, t text,
  v varchar(20), c char(3), u uuid, d date, h time, ts timestamp, tz timestamptz, x bytea, j jsonb, js json, e interval, ip inet, m money)`;
const full = `(1, -5, 12.50, 1.500, 0.1, 0.1, true, 'tä"\\', 'v', 'ab', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-02-29', '12:30:00.5',
  '2024-02-29 01:02:03.000004', 'infinity', '\\x00ff', '{"bb": [1, {"a": null}], "a": "x", "ä": 2, "c": {}}', '{ "a" : 1.0 }', '1 mon', '10.0.0.1/8', '12.5')`;

test('rows of every kind are written, changed and removed by their hashes', async () => {
  await using db = await testDatabase();
  await db.query(`${everyKind}; insert into a values ${full}; insert into a (id) values (2)`);
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  const rows = await rowsNow(target, table);
  const removed = await write(target, table, ...rows.map((r) => remove(table, r)));
  assert.deepEqual(removed, { applied: { status: 'done' }, byHash: true });
  const inserted = await write(target, table, ...rows.map((r) => insert(table, r)));
  assert.deepEqual(inserted, { applied: { status: 'done' }, byHash: true });
  assert.deepEqual(await rowsNow(target, table), rows);
  const changed = rows.map((r, k): Row => [r[0]!, ...(k === 0 ? rows[1]! : rows[0]!).slice(1)]);
  const updated = await write(target, table, ...rows.map((r, k) => update(table, r, changed[k]!)));
  assert.deepEqual(updated, { applied: { status: 'done' }, byHash: true });
  assert.deepEqual(await rowsNow(target, table), changed);
});

test('a change of any one cell by another hand is seen, and nothing is written over it', async () => {
  await using db = await testDatabase();
  await db.query(`${everyKind}; insert into a values ${full}`);
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  const [planned] = await rowsNow(target, table);
  const moves = [
    ...table.columns.slice(1).map((c) => `"${c.name}" = null`),
    'n = -n',
    'free = 1.5',
    `t = 'ta"'`,
    'b = false',
    `ts = ts + interval '1 microsecond'`,
    `j = '{"bb": [1, {"a": null}], "a": "x", "ä": 2, "c": []}'`,
    `js = '{"a": 1.0}'`,
    `e = '30 days'`,
    'f = f * 2',
  ];
  for (const move of moves) {
    await db.query('truncate a');
    await db.query(`insert into a values ${full}`);
    await db.query(`update a set ${move}`);
    const [moved] = await rowsNow(target, table);
    const wanted = row(...planned!.map((cell, i) => (i === 1 ? '77' : cell)));
    for (const change of [update(table, planned!, wanted), remove(table, planned!)]) {
      const { applied } = await write(target, table, change);
      assert.equal(applied.status, 'stale', `${move}, ${change.op}`);
    }
    assert.deepEqual(await rowsNow(target, table), [moved], move);
  }
});

test('what a target keeps otherwise than planned is read back cell by cell', async () => {
  await using db = await testDatabase();
  await db.query('create table a (id int primary key, t text default $$x$$, j jsonb)');
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  const { applied, byHash } = await write(target, table, insert(table, row('1', null, null), [0, 2]));
  assert.deepEqual([applied, byHash], [{ status: 'done' }, false]);
  assert.deepEqual(await rowsNow(target, table), [row('1', 'x', null)]);
});

test('a key that is unique only when the transaction ends does not let a second row come under it', async () => {
  await using db = await testDatabase();
  await db.query(
    'create table a (id int primary key deferrable initially deferred, t text); insert into a values (1, $$x$$)',
  );
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  const { applied } = await write(target, table, insert(table, row('1', 'y')));
  assert.deepEqual(applied.status === 'stale' && applied.rows.map((r) => r.found), [row('1', 'x')]);
});

const telling = `create table told (id int primary key, names text);
    create function tell() returns trigger language plpgsql as $$ begin
      new.names := (select coalesce(pg_catalog.string_agg(name, ' ' order by name), '') from pg_catalog.pg_prepared_statements
        where statement like '%written%' or statement like '%hash%');
      return new; end $$;
    create trigger tell before insert on told for each row execute function tell()`;

/** What the server keeps for a session that writes, told by a trigger of another table: in the end, by name. */
const keptBy = async (target: Endpoint, table: Table): Promise<readonly string[]> => {
  const { applied } = await write(target, table, insert(table, row('1', null)));
  assert.equal(applied.status, 'done');
  const [told] = await rowsNow(target, table);
  await write(target, table, remove(table, told!));
  return told![1]!.split(' ').filter((name) => name !== '');
};

test('statements that come again are kept by the server, of many the last', async () => {
  await using db = await testDatabase();
  await db.query(`${telling};
    create table a (id int primary key, ${[1, 2, 3, 4, 5, 6].map((i) => `c${i} int not null`).join(', ')});
    insert into a select g, 0, 0, 0, 0, 0, 0 from generate_series(1, 4) g`);
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  const told = await tableOf(target, 'told');
  const writes = async (sets: readonly number[]): Promise<void> => {
    for (const set of sets) {
      const rows = await rowsNow(target, table);
      const changes = rows.map((r): Change => {
        const after = r.map((cell, i) => (i > 0 && (set >> (i - 1)) & 1 ? String(Number(cell) + 1) : cell)) as Row;
        return update(table, r, after);
      });
      const done = await write(target, table, ...changes);
      assert.deepEqual(done, { applied: { status: 'done' }, byHash: true });
    }
  };
  await writes([1, 2, 3]);
  assert.deepEqual(await keptBy(target, told), [], 'sent once each');
  await writes([1, 2]);
  const two = await keptBy(target, told);
  assert.equal(two.length, 2);
  await writes([1, 2, 1, 2]);
  assert.deepEqual(await keptBy(target, told), two);
  for (let set = 4; set < 64; set++) await writes([set, set]);
  const many = await keptBy(target, told);
  assert.equal(many.length, 32);
  assert.ok(two.every((name) => !many.includes(name)));
  // one that went comes back under its name
  await writes([1, 1, 1]);
  assert.equal((await keptBy(target, told)).filter((name) => two.includes(name)).length, 1);
});

test('no statement is kept for a partitioned table: its plan would lock every partition for each batch', async () => {
  await using db = await testDatabase();
  await db.query(`${telling}; create table a (id int primary key, t text) partition by range (id);
    create table a1 partition of a for values from (0) to (100); create table a2 partition of a for values from (100) to (200);
    insert into a select g, 'x' from generate_series(1, 199) g`);
  await using target = await connect(db.url, { writable: true });
  const [table, told] = [await tableOf(target, 'a'), await tableOf(target, 'told')];
  const rows = await rowsNow(target, table);
  for (let i = 0; i < 3; i++) {
    const done = await write(target, table, ...rows.slice(i * 10, i * 10 + 10).map((r) => remove(table, r)));
    assert.deepEqual(done, { applied: { status: 'done' }, byHash: true });
  }
  assert.deepEqual(await keptBy(target, told), []);
});

test('a kept statement guards rows that move, and tables that change meanwhile, as one that is planned anew', async () => {
  await using db = await testDatabase();
  await db.query(`create table a (id bigint primary key, t text, n int);
    insert into a select g, 'x', g from generate_series(1, 20000) g; analyze a`);
  await using target = await connect(db.url, { writable: true });
  const table = await tableOf(target, 'a');
  const rows = await rowsNow(target, table);
  // past the number of times after which the server settles on one plan for any number of keys
  for (let i = 0; i < 8; i++) {
    const { applied, byHash } = await write(
      target,
      table,
      ...rows.slice(i * 100, i * 100 + 100).map((r) => remove(table, r)),
    );
    assert.deepEqual([applied, byHash], [{ status: 'done' }, true]);
  }
  await db.query('update a set n = -n where id = 5000');
  const moved = await write(target, table, ...rows.slice(4000, 6000).map((r) => remove(table, r)));
  assert.deepEqual(moved.applied.status === 'stale' && moved.applied.rows.map(({ found }) => found), [
    row('5000', 'x', '-5000'),
  ]);
  // a rule and a column that come meanwhile, and an index that goes
  await db.query('alter table a drop constraint a_pkey; alter table a add constraint other_pkey primary key (id)');
  const again = await write(target, table, ...rows.slice(6000, 8000).map((r) => remove(table, r)));
  assert.deepEqual(again.applied, { status: 'done' });
  await db.query('alter table a drop column n');
  await assert.rejects(write(target, table, ...rows.slice(8000, 8010).map((r) => remove(table, r))));
  assert.equal((await db.query('select count(*)::int as n from a')).rows[0].n, 20000 - 800 - 2000);
});

test('canonical JSON is put as the server writes jsonb', async () => {
  await using db = await testDatabase();
  const number = fc.integer();
  const documents = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constant(null),
      fc.boolean(),
      number,
      fc.string({ unit: 'grapheme' }).map((s) => s.replaceAll('\0', '')),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(
        fc.string({ unit: 'grapheme', maxLength: 4 }).map((s) => s.replaceAll('\0', '')),
        tie('value'),
        { maxKeys: 5 },
      ),
    ),
  })).value;
  const texts = fc.sample(documents, { numRuns: 300, seed: 7 }).map((x) => JSON.stringify(x));
  const type = { kind: 'json', binary: true } as const;
  const { rows } = await db.query(
    'select x::jsonb::text as there from unnest($1::text[]) with ordinality as u(x, n) order by n',
    [texts],
  );
  assert.deepEqual(
    texts.map((text) => jsonbText(canonical(type, text))),
    rows.map((r) => r.there),
  );
});
