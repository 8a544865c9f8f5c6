import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { inProcess } from '../cli/in-process.ts';
import { testDatabase } from '../servers/postgres.ts';
import { project, until } from '../service/project.ts';
import { o } from '../store/plain.ts';

const p = await project(`  ab: { source: source, target: target, mode: compare, pairs: [t] }
backups:
  databases: [source]
  key: a secret
  schedule: { every: 1s }
`);
await p.source.query('create table t as select generate_series(1, 10) id; alter table t add primary key (id)');
const form = 'bytes' as const;
await p.store.archives.open(
  { sync: 'ab', pair: 't', settings: 'as it was', integerKey: true, form, keyTypes: [{ kind: 'int', bits: 32 }] },
  o,
);
const lockstep = (...args: string[]) => inProcess(args, { cwd: p.dir, env: {} });

test('serve makes them by the schedule and proves them; a restored control store is one', async () => {
  const server = p.start('serve', '--port', '0');
  const done = await until(async () => {
    const runs = await p.store.runs.list({ states: ['done', 'failed'] }, o);
    return runs.length > 0 && runs;
  });
  for (const run of done) assert.equal(run.state, 'done', run.error?.message);
  assert.equal(done[0]!.asked!.trigger, 'schedule');
  server.child.kill('SIGTERM');
  await server.ended;
  await p.request({ kind: 'backup', backup: 'all' });
  assert.equal(await p.store.schedules.busy('backup all', o), true, 'the schedule would start another beside it');
  const list = await lockstep('backup', 'list', '--json');
  const { backups } = JSON.parse(list.stdout) as {
    backups: { id: string; database: string; verified: string | null }[];
  };
  const kept = (database: string) => backups.filter((b) => b.database === database && b.verified !== null);
  assert.ok(kept('control').length > 0 && kept('source').length > 0, list.stdout);

  await using empty = await testDatabase();
  const id = kept('control')[0]!.id;
  const restored = await lockstep('backup', 'restore', id, empty.url, '--yes');
  assert.equal(restored.code, 0, restored.stderr);
  await using store = await openPostgresStore(urlConnector(empty.url), o);
  assert.ok((await store.runs.list({}, o)).some((r) => r.kind === 'backup'));
  assert.match(restored.stderr, /What one pair of two-way syncs agreed on is as old as the backup/);
  const [archive] = await store.archives.list({ sync: 'ab' }, o);
  assert.match(archive!.settings, /^outdated \d+ as it was$/);
  const again = await lockstep('backup', 'restore', id, empty.url, '--yes');
  assert.equal(again.code, 20);
  assert.match(again.stderr, /not empty/);

  const file = await lockstep('backup', 'restore', id, 'sqlite:new.db?mode=rwc', '--yes');
  assert.equal(file.code, 20);
  assert.match(file.stderr, /a backup is restored into PostgreSQL, not into sqlite/);
  assert.doesNotMatch(file.stderr, /databases: \[/);
  assert.equal(existsSync(join(p.dir, 'new.db')), false, 'it is refused before a file is made');

  const damaged = join(p.dir, 'backups', kept('source')[0]!.id, 'table-00001.copy.zst');
  writeFileSync(damaged, readFileSync(damaged).fill(0, 10, 12));
  await using other = await testDatabase();
  const refused = await lockstep('backup', 'restore', kept('source')[0]!.id, other.url, '--yes');
  assert.equal(refused.code, 29, refused.stderr);
  const found = await lockstep('backup', 'list', 'source');
  assert.match(found.stdout, new RegExp(`${kept('source')[0]!.id} .*  damaged: table-00001.copy.zst is damaged: `));
  const verified = await lockstep('backup', 'verify', kept('source')[0]!.id);
  assert.equal(verified.code, 29, verified.stderr);
  const actions = (await p.store.audit.list({ limit: 10 }, o)).map((e) => `${e.action} ${e.outcome}`);
  assert.ok(actions.includes('backup.verify failed'), String(actions));
});

test('the configuration of the guide means what the page says, and a name that is none is a mistake', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/guide/backups.md'), 'utf8');
  const file = join(p.dir, 'guide.yaml');
  const text = /^```yaml\n([\s\S]*?)^```/m.exec(page)![1]!;
  writeFileSync(file, text);
  const env = { SHOP_URL: 'postgres://localhost/shop', BACKUP_KEY: 'k' };
  const { backups } = await loadConfig(file, { cwd: p.dir, env });
  assert.deepEqual(backups!.databases, ['shop']);
  assert.equal(backups!.control, true);
  assert.equal(backups!.directory, join(p.dir, 'backups'));
  assert.deepEqual(backups!.keep, { last: 7, forMs: 30 * 86_400_000 });
  assert.equal(backups!.key(), 'k');
  writeFileSync(file, text.replace('[shop]', '[shpo]'));
  await assert.rejects(loadConfig(file, { cwd: p.dir, env }), /there is no endpoint `shpo`/);
});
