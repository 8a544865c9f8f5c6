import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lockstep, type Outcome } from '../e2e/lockstep.ts';
import { testDatabase } from '../servers/postgres.ts';

/** A control store that was named is the one that is used; one that is named emptily is never replaced in silence. */

const control = await testDatabase();
const home = mkdtempSync(join(tmpdir(), 'lockstep-control-'));
after(async () => {
  rmSync(home, { recursive: true, force: true });
  await control[Symbol.asyncDispose]();
});

const runs = (env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Outcome> =>
  lockstep(['runs', '--no-input', ...args], { cwd: home, env });
const config = (value: string): string => {
  writeFileSync(
    join(home, 'lockstep.yaml'),
    `version: 1\ncontrol: ${value}\nendpoints:\n  a: { url: "sqlite:a.db" }\n`,
  );
  return 'lockstep.yaml';
};
const refused = ({ code, stdout, stderr }: Outcome, ...says: readonly RegExp[]): void => {
  assert.equal(code, 20, stderr);
  assert.equal(stdout, '');
  for (const said of says) assert.match(stderr, said);
  assert.ok(!existsSync(join(home, '.lockstep')), 'another store was made');
};

test('an empty --control is an error', async () => {
  for (const value of ['', ' ']) refused(await runs({}, '--control', value), /--control is empty/, /leave it out/);
});

test('an empty control: is an error, however it became empty', async () => {
  refused(await runs({ LOCKSTEP_CONTROL_URL: '' }, '--config', config('""')), /control/, /empty/);
  const reference = config('"${env:SOME_CONTROL}"');
  refused(await runs({ LOCKSTEP_CONTROL_URL: '', SOME_CONTROL: '' }, '--config', reference), /SOME_CONTROL\} is empty/);
  refused(await runs({ LOCKSTEP_CONTROL_URL: '' }, '--config', reference), /SOME_CONTROL\} is not set/);
  refused(await runs({ LOCKSTEP_CONTROL_URL: '', SOME_CONTROL: ' ' }, '--config', reference), /control.* is empty/);
});

test('an empty LOCKSTEP_CONTROL_URL counts as not set: what the configuration names is used', async () => {
  const found = await runs(
    { LOCKSTEP_CONTROL_URL: '', SOME_CONTROL: control.url },
    '--config',
    config('"${env:SOME_CONTROL}"'),
  );
  assert.equal(found.code, 0, found.stderr);
  const { rows } = await control.query("select to_regnamespace('lockstep_control') is not null as made");
  assert.equal(rows[0].made, true);
  assert.ok(!existsSync(join(home, '.lockstep')));
});
