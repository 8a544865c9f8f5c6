import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { storeDatabase, testDatabase } from '../servers/postgres.ts';

const root = join(dirname(import.meta.filename), '../..');
const page = readFileSync(join(root, 'docs/guide/two-way.md'), 'utf8');
const blocks = (language: string): readonly string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text]) => text!);

test('the day of billing and CRM goes as the guide says', { timeout: 120_000 }, async (t) => {
  await using billing = await testDatabase();
  await using crm = await testDatabase();
  await using control = await storeDatabase();
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-two-way-guide-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const [schema, inBilling, inCrm, ...moreSql] = blocks('sql');
  assert.deepEqual(moreSql, []);
  const [config, ...moreYaml] = blocks('yaml');
  assert.deepEqual(moreYaml, []);
  writeFileSync(join(dir, 'lockstep.yaml'), config!);
  for (const db of [billing, crm]) await db.query(schema!);
  const [first, second, inbox, ...moreConsole] = blocks('console').map((b) =>
    b
      .trim()
      .split('\n')
      .map((line) => line.replace('$ lockstep ', '')),
  );
  assert.deepEqual(moreConsole, []);
  const run = (line: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } => {
    const args = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
    const env = { ...process.env, BILLING_URL: billing.url, CRM_URL: crm.url, LOCKSTEP_CONTROL_URL: control.url };
    return spawnSync(process.execPath, [join(root, 'src/main.ts'), ...args], { cwd: dir, env, encoding: 'utf8' });
  };
  const contact = run(first![0]!);
  assert.equal(contact.status, 0, contact.stderr);
  await billing.query(inBilling!);
  await crm.query(inCrm!);
  const synced = run(second![0]!);
  assert.equal(synced.status, 26, synced.stderr + synced.stdout);

  const rows = async () =>
    Promise.all([billing, crm].map(async (db) => (await db.query('select * from subscription order by id')).rows));
  const [left, right] = await rows();
  const one = { id: 1, status: 'canceled', price: '24.90', contact: 'ann@home.example', notes: null };
  const four = { id: 4, status: 'trialing', price: '9.90', contact: null, notes: null };
  assert.deepEqual(
    [left, right].map((all) => all!.filter((r) => r.id !== 3)),
    [
      [one, four],
      [one, four],
    ],
  );
  assert.deepEqual(
    [left, right].map((all) => all!.find((r) => r.id === 3)!.notes),
    ['called on Monday', 'called on Tuesday'],
  );

  const listed = run('conflicts list --format json');
  assert.equal(listed.status, 0, listed.stderr);
  const { conflicts } = JSON.parse(listed.stdout) as {
    conflicts: readonly { readonly id: string; readonly state: string }[];
  };
  const id = conflicts.find((c) => c.state === 'pending')!.id;
  for (const line of inbox!) {
    const done = run(line.replace('CONFLICT', id));
    assert.equal(done.status, 0, `${line}: ${done.stderr}${done.stdout}`);
  }
  const [a, b] = await rows();
  assert.deepEqual(a, b);
  assert.equal(a!.find((r) => r.id === 3)!.notes, 'called on Tuesday');
  assert.match(run('conflicts list --state ruled').stdout, /price/);
});
