import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { inProcess } from '../cli/in-process.ts';
import { storeDatabase, testDatabase } from '../servers/postgres.ts';

const page = readFileSync(join(dirname(import.meta.filename), '../../docs/guide/roll-out.md'), 'utf8');
const blocks = (language: string): readonly string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text]) => text!);

test('a sync is rolled out as the guide says, step by step, and each step can be taken back', async (t) => {
  await using billing = await testDatabase();
  await using crm = await testDatabase();
  await using control = await storeDatabase();
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-roll-out-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const [atBilling, atCrm] = blocks('sql');
  await billing.query(atBilling!);
  await crm.query(atCrm!);
  const [written, ...moreYaml] = blocks('yaml');
  assert.deepEqual(moreYaml, []);
  const configure = (text: string): void => writeFileSync(join(dir, 'lockstep.yaml'), text);
  configure(written!);
  const env = { BILLING_URL: billing.url, CRM_URL: crm.url, LOCKSTEP_CONTROL_URL: control.url };
  const steps = blocks('console').map((b) => b.trim().split('\n'));
  assert.equal(steps.length, 7);
  const run = async (line: string, code: number, run?: string) => {
    const words = line.replace('$ lockstep ', '').replace('RUN', run ?? 'RUN');
    const args = [...words.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
    const done = await inProcess(args, { cwd: dir, env });
    assert.equal(done.code, code, `${line}\n${done.stdout}${done.stderr}`);
    return done.stdout + done.stderr;
  };
  const state = async () => ({
    customers: Number((await crm.query('select count(*) from customer')).rows[0]!.count),
    licences: (await crm.query('select id, status from licence order by id')).rows as { id: number; status: string }[],
  });
  const start = await state();

  const [check, assess, diff] = steps[0]!;
  await run(check!, 0);
  await run(assess!, 0);
  await run(diff!, 2);
  assert.deepEqual(await state(), start, 'nothing was written');

  const [plan, stopped] = steps[1]!;
  const planned = await run(plan!, 2);
  assert.match(planned, /5\d\d changes planned, max_changes is 300/);
  await run(stopped!, 22);
  assert.deepEqual(await state(), start, 'nothing was written');
  const [passed] = steps[2]!;
  const first = await run(passed!, 25);
  assert.match(first, /a sample of 5 % of its keys/);
  const piloted = await state();
  const doneIn = ({ licences }: typeof piloted) =>
    licences.filter((l) => l.id > 1500 || (l.id % 2 === 0 && l.status === 'active')).map((l) => l.id);
  assert.equal(piloted.customers, 2000);
  assert.ok(doneIn(piloted).length > 30 && doneIn(piloted).length < 110, String(doneIn(piloted).length));

  const listed = JSON.parse((await inProcess(['runs', 'licences', '--format', 'json'], { cwd: dir, env })).stdout) as {
    runs: readonly { id: string; kind: string }[];
  };
  const [revert, again] = steps[3]!;
  await run(revert!, 0, listed.runs.find((r) => r.kind === 'sync')!.id);
  assert.deepEqual(await state(), start, 'the pilot was taken back, wholly');
  await run(again!, 25);
  assert.deepEqual(await state(), piloted);

  const where = await run(steps[4]![0]!, 0);
  assert.match(where, /customer/);

  configure(written!.replace('sample: 5%', 'sample: 20%'));
  await run(steps[5]![0]!, 25);
  const widened = await state();
  assert.ok(doneIn(piloted).every((id) => doneIn(widened).includes(id)));
  assert.ok(doneIn(widened).length > 160 && doneIn(widened).length < 350, String(doneIn(widened).length));

  configure(written!.replace('    sample: 5%\n', '').replace(', sample: 100%', ''));
  const [all, proof] = steps[6]!;
  await run(all!, 0);
  await run(proof!, 0);
  assert.deepEqual((await state()).licences, (await billing.query('select id, status from licence order by id')).rows);
});
