import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { runCommandsOfTheImage } from '../operations/native.ts';
import { testDatabase } from '../servers/postgres.ts';

const run = promisify(execFile);
const root = join(dirname(import.meta.filename), '../..');

test('the packed package works in an empty folder', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-pack-'));
  try {
    execFileSync('npm', ['pack', '--pack-destination', dir, '--silent'], {
      cwd: root,
      env: { ...process.env, LOCKSTEP_BUILD: 'unchecked' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const tarball = readdirSync(dir).find((f) => f.endsWith('.tgz'));
    assert.ok(tarball);
    writeFileSync(join(dir, 'package.json'), '{"private":true}');
    const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
    execFileSync('npm', ['install', ...quietly, `./${tarball}`], {
      cwd: dir,
      stdio: 'inherit',
    });
    const installed = join(dir, 'node_modules/lockstep');
    assert.ok(!existsSync(join(installed, 'src')), 'the package holds built JavaScript only');
    assert.ok(!existsSync(join(installed, 'test')));
    const bin = join(dir, 'node_modules/.bin/lockstep');
    const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}` };

    const version = await run(bin, ['version'], { cwd: dir, env });
    assert.match(version.stdout, /\d+\.\d+\.\d+/);

    // One real comparison across both engines: the child process, the SQL files and the drivers are all in the package.
    const { DatabaseSync } = await import('node:sqlite');
    const sqlite = new DatabaseSync(join(dir, 'a.db'));
    sqlite.exec("create table t (id integer primary key, name text); insert into t values (1,'a'),(2,'b')");
    sqlite.close();
    await using db = await testDatabase();
    await db.query("create table t (id bigint primary key, name text); insert into t values (1,'a'),(2,'c')");
    const diff = await run(bin, ['diff', 'sqlite:a.db', db.url, '--format', 'json', '--settle', '0s'], {
      cwd: dir,
      env,
    }).then(
      () => assert.fail('the two differ, so the exit code must be 2'),
      (e: { code: number; stdout: string; stderr: string }) => e,
    );
    assert.equal(diff.code, 2, diff.stderr);
    const report = JSON.parse(diff.stdout);
    assert.equal(report.verdict, 'differs');
    assert.deepEqual(report.differences[0].cells, [{ column: 'name', source: 'b', target: 'c' }]);

    // A config in TypeScript, typed by the package and read by it.
    writeFileSync(
      join(dir, 'lockstep.config.ts'),
      `import { defineConfig } from 'lockstep';
const file: string = 'sqlite:a.db';
export default defineConfig({ version: 1, endpoints: { a: { url: file }, b: { url: file } } });
`,
    );
    const check = await run(bin, ['check', '--format', 'json'], { cwd: dir, env });
    assert.equal(JSON.parse(check.stdout).ok, true);
    assert.ok(existsSync(join(installed, 'dist/config/define.d.ts')), 'editors find its types');
    const own = join(dir, 'own.mjs');
    writeFileSync(own, "import { defineConfig } from 'lockstep'; console.log(defineConfig({ version: 1 }).version);");
    assert.equal((await run(process.execPath, [own], { cwd: dir, env })).stdout, '1\n');

    await runCommandsOfTheImage(bin, env.PATH);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
