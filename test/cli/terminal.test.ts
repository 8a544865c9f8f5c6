import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { testDatabase } from '../servers/postgres.ts';
import { onTerminal } from './terminal.ts';

/** What a person at a terminal meets: questions, progress, colours, Ctrl-C. */

const a = await testDatabase();
const b = await testDatabase();
const control = await testDatabase();
const home = mkdtempSync(join(tmpdir(), 'lockstep-terminal-'));
after(async () => {
  rmSync(home, { recursive: true, force: true });
  for (const db of [a, b, control]) await db[Symbol.asyncDispose]();
});
for (const [db, v] of [
  [a, 'new'],
  [b, 'old'],
] as const) {
  await db.query('create table asked (id int primary key, v text); create table slow (id int primary key, v text)');
  if (db === a) await db.query('create table lonely (id int primary key)');
  for (const table of ['asked', 'slow'])
    await db.query(`insert into ${table} select i, $1 from generate_series(1, 3) i`, [v]);
}
const env = { LOCKSTEP_CONTROL_URL: control.url, A: a.url, B: b.url };
const terminal = (args: readonly string[], columns?: number) =>
  onTerminal([...args, '--settle', '0'], { cwd: home, env, ...(columns === undefined ? {} : { columns }) });
const sides = ['${env:A}', '${env:B}'];
const values = async (table: string): Promise<string> =>
  (await b.query(`select string_agg(distinct v, ',') as v from ${table}`)).rows[0].v;
const esc = '\u001b';

test('sync shows the changes and asks; no, and Ctrl-D, write nothing', async () => {
  for (const answer of ['no\r', '\u0004']) {
    using t = terminal(['sync', ...sides, 'asked']);
    await t.until(/Type yes to go on: /);
    assert.match(t.shown, /asked 1 .*old.*→.*new/);
    t.type(answer);
    assert.equal(await t.ended, 20, t.shown);
    assert.equal(await values('asked'), 'old');
  }
});

test('only the whole word writes: y is asked again', async () => {
  using t = terminal(['sync', ...sides, 'asked']);
  await t.until(/Type yes to go on: /);
  t.type('y\r');
  await t.until(/Type the whole word yes to go on: /);
  t.type('y\r');
  assert.equal(await t.ended, 20, t.shown);
  assert.equal(await values('asked'), 'old');
});

test('Ctrl-C at the question ends the run, and nothing is written', async () => {
  using t = terminal(['sync', ...sides, 'asked']);
  await t.until(/Type yes to go on: /);
  t.type('\u0003');
  assert.equal(await t.ended, 130, t.shown);
  assert.match(t.shown, /stopped:/);
  assert.doesNotMatch(t.shown, /^\s+at /m);
  assert.equal(await values('asked'), 'old');
});

test('progress is one live line that is taken away before the result; colours are on', async () => {
  const slow = ['diff', ...sides, 'asked', '--where', 'pg_sleep(0.2) is not null'];
  using t = terminal(slow, 40);
  assert.equal(await t.ended, 2, t.shown);
  const lines = t.shown.split(`\r${esc}[2K`);
  assert.ok(lines.length > 2, 'the live line was drawn');
  for (const line of lines.slice(1, -1)) assert.ok(line.length < 40, `a live line that wraps: ${JSON.stringify(line)}`);
  assert.match(lines.slice(1, -1).join(''), /public\.asked/);
  assert.match(lines.at(-1)!, /DIFFERS/);
  assert.doesNotMatch(lines.slice(0, -1).join(''), /DIFFERS/);
  assert.ok(t.shown.includes(`${esc}[31m✗ DIFFERS`));
});

test('a comparison fits into 80 columns as a table, and into 40 as lines', async () => {
  for (const columns of [80, 40]) {
    using t = terminal(['diff', ...sides, '--quiet'], columns);
    assert.equal(await t.ended, 2, t.shown);
    const lines = t.shown.replaceAll(new RegExp(`${esc}\\[\\d+m`, 'g'), '').split('\r\n');
    const wide = lines.filter((line) => line.length > columns && !line.includes('next:'));
    assert.deepEqual(wide, []);
    assert.match(t.shown, columns === 80 ? /PAIR +IDENTICAL +DIFFERENT/ : /0 identical · 3 different/);
    assert.match(t.shown, /old.*new|new.*old/);
    assert.match(t.shown, /1\s+not compared/);
  }
});

test('NO_COLOR and TERM=dumb: no escape sequence at all', async () => {
  for (const plain of [{ NO_COLOR: '1', TERM: 'dumb' }, { TERM: 'dumb' }]) {
    using t = onTerminal(['diff', ...sides, 'asked', '--settle', '0'], { cwd: home, env: { ...env, ...plain } });
    assert.equal(await t.ended, 2, t.shown);
    assert.ok(!t.shown.includes(esc), JSON.stringify(t.shown));
  }
});

test('Ctrl-C while writing says what happens; a second one stops the statement, and the row is as it was', async () => {
  await b.query(
    'create function wait() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return new; end $$; create trigger wait before update on slow for each row execute function wait()',
  );
  using t = terminal(['sync', ...sides, 'slow', '--yes']);
  const writing = async (): Promise<number> =>
    (
      await b.query(
        "select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
      )
    ).rows[0].n;
  let over = false;
  void t.ended.then(() => {
    over = true;
  });
  while ((await writing()) === 0) assert.equal(over, false, t.shown);
  t.type('\u0003');
  await t.until(/stopping after the batch in hand; Ctrl-C again stops at once/);
  assert.equal(await writing(), 1, 'the batch in hand goes on');
  t.type('\u0003');
  assert.equal(await t.ended, 130, t.shown);
  assert.equal(await values('slow'), 'old');
  while ((await writing()) > 0);
});

test('a sync says its verdict within 40 columns, and how to undo it in one piece', async () => {
  using t = terminal(['sync', ...sides, 'asked', '--yes', '--quiet', '--max-changes', '9'], 40);
  assert.equal(await t.ended, 0, t.shown);
  const lines = t.shown.replaceAll(new RegExp(`${esc}\\[\\d+m`, 'g'), '').split('\r\n');
  assert.ok(lines.includes('  ✓ AGREES'), t.shown);
  const run = lines
    .find((line) => line.startsWith('  run r_'))!
    .trim()
    .split(' ')[1];
  assert.ok(lines.includes(`  undo: lockstep revert ${run}`), t.shown);
});
