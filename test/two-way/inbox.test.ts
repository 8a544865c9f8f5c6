import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { inProcess } from '../cli/in-process.ts';
import { storeDatabase, testDatabase } from '../servers/postgres.ts';

/** docs/guide/inbox.md: its commands, in its order, and what it says of them. */

const page = readFileSync(join(import.meta.dirname, '../../docs/guide/inbox.md'), 'utf8');
const blocks = (language: string): readonly string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, text]) => text!);

const [billing, crm, control] = await Promise.all([testDatabase(), testDatabase(), storeDatabase()]);
const dir = mkdtempSync(join(tmpdir(), 'lockstep-inbox-'));
after(async () => {
  rmSync(dir, { recursive: true, force: true });
  for (const database of [billing, crm, control]) await database[Symbol.asyncDispose]();
});
writeFileSync(join(dir, 'lockstep.yaml'), blocks('yaml')[0]!);
writeFileSync(join(dir, 'proposed.yaml'), blocks('yaml proposed')[0]!);

const run = (line: string, ids: Readonly<Record<string, string>> = {}) => {
  const words = [...line.matchAll(/(?:"[^"]*"|[^\s"])+/g)].map(([word]) => word.replaceAll('"', ''));
  const args = words.map((word) => ids[word] ?? word);
  return inProcess(args, {
    cwd: dir,
    env: { BILLING_URL: billing.url, CRM_URL: crm.url, LOCKSTEP_CONTROL_URL: control.url },
  });
};
const commands = blocks('console').map((b) =>
  b
    .trim()
    .split('\n')
    .map((line) => line.replace(/^\$ lockstep /, '')),
);
const [looking, deciding, replaying] = commands;
/** What both sides show. */
const rows = async (columns = 'id, status, price, note') =>
  Promise.all(
    [billing, crm].map(async (db) => (await db.query(`select ${columns} from subscription order by id`)).rows),
  );

interface Told {
  readonly id: string;
  readonly key: { readonly id: string };
  readonly state: string;
}
const listed = async (more = ''): Promise<readonly Told[]> =>
  JSON.parse((await run(`conflicts list ${more} --format json`)).stdout).conflicts;

const [schema, inBilling, inCrm] = blocks('sql');
for (const db of [billing, crm]) await db.query(schema!);
assert.equal((await run('sync customers --yes')).code, 0);
await billing.query(inBilling!);
await crm.query(inCrm!);
const met = await run('sync customers --yes');
const ids = Object.fromEntries((await listed()).map((c) => [`CONFLICT_${c.key.id}`, c.id]));

test('what waits is listed and shown as the guide says', async () => {
  assert.equal(met.code, 26);
  assert.deepEqual(Object.keys(ids).toSorted(), ['CONFLICT_1', 'CONFLICT_2', 'CONFLICT_3', 'CONFLICT_4']);
  const said: string[] = [];
  for (const line of looking!) {
    const done = await run(line, ids);
    assert.equal(done.code, 0, line + done.stderr);
    said.push(done.stdout);
  }
  assert.deepEqual([...said[0]!.matchAll(/c_\w{17}/g)].length, 4);
  assert.deepEqual([...said[1]!.matchAll(/c_\w{17}/g)].flat(), [ids['CONFLICT_4']]);
  assert.match(said[2]!, /,price,true,20,21,25\r\n/);
  const shown = /```text\n([\s\S]*?)```/.exec(page)![1]!;
  const plain = (text: string): string[] =>
    text
      .replaceAll(/\b([cr])_\w+/g, '$1_…')
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:]+Z/g, 'then')
      .split('\n')
      .map((line) => line.replaceAll(/\s+/g, ' ').trim());
  const said3 = plain(said[3]!);
  assert.deepEqual(plain(shown).slice(0, -1), said3.slice(0, plain(shown).length - 1));
  for (const line of ['show c_00000000000000000', 'show c_none', 'resolve c_none --take source --yes']) {
    const none = await run(`conflicts ${line}`);
    assert.equal(none.code, 20, line);
    assert.match(none.stderr, /There is no conflict c_\w+\.[\s\S]*lockstep conflicts list/);
  }
  for (const wrong of [
    'conflicts list --state lost',
    'conflicts list --kind update',
    'conflicts list --take source',
    'conflicts gone',
  ])
    assert.equal((await run(wrong)).code, 20, wrong);
});

test('nothing is decided where nobody is asked, nor by what makes no sense', async () => {
  const id = ids['CONFLICT_1']!;
  const refused = async (line: string, words: RegExp): Promise<void> => {
    const done = await run(`conflicts resolve ${line}`);
    assert.equal(done.code, 20, line);
    assert.match(done.stderr, words);
  };
  await refused(`${id} --take source`, /--yes/);
  await refused(id, /--take/);
  await refused(`${id} --take base --set note=x --yes`, /--take source/);
  await refused(`${id} --take source --set id=9 --yes`, /in the key/);
  await refused(`${id} --take source --set price=much --yes`, /cannot be read/);
  await refused(`${id} --take source --set-null status --yes`, /NULL does not fit/);
  await refused(`${ids['CONFLICT_4']} --take target --set note=x --yes`, /has no such row/);
  await refused('customers --take source --set note=x --yes', /for one conflict/);
  await refused('--take source --yes', /which conflicts/);
  await refused('customers --take source --replace --yes', /for one conflict/);
  assert.equal((await listed('--state pending')).length, 4);
});

test('decisions are written as the guide says, and nothing else', async () => {
  await billing.query(`update subscription set note = 'not decided' where id = 6`);
  for (const line of deciding!) {
    const done = await run(line, ids);
    assert.equal(done.code, 0, `${line}: ${done.stdout}${done.stderr}`);
  }
  const [left, right] = await rows();
  assert.deepEqual(left!.slice(0, -1), right!.slice(0, -1));
  assert.deepEqual(left!.slice(0, 3), [
    { id: 1, status: 'active', price: '10.00', note: 'wants to stay' },
    { id: 2, status: 'active', price: '25.50', note: 'price agreed by hand' },
    { id: 3, status: 'active', price: '31.00', note: null },
  ]);
  assert.deepEqual(
    left!.map((r) => r.id),
    [1, 2, 3, 5, 6],
  );
  assert.deepEqual([left!.at(-1).note, right!.at(-1).note], ['not decided', null], 'this waits for a run of its own');
  assert.deepEqual(await listed(), []);
  const { runs } = JSON.parse((await run('runs customers --format json')).stdout);
  const { id } = runs.find((r: { kind: string }) => r.kind === 'sync');
  const { report, exit } = JSON.parse((await run(`show ${id} --format json`)).stdout);
  assert.deepEqual([report.verdict, report.planned.withheld, exit], ['differs', 1, 2], 'no word of agreement');
  const proved = await control.query('select left_over, verified_at < at as before from lockstep_control.pair_state');
  assert.deepEqual(proved.rows, [{ left_over: '1', before: true }], 'nor a proof of it');
  const late = await run(`conflicts resolve ${ids['CONFLICT_1']} --take source --yes`);
  assert.equal(late.code, 20);
  assert.match(
    late.stderr,
    /resolved c_\w+ as "target" at .* Your choice "source" was not applied. \[CONFLICT_RESOLVED\]/,
  );
  assert.equal((await run('sync customers --yes')).code, 0);
});

test('a decision is not written over a row that moves, and waits again', async () => {
  for (const [db, note] of [
    [billing, 'left'],
    [crm, 'right'],
  ] as const)
    await db.query(`update subscription set note = '${note}' where id = 5`);
  await run('sync customers --yes');
  const [{ id }] = (await listed()) as [Told];
  assert.equal((await run(`conflicts resolve ${id} --take source --later --yes`)).code, 0);
  assert.equal((await listed())[0]!.state, 'decided');
  await crm.query(`update subscription set note = 'righter' where id = 5`);
  const again = await run('sync customers --yes');
  assert.equal(again.code, 26);
  assert.equal((await listed())[0]!.state, 'pending');
  const done = await run(`conflicts resolve ${id} --take base --yes --format json`);
  assert.deepEqual([done.code, JSON.parse(done.stdout).written], [0, 1]);
  const [left, right] = await rows('note');
  assert.deepEqual([left![3], right![3]], [{ note: null }, { note: null }]);
});

test('a proposed policy is tried on what was recorded', async () => {
  const done = await run(replaying![0]!);
  assert.equal(done.code, 2, done.stderr);
  const shown = JSON.parse((await run(`${replaying![0]} --format json`)).stdout);
  // 3 is as the owner has it; 2 was set by hand; the others would wait.
  assert.deepEqual(shown.counts, { conflicts: 5, same: 1, settled: 0, asked: 3, otherwise: 1, unknown: 0 });
  const two = shown.conflicts.find((c: Told) => c.key.id === '2');
  assert.deepEqual([two.was.row.price, two.would.row.price, two.would.row.note], ['25.5', '21', null]);
  assert.match(two.would.reason, /proposed\.yaml/);
  assert.equal((await run('conflicts replay nothing')).code, 20);
});

test('many that delete a row need the flag before any is decided, and one decision can be replaced', async () => {
  await billing.query(`insert into subscription select i, 'active' from generate_series(11, 12) i`);
  await run('sync customers --yes');
  await billing.query('delete from subscription where id > 10');
  await crm.query(`update subscription set note = 'kept' where id > 10`);
  await run('sync customers --yes');
  for (const more of ['', ' --later', ' --allow-deletes 1']) {
    const refused = await run(`conflicts resolve customers --take source --yes${more}`);
    assert.equal(refused.code, 22, refused.stderr);
    assert.match(refused.stderr, /Nothing was decided: 2 of 2 conflicts would delete the row, max_deletes is/);
    assert.match(refused.stderr, /--allow-deletes 2/);
  }
  assert.equal((await listed('--state pending')).length, 2);
  assert.equal((await run('conflicts resolve customers --take source --allow-deletes 2 --later --yes')).code, 0);
  const [{ id }] = (await listed('--state decided')) as [Told];
  assert.match((await run(`conflicts resolve ${id} --take target --yes`)).stderr, /CONFLICT_RESOLVED[\s\S]*--replace/);
  const anew = await run(`conflicts resolve ${id} --take target --replace --yes --format json`);
  assert.deepEqual([anew.code, JSON.parse(anew.stdout).written], [0, 1], anew.stderr);
  for (const db of [billing, crm])
    assert.equal((await db.query('select from subscription where id > 10')).rowCount, 1, 'both decisions are written');
  await billing.query('delete from subscription where id > 10');
  assert.equal((await run('sync customers --allow-deletes 1 --yes')).code, 0);
});

test('a row and a run tell their whole story', async () => {
  const explained = JSON.parse((await run('explain customers/subscription 3 --format json')).stdout);
  assert.deepEqual([explained.base.row.price, explained.next], ['31', { kind: 'agreed' }]);
  assert.deepEqual(
    explained.conflicts.map((c: { state: string; resolution: { why: string } }) => [c.state, c.resolution.why]),
    [['resolved', 'billing sets prices']],
  );
  assert.ok(explained.history.some((h: { what: string }) => h.what === 'apply: update in crm applied'));
  await billing.query(`update subscription set note = 'l', price = 1 where id = 3`);
  await crm.query(`update subscription set note = 'r' where id = 3`);
  const text = (await run('explain customers/subscription 3')).stdout;
  assert.match(text, /agreed +price 31, note NULL/);
  assert.match(text, /next run +wait for a person: a person decides/);
  const resolved = explained.conflicts[0].closed_by;
  const shown = (await run(`show ${resolved}`)).stdout;
  assert.match(shown, /keys +0 one-sided · 0 ruled · 1 resolved/);
  assert.match(shown, /crm +\+ 0 +~ 1 +- 0 +of 1 change/);
  const { runs } = JSON.parse((await run('runs customers --format json')).stdout);
  const part = runs.find((r: { kind: string; parent: string }) => r.kind === 'apply' && r.parent === resolved);
  const half = await run(`revert ${part.id} --yes`);
  assert.equal(half.code, 20);
  assert.match(half.stderr, /wrote to one side for r_\w+: both sides are taken back together/);
});

test('of a one-way sync nothing is chosen that its next run would undo', async () => {
  const one = blocks('yaml')[0]!.replace('customers:', 'billed:').replace('two_way', 'mirror');
  writeFileSync(join(dir, 'one.yaml'), one);
  const ask = (line: string) => run(`${line} --config one.yaml`);
  await ask('sync billed --yes');
  await ask('conflicts resolve billed --take source --yes');
  await crm.query('delete from subscription where id = 6');
  assert.equal((await ask('sync billed --yes')).code, 26);
  const [{ id }] = (await listed('billed')) as [Told];
  const refused = await ask(`conflicts resolve ${id} --take target --yes`);
  assert.equal(refused.code, 20);
  assert.match(refused.stderr, /would bring this row back/);
  const many = await ask('conflicts resolve billed --take target --yes --format json');
  assert.deepEqual([many.code, JSON.parse(many.stdout).impossible], [26, 1]);
  assert.equal((await ask(`conflicts resolve ${id} --take source --yes`)).code, 0);
  assert.equal((await crm.query('select from subscription where id = 6')).rowCount, 1);
});

test('a plan of a one-way sync that knows conflicts is not applied once it was compared again', async () => {
  const ask = (line: string) => run(`${line} --config one.yaml`);
  assert.equal((await ask('sync billed --yes')).code, 0);
  await billing.query('update subscription set price = 77 where id = 1');
  const made = await ask('plan billed --format json');
  const plan: string = JSON.parse(made.stdout).sides.target.plan;
  // The run that comes between meets an edit of the target, which the old plan knows nothing of.
  await crm.query(`update subscription set status = 'paused' where id = 1`);
  assert.equal((await ask('sync billed --yes')).code, 26);
  await crm.query(`update subscription set status = 'active' where id = 1`);
  const late = await ask(`apply ${plan} --yes`);
  assert.equal(late.code, 23, late.stderr);
  assert.match(late.stderr, /compared again since/);
  assert.equal((await ask('sync billed --yes')).code, 0);
  assert.deepEqual((await crm.query('select price from subscription where id = 1')).rows, [{ price: '77.00' }]);
});
