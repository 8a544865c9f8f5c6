import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gatherFacts } from '../../src/alerts/facts.ts';
import { conditionsOf } from '../../src/alerts/rules.ts';
import { loadConfig } from '../../src/config/load.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { followApprovals, lookAtWaits } from '../../src/service/approvals.ts';
import { startScheduler } from '../../src/service/scheduler.ts';
import { inProcess } from '../cli/in-process.ts';
import { served } from '../http/served.ts';
import { o } from '../store/plain.ts';
import { until } from './project.ts';

const rule = (text: string) => (yaml: string) => yaml.replace('mode: mirror,', `mode: mirror, ${text}`);
const s = await served({ config: rule('approvals: { required: 2, above: { changes: 2, deletes: 0 }, expires: 1h },') });
const { ask, store, run, source, target, config } = s;
const [maker, alice, bob, carol] = [
  await s.token('maker', { role: 'approver' }),
  await s.token('alice', { role: 'approver' }),
  await s.token('bob', { role: 'approver' }),
  await s.token('carol', { role: 'operator' }),
];
const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const waiting = { store, config: () => config, clock: systemClock, log };
const rows = async () => (await target.query('select id, name from items order by id')).rows;
const types = async (prefix: string) =>
  (await store.events.after('0', { limit: 1000 }, o)).filter((e) => e.type.startsWith(prefix)).map((e) => e.type);
let n = 0;
const sync = (token = maker) =>
  run({ kind: 'sync', sync: 'items' }, { 'idempotency-key': `k${n++}`, authorization: `Bearer ${token}` });
const approve = (plan: string, hash: string, token: string | null) =>
  ask('POST', `/api/v1/plans/${plan}/approve`, { token, json: {}, headers: { 'if-match': `"${hash}"` } });

test('a plan above the limit waits, is applied once two others have agreed, and its schedule waits with it', async () => {
  const before = await rows();
  const first = await sync();
  assert.deepEqual([first.state, first.exit], ['done', 22]);
  const id = first.plan as string;
  assert.equal(first.report.awaits_approval.plan, id);
  assert.deepEqual(await rows(), before, 'nothing is written');
  const { body: plan } = await ask('GET', `/api/v1/plans/${id}`);
  assert.deepEqual([plan.approvals_required, plan.approvals_missing], [2, 2]);
  const status = (await ask('GET', '/api/v1/syncs/items/status')).body;
  assert.deepEqual([status.awaits_approval.plan, status.awaits_approval.required], [id, 2]);

  // Nobody gets around it: not by the API, not by a request that a worker carries out.
  const applied = await ask('POST', `/api/v1/plans/${id}/apply`, {
    headers: { 'if-match': `"${plan.hash}"`, 'idempotency-key': 'apply' },
  });
  assert.deepEqual([applied.status, applied.body.code], [409, 'GUARD']);
  const forced = await store.desk.request(
    { kind: 'apply', plan: id },
    { actor: 'x', correlation: 'c', trigger: 'cli' },
    o,
  );
  const failed = await s.ended(forced.run.id);
  assert.deepEqual([failed.state, failed.exit, failed.error.code], ['failed', 22, 'GUARD']);
  assert.deepEqual(await rows(), before);

  // It is told while it waits, and its schedule makes no other one.
  const facts = await gatherFacts(store, config, Date.now(), o);
  const told = conditionsOf(facts, config.alerts.rules).filter((c) => c.rule === 'approval_waiting');
  assert.deepEqual(
    told.map((c) => [c.subject, c.command]),
    [['syncs/items', `lockstep approve ${id}`]],
  );
  const stop = new AbortController();
  const every = {
    ...config,
    syncs: {
      items: { ...config.syncs['items']!, schedule: { everyMs: 100, jitterMs: 0, missed: 'run_once' as const } },
    },
  };
  const reasons: unknown[] = [];
  const scheduler = startScheduler({
    store,
    config: () => every,
    clock: systemClock,
    random: () => 0,
    log: { ...log, debug: (_: string, fields: { reason?: string }) => reasons.push(fields.reason) } as never,
    signal: stop.signal,
  });
  await until(async () => reasons.length > 1);
  stop.abort();
  await scheduler.ended;
  assert.deepEqual([...new Set(reasons)], ['approval']);

  // Who asked for it, who lacks the scope, and the same person twice do not count.
  const own = await approve(id, plan.hash, maker);
  assert.deepEqual([own.status, own.body.code], [403, 'FORBIDDEN']);
  assert.match(own.body.detail, /who asked for a plan cannot agree to it/);
  assert.equal((await approve(id, plan.hash, carol)).status, 403);
  assert.equal((await approve(id, '0'.repeat(64), alice)).status, 412);
  for (const _ of [1, 2]) assert.equal((await approve(id, plan.hash, alice)).body.approvals_missing, 1);
  await lookAtWaits(waiting, o);
  assert.equal((await store.waits.waiting(o)).length, 1);
  assert.equal((await approve(id, plan.hash, bob)).body.approvals_missing, 0);

  // Several servers see it at once: it is applied once.
  const going = new AbortController();
  const servers = [1, 2].map(() => followApprovals({ ...waiting, signal: going.signal }));
  const used = await until(async () => (await store.plans.get(id, o))?.usedBy ?? undefined);
  const done = await s.ended(used);
  assert.deepEqual(
    [done.state, done.kind, done.actor, done.correlation],
    ['done', 'apply', 'approvals', first.correlation],
  );
  going.abort();
  await Promise.all(servers);
  assert.deepEqual(await rows(), (await source.query('select id, name from items order by id')).rows);
  assert.equal((await store.waits.waiting(o)).length, 0);
  assert.equal((await store.runs.list({ plan: id, kinds: ['apply'], states: ['done'] }, o)).length, 1);
  assert.deepEqual(await types('plan.'), ['plan.waiting', 'plan.approved']);
  const audit = await store.audit.list({ object: `plans/${id}`, limit: 50 }, o);
  assert.deepEqual(
    audit.filter((e) => e.action === 'plan.approve' && e.outcome === 'done').map((e) => e.actor),
    ['token:bob', 'token:alice', 'token:alice'],
  );
});

test('a plan below the limit is applied as ever; one more that waits takes the place of the last, and is too old some day', async () => {
  await source.query(`update items set name = 'changed' where id = 1`);
  const small = await sync();
  assert.deepEqual([small.exit, small.report.applied.update], [0, 1]);
  await source.query(`update items set name = 'again ' || id`);
  const [first, second] = [await sync(), await sync(alice)];
  assert.deepEqual([first.exit, second.exit], [22, 22]);
  assert.deepEqual(
    (await store.waits.waiting(o)).map((w) => w.plan),
    [second.plan],
  );
  const late = { ...waiting, clock: { ...systemClock, now: () => Date.now() + 3_600_001 } };
  await lookAtWaits(late, o);
  assert.equal((await store.waits.waiting(o)).length, 0);
  assert.deepEqual((await types('plan.')).slice(2).sort(), [
    'plan.expired',
    'plan.superseded',
    'plan.waiting',
    'plan.waiting',
  ]);
});

test('by hand: the command line makes, waits, agrees and applies under the same rule; a rule that came later holds, too', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-approve-'));
  after(() => rmSync(dir, { recursive: true }));
  const yaml = (approvals: string) =>
    writeFileSync(
      join(dir, 'lockstep.yaml'),
      `version: 1\nendpoints:\n  left: { url: "${source.url}" }\n  right: { url: "${target.url}", writable: true }\n` +
        `syncs:\n  items: { source: left, target: right, settle: 0s, pairs: [items]${approvals} }\n`,
    );
  const lockstep = (...args: string[]) =>
    inProcess([...args, '--control', s.control.url], {
      cwd: dir,
      env: { LOCKSTEP_AUDIT_KEY: 'the key of a test store' },
    });
  yaml('');
  const planned = await lockstep('plan', 'items', '--json');
  const id = JSON.parse(planned.stdout).plan as string;
  yaml(', approvals: { by: ["token:alice"] }');
  const refused = await lockstep('apply', id, '--yes');
  assert.equal(refused.code, 22, refused.stderr);
  assert.match(refused.stderr, /needs the agreement of somebody.*lockstep approve/s);
  const mine = await lockstep('approve', id);
  assert.equal(mine.code, 20);
  assert.match(mine.stderr, /cannot agree to plan .*who asked for a plan cannot agree to it/);
  yaml(', approvals: { not_author: false, by: ["token:alice"] }');
  assert.match((await lockstep('approve', id)).stderr, /only token:alice may agree to it/);
  yaml(', approvals: { not_author: false }');
  const waits = await lockstep('sync', 'items', '--yes', '--json');
  assert.equal(waits.code, 22, waits.stderr);
  const { awaits_approval: wait } = JSON.parse(waits.stdout);
  assert.match(
    (await lockstep('sync', 'items', '--yes')).stdout,
    /waits\s+\d+\s+for 1 approval, until .*\n.*lockstep approve p_/,
  );
  const agreed = await lockstep('approve', wait.plan, '--reason', 'looked at it');
  assert.equal(agreed.code, 0, agreed.stderr);
  assert.match(agreed.stdout, /agrees to plan p_\w+; apply it: lockstep apply p_/);
  const done = await lockstep('apply', wait.plan, '--yes');
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(await rows(), (await source.query('select id, name from items order by id')).rows);
});

test('the configuration of the guide means what the page says, and one that nobody can meet is a mistake', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/guide/service.md'), 'utf8');
  const text = [...page.matchAll(/^```yaml\n([\s\S]*?)^```/gm)]
    .map((m) => m[1]!)
    .find((t) => t.includes('approvals:'))!;
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-approve-'));
  after(() => rmSync(dir, { recursive: true }));
  const load = (yaml: string) => {
    const file = join(dir, 'lockstep.yaml');
    writeFileSync(
      file,
      `version: 1\nendpoints: { billing: { url: "sqlite:a" }, crm: { url: "sqlite:b", writable: true } }\n${yaml}`,
    );
    return loadConfig(file, { cwd: dir, env: {} });
  };
  const { approvals } = (await load(text)).syncs['subscriptions']!;
  assert.deepEqual(approvals, {
    rule: { required: 1, above: { changes: 100, deletes: 0 }, by: null, notAuthor: true },
    expiresMs: 86_400_000,
  });
  const wrong = (written: string) => load(`syncs: { s: { source: billing, target: crm, approvals: ${written} } }\n`);
  await assert.rejects(wrong('{ required: 2, by: ["token:a"] }'), /names fewer than the 2/);
  await assert.rejects(wrong('{ above: {} }'), /says nothing/);
  await assert.rejects(wrong('{ required: 0 }'), /at least 1/);
  await assert.rejects(wrong('{}, mode: migrate'), /mode migrate does not wait/);
  await assert.rejects(wrong('{}, mode: two_way'), /mode two_way does not wait/);
  for (const settled of [
    'conflict: manual',
    'pairs: [{ source: t, columns: { a: { owner: source } } }]',
    'pairs: [{ source: t, atomic: true }]',
  ])
    await assert.rejects(wrong(`{}, ${settled}`), /settles conflicts does not wait for approvals/, settled);
  assert.equal((await load('syncs: { s: { source: billing, target: crm } }\n')).syncs['s']!.approvals, undefined);
});
