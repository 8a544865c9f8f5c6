import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from './config.ts';
import { parseConfigDocument } from './document.ts';
import { resolveConfig } from './resolve.ts';
import { validateConfig } from './validate.ts';

const base = `version: 1
endpoints:
  a: { url: "sqlite:a.db" }
  b: { url: "sqlite:b.db", writable: true }
syncs:
  licences: { source: a, target: b, pairs: [{ source: licences, columns: { price: { to: amount } } }] }
`;
const env = { ALERT_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', SHORT: 'short', MAIL: 'hunter2hunter2' };
const read = (text: string, secrets: string[] = []): Config => {
  const document = parseConfigDocument('lockstep.yaml', `${base}${text}`);
  const around = {
    env,
    dotenv: { file: '.env', values: undefined },
    baseDir: '/etc/shop',
    onSecret: (s: string) => void secrets.push(s),
  };
  return resolveConfig(validateConfig(document), document, '/etc/shop', around);
};
const fails = (text: string, message: RegExp): void => {
  assert.throws(
    () => read(text),
    (error: Error & { details?: readonly string[] }) => message.test(`${error.message}\n${error.details?.join('\n')}`),
  );
};

test('without a word about it every rule holds and nothing is sent', () => {
  const { alerts, measures, log, publicMetrics } = read('');
  assert.deepEqual(alerts.channels, {});
  assert.equal(alerts.everyMs, 15_000);
  assert.equal(Object.keys(alerts.rules).length, 13);
  assert.equal(alerts.rules.drift!.above, 0.01);
  assert.deepEqual([measures, log, publicMetrics()], [[], { level: 'info' }, false]);
});

test('rules are set, turned off, and limited to what there is', () => {
  const { rules } = read(`alerts:
  rules:
    drift: { above: 5%, for: 2m, severity: critical, only: [licences], send: [] }
    slow_run: false
    queue_backlog: { waiting: 3, older_than: 30s }
`).alerts;
  assert.deepEqual(rules.drift, { above: 0.05, forMs: 120_000, severity: 'critical', only: ['licences'], send: [] });
  assert.equal(rules.slow_run, undefined);
  assert.deepEqual([rules.queue_backlog!.waiting, rules.queue_backlog!.olderMs], [3, 30_000]);
  fails(
    'alerts: { rules: { drift: { only: [licenses] } } }',
    /no sync and no endpoint `licenses`[\s\S]*did you mean licences/,
  );
  fails('alerts: { rules: { drift: { send: [ops] } } }', /no channel `ops`/);
  fails('alerts: { rules: { drfit: {} } }', /unknown key `drfit`[\s\S]*did you mean drift/);
});

test('channels are of one kind, and their secrets are looked up when used and kept out of messages', () => {
  const secrets: string[] = [];
  const { channels } = read(
    `alerts:
  channels:
    ops: { webhook: "https://ops.example.com/hook", secret: "\${env:ALERT_SECRET}" }
    bad: { webhook: "https://ops.example.com/hook", secret: "\${env:SHORT}" }
    none: { webhook: "https://ops.example.com/hook", secret: "\${env:NOT_SET}" }
    mail: { email: [a@example.com], from: l@example.com, smtp: { host: mail, user: me, password: "\${env:MAIL}" } }
`,
    secrets,
  ).alerts;
  assert.equal(secrets.join(), '');
  const { ops, bad, none, mail } = channels;
  assert.ok(ops?.kind === 'webhook' && bad?.kind === 'webhook' && none?.kind === 'webhook' && mail?.kind === 'email');
  assert.equal(ops.secret(), env.ALERT_SECRET);
  assert.deepEqual(mail.smtp(), {
    host: 'mail',
    port: 587,
    tls: 'starttls',
    login: { user: 'me', password: env.MAIL },
  });
  assert.ok(secrets.includes(env.ALERT_SECRET) && secrets.includes(env.MAIL));
  assert.throws(() => bad.secret(), /at least 24 characters/);
  assert.throws(() => none.secret(), { code: 'SECRET_MISSING' });
  fails('alerts: { channels: { x: { webhook: "https://a", slack: "https://b" } } }', /one of webhook, slack and email/);
  fails('alerts: { channels: { x: { webhook: "https://a" } } }', /has no secret/);
  fails('alerts: { channels: { x: { email: [a@b.c] } } }', /needs smtp and from/);
});

test('business metrics name a sync and one thing to count or sum; a source column stands for its target column', () => {
  const { measures } = read(`metrics:
  business:
    licenses_synced: { sync: licences, count: changes }
    revenue_impact: { sync: licences, sum: price }
    price_moves: { sync: licences, delta: amount }
`);
  assert.deepEqual(
    measures.map((m) => m.of),
    [{ count: 'changes' }, { sum: ['price', 'amount'] }, { delta: ['amount'] }],
  );
  fails('metrics: { business: { x: { sync: licenses, count: changes } } }', /no sync `licenses`/);
  fails('metrics: { business: { x: { sync: licences } } }', /needs one of count, sum and delta/);
  fails('metrics: { business: { x: { sync: licences, count: changes, sum: a } } }', /needs one of/);
  fails('metrics: { business: { Revenue: { sync: licences, count: changes } } }', /Revenue/);
});

test('a service level has a target, and no shorter time than proofs are told apart in', () => {
  const withSlo = (slo: string): Config => read(`  again: { source: a, target: b, slo: ${slo} }\n`);
  assert.deepEqual(withSlo('{ verified_within: 1h, agree: 99% }').syncs['again']!.slo, {
    verifiedWithinMs: 3_600_000,
    agree: 0.99,
    drift: 0,
    windowMs: 30 * 86_400_000,
  });
  assert.throws(() => withSlo('{ verified_within: 10s }'), /at least 1m/);
  assert.throws(() => withSlo('{ window: 400d }'), /at most 366d/);
  assert.equal(read('').syncs['licences']!.slo, undefined);
});

test('the log and who may read the metrics are settings of the server', () => {
  const config = read('server: { log: { level: debug, file: logs/lockstep.log }, metrics: { public: true } }\n');
  assert.deepEqual(config.log, { level: 'debug', file: '/etc/shop/logs/lockstep.log' });
  assert.equal(config.publicMetrics(), true);
  fails('server: { log: { level: loud } }', /expected debug, info, warn, error or silent/);
});
