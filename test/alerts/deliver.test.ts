import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, beforeEach, test } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { evaluate, sendDue, type WatchOptions } from '../../src/alerts/watch.ts';
import { redactor } from '../../src/lib/redact.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { freshStore } from '../store/fresh-store.ts';
import { newRun, o } from '../store/plain.ts';
import { configOf, ended, heldClock, minute, quietLog } from './world.ts';

const { store, database } = await freshStore();
const clock = heldClock();
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

interface Received {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
const received: Received[] = [];
let answer: (n: number) => number = () => 200;
const receiver = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => {
    body += chunk.toString();
  });
  request.on('end', () => {
    received.push({ headers: request.headers, body });
    response.writeHead(answer(received.length), { location: 'http://169.254.169.254/' }).end();
  });
});
await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook?token=t0ps3cret`;
after(() => receiver.close());

const secrets = redactor();
secrets.add('s3cret-in-a-message');
const env = { SECRET: secret, HOOK: url };
const hook = 'webhook: "${env:HOOK}", secret: "${env:SECRET}"';
const alerting = (channels: string): string =>
  `alerts: { every: 0, channels: ${channels}, rules: { unverified: false, error_budget: false } }\n`;
const optionsOf = (channels: string, over: Partial<WatchOptions> = {}): WatchOptions & { readonly lines: string[] } => {
  const config = configOf(alerting(channels), env);
  const { log, lines } = quietLog();
  return { store, config: () => config, clock, log, redactor: secrets, process: 't', lines, ...over };
};
const send = (w: WatchOptions): Promise<number> => sendDue(w, w.config().alerts, o);
const states = async () => (await store.alerts.deliveries(o)).map((d) => `${d.channel} ${d.state} ${d.count}`);

beforeEach(async () => {
  received.length = 0;
  answer = () => 200;
  await database.query(
    'truncate lockstep_control.run, lockstep_control.pair_state, lockstep_control.alert, lockstep_control.alert_delivery, lockstep_control.event cascade',
  );
});

test('a webhook is signed as Standard Webhooks says, and tells what, where, since when and what to run', async () => {
  const w = optionsOf(`{ ops: { ${hook}, allow_private: true } }`);
  const run = await ended(store, clock, 'licences', { state: 'failed' });
  await evaluate(w, o);
  assert.equal(await send(w), 1);
  assert.equal(await send(w), 0);
  assert.match(w.lines.join(), /"rule":"sync_failed","subject":"syncs\/licences".*"alert firing"/);
  const [{ headers, body }] = received as [Received];
  const id = headers['webhook-id'] as string;
  const at = headers['webhook-timestamp'] as string;
  const key = Buffer.from(secret.slice(6), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64');
  assert.equal(headers['webhook-signature'], `v1,${signature}`);
  assert.equal(Number(at), Math.floor(clock.at / 1000));
  const told = JSON.parse(body);
  assert.equal(told.sync, 'licences');
  assert.deepEqual([told.alerts.length, told.alerts[0].state, told.alerts[0].rule], [1, 'firing', 'sync_failed']);
  assert.equal(told.alerts[0].command, `lockstep show ${run}`);
  assert.match(told.alerts[0].detail, /nothing listens/);

  await ended(store, clock, 'licences');
  await evaluate(w, o);
  await send(w);
  const over = JSON.parse(received[1]!.body).alerts[0];
  assert.deepEqual([over.state, over.id], ['resolved', told.alerts[0].id]);
  assert.equal(w.lines.filter((line) => line.includes('"alert firing"')).length, 1);
  assert.equal(w.lines.filter((line) => line.includes('"alert resolved"')).length, 1);
  const { rows } = await database.query(
    `select type from lockstep_control.event where type like 'alert.%' order by id`,
  );
  assert.deepEqual(
    rows.map((r) => r.type),
    ['alert.firing', 'alert.resolved'],
  );
});

test('what could not be sent is tried again with growing pauses under the same id, and given up after a day', async () => {
  answer = (n) => (n < 4 ? 503 : 200);
  const w = optionsOf(`{ ops: { ${hook}, allow_private: true } }`);
  await ended(store, clock, 'licences', { state: 'failed' });
  await evaluate(w, o);
  const pauses: number[] = [];
  for (let last = clock.at; received.length < 4; clock.at += 1000)
    if ((await send(w)) + received.length > pauses.length) {
      pauses.push((clock.at - last) / 1000);
      last = clock.at;
    }
  assert.deepEqual(pauses, [0, 5, 30, 120]);
  assert.equal(new Set(received.map((r) => r.headers['webhook-id'])).size, 1);
  assert.deepEqual(await states(), ['ops sent 1']);
  assert.ok(w.lines.every((line) => !line.includes('t0ps3cret') && !line.includes(secret)));
  assert.match(w.lines.join(), /127\.0\.0\.1:\d+ answered 503.*alert not sent, tried again later/);

  await database.query('truncate lockstep_control.alert_delivery');
  answer = () => 500;
  await ended(store, clock, 'licences');
  await evaluate(w, o);
  const begun = clock.at;
  for (let i = 0; i < 40 && (await states())[0] !== 'ops failed 1'; i++) {
    await send(w);
    clock.at += 9 * 60 * minute;
  }
  assert.deepEqual(await states(), ['ops failed 1']);
  assert.ok(clock.at - begun > 86_400_000);
});

test('of several servers one tells it, once', async () => {
  const others = await Promise.all([1, 2].map(() => openPostgresStore(urlConnector(database.url), o)));
  const all = [store, ...others].map((s, i) =>
    optionsOf(`{ ops: { ${hook}, allow_private: true } }`, { store: s, process: `p${i}` }),
  );
  try {
    for (let round = 0; round < 4; round++) {
      await ended(store, clock, 'licences', round % 2 === 0 ? { state: 'failed' } : {});
      await Promise.all(all.map((w) => evaluate(w, o)));
      await Promise.all(all.map((w) => evaluate(w, o)));
      await Promise.all(all.map((w) => send(w)));
      clock.at += minute;
    }
  } finally {
    await Promise.all(others.map((s) => s[Symbol.asyncDispose]()));
  }
  assert.deepEqual(
    received.map((r) => JSON.parse(r.body).alerts.map((a: { state: string }) => a.state)),
    [['firing'], ['resolved'], ['firing'], ['resolved']],
  );
});

test('a process that was stopped in its turn changes nothing when it wakes up', async () => {
  const w = optionsOf(`{ ops: { ${hook}, allow_private: true } }`);
  const old = (await store.alerts.turn('slow', 0, o))!;
  await ended(store, clock, 'licences', { state: 'failed' });
  await evaluate(w, o);
  const late = await store.alerts.change(
    old,
    clock.at,
    (open) => ({ alerts: open.map((a) => ({ ...a, state: 'resolved', resolved: 1 })), deliveries: [] }),
    o,
  );
  assert.equal(late, undefined);
  assert.equal((await store.alerts.list({ states: ['firing'] }, o)).length, 1);
  assert.equal(await store.alerts.turn('next', minute, o), undefined, 'it is nobody’s turn so soon');
});

test('a sender that dies leaves the message to the next one, who sends it under the same id', async () => {
  const w = optionsOf(`{ ops: { ${hook}, allow_private: true } }`);
  await ended(store, clock, 'licences', { state: 'failed' });
  await evaluate(w, o);
  const [held] = await store.alerts.due(clock.at, minute, 9, o);
  assert.equal(await send(w), 0, 'it is being sent');
  clock.at += minute;
  assert.equal(await send(w), 1);
  assert.equal(received[0]!.headers['webhook-id'], held!.id);
});

test('no private address is written to unless the channel says so, no redirect is followed, and no metadata service asked', async () => {
  const w = optionsOf(`{ ops: { ${hook} } }`);
  await ended(store, clock, 'licences', { state: 'failed' });
  await evaluate(w, o);
  assert.equal(await send(w), 0);
  assert.equal(received.length, 0);
  assert.match(w.lines.join(), /private network; allow_private/);

  await database.query('truncate lockstep_control.alert_delivery, lockstep_control.alert');
  answer = () => 302;
  const open = optionsOf(`{ ops: { ${hook}, allow_private: true } }`);
  await evaluate(open, o);
  assert.equal(await send(open), 0);
  assert.match(open.lines.join(), /answered 302/);

  await database.query('truncate lockstep_control.alert_delivery, lockstep_control.alert');
  const cloud = optionsOf('{ ops: { slack: "http://169.254.169.254/latest", allow_private: true } }');
  await evaluate(cloud, o);
  assert.equal(await send(cloud), 0);
  assert.match(cloud.lines.join(), /metadata/);
});

test('Slack gets its own format, in which names of tables do nothing', async () => {
  const w = optionsOf('{ team: { slack: "${env:HOOK}", allow_private: true } }');
  const pair = { source: 'users<!channel>&`x', target: 'u', rows: { source: 10, target: 10 }, different: 10 };
  await ended(store, clock, 'users', { kind: 'diff', report: { pairs: [pair] } });
  await evaluate(w, o);
  await send(w);
  const { text, blocks } = JSON.parse(received[0]!.body);
  assert.match(text, /^\[Lockstep\] WARNING users: 100 % of the rows of users&lt;!channel&gt;&amp;/);
  assert.ok(!received[0]!.body.includes('<!channel>'));
  assert.equal(blocks[0].type, 'section');
  assert.match(blocks[0].text.text, /to see more: `lockstep show r_/);
});

test('an e-mail arrives with subject, text and an id of its own', async () => {
  const mails: { readonly to: readonly string[]; readonly text: string }[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onAuth: (auth, _session, done) =>
      auth.password === 'hunter2hunter2' ? done(null, { user: 'me' }) : done(new Error('no')),
    allowInsecureAuth: true,
    onData: (stream, session, done) => {
      let text = '';
      stream.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      stream.on('end', () => {
        mails.push({ to: session.envelope.rcptTo.map((r) => r.address), text });
        done();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.server.address() as AddressInfo;
  const mail = (password: string): string =>
    `{ mail: { email: [a@example.com, b@example.com], from: lockstep@example.com, smtp: { host: 127.0.0.1, port: ${port}, user: me, password: ${password}, tls: none } } }`;
  try {
    await ended(store, clock, 'licences', { state: 'failed' });
    const wrong = optionsOf(mail('wrong-password'));
    await evaluate(wrong, o);
    assert.equal(await send(wrong), 0);
    assert.ok(!wrong.lines.join().includes('wrong-password'));
    clock.at += minute;
    const right = optionsOf(mail('hunter2hunter2'));
    assert.equal(await send(right), 1, right.lines.join());
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
  assert.deepEqual(
    mails.map((m) => m.to),
    [['a@example.com', 'b@example.com']],
  );
  assert.match(mails[0]!.text, /^Subject: \[Lockstep\] CRITICAL licences: the last sync failed/m);
  assert.match(mails[0]!.text, /^Message-ID: <msg_\w+@lockstep>/m);
  assert.match(mails[0]!.text, /to see more: lockstep show r_/);
});

test('without a channel everything is seen and nothing is sent', async () => {
  const w = optionsOf('{}');
  await ended(store, clock, 'licences', { state: 'failed' });
  await evaluate(w, o);
  assert.deepEqual(await states(), []);
  const [alert] = await store.alerts.list({ states: ['firing'] }, o);
  const acked = await store.alerts.acknowledge(alert!.id, { by: 'me', at: clock.at, note: 'on it' }, o);
  assert.deepEqual(acked.acked, { by: 'me', at: clock.at, note: 'on it' });
  await assert.rejects(store.alerts.acknowledge('al_none', { by: 'me', at: 1, note: null }, o), { code: 'NOT_FOUND' });
  await ended(store, clock, 'licences');
  await evaluate(w, o);
  await assert.rejects(store.alerts.acknowledge(alert!.id, { by: 'me', at: 1, note: null }, o), { code: 'CONFLICT' });
  assert.equal((await store.alerts.get(alert!.id, o))!.acked!.note, 'on it');
  await store.alerts.forget(clock.at + 1, o);
  assert.equal(await store.alerts.get(alert!.id, o), undefined);
});

test('what is told holds no secret, and not what a database said of a row', async () => {
  const w = optionsOf(`{ ops: { ${hook}, allow_private: true } }`);
  const failing = async (sync: string, code: 'CONNECT' | 'DATABASE', message: string): Promise<void> => {
    const { id } = await store.runs.create(newRun({ kind: 'sync', sync, started: clock.at }), o);
    await store.runs.finish(id, { state: 'failed', exit: 1, finished: clock.at, error: { code, message } }, o);
  };
  await failing('licences', 'CONNECT', 'crm: s3cret-in-a-message was refused by postgres://me:pässword@db/x');
  await failing('users', 'DATABASE', 'crm: duplicate key (email)=(zoe@example.com)');
  await evaluate(w, o);
  assert.equal(await send(w), 2);
  const text = received.map((r) => r.body).join();
  assert.match(text, /crm: \*\*\* was refused by postgres:\/\/me:\*\*\*@db/);
  assert.ok(!text.includes('zoe@') && text.includes('see the run for what the database said'));
  const kept = JSON.stringify(await store.alerts.list({}, o));
  for (const secret of ['s3cret', 'pässword', 'zoe@']) assert.ok(!kept.includes(secret), secret);
});
