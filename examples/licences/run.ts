/** The story of this example, told by running it. Every command is the one a user would type. */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serve, tokenFor, until, worker } from '../service.ts';
import { hurried, insist, lockstep, openStage, say } from '../story.ts';
import { conflicts } from './conflicts.ts';
import { startVendor } from './vendor.ts';

const here = dirname(import.meta.filename);
const token = 't@:/?#%oken';

await using stage = await openStage('licences');
await using vendor = await startVendor({ count: 500, token });
const { folder } = stage;
await stage.query('postgres', 'create database shop');
await stage.query('postgres', 'create database control');
await stage.query('shop', readFileSync(join(here, 'schema.sql'), 'utf8'));
writeFileSync(
  join(folder, '.env'),
  `VENDOR_URL=${vendor.url}\nVENDOR_TOKEN="${token}"\nDATABASE_URL=${stage.url('shop')}\nLOCKSTEP_CONTROL_URL=${stage.url('control')}\n`,
);
const run = (args: readonly string[], promised: number): Promise<void> => lockstep(folder, args, promised);
const count = async (where = 'true'): Promise<number> =>
  Number((await stage.query('shop', `select count(*)::int as n from licenses where ${where}`))[0]!['n']);

const quick = hurried(readFileSync(join(here, 'lockstep.yaml'), 'utf8'), {
  'every: 1m': 'every: 1s',
  'deletes: none }': 'deletes: none }\n    settle: 0s',
  'every: 15s': 'every: 300ms',
  'attempts: 5, base: 200ms': 'attempts: 2, base: 50ms',
  'reset_after: 60s': 'reset_after: 3s',
  'spreads: 6, least: 10s, runs: 8': 'spreads: 3, least: 1s, runs: 3',
  'above: 1s, for: 2m': 'above: 300ms, for: 0s',
  'for: 1m': 'for: 0s',
});
/** By hand at first. */
const unscheduled = quick.replace(/^ *schedule: .*\n/m, '');
insist(unscheduled !== quick, 'lockstep.yaml has a schedule');
writeFileSync(join(folder, 'lockstep.yaml'), unscheduled);

say('A vendor has 500 licences behind an API; our table is empty. What is there to know before the first sync?');
await run(['check'], 0);
const watcher = await tokenFor(folder, 'operator', '--role', 'admin');

say('A run is asked for, and two more; nobody carries them out yet. Three that wait are an alert');
await using service = await serve(folder, '--workers', '0');

interface Alert {
  readonly id: string;
  readonly rule: string;
  readonly state: string;
  readonly summary: string;
}
const fired = new Map<string, string>();
/** Waits until there is an alert of each of these rules. */
const firing = async (...rules: readonly string[]): Promise<void> => {
  for (const rule of rules) {
    const alert = await until(`${rule} is firing`, async () => {
      const { body } = await service.look(`/alerts?rule=eq.${rule}&state=eq.firing`, watcher);
      return (body.data as readonly Alert[])[0];
    });
    fired.set(rule, alert.id);
    console.log(`\nalert ${rule} is firing: ${alert.summary}`);
  }
};
/** Waits until these alerts have resolved by themselves. */
const resolved = async (...rules: readonly string[]): Promise<void> => {
  for (const rule of rules) {
    await until(`${rule} is resolved`, async () => {
      const { body } = await service.look(`/alerts/${fired.get(rule)}`, watcher);
      return (body as Alert).state === 'resolved';
    });
    console.log(`\nalert ${rule} is resolved`);
  }
};

const headers = (key: string) => ({ 'idempotency-key': key, 'x-request-id': `story-${key}` });
const asked = await service.ask(202, 'POST', '/syncs/licences/run', { token: watcher, headers: headers('full') });
const full = asked.body.id as string;
for (const key of ['look-1', 'look-2'])
  await service.ask(202, 'POST', '/runs', {
    token: watcher,
    headers: headers(key),
    body: { kind: 'diff', sync: 'licences' },
  });
await firing('queue_backlog');

say('A worker is started');
await using working = await worker(folder);
await resolved('queue_backlog');

say('Full: every licence is new to us. Its five phases are in its record …');
const ended = async (id: string) =>
  until(`run ${id} ends`, async () => {
    const { body } = await service.look(`/runs/${id}`, watcher);
    if (body.finished === null) return undefined;
    insist(body.state === 'done', `run ${id} is done, not ${body.state}: ${JSON.stringify(body.error)}`);
    return body;
  });
const record = await ended(full);
for (const { name, elapsed_ms } of record.phases) console.log(`  ${name}: ${elapsed_ms} ms`);
const phases = 'collect detect resolve apply record';
insist(record.phases.map((p: { name: string }) => p.name).join(' ') === phases, 'a run has five phases');
console.log(JSON.stringify(record.report));
insist(record.report.applied.insert === 500 && (await count()) === 500, 'all licences came');

say('… and in events and log lines, with the batch it is at, all under the id of the request');
const correlation = 'story-full';
insist(record.correlation === correlation, 'the run has the id of the request');
const told = (
  await service.events(
    '/events?after=0&sync=licences',
    watcher,
    (text) => text.includes(`"subject":"runs/${full}"`) && text.includes('lockstep.run.finished'),
  )
).filter((event) => event.correlation === correlation);
for (const event of told) console.log(`${event.type} ${JSON.stringify(event.data)}`);
const ofPhases = told.filter((event) => event.type === 'lockstep.run.phase').map((event) => event.data);
insist(ofPhases.map((data) => data.phase).join(' ') === phases, 'each phase is an event');
insist(
  ofPhases.some((data) => data.phase === 'apply' && data.of === 5),
  'of 500 changes there are 5 batches',
);
const lines = working
  .log()
  .split('\n')
  .filter((line) => line.includes(`"correlation":"${correlation}"`));
for (const line of lines) console.log(line);
for (const phase of phases.split(' '))
  insist(
    lines.some((line) => line.includes(`"phase":"${phase}"`)),
    `the log tells of ${phase}`,
  );

say('Up to date: nothing is written, every row counts as already_synced');
const again = await service.ask(202, 'POST', '/runs', {
  token: watcher,
  headers: headers('again'),
  body: { kind: 'sync', sync: 'licences', full: true },
});
const { report } = await ended(again.body.id);
console.log(JSON.stringify(report));
insist(report.skipped.already_synced === 500 && report.applied.insert === 0, 'all are in agreement already');

say('From here on by the schedule: the configuration is read again');
writeFileSync(join(folder, 'lockstep.yaml'), quick);
const reread = [service, working].map((process) => process.logged('configuration read again'));
for (const process of [service, working]) process.reload();
await Promise.all(reread);

say('The vendor changes three licences, makes one, and makes one that cannot be. They come within seconds');
const licence = (id: string) => vendor.licenses.get(id)!;
for (const id of ['lic_0007', 'lic_0008']) vendor.put({ ...licence(id), status: 'inactive' });
vendor.put({ ...licence('lic_0100'), price: '99.95' });
vendor.put({ ...licence('lic_0001'), id: 'lic_0501', customer: { name: 'Brand New Ltd' } });
vendor.put({ ...licence('lic_0002'), id: 'lic_0502', seats: 0 });
const changed = Date.now();
const come = `external_id in ('lic_0007', 'lic_0008') and status = 'inactive'
  or external_id = 'lic_0100' and price = 99.95 or external_id = 'lic_0501'`;
await until('all four come', async () => (await count(come)) === 4);
console.log(`\nfour licences are here, ${((Date.now() - changed) / 1000).toFixed(1)} s later`);
insist((await count(`external_id = 'lic_0502'`)) === 0, 'the invalid one did not');
await run(['quarantine', 'list', 'licences'], 0);

say('Only what changed was asked for. Deleted licences cannot be seen this way, and such a run says so (exit 25)');
const lastRun = async () =>
  (await service.look('/runs?sync=eq.licences&kind=eq.sync&state=eq.done&limit=1', watcher)).body.data[0];
const scheduled = await until('a run of the schedule ends', async () => {
  const last = await lastRun();
  return last.trigger === 'schedule' && last;
});
insist(scheduled.exit === 25 && scheduled.verdict === 'incomplete', 'an incremental run is never green');

say('The vendor mends it; the next run takes it along');
vendor.put({ ...licence('lic_0502'), seats: 3 });
await until('the mended one comes', async () => (await count()) === 502);

say('Drift: the vendor changes 30 licences while the sync is paused');
await service.ask(200, 'POST', '/syncs/licences/pause', { token: watcher });
for (let n = 200; n < 230; n++) vendor.put({ ...licence(`lic_0${n}`), price: '1.00' });
await run(['diff', 'licences', '--full', '--limit', '2'], 2);
await firing('drift');
await service.ask(200, 'POST', '/syncs/licences/resume', { token: watcher });
await resolved('drift');

say('A slow day at the vendor: runs take longer than those before, and its answers of the last minutes are slow');
/** Waits for the end of another run of the schedule. */
const another = async (): Promise<void> => {
  const { id } = await lastRun();
  await until('another run ends', async () => (await lastRun()).id !== id);
};
for (let n = 0; n < 4; n++) await another();
vendor.delayMs = 1000;
for (const wanted = new Set(['slow_run', 'endpoint_latency']); wanted.size > 0; ) {
  await another();
  const { body } = await service.look('/alerts?state=eq.firing', watcher);
  for (const alert of body.data as readonly Alert[])
    if (wanted.delete(alert.rule)) {
      fired.set(alert.rule, alert.id);
      console.log(`\nalert ${alert.rule} is firing: ${alert.summary}`);
    }
  if (wanted.has('slow_run')) vendor.delayMs *= 3;
  insist(vendor.delayMs < 20_000, 'a slow run is noticed');
}
vendor.delayMs = 0;
await resolved('slow_run');

say('A bad day: nothing answers behind the vendor’s gateway. Runs fail, and after five the circuit breaker opens');
vendor.down = true;
await firing('sync_failed', 'breaker_open');
const errors = await service.ask(200, 'GET', '/monitoring/errors', { token: watcher });
for (const group of errors.body.data) console.log(`  ${group.kind} × ${group.count}: ${group.example.message}`);
const open = await until('a run meets the open breaker', async () => {
  const { body } = await service.look('/monitoring/errors', watcher);
  return body.data.find((group: { kind: string }) => group.kind === 'CIRCUIT_OPEN');
});
insist(
  /^vendor: circuit breaker is open .* tried again at 20/.test(open.example.message),
  'it names the endpoint and when it is tried again',
);
vendor.down = false;
await resolved('breaker_open', 'sync_failed');

say('Another: lists end after their first page. Nothing is concluded from that, nothing is written');
await service.ask(200, 'POST', '/syncs/licences/pause', { token: watcher });
vendor.broken = true;
await run(['diff', 'licences', '--full'], 25);
vendor.broken = false;
insist((await count()) === 502, 'no licence was lost');

say('What it was worth: every change counted once, every cent summed');
await run(['diff', 'licences', '--full'], 0);
const metrics = (await service.look('/metrics', watcher)).body as string;
for (const line of metrics.split('\n')) if (line.startsWith('lockstep_business_sum')) console.log(line);
const [sum] = await stage.query('shop', 'select sum(price)::text as price from licenses');
const { body: summary } = await service.ask(200, 'GET', '/monitoring/summary', { token: watcher });
const { sync_health, data_quality, performance, business } = summary;
console.log(JSON.stringify({ sync_health, data_quality, performance, business }, undefined, 1));
const worth = business.find((b: { metric: string }) => b.metric === 'revenue_impact');
insist(worth.sum === sum!['price'], `revenue_impact is ${sum!['price']}, the price of all that came`);
insist(
  business.find((b: { metric: string }) => b.metric === 'licenses_synced').sum === String(502 + 3 + 30),
  'licenses_synced counts what was written',
);
insist(data_quality.completeness === 1 && data_quality.total_records === 502, 'all records agree');
await service.ask(200, 'POST', '/syncs/licences/resume', { token: watcher });
await working.stop();
await service.stop();

say('And back: support changes a status here, and the vendor is told');
await stage.query('shop', "update licenses set status = 'inactive', seats = 2 where external_id = 'lic_0042'");
await run(['plan', 'back'], 2);
await run(['sync', 'back', '--yes'], 0);
insist(licence('lic_0042').status === 'inactive' && licence('lic_0042').seats === 2, 'the vendor knows');

const impatient = quick
  .replaceAll('settle: 1s', 'settle: 0s')
  .replace('requests_per_second: 50', 'requests_per_second: 500');
insist(impatient.split('settle: 0s').length === 4, 'lockstep.yaml has two syncs that wait for what moves');
writeFileSync(join(folder, 'lockstep.yaml'), impatient);
await conflicts({ stage, vendor, run });

say('How did licence lic_0007 get here?');
await run(['explain', 'licences/licenses', 'lic_0007'], 0);
await run(['runs', '--limit', '5'], 0);
