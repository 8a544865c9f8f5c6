import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { storeDatabase, testDatabase } from '../servers/postgres.ts';
import { inProcess } from './in-process.ts';

const a = await testDatabase();
const b = await testDatabase();
const control = await storeDatabase();
const home = mkdtempSync(join(tmpdir(), 'lockstep-incremental-'));
after(async () => {
  rmSync(home, { recursive: true, force: true });
  for (const db of [a, b, control]) await db[Symbol.asyncDispose]();
});
const run = (...args: string[]) => inProcess(args, { cwd: home, env: { LOCKSTEP_CONTROL_URL: control.url } });

const sync = (incremental: string): string =>
  `{ source: billing, target: crm, settle: 0, exclude_tables: [notes], incremental: ${incremental} }`;
writeFileSync(
  join(home, 'lockstep.yaml'),
  `version: 1
endpoints:
  billing: { url: "${a.url}" }
  crm: { url: "${b.url}", writable: true }
syncs:
  auto: ${sync('{}')}
  column: ${sync('{ by: updated_at, deletes: none, overlap: 1h }')}
  bare: { source: billing, target: crm, settle: 0, exclude_tables: [notes] }
  notes: { source: billing, target: crm, settle: 0, pairs: [notes], incremental: { by: updated_at } }
`,
);
for (const db of [a, b])
  await db.query(`create table orders (id int primary key, status text, updated_at timestamptz);
    insert into orders select i, 'open', '2024-05-01'::timestamptz + i * interval '1 minute' from generate_series(1, 200) i;
    create table notes (id int primary key, body text)`);

const json = async (...args: string[]) => {
  const done = await run('diff', ...args, '--format', 'json');
  assert.notEqual(done.stdout, '', done.stderr);
  const report = JSON.parse(done.stdout);
  return { code: done.code, report, pair: report.pairs[0] };
};

test('diff and sync start from where the last one ended, and say what they looked at', async () => {
  const first = await json('auto');
  assert.equal(first.code, 0);
  assert.equal(first.pair.incremental.mode, 'full');
  await a.query(`update orders set status = 'paid' where id = 7; delete from orders where id = 9`);
  const second = await json('auto');
  assert.equal(second.code, 2);
  assert.equal(second.pair.strategy, 'incremental');
  assert.equal(second.pair.incremental.since.run, first.report.run);
  assert.deepEqual(
    second.report.differences.map((d: { kind: string; key: { id: string } }) => `${d.kind} ${d.key.id}`),
    ['different 7', 'only_in_target 9'],
  );
  const applied = await run('sync', 'auto', '--yes', '--allow-deletes', '1', '--format', 'json');
  assert.equal(applied.code, 0, applied.stderr);
  const report = JSON.parse(applied.stdout);
  assert.deepEqual(report.applied, { insert: 0, update: 1, delete: 1 });
  assert.equal(report.incremental[0].mode, 'changes');
  const shown = await run('diff', 'auto');
  assert.equal(shown.code, 0);
  assert.match(
    shown.stdout,
    /incremental +public\.orders: \d+ of 199 rows looked at; by xmin, .* The keys of all rows were compared/,
  );
  assert.match(shown.stdout, /✓ AGREES: \d+ rows? that may have changed in 1 pair, and by them all others/);
  const proof = await json('auto', '--full');
  assert.equal(proof.code, 0);
  assert.equal(proof.pair.incremental.why, 'asked for by --full');
  assert.equal(proof.pair.incremental.missed, 0);
});

test('25: an incremental run that cannot see deletes is not green; --incremental works without a word in the config', async () => {
  await json('column');
  const blind = await json('column');
  assert.equal(blind.code, 25);
  assert.equal(blind.report.verdict, 'incomplete');
  assert.match(blind.report.coverage.not_compared[0].reason, /deleted rows are not seen/);
  assert.equal((await json('bare')).pair.incremental, undefined);
  await json('bare', '--incremental');
  assert.equal((await json('bare', '--incremental')).pair.strategy, 'incremental');
});

test('20: two URLs have no place to start from', async () => {
  const urls = await run('diff', a.url, b.url, '--incremental');
  assert.equal(urls.code, 20);
  assert.match(urls.stderr, /--incremental needs a sync of a config file/);
});

test('check says how changed rows are told, and which index would help', async () => {
  const checked = await run('check');
  const text = checked.stdout + checked.stderr;
  assert.match(text, /public\.orders: billing tells its changed rows by xmin/);
  assert.match(text, /billing has no index on updated_at; finding changed rows reads the whole table/);
  assert.match(text, /create index on public\.orders \(updated_at\);/);
  assert.match(
    text,
    /public\.notes: all rows are compared each time: billing cannot tell its changed rows: public\.notes has no column updated_at/,
  );
});
