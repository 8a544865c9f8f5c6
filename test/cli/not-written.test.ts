import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { storeDatabase, testDatabase } from '../servers/postgres.ts';
import { inProcess } from './in-process.ts';

/** Rows that are not written: which they are and why, wherever it is asked. */

const [a, b, control] = await Promise.all([testDatabase(), testDatabase(), storeDatabase()]);
const home = mkdtempSync(join(tmpdir(), 'lockstep-not-written-'));
after(async () => {
  rmSync(home, { recursive: true, force: true });
  for (const database of [a, b, control]) await database[Symbol.asyncDispose]();
});
writeFileSync(
  join(home, 'lockstep.yaml'),
  `version: 1
endpoints: { a: { url: "\${env:A}", writable: true }, b: { url: "\${env:B}", writable: true } }
syncs:
  two: { source: a, target: b, mode: two_way, settle: 0s, pairs: [price] }
  chosen: { source: a, target: b, mode: two_way, settle: 0s, pairs: [chosen] }
  one: { source: a, target: b, settle: 0s, pairs: [price] }
  adding: { source: a, target: b, mode: insert_only, settle: 0s, pairs: [price] }
  many: { source: a, target: b, settle: 0s, guards: { max_change_ratio: 100% }, pairs: [many, long] }
  named: { source: a, target: b, settle: 0s, pairs: [{ source: items, target: Order Items }, log] }
`,
);
const run = (...args: string[]) =>
  inProcess(args, { cwd: home, env: { A: a.url, B: b.url, LOCKSTEP_CONTROL_URL: control.url } });
const json = async (...args: string[]) => JSON.parse((await run(...args, '--json')).stdout);

const rows = `values (1, 1.5, 'a'), (2, 2.5, 'b'), (3, 3.5, 'c')`;
for (const [db, type] of [
  [a, 'numeric(10,4)'],
  [b, 'numeric(10,2)'],
] as const) {
  await db.query(`create table price (id int primary key, price ${type}, note text); insert into price ${rows};
    create table chosen (id int primary key, price ${type}, note text); insert into chosen ${rows}`);
}
const reason = 'price: 2.3456 does not fit numeric(10,2)';

test('two ways: a value that the other side cannot hold is told with its row and column, by every command', async () => {
  assert.equal((await run('sync', 'two', '--yes')).code, 0);
  await a.query('update price set price = 2.3456 where id = 2');
  const planned = await run('plan', 'two');
  assert.equal(planned.code, 2);
  assert.match(planned.stdout, /public\.price 2: price: 2\.3456 does not fit numeric\(10,2\)/);
  assert.match(planned.stdout, /Nothing can be written/);
  const example = { pair: 'public.price', op: 'update', key: ['2'], reason };
  assert.deepEqual((await json('plan', 'two')).sides.target.does_not_fit_examples, [example]);
  const synced = await run('sync', 'two', '--yes');
  assert.equal(synced.code, 2);
  assert.match(synced.stdout, /not planned +1 .*\n +public\.price 2: price: 2\.3456 does not fit numeric\(10,2\)\n/);
  const told = await json('sync', 'two', '--yes');
  assert.deepEqual(told.does_not_fit_examples, [{ side: 'target', ...example }]);
  const shown = await run('show', told.run);
  assert.match(shown.stdout, /not planned for b\n +public\.price 2: price: 2\.3456 does not fit numeric\(10,2\)\n/);
  assert.deepEqual((await json('show', told.run)).does_not_fit_examples, [{ target: 'b', ...example }]);
  assert.match(
    (await run('explain', 'two/price', '2')).stdout,
    /next run +b is not written: price: 2\.3456 does not fit/,
  );
  assert.deepEqual((await json('explain', 'two/price', '2')).next.does_not_fit, [{ side: 'target', reason }]);
  assert.deepEqual((await json('explain', 'two/price', '1')).next, { kind: 'agreed' });
});

test('one way: explain says what a plan would do now', async () => {
  const next = async (sync: string, key: string): Promise<string> =>
    /next plan +(.*)/.exec((await run('explain', `${sync}/price`, key)).stdout)?.[1] ?? '';
  await a.query(`update price set note = 'x' where id = 1; insert into price values (4, 4, 'd')`);
  await b.query(`insert into price values (5, 5, 'e')`);
  assert.equal(await next('one', '1'), '~ b: note → x');
  assert.equal(await next('one', '2'), `b is not written: ${reason}`);
  assert.equal(await next('one', '3'), 'nothing');
  assert.equal(await next('one', '4'), '+ b');
  assert.equal(await next('one', '5'), '- b');
  assert.equal(await next('adding', '1'), 'nothing: the mode leaves out 1 update here');
  assert.deepEqual((await json('explain', 'one/price', '2')).next, { kind: 'does_not_fit', op: 'update', reason });
});

test('a decision that cannot be written says why, and waits for another one', async () => {
  await run('sync', 'chosen', '--yes');
  await a.query('update chosen set price = 2.3456 where id = 2');
  await b.query('update chosen set price = 2.34 where id = 2');
  await run('sync', 'chosen', '--yes');
  const [{ id }] = (await json('conflicts', 'list', 'chosen')).conflicts;
  const why = 'it cannot be written to b: price: its value does not fit numeric(10,2)';
  const decided = await run('conflicts', 'resolve', id, '--take', 'source', '--yes');
  assert.equal(decided.code, 26);
  assert.ok(decided.stdout.includes(`1 conflict waits again: ${why}`), decided.stdout);
  await run('sync', 'chosen', '--yes');
  const [waiting] = (await json('conflicts', 'list', 'chosen')).conflicts;
  assert.deepEqual([waiting.id, waiting.state, waiting.reason, waiting.resolution], [id, 'pending', why, 'pending']);
  const again = await json('conflicts', 'resolve', id, '--take', 'source', '--yes');
  assert.deepEqual([again.written, again.left, again.waiting], [0, 0, [{ id, reason: why }]]);
  assert.equal((await run('conflicts', 'resolve', id, '--take', 'target', '--yes')).code, 0);
  const all = [a, b].map(async (db) => (await db.query('select price::float from chosen where id = 2')).rows[0]);
  assert.deepEqual(await Promise.all(all), [{ price: 2.34 }, { price: 2.34 }]);
});

test('sync lists twenty rows that were not written and counts the others; --limit lists as many as it says', async () => {
  const made = 'select n, n from generate_series(1, 32) n';
  await a.query(`create table many (id int primary key, v int); insert into many ${made};
    create table long (id int primary key, v bigint); insert into long select n, 3000000000 from generate_series(1, 25) n`);
  await b.query(
    `create table many (id int primary key, v int check (v < 0)); create table long (id int primary key, v int)`,
  );
  const listed = async (...args: string[]) => {
    const { stdout } = await run('sync', 'many', '--yes', ...args);
    const lines = (pattern: RegExp): number => stdout.match(pattern)?.length ?? 0;
    const more = [...stdout.matchAll(/^ +(\d+ more.*)$/gm)].map(([, text]) => text!.replace(/[rp]_\w+/, 'ID'));
    return [lines(/public\.many \d+ +rejected/g), lines(/public\.long \d+: v: /g), more];
  };
  assert.deepEqual(await listed(), [20, 20, ['12 more: lockstep show ID --limit all', '5 more: lockstep show ID']]);
  assert.deepEqual(await listed('--limit', 'all'), [32, 25, []]);
  assert.deepEqual(await listed('--limit', '30'), [30, 25, ['2 more: lockstep show ID --limit all']]);
});

test('rows are explained and taken back by the name of the target, as plans show it', async () => {
  await a.query(`create table items (id int, part int, v text, primary key (id, part)); insert into items values (1, 2, 'x');
    create table log (v text); insert into log values ('x')`);
  await b.query(
    `create table "Order Items" (id int, part int, v text, primary key (id, part)); create table log (v text)`,
  );
  for (const name of ['public.Order Items', 'Order Items', 'items'])
    assert.match((await run('explain', `named/${name}`, '1', '2')).stdout, /next plan +\+ b/, name);
  assert.match((await run('explain', 'named/order', '1', '2')).stderr, /has no pair `order`/);
  assert.match((await run('explain', 'named/log', '1')).stderr, /public\.log has no key: its rows cannot be explained/);
  const { run: id } = await json('sync', 'named', '--yes', '--table', 'items');
  const reverted = await run('revert', `${id}/public.Order Items/1,2`, '--yes', '--allow-deletes', '1');
  assert.equal(reverted.code, 0, reverted.stderr);
  assert.deepEqual((await b.query('select * from "Order Items"')).rows, []);
});

test('what differs is a share of the rows of both sides, each key once', async () => {
  await a.query('create table share (id int primary key); insert into share values (1), (2)');
  await b.query('create table share (id int primary key); insert into share values (3), (4)');
  const { stdout } = await run('diff', a.url, b.url, 'share', '--settle', '0');
  assert.match(stdout, /DIFFERS: 4 rows of 4 \(100\.00 %\)/);
});

test('mistakes in flags say what is right', async () => {
  assert.match((await run('--config', 'x', 'check')).stderr, /lockstep check …\. See lockstep check --help/);
  for (const command of [['diff', 'one'], ['runs'], ['quarantine', 'list']])
    assert.match((await run(...command, '--limit=-3')).stderr, /--limit -3: expected 0 or more, or all/);
  assert.match(
    (await run('token', 'create', 'x', '--role', 'viewer', '--expires', '90')).stderr,
    /Write 12h, 30d or 90d/,
  );
  const help = (await run('--help')).stdout;
  assert.match(help, /docs\/reference\/exit-codes\.md/);
});
