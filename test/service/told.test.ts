import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inProcess } from '../cli/in-process.ts';
import { o } from '../store/plain.ts';
import { differing, project, until } from './project.ts';

const p = await project(
  `  ab: { source: source, target: target, settle: 0s, pairs: [t], guards: { max_change_ratio: 100% } }
  away: { source: nowhere, target: target, mode: compare, pairs: [t] }
  unset: { source: source, target: unset, mode: compare, pairs: [t] }
`,
  {
    target: ` }
  nowhere: { url: "postgres://u:p@127.0.0.1:1/x", retry: { attempts: 1 } }
  unset: { url: "\${env:LOCKSTEP_TEST_NOT_SET}"`,
  },
);
await differing(p.source, p.target, 10);

test('serve tells at once of a secret that is missing, and an endpoint that no run gets to is not well', async () => {
  const server = p.start('serve', '--port', '0');
  const told = await server.line((l) => l['message'] === 'a secret of the configuration is missing');
  assert.deepEqual([told['level'], told['about']], ['warn', 'unset']);
  assert.match(String(told['reason']), /LOCKSTEP_TEST_NOT_SET/);
  const { url } = (await server.line((l) => l['message'] === 'listening')) as { url: string };
  const endpoints = async () => {
    const { status, parts } = (await (await fetch(`${url}/health`)).json()) as {
      status: string;
      parts: { endpoints: Record<string, unknown> };
    };
    return JSON.stringify([status, parts.endpoints]);
  };
  const fare = (ok: number, degraded: number, down: number): string =>
    JSON.stringify(['degraded', { status: 'degraded', ok, degraded, down }]);
  assert.equal(await endpoints(), fare(3, 0, 1));
  const failed = await p.ends((await p.request({ kind: 'diff', sync: 'away' })).id);
  assert.equal(failed.error!.code, 'CONNECT', failed.error!.message);
  assert.deepEqual(
    (await p.store.monitoring.samples(0, o)).filter((s) => s.breaker !== 'closed'),
    [],
    'no breaker has opened',
  );
  await until(async () => (await endpoints()) === fare(2, 1, 1), 200);
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});

test('who runs a paused sync by hand is told who paused it, before anything is written', async () => {
  await p.store.desk.pause('ab', 'ann', o);
  const sync = () => inProcess(['sync', 'ab', '--yes'], { cwd: p.dir, env: {} });
  const done = await sync();
  assert.match(done.stderr, /^warning: ab is paused by ann since \d{4}-.*Z; this run goes on, since you ask for it$/m);
  assert.equal(done.code, 0, done.stderr);
  assert.equal((await p.target.query('select from t')).rowCount, 10, 'it is no refusal');
  await p.store.desk.resume('ab', 'ann', o);
  assert.doesNotMatch((await sync()).stderr, /paused/);
});
