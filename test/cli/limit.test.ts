import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { storeDatabase } from '../servers/postgres.ts';
import { inProcess } from './in-process.ts';

/** What `--limit` shows: people see something of every pair, programs get the first ones; counts are always complete. */

const home = mkdtempSync(join(tmpdir(), 'lockstep-limit-'));
const control = await storeDatabase();
after(async () => {
  rmSync(home, { recursive: true, force: true });
  await control[Symbol.asyncDispose]();
});

const build = (name: string, value: string): string => {
  const db = new DatabaseSync(join(home, name));
  for (const [table, rows] of [
    ['many', 300],
    ['few', 3],
    ['more', 200],
  ] as const) {
    db.exec(`create table ${table} (id integer primary key, v text)`);
    db.exec(
      `insert into ${table} with recursive n(i) as (select 1 union all select i + 1 from n where i < ${rows}) select i, '${value}' || i from n`,
    );
  }
  db.close();
  return `sqlite:${join(home, name)}`;
};
const a = build('a.db', 'old');
const b = build('b.db', 'new');
const diff = (...args: string[]) =>
  inProcess(['diff', a, b, '--settle', '0', ...args], { cwd: home, env: { LOCKSTEP_CONTROL_URL: control.url } });

/** How many rows of each pair a table shows. */
const shown = (text: string): Readonly<Record<string, number>> => {
  const found: Record<string, number> = {};
  let pair = '';
  for (const line of text.split('\n')) {
    pair = /^ {2}(\w+) · [\d,]+ differing row/.exec(line)?.[1] ?? pair;
    if (/^ {2}~ /.test(line)) found[pair] = (found[pair] ?? 0) + 1;
  }
  return found;
};

test('table: the limit is shared among the pairs that differ', async () => {
  const { stdout, code } = await diff();
  assert.equal(code, 2);
  assert.deepEqual(shown(stdout), { many: 49, few: 3, more: 48 });
  assert.match(stdout, /251 more: --limit all/);
  assert.match(stdout, /152 more: --limit all/);
  assert.match(stdout, /DIFFERS: 503 rows/);
});

test('table: a limit smaller than the number of pairs, none, and all', async () => {
  const one = (await diff('--limit', '1')).stdout;
  assert.equal(
    Object.values(shown(one)).reduce((x, y) => x + y),
    1,
  );
  assert.match(one, /not shown: --limit all/);
  const none = (await diff('--limit', '0')).stdout;
  assert.deepEqual(shown(none), {});
  assert.doesNotMatch(none, /--limit all/, 'the counts are told, and nobody asked for rows');
  assert.match(none, /many · 300 differing rows/);
  const all = (await diff('--limit', 'all')).stdout;
  assert.deepEqual(shown(all), { many: 300, few: 3, more: 200 });
  assert.doesNotMatch(all, /--limit all/);
});

test('html and markdown show something of every pair', async () => {
  for (const format of ['html', 'markdown']) {
    const { stdout } = await diff('--format', format, '--limit', '6');
    for (const pair of ['many', 'few', 'more']) {
      const rows = stdout.split('\n').filter((line) => line.includes('different') && line.includes(pair));
      assert.equal(rows.filter((line) => /old|new/.test(line)).length, 2, `${format} ${pair}`);
    }
    assert.match(stdout, /More differences were found/);
  }
});

test('json and jsonl: exactly so many, and the counts are complete', async () => {
  const { stdout } = await diff('--format', 'json', '--limit', '5');
  const report = JSON.parse(stdout);
  assert.equal(report.differences.length, 5);
  assert.equal(report.truncated, true);
  assert.deepEqual(report.pairs.map((p: { different: number }) => p.different).sort(), [200, 3, 300].sort());
  const lines = (await diff('--format', 'jsonl')).stdout.trim().split('\n');
  assert.equal(lines.length, 504);
});

test('a saved run is shown by the same rules', async () => {
  const saved = await diff('--save', '--format', 'json', '--limit', '0');
  const { run } = JSON.parse(saved.stdout);
  const show = (...args: string[]) =>
    inProcess(['show', run, ...args], { cwd: home, env: { LOCKSTEP_CONTROL_URL: control.url } });
  assert.deepEqual(shown((await show('--limit', '10')).stdout), { many: 4, few: 3, more: 3 });
  assert.equal(JSON.parse((await show('--format', 'json', '--limit', '7')).stdout).differences.length, 7);
});
