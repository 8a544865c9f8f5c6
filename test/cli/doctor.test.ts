import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Diagnosis } from '../../src/service/diagnosis.ts';
import { testDatabase } from '../servers/postgres.ts';
import { inProcess } from './in-process.ts';

/** `lockstep check` says nothing is wrong only where nothing is. */

const a = await testDatabase();
const b = await testDatabase();
const home = mkdtempSync(join(tmpdir(), 'lockstep-doctor-'));
const reader = `reader_${b.name}`;
await a.query('create table t (id integer primary key, v text); create table old (id integer primary key)');
await b.query(`create table t (id integer primary key, v text);
  create role ${reader} login password 'r'; grant select on t to ${reader}`);
after(async () => {
  rmSync(home, { recursive: true, force: true });
  await b.query(`drop owned by ${reader}; drop role ${reader}`);
  for (const db of [a, b]) await db[Symbol.asyncDispose]();
});

const asReader = new URL(b.url);
[asReader.username, asReader.password] = [reader, 'r'];

const check = async (config: string, ...args: string[]) => {
  const file = join(home, 'lockstep.yaml');
  writeFileSync(file, `version: 1\n${config}`);
  const env = { A_URL: a.url, B_URL: b.url, READER_URL: asReader.href };
  const { code, stdout, stderr } = await inProcess(['check', ...args, '--format', 'json'], { cwd: home, env });
  assert.equal(stderr, '');
  const found = (JSON.parse(stdout) as { findings: readonly Diagnosis[] }).findings;
  return { code, found, errors: found.filter((f) => f.level === 'error') };
};

const a1 = 'a: { url: "${env:A_URL}" }';
const b1 = 'b: { url: "${env:B_URL}", writable: true }';

test('a sync that is named is examined as when all are: also for what it writes', async () => {
  const config = `endpoints:
  ${a1}
  b: { url: "\${env:READER_URL}", writable: true }
syncs:
  s: { source: a, target: b, pairs: [t] }
`;
  for (const args of [[], ['s'], ['s', 't']]) {
    const { code, errors } = await check(config, ...args);
    assert.equal(code, 21, args.join(' '));
    assert.ok(
      errors.some((e) => /may not insert, update, delete on public\.t/.test(e.message)),
      args.join(' '),
    );
  }
});

test('an endpoint that one sync writes to and another one only reads is told once, as writable', async () => {
  const { code, found } = await check(`endpoints:
  ${a1}
  ${b1}
syncs:
  s: { source: a, target: b, pairs: [t] }
  proof: { source: a, target: b, mode: compare, pairs: [t] }
`);
  assert.equal(code, 0);
  const told = found.filter((f) => f.about === 'b' && f.code === 'connected').map((f) => f.message);
  assert.equal(told.length, 1, told.join('\n'));
  assert.match(told[0]!, /, writable$/);
});

test('records of a table or a column that is not there are an error', async () => {
  const { code, errors } = await check(`endpoints:
  ${b1}
records:
  good: { endpoint: b, table: public.t, create: true }
  lost: { endpoint: b, table: public.tt }
  odd: { endpoint: b, table: t, read: { columns: [id, w] } }
`);
  assert.equal(code, 20);
  assert.deepEqual(
    errors.map((e) => [e.code, e.message]),
    [
      ['table_not_found', 'records.lost: b has no table public.tt'],
      ['config', 'records.odd: read.columns: public.t has no column w'],
    ],
  );
});

test('columns that shall be concealed, and no key, are an error', async () => {
  const { code, errors } = await check(
    `endpoints:
  ${a1}
  ${b1}
syncs:
  s: { source: a, target: b, pairs: [ { source: t, columns: { v: { store: mask } } } ] }
`,
    's',
  );
  assert.equal(code, 20);
  assert.match(errors.map((e) => e.message).join(), /`store: mask` of v needs a key, and there is none/);
});

test('tables that a migration has not made yet are no error; a source table that is not there is one', async () => {
  const config = (table: string): string => `endpoints:
  ${a1}
  ${b1}
syncs:
  app: { source: a, target: b, mode: migrate, pairs: [ { source: ${table}, target: anew } ] }
`;
  const { code, found } = await check(config('old'));
  assert.equal(code, 0, JSON.stringify(found));
  const advice = found.find((f) => f.code === 'not_made_yet');
  assert.match(advice?.message ?? '', /there is no table anew in b: the first run of a migration makes it/);
  assert.match(advice?.fix ?? '', /lockstep assess app/);
  assert.ok(found.some((f) => f.about === 'b' && f.code === 'connected'));
  const lost = await check(config('odl'));
  assert.equal(lost.code, 20);
  assert.match(lost.errors.map((e) => e.message).join(), /there is no table odl in a/);
});
