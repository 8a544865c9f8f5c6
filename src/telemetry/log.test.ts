import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { redactor } from '../lib/redact.ts';
import { LockstepError } from '../model/errors.ts';
import { type LogLevel, openLog } from './log.ts';

const clock = { now: () => Date.UTC(2026, 10, 21, 12, 0, 0, 5) };

const opened = (level: LogLevel = 'debug', secrets: readonly string[] = []) => {
  const lines: string[] = [];
  const secret = redactor();
  for (const s of secrets) secret.add(s);
  const log = openLog({
    level,
    write: (line) => void lines.push(line),
    clock,
    redactor: secret,
    fields: { part: 'worker' },
  });
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
};

test('a line is one JSON object with time, level, message and the fields of its log', () => {
  const { log, lines, parsed } = opened();
  log.child({ correlation: 'c_1', run: 'r_1' }).info('batch written', { phase: 'apply', batch: 2, of: 7, rows: 10n });
  assert.equal(lines.length, 1);
  assert.ok(lines[0]!.endsWith('}\n') && lines[0]!.indexOf('\n') === lines[0]!.length - 1);
  assert.deepEqual(parsed(), [
    {
      level: 'info',
      time: '2026-11-21T12:00:00.005Z',
      part: 'worker',
      correlation: 'c_1',
      run: 'r_1',
      phase: 'apply',
      batch: 2,
      of: 7,
      rows: '10',
      message: 'batch written',
    },
  ]);
});

test('lines below the level are not written', () => {
  const { log, lines } = opened('warn');
  log.info('x');
  log.debug('x');
  log.warn('y');
  log.error('z');
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { message: string }).message),
    ['y', 'z'],
  );
});

test('no secret is written, in whatever part of a line it stands and whatever JSON makes of it', () => {
  const secret = 'p"a\\ss\nw@rd/é';
  const { log, lines, parsed } = opened('debug', [secret]);
  const failure = new LockstepError('AUTH', `cannot log in with ${secret}`, { hint: `not ${secret}` });
  log.info(`a ${secret}`, { text: secret, deep: { [secret]: [secret, { x: `…${secret}…` }] } });
  log.error('failed', { error: failure, url: `postgres://me:${encodeURIComponent(secret)}@db/x`, cause: failure });
  log.error('failed', { error: new Error(secret) });
  const forms = [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)];
  for (const line of lines) for (const form of forms) assert.ok(!line.includes(form), line);
  assert.deepEqual(parsed()[1]!['error'], { code: 'AUTH', message: 'cannot log in with ***', hint: 'not ***' });
  assert.match(JSON.stringify(parsed()[2]), /"stack":"Error: \*\*\*/);
});

test('what terminals act upon is written as escapes, and a long text is cut', () => {
  const { log, lines, parsed } = opened();
  const hostile = 'a\u001b[31m\u009b2J\u202eb\u2028\r\n{"level":"error"}';
  log.info('read', { table: hostile, long: 'x'.repeat(100_000) });
  assert.doesNotMatch(lines[0]!.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/);
  assert.equal(parsed()[0]!['table'], hostile);
  assert.ok(lines[0]!.length < 4000);
});

test('a file is added to, and written anew after it was renamed', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-log-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'logs', 'lockstep.log');
  const never = () => assert.fail('written elsewhere');
  const open = () => openLog({ level: 'info', file, write: never, clock, redactor: redactor() });
  open().info('one');
  const log = open();
  log.info('two');
  renameSync(file, `${file}.1`);
  log.reopen();
  log.info('three\u009b');
  log.flush();
  const messages = (name: string) =>
    readFileSync(name, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { message: string }).message);
  assert.deepEqual(messages(`${file}.1`), ['one', 'two']);
  assert.deepEqual(messages(file), ['three\u009b']);
});
