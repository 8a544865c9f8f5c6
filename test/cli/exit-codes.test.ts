import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { exitCodes, worstExit } from '../../src/cli/exit.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import { loadEngine } from '../../src/engines/registry.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { errorCodes } from '../../src/model/errors.ts';
import type { CompareReport } from '../../src/model/report.ts';
import { compareExit } from '../../src/work/compare-exit.ts';
import { lockstep } from '../e2e/lockstep.ts';
import { storeDatabase, testDatabase } from '../servers/postgres.ts';
import { inProcess, world } from './in-process.ts';

/** Every exit code of the contract that this version can mean, reached by a command. */

const a = await testDatabase();
const b = await testDatabase();
const control = await storeDatabase();
const home = mkdtempSync(join(tmpdir(), 'lockstep-exit-'));
after(async () => {
  rmSync(home, { recursive: true, force: true });
  for (const db of [a, b, control]) await db[Symbol.asyncDispose]();
});
const env = { LOCKSTEP_CONTROL_URL: control.url };
const run = (...args: string[]) => inProcess([...args, '--settle', '0'], { cwd: home, env });
/** A process: what the shell sees. */
const bare = (...args: string[]) => lockstep(args, { cwd: home, env });

const create =
  'create table same (id int primary key, v text); create table part (id int primary key, v text); create table drift (id int primary key, v text);';
await a.query(
  `${create} insert into same values (1, 'x'); insert into part values (1, 'x'); alter table part add only_here int; insert into drift values (1, 'x')`,
);
await b.query(
  `${create} insert into same values (1, 'x'); insert into part values (1, 'x'); insert into drift values (1, 'y')`,
);

test('20: a sync that only compares writes nothing, and a URL with one slash is no address', async () => {
  const config = join(home, 'compare.yaml');
  writeFileSync(
    config,
    `version: 1\nendpoints:\n  a: { url: "${a.url}" }\n  b: { url: "${b.url}", writable: true }\nsyncs:\n  s: { source: a, target: b, mode: compare }\n`,
  );
  for (const command of ['sync', 'plan']) {
    const refused = await run(command, 's', '--config', config, '--yes');
    assert.equal(refused.code, 20, refused.stderr);
    assert.match(refused.stderr, /has mode compare: it writes nothing/);
  }
  assert.deepEqual((await b.query('select v from drift')).rows, [{ v: 'y' }]);
  const typo = await run('diff', a.url, 'postgres:/tester@127.0.0.1:1/x');
  assert.equal(typo.code, 20, typo.stderr);
  assert.match(typo.stderr, /one slash where two belong/);
});

test('0: in agreement, nothing left out', async () => {
  const { code, stdout } = await run('diff', a.url, b.url, 'same');
  assert.equal(code, 0);
  assert.match(stdout, /AGREES/);
});

test('1: an unexpected failure, also a crash, and never anything else', async () => {
  const timeout = await run(
    'diff',
    a.url,
    b.url,
    'same',
    '--where',
    'pg_sleep(5) is not null',
    '--statement-timeout',
    '100ms',
  );
  assert.equal(timeout.code, errorCodes.STATEMENT_TIMEOUT.exit, timeout.stderr);
  assert.equal(timeout.code, 1);
  const code = await runCommandLine(['diff', 'x:a', 'x:b', '--quiet'], {
    ...world({ cwd: home }),
    engines: { names: ['x'], ofUrl: () => 'x', load: () => Promise.reject(new TypeError('a defect')) },
  });
  assert.equal(code, 1);
});

test('2: differences, and a plan with changes', async () => {
  assert.equal((await run('diff', a.url, b.url, 'drift')).code, 2);
  assert.equal((await run('plan', a.url, b.url, 'drift')).code, 2);
});

test('20: wrong usage', async () => {
  assert.equal((await bare('nonsense')).code, 20);
  assert.equal((await bare()).code, 20);
});

test('21: cannot connect', async () => {
  assert.equal((await run('diff', a.url, 'postgres://u@127.0.0.1:1/x')).code, 21);
});

test('22: a guard', async () => {
  await b.query('create table gone (id int primary key); insert into gone values (1), (2)');
  await a.query('create table gone (id int primary key); insert into gone values (1)');
  const { code, stderr } = await run('sync', a.url, b.url, 'gone', '--yes');
  assert.equal(code, 22, stderr);
  assert.match(stderr, /--allow-deletes 1/);
  assert.equal((await b.query('select count(*)::int as n from gone')).rows[0].n, 2);
});

test('24: another writer holds the lock', async () => {
  const engine = (await loadEngine('postgres'))!;
  const signal = new AbortController().signal;
  await using endpoint = await engine.connect(engine.parse(b.url), { name: 'b', writable: true, signal });
  await endpoint.writer!.prepare({ signal });
  await using _lock = await endpoint.writer!.lock({ run: 'r_other', pair: '*' }, { signal });
  const { code, stderr } = await run('sync', a.url, b.url, 'drift', '--yes');
  assert.equal(code, 24, stderr);
  assert.equal((await b.query('select v from drift')).rows[0].v, 'y');
});

test('23: a plan that is too old', async () => {
  await a.query("create table old (id int primary key, v text); insert into old values (1, 'x')");
  await b.query("create table old (id int primary key, v text); insert into old values (1, 'y')");
  const { plan } = JSON.parse((await run('plan', a.url, b.url, 'old', '--format', 'json')).stdout);
  const at = async (later: number): Promise<readonly [number, string]> => {
    let said = '';
    const code = await runCommandLine(['apply', plan, b.url, '--yes'], {
      ...world({
        cwd: home,
        env,
        err: (text) => {
          said += text;
        },
      }),
      clock: { ...systemClock, now: () => systemClock.now() + later },
    });
    return [code, said];
  };
  const [expired, said] = await at(3_600_001);
  assert.equal(expired, 23, said);
  assert.match(said, /expired/);
  assert.match(said, /\[PLAN_EXPIRED\]/);
  assert.equal((await b.query('select v from old')).rows[0].v, 'y');
  assert.equal((await at(0))[0], 0, 'in time it is applied');
});

test('27, 23 and 0: the schema drifts, the plan is used, the apply is complete', async () => {
  const planned = JSON.parse((await run('plan', a.url, b.url, 'drift', '--format', 'json')).stdout);
  await b.query('alter table drift alter column v type varchar(9)');
  const drifted = await bare('apply', planned.plan, b.url, '--yes');
  assert.equal(drifted.code, 27, drifted.stderr);
  assert.equal((await b.query('select v from drift')).rows[0].v, 'y');
  await b.query('alter table drift alter column v type text');
  const applied = await bare('apply', planned.plan, b.url, '--yes');
  assert.equal(applied.code, 0, applied.stderr);
  const again = await bare('apply', planned.plan, b.url, '--yes');
  assert.equal(again.code, 23, again.stderr);
});

test('25: no difference, but something was not compared', async () => {
  const { code, stdout } = await run('diff', a.url, b.url, 'part');
  assert.equal(code, 25);
  assert.match(stdout, /INCOMPLETE/);
  assert.match(stdout, /only_here/);
});

test('130: Ctrl-C stops the statements on the server, too', async () => {
  const main = join(dirname(import.meta.filename), '../../src/main.ts');
  const args = [main, 'diff', a.url, b.url, 'same', '--where', "pg_sleep(60) is not null and v <> 'ctrl-c'"];
  const child = spawn(process.execPath, args, { cwd: home, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const busy = async (): Promise<number> =>
    (
      await a.query(
        "select count(*)::int as n from pg_stat_activity where state = 'active' and query like '%ctrl-c%' and pid <> pg_backend_pid()",
      )
    ).rows[0].n;
  while ((await busy()) === 0) assert.equal(child.exitCode, null, stderr);
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  child.kill('SIGINT');
  assert.equal(await ended, 130, stderr);
  assert.equal(stderr.trim().split('\n').at(-1), 'stopped: nothing was left half-written');
  assert.doesNotMatch(stderr, /^\s+at |was stopped|ABORTED/m);
  assert.equal(await busy(), 0);
});

test('the precedence of outcomes: errors > 26 > 2 > 25 > 0', () => {
  assert.equal(worstExit([0, 25]), 25);
  assert.equal(worstExit([25, 2, 0]), 2);
  assert.equal(worstExit([2, 26, 25]), 26);
  assert.equal(worstExit([26, 22]), 22);
  assert.equal(worstExit([]), 0);
});

test('the pages list every code that can occur, and no other', () => {
  const table = (page: string): Map<number, string> =>
    new Map(
      [
        ...readFileSync(join(dirname(import.meta.filename), '../..', page), 'utf8').matchAll(/^\| (\d+) \| (.+) \|$/gm),
      ].map(([, code, meaning]) => [Number(code), meaning!]),
    );
  const reference = table('docs/reference/exit-codes.md');
  const possible = new Set<number>([...Object.values(exitCodes), ...Object.values(errorCodes).map((e) => e.exit)]);
  assert.deepEqual(
    [...reference.keys()].toSorted((x, y) => x - y),
    [...possible].toSorted((x, y) => x - y),
  );
  for (const [code, meaning] of [...reference, ...table('README.md')]) {
    assert.ok(reference.has(code), `README.md names ${code}`);
    assert.doesNotMatch(meaning, /reserved/, `${code} can occur`);
  }
});

test('a comparison of nothing is never green', () => {
  const side = { name: 's', engine: 'e', version: '1' };
  const report: CompareReport = {
    verdict: 'agrees',
    coverage: { complete: true, not_compared: [] },
    source: side,
    target: side,
    pairs: [],
  };
  assert.equal(compareExit(report), 25);
});
