import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { evaluate } from '../../src/alerts/watch.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { redactor } from '../../src/lib/redact.ts';
import { inProcess } from '../cli/in-process.ts';
import { freshStore } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';
import { configOf, ended, quietLog } from './world.ts';

const { store, database } = await freshStore();
const dir = mkdtempSync(join(tmpdir(), 'lockstep-alerts-'));
const got: string[] = [];
const receiver = createServer((request, response) => {
  request.on('data', (chunk: Buffer) => void got.push(chunk.toString()));
  request.on('end', () => response.writeHead(got.length > 1 ? 500 : 204).end());
});
await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
after(() => {
  receiver.close();
  rmSync(dir, { recursive: true });
});
writeFileSync(
  join(dir, 'lockstep.yaml'),
  `version: 1
control: "${database.url}"
endpoints: { vendor: { url: "sqlite:a.db" }, crm: { url: "sqlite:b.db", writable: true } }
syncs: { licences: { source: vendor, target: crm } }
alerts:
  channels:
    team: { slack: "http://127.0.0.1:${(receiver.address() as AddressInfo).port}/x", allow_private: true }
    far: { webhook: "http://127.0.0.1:1/x", secret: "a secret of twenty-four" }
`,
);
const lockstep = (...args: string[]) => inProcess(args, { cwd: dir, env: {} });
const look = async (): Promise<void> => {
  const config = configOf('alerts: { every: 0 }\n');
  const { log } = quietLog();
  await evaluate({ store, config: () => config, clock: systemClock, log, redactor: redactor(), process: 't' }, o);
};

test('alerts are listed with what to run, acknowledged and silenced', async () => {
  assert.equal((await lockstep('alerts')).stdout, '  no alert is pending or firing\n');
  const run = await ended(store, { at: Date.now() }, 'licences', { state: 'failed' });
  await look();
  const { stdout } = await lockstep('alerts', 'list');
  assert.match(stdout, /CRITICAL {2}licences: the last sync failed \(CONNECT\)/);
  assert.ok(stdout.includes(`    lockstep show ${run}\n`));
  const { alerts } = JSON.parse((await lockstep('alerts', '--format', 'json')).stdout);
  const failed = alerts.find((a: { rule: string }) => a.rule === 'sync_failed');
  assert.equal((await lockstep('alerts', 'ack', failed.id, '--reason', 'on it')).code, 0);
  assert.match((await lockstep('alerts')).stdout, /acknowledged by /);
  const silenced = await lockstep('alerts', 'silence', 'licences', '--for', '2h', '--reason', 'moving', '--json');
  const { id } = JSON.parse(silenced.stdout).silence;
  assert.match((await lockstep('alerts')).stdout, /silenced until .*: sync licences \(moving, by /);
  assert.equal((await lockstep('alerts', 'unsilence', id)).code, 0);
  assert.equal((await lockstep('alerts', 'unsilence', id)).code, 20);
  await ended(store, { at: Date.now() + 1 }, 'licences');
  await look();
  assert.match((await lockstep('alerts', '--limit', '5')).stdout, /RESOLVED {2}licences: the last sync failed/);
  assert.equal((await lockstep('alerts', 'ack', failed.id)).code, 20);
});

test('a channel is tested before it is needed', async () => {
  assert.equal((await lockstep('alerts', 'test', 'team')).stdout, '  sent a test message to team\n');
  assert.match(got.join(''), /a test message/);
  const refused = await lockstep('alerts', 'test', 'team');
  assert.equal(refused.code, 21);
  assert.match(refused.stderr, /nothing was sent to team: 127\.0\.0\.1:\d+ answered 500/);
  assert.match((await lockstep('alerts', 'test', 'far')).stderr, /secret: expected at least 24|private network/);
  assert.match((await lockstep('alerts', 'test', 'nobody')).stderr, /no channel nobody[\s\S]*team, far/);
  assert.match((await lockstep('alerts', 'silence', 'licences')).stderr, /for how long/);
  assert.match((await lockstep('alerts', 'silence', 'licenses', '--for', '1h')).stderr, /no sync `licenses`/);
});
