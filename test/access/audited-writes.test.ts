import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { inProcess } from '../cli/in-process.ts';
import { storeDatabase, testDatabase } from '../servers/postgres.ts';

const [source, target, control] = await Promise.all([testDatabase(), testDatabase(), storeDatabase()]);
const cwd = mkdtempSync(join(tmpdir(), 'lockstep-audited-'));
after(async () => {
  for (const database of [source, target, control]) await database[Symbol.asyncDispose]();
  rmSync(cwd, { recursive: true });
});
const table = 'create table item (id integer primary key, name text)';
await source.query(`${table}; insert into item values (1, 'one'), (2, 'two')`);
await target.query(`${table}; insert into item values (1, 'eins')`);
const lockstep = (...args: readonly string[]) =>
  inProcess([...args, '--control', control.url], {
    cwd,
    env: { LOCKSTEP_AUDIT_KEY: 'the key of this test, and no other' },
  });
const rows = async () => (await target.query('select id, name from item order by id')).rows;
interface Entry {
  readonly action: string;
  readonly object: string;
  readonly outcome: string;
  readonly correlation: string;
  readonly after: Record<string, unknown>;
}
const entries = async (): Promise<readonly Entry[]> =>
  (JSON.parse((await lockstep('audit', 'list', '--json')).stdout) as { entries: Entry[] }).entries;

test('nothing is written where the audit log cannot be, and the plan stays good', async () => {
  const planned = await lockstep('plan', source.url, target.url, '--settle', '0ms', '--json');
  const plan = /p_[0-9a-z]+/.exec(planned.stdout)![0];
  await control.query('alter table lockstep_control.audit rename to away');
  const before = await rows();
  for (const args of [
    ['apply', plan, target.url, '--yes'],
    ['sync', source.url, target.url, '--yes', '--settle', '0ms'],
  ]) {
    const failed = await lockstep(...args);
    assert.notEqual(failed.code, 0);
    assert.match(failed.stderr, /lockstep_control\.audit/);
    assert.deepEqual(await rows(), before, args[0]);
  }
  await control.query('alter table lockstep_control.away rename to audit');
  const applied = await lockstep('apply', plan, target.url, '--yes');
  assert.equal(applied.code, 0, applied.stderr);
  assert.deepEqual(await rows(), [
    { id: 1, name: 'one' },
    { id: 2, name: 'two' },
  ]);
});

test('each write has an entry before it with the hash of its plan and one after it with the numbers', async () => {
  const [done, intended] = await entries();
  assert.deepEqual([intended!.action, intended!.outcome, done!.outcome], ['plan.apply', 'intended', 'done']);
  assert.equal(done!.correlation, intended!.correlation);
  assert.match(String(intended!.after['hash']), /^[0-9a-f]{64}$/);
  assert.deepEqual(intended!.after['planned'], { insert: 1, update: 1, delete: 0 });
  assert.deepEqual(done!.after['applied'], { insert: 1, update: 1, delete: 0 });
  assert.match(intended!.object, /^plans\/p_/);
  const run = String(intended!.after['run']);
  const reverted = await lockstep('revert', run, target.url, '--yes', '--allow-deletes', '1');
  assert.equal(reverted.code, 0, reverted.stderr);
  assert.deepEqual(
    (await entries()).slice(0, 2).map((e) => [e.action, e.outcome]),
    [
      ['change.revert', 'done'],
      ['change.revert', 'intended'],
    ],
  );
  const verified = await lockstep('audit', 'verify', '--json');
  assert.equal(verified.code, 0, verified.stdout);
});

test('an apply that fails says so, and a log that was edited ends with 29', async () => {
  await source.query("insert into item values (3, 'three')");
  await target.query('create table other (id integer); alter table item add check (id < 3)');
  const synced = await lockstep('sync', source.url, target.url, 'item', '--yes', '--settle', '0ms');
  assert.equal(synced.code, 2, synced.stderr);
  const [done] = await entries();
  assert.equal(done!.outcome, 'done');
  assert.equal(done!.after['rejected'], 1);
  await control.query(
    "set session_replication_role = replica; update lockstep_control.audit set actor = 'nobody' where seq = 2",
  );
  const verified = await lockstep('audit', 'verify');
  assert.equal(verified.code, 29, verified.stdout);
  assert.match(verified.stdout, /entry 2 is not what was written/);
});
