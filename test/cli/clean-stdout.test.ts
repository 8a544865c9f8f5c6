import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { lockstep } from '../e2e/lockstep.ts';
import { inProcess, world } from './in-process.ts';

/** Whatever rows hold and wherever output goes: JSON parses and is exact, and nothing acts on a terminal. */

const home = mkdtempSync(join(tmpdir(), 'lockstep-clean-'));
after(() => rmSync(home, { recursive: true, force: true }));

const esc = '\u001b';
const hostile: readonly string[] = [
  `${esc}[31mred${esc}[0m`,
  `${esc}]0;title\u0007`,
  '[/bold] [red]markup[/red]',
  '<script>alert(1)</script>"\'&',
  'line\none\r\nline\ttwo',
  '\u{1f600}\u{20bb7}',
  '\u202eevil\u202c \u200b\ufeff\u2028',
  '\u009b31m c1',
  '=cmd|calc!A1',
  '-2+3+cmd',
  '@sum(1)',
  '{"a":"b"}',
  "it''s; drop table x; --",
  'x'.repeat(5000),
  '',
  'NULL',
];

const build = (name: string, change: (text: string, i: number) => string): string => {
  const path = join(home, name);
  const db = new DatabaseSync(path);
  db.exec('create table "ta ble" (id integer primary key, "co`l|<b>" text, raw text)');
  const insert = db.prepare('insert into "ta ble" values (?, ?, null)');
  for (const [i, text] of hostile.entries()) insert.run(i + 1, change(text, i));
  // Bytes that are no UTF-8, in a text column.
  db.exec(`insert into "ta ble" values (100, 'k', cast(x'${name === 'a.db' ? '4f92ff' : '4f92fe'}' as text))`);
  db.exec(`insert into "ta ble" values (${name === 'a.db' ? 200 : 300}, 'only' || char(27) || '[2J', null)`);
  db.close();
  return `sqlite:${path}`;
};
const a = build('a.db', (text) => text);
const b = build('b.db', (text, i) => `${text}${i}`);

const args = (format: string): string[] => ['diff', a, b, '--settle', '0', '--format', format, '--limit', 'all'];
const diff = (format: string) => inProcess(args(format), { cwd: home });
/** Through a real pipe. */
const piped = (format: string, env: Readonly<Record<string, string>> = {}) =>
  lockstep(args(format), { cwd: home, env });

interface Document {
  readonly differences: readonly {
    readonly key: Readonly<Record<string, string>>;
    readonly kind: string;
    readonly cells: readonly {
      readonly column: string;
      readonly source?: string | null;
      readonly target?: string | null;
    }[];
  }[];
}

const checkDocument = (text: string): void => {
  const document = JSON.parse(text) as Document;
  assert.equal(document.differences.length, hostile.length + 3);
  for (const [i, value] of hostile.entries()) {
    const found = document.differences.find((d) => d.key['id'] === String(i + 1))!;
    assert.equal(found.cells[0]!.source, value);
    assert.equal(found.cells[0]!.target, `${value}${i}`);
  }
  const bytes = document.differences.find((d) => d.key['id'] === '100')!;
  assert.notEqual(bytes.cells[0]!.source, bytes.cells[0]!.target);
};

// Everything that is not a line end or a visible character.
const acting = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

test('json parses under a pipe, with every value as it was', async () => {
  const { code, stdout, stderr } = await piped('json');
  assert.equal(code, 2, stderr);
  checkDocument(stdout);
  assert.doesNotMatch(stdout, acting);
});

test('json parses with TERM=dumb, with colours forced, and with 40 columns', async () => {
  for (const env of [{ TERM: 'dumb' }, { FORCE_COLOR: '3', NO_COLOR: '' }, { COLUMNS: '40' }]) {
    checkDocument((await piped('json', env)).stdout);
  }
});

test('json parses on a terminal of 40 columns', async () => {
  // `script` gives the command a terminal; where it is missing, the terminal is simulated by our own stream below.
  const main = join(dirname(import.meta.filename), '../../src/main.ts');
  const { outTo } = await import('../../src/cli/io.ts');
  const { Writable } = await import('node:stream');
  let text = '';
  const terminal = Object.assign(
    new Writable({
      write(chunk, _encoding, done) {
        text += String(chunk);
        done();
      },
    }),
    { isTTY: true, columns: 40 },
  );
  const { runCommandLine } = await import('../../src/cli/run.ts');
  const out = outTo(terminal as unknown as NodeJS.WriteStream, true);
  for (const format of ['json', 'table']) {
    text = '';
    const code = await runCommandLine(
      ['diff', a, b, '--settle', '0', '--format', format, '--limit', 'all', '--quiet'],
      { ...world({ cwd: home }), out, err: out },
    );
    assert.equal(code, 2, main);
    if (format === 'json') checkDocument(text);
    // Our own colours only.
    else assert.doesNotMatch(text.replaceAll(/\u001b\[\d+m/g, ''), acting);
  }
});

test('jsonl: every line parses, the last one is the summary', async () => {
  const lines = (await diff('jsonl')).stdout.trimEnd().split('\n');
  assert.equal(lines.length, hostile.length + 4);
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.ok('summary' in parsed.at(-1)!);
});

test('table, html, markdown, csv and sql hold nothing that acts on a terminal', async () => {
  for (const format of ['table', 'html', 'markdown', 'sql']) {
    const { stdout } = await diff(format);
    assert.ok(stdout.length > 500, format);
    assert.doesNotMatch(stdout.replaceAll(/[\r\t]/g, ''), acting, format);
  }
});

test('html: no value becomes markup, and the page may load and run nothing', async () => {
  const { stdout } = await diff('html');
  assert.doesNotMatch(stdout, /<script/i);
  assert.match(stdout, /&lt;script&gt;alert\(1\)&lt;\/script&gt;/);
  assert.match(stdout, /default-src 'none'/);
  assert.doesNotMatch(stdout, /(src|href)=/);
});

test('csv: no cell is a formula, and quoting keeps line ends inside', async () => {
  const { stdout } = await diff('csv');
  assert.match(stdout, /,'=cmd\|calc!A1,/);
  assert.match(stdout, /'-2\+3\+cmd/);
  assert.match(stdout, /'@sum\(1\)/);
  assert.doesNotMatch(stdout, /(^|,)"?[=@]/m);
  assert.doesNotMatch(stdout.replaceAll(/[\r\t]/g, ''), acting);
});

test('a reader that goes away ends the run quietly', async () => {
  const main = join(dirname(import.meta.filename), '../../src/main.ts');
  const child = spawn(process.execPath, [main, 'diff', a, b, '--settle', '0', '--format', 'jsonl'], { cwd: home });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', (c) => resolve(c)));
  assert.equal(code, 141, stderr);
  assert.doesNotMatch(stderr, /EPIPE|^\s+at /m);
});
