import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { inProcess } from '../cli/in-process.ts';
import { testDatabase } from '../servers/postgres.ts';
import { freshStore } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';

/** Business metrics of runs that really wrote, by the command line: exact, and only of what was written. */

const { store, database: control } = await freshStore();
const [vendor, crm] = await Promise.all([testDatabase(), testDatabase()]);
const dir = mkdtempSync(join(tmpdir(), 'lockstep-business-'));
after(async () => {
  await vendor[Symbol.asyncDispose]();
  await crm[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});
await vendor.query(`
  create table licences (id int primary key, price numeric(30,4), note text);
  insert into licences values (1, 10.1, 'same'), (2, 20.25, 'raised'), (3, 0.0003, 'new'), (4, null, 'nulled'), (5, 7, 'taken')`);
await crm.query(`
  create table licences (id int primary key, amount numeric(30,4) check (amount <> 7), note text);
  insert into licences values (1, 10.1, 'same'), (2, 19.9501, 'raised'), (4, 5, 'nulled'), (9, 100, 'gone')`);
writeFileSync(
  join(dir, 'lockstep.yaml'),
  `version: 1
control: "${control.url}"
endpoints:
  vendor: { url: "${vendor.url}" }
  crm: { url: "${crm.url}", writable: true }
syncs:
  licences:
    source: vendor
    target: crm
    settle: 0s
    guards: { max_deletes: 5, max_change_ratio: 100% }
    pairs: [{ source: licences, columns: { price: { to: amount } } }]
metrics:
  business:
    licenses_synced: { sync: licences, count: changes }
    added: { sync: licences, count: inserts }
    revenue_impact: { sync: licences, sum: price }
    repricing: { sync: licences, delta: amount }
    odd: { sync: licences, sum: note }
    nowhere: { sync: licences, sum: colour }
`,
);
const lockstep = (...args: string[]) => inProcess(args, { cwd: dir, env: {} });
const measured = async (run: string): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await store.monitoring.measured({ limit: 100 }, o)).filter((m) => m.run === run).map((m) => [m.metric, m.value]),
  );

test('what was written is counted and summed exactly; what the target refused is not', async () => {
  const { stdout } = await lockstep('sync', 'licences', '--yes', '--format', 'json');
  const report = JSON.parse(stdout);
  assert.deepEqual(report.applied, { insert: 1, update: 2, delete: 1 });
  assert.equal(report.rejected, 1);
  assert.deepEqual(await measured(report.run), {
    licenses_synced: '4',
    added: '1',
    // 20.25 - 19.9501 + 0.0003 - 5 - 100
    revenue_impact: '-104.6998',
    repricing: '-4.7001',
  });
  const run = await store.runs.get(report.run, o);
  assert.deepEqual((run!.report as { business_warnings: string[] }).business_warnings, [
    'business metric odd: 6 cells of note are no numbers',
    'business metric nowhere: no table that was written has a column colour',
  ]);

  const reverted = await lockstep('revert', report.run, '--yes', '--allow-deletes', '5', '--format', 'json');
  const undone = await measured(JSON.parse(reverted.stdout).run);
  assert.deepEqual([undone['revenue_impact'], undone['licenses_synced']], ['104.6998', '4']);
  const sums = await store.monitoring.measuredSums(0, o);
  assert.equal(sums.find((s) => s.metric === 'revenue_impact')!.sum, '0');
});

test('a plan that is applied counts as a sync does, and one without changes is zero', async () => {
  await vendor.query('delete from licences where id = 5');
  const planned = JSON.parse((await lockstep('plan', 'licences', '--format', 'json')).stdout);
  const applied = JSON.parse(
    (await lockstep('apply', planned.plan.id ?? planned.plan, '--yes', '--format', 'json')).stdout,
  );
  assert.equal((await measured(applied.run))['revenue_impact'], '-104.6998');
  const again = JSON.parse((await lockstep('sync', 'licences', '--yes', '--format', 'json')).stdout);
  assert.equal(again.verdict, 'agrees');
  const { licenses_synced, revenue_impact } = await measured(again.run);
  assert.deepEqual([licenses_synced, revenue_impact], ['0', '0']);
});

test('a comparison by other rules than configured proves nothing of the sync', async () => {
  const verified = async () => (await store.monitoring.pairs(o)).find((p) => p.sync === 'licences')!.run;
  const before = await verified();
  await lockstep('diff', 'licences', '--where', 'id < 2');
  await lockstep('diff', 'licences', '--exclude', 'note');
  assert.equal(await verified(), before);
  await lockstep('diff', 'licences');
  assert.notEqual(await verified(), before);
});
