import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import type { AuditHead, NewAuditEntry } from '../../src/model/audit.ts';
import { auditKeyOf } from '../../src/store/audit-chain.ts';
import { keyFileOf } from '../../src/store/audit-key.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { inProcess } from '../cli/in-process.ts';
import { freshStore, testAuditKeys } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';

const { store, database } = await freshStore();
const { audit } = store;
const entry = (n: number, more: Partial<NewAuditEntry> = {}): NewAuditEntry => ({
  actor: 'token:ci',
  action: 'record.update',
  object: `records/subscriptions/${n}`,
  before: { status: 'active', note: 'a\0b\udc80' },
  after: { status: 'ended' },
  outcome: 'done',
  correlation: `c_${n}`,
  ...more,
});
/** What somebody does who may do everything in the database and has no key. */
const tamper = async (...statements: readonly string[]): Promise<void> => {
  await database.query('set session_replication_role = replica');
  for (const sql of statements) await database.query(sql.replaceAll(/\b(audit(_head)?)\b/g, 'lockstep_control.$1'));
  await database.query('set session_replication_role = origin');
};
const problems = async (checkpoints: readonly AuditHead[] = []): Promise<readonly string[]> =>
  (await audit.verify(checkpoints, o)).problems.map(({ what }) => what);

beforeEach(async () => {
  await tamper('truncate audit', 'truncate audit_head');
  await audit.append([entry(1), entry(2), entry(3)], o);
  await audit.append([entry(4), entry(5)], o);
});

test('a log that nobody touched holds, and so does every end of it that was kept', async () => {
  const early = await audit.head(o);
  for (let n = 6; n < 9; n++) await audit.append([entry(n)], o);
  const verdict = await audit.verify([early, await audit.head(o)], o);
  assert.deepEqual([verdict.entries, verdict.checkpoints, verdict.problems], [8, 2, []]);
  assert.equal(verdict.head.seq, 8);
  const listed = await audit.list({ object: 'records/subscriptions', limit: 3, before: 8 }, o);
  assert.deepEqual(
    listed.map((e) => [e.seq, e.object, e.before]),
    [7, 6, 5].map((n) => [n, `records/subscriptions/${n}`, { status: 'active', note: 'a\0b\udc80' }]),
  );
  assert.deepEqual(await audit.list({ object: 'records/subscription', limit: 3 }, o), []);
});

test('an entry that was changed in any of its members is found', async () => {
  const changes = [
    "actor = 'token:other'",
    "action = 'record.delete'",
    "object = 'records/subscriptions/9'",
    'before = null',
    "after = '{}'",
    "outcome = 'failed'",
    "correlation = 'c_9'",
    "at = at + interval '1 millisecond'",
  ];
  for (const change of changes) {
    await tamper('create table audit_copy as select * from audit', `update audit set ${change} where seq = 3`);
    assert.deepEqual(await problems(), ['entry 3 is not what was written, or not where it was'], change);
    await tamper('truncate audit', 'insert into audit select * from audit_copy', 'drop table audit_copy');
  }
  assert.deepEqual(await problems(), []);
});

test('an entry that was deleted is found, and one that moved up into its place', async () => {
  await tamper('delete from audit where seq = 3');
  assert.deepEqual(await problems(), ['entry 3 is missing']);
  await tamper('update audit set seq = seq - 1 where seq > 3', 'update audit_head set seq = 4');
  assert.match(
    (await problems()).join('\n'),
    /^entry 3 is not what was written.*\nentry 4 is not.*\nthe end of the log is not what was signed$/,
  );
});

test('an entry that was put in between, and entries that were exchanged, are found', async () => {
  await tamper(
    'update audit set seq = seq + 1000 where seq > 2',
    "insert into audit select 3, at, actor, action, object, before, after, outcome, correlation, key, sha256('x') from audit where seq = 2",
    'update audit set seq = seq - 999 where seq > 1000',
    'update audit_head set seq = 6',
  );
  assert.match((await problems()).join('\n'), /^entry 3 is not what was written/);
  await tamper(
    'delete from audit where seq = 3',
    'update audit set seq = seq - 1 where seq > 3',
    'update audit_head set seq = 5',
  );
  assert.deepEqual(await problems(), []);
  await tamper(
    'update audit set seq = 99 where seq = 2',
    'update audit set seq = 2 where seq = 4',
    'update audit set seq = 4 where seq = 99',
  );
  assert.match((await problems()).join('\n'), /^entry 2 is not .*\nentry 3 is not .*\nentry 4 is not /);
});

test('an end that was cut off is found: by the signed end, by the next entry, and by an end that was kept', async () => {
  const kept = await audit.head(o);
  await tamper('delete from audit where seq > 3');
  assert.deepEqual(await problems(), ['entries 4 to 5 are missing']);
  // Cut off with the end made to fit, as far as one can without the key.
  await tamper('update audit_head set seq = 3, hash = (select hash from audit where seq = 3)');
  assert.deepEqual(await problems(), ['the end of the log is not what was signed']);
  await audit.append([entry(4)], o);
  assert.deepEqual(await problems(), ['entry 4 tells that the end of the log had been changed before it']);
  assert.match((await problems([kept])).join('\n'), /entry 5 is not the one of the checkpoint/);
  await tamper('delete from audit', 'delete from audit_head');
  assert.deepEqual(await problems(), []);
  assert.deepEqual(await problems([kept]), ['the log ends before entry 5 of the checkpoint: its end was cut off']);
});

test('an older end that was put back with its signature shows by an end that was kept', async () => {
  await tamper('create table old_end as select * from audit_head');
  await audit.append([entry(6)], o);
  const kept = await audit.head(o);
  await tamper(
    'delete from audit where seq = 6',
    'delete from audit_head',
    'insert into audit_head select * from old_end',
    'drop table old_end',
  );
  assert.deepEqual(await problems(), []);
  assert.deepEqual(await problems([kept]), ['the log ends before entry 6 of the checkpoint: its end was cut off']);
});

test('a log that was chained again is found: under another key by that, under the stolen key by an end that was kept', async () => {
  const kept = await audit.head(o);
  await tamper('truncate audit', 'truncate audit_head');
  const other = { current: auditKeyOf('the key of somebody else'), old: [] };
  {
    await using forged = await openPostgresStore(urlConnector(database.url), { ...o, auditKeys: () => other });
    await forged.audit.append(
      [1, 2, 3, 4, 5].map((n) => entry(n, { actor: 'nobody' })),
      o,
    );
  }
  assert.deepEqual(await problems(), [
    `entry 1 was written with another key, ${other.current.id}: what it says is not proved`,
  ]);
  await tamper(`update audit set key = '${kept.key}'`, `update audit_head set key = '${kept.key}'`);
  assert.match(
    (await problems()).join('\n'),
    /^entry 1 is not .*\nentry 2 is not .*\n(.*\n)*the end of the log is not what was signed$/,
  );
  await tamper('truncate audit', 'truncate audit_head');
  await audit.append(
    [1, 2, 3, 4, 5].map((n) => entry(n, { actor: 'nobody' })),
    o,
  );
  assert.deepEqual(await problems(), []);
  assert.deepEqual(await problems([kept]), ['entry 5 is not the one of the checkpoint: the log was chained again']);
  assert.deepEqual(await problems([{ ...kept, hash: (await audit.head(o)).hash }]), [
    'the checkpoint of entry 5 is not what was written',
  ]);
});

test('entries of an older key hold when that key is given too', async () => {
  const fresh = auditKeyOf('the key that came after');
  const auditKeys = () => ({ current: fresh, old: [testAuditKeys().current] });
  await using later = await openPostgresStore(urlConnector(database.url), { ...o, auditKeys });
  await later.audit.append([entry(6)], o);
  assert.deepEqual((await later.audit.verify([], o)).problems, []);
  assert.deepEqual(await problems(), [`entry 6 was written with another key, ${fresh.id}: what it says is not proved`]);
});

test('who shares a store and has another key is refused before anything is done, and told what to set', async () => {
  const theirs = auditKeyOf('the key of machine one');
  const auditKeys = () => ({ current: theirs, old: [testAuditKeys().current] });
  await using one = await openPostgresStore(urlConnector(database.url), { ...o, auditKeys });
  await one.audit.ready(o);
  await one.audit.append([entry(6)], o);
  const fresh = theirs.id;
  const refused = (error: { code?: string; message: string; hint?: string }) =>
    error.code === 'CONFIG' &&
    error.message.includes(`(${fresh})`) &&
    error.message.includes(`(${testAuditKeys().current.id})`) &&
    /set LOCKSTEP_AUDIT_KEY here.*old_keys.*lost_keys/.test(error.hint ?? '');
  await assert.rejects(audit.ready(o), refused);
  await assert.rejects(audit.append([entry(7)], o), refused);
  assert.equal((await audit.head(o)).seq, 6);
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-key-'));
  after(() => rmSync(dir, { recursive: true }));
  const config = (text: string) =>
    writeFileSync(join(dir, 'lockstep.yaml'), `version: 1\nendpoints: { a: { url: "sqlite:a.db" } }\n${text}`);
  config('');
  const lockstep = (...args: string[]) =>
    inProcess([...args, '--control', database.url], {
      cwd: dir,
      env: { LOCKSTEP_AUDIT_KEY: 'the key of machine two' },
    });
  for (const command of ['serve --port 0', 'token create x --role viewer']) {
    const { code, stderr } = await lockstep(...command.split(' '));
    assert.equal(code, 20, `${command}: ${stderr}`);
    assert.match(stderr, /is chained with another key \([0-9a-f]{16}\) than this process has/);
  }
  assert.deepEqual(await store.tokens.list(o), []);
  // Without the key of the others reading goes on, and one that is lost for good is given up by hand.
  assert.equal((await lockstep('audit', 'list')).code, 0);
  config(`audit: { lost_keys: ["${fresh}"] }\n`);
  assert.equal((await lockstep('token', 'create', 'x', '--role', 'viewer')).code, 0);
  const verified = await lockstep('audit', 'verify');
  assert.equal(verified.code, 29);
  assert.match(verified.stdout, /entry 6 was written with another key/);
});

test('many writers of several processes make one chain', async () => {
  const stores = await Promise.all(
    [1, 2, 3].map(() => openPostgresStore(urlConnector(database.url), { ...o, auditKeys: testAuditKeys })),
  );
  const heads = await Promise.all(
    Array.from({ length: 90 }, (_, n) => stores[n % 3]!.audit.append([entry(n), entry(n, { outcome: 'failed' })], o)),
  );
  const verdict = await audit.verify(heads, o);
  assert.deepEqual([verdict.entries, verdict.problems, verdict.checkpoints], [185, [], 90]);
  for (const s of stores) await s[Symbol.asyncDispose]();
});

test('the table takes no update, delete or truncate', async () => {
  for (const sql of [
    "update lockstep_control.audit set actor = 'x'",
    'delete from lockstep_control.audit',
    'truncate lockstep_control.audit',
  ])
    await assert.rejects(database.query(sql), /append-only/);
});

test('the key of those who set none is made once, and readable by its owner only', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-key-'));
  after(() => rmSync(dir, { recursive: true }));
  const key = keyFileOf(dir);
  assert.equal(keyFileOf(dir), key);
  assert.equal(Buffer.from(key.trim(), 'base64').length, 32);
  assert.equal(statSync(join(dir, '.lockstep/audit.key')).mode & 0o777, 0o600);
  assert.equal(readFileSync(join(dir, '.lockstep/.gitignore'), 'utf8'), '*\n');
  assert.throws(() => auditKeyOf('short'), /shorter than 16/);
  const { rows } = await database.query(
    "select encode(hash, 'hex') || key || encode(mac, 'hex') as all from lockstep_control.audit_head",
  );
  assert.ok(!String(rows[0]!['all']).includes(testAuditKeys().current.secret.toString('hex')));
});
