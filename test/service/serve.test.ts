import assert from 'node:assert/strict';
import { test } from 'node:test';
import { o } from '../store/plain.ts';
import { project, until } from './project.ts';

const sync = (more: string): string => `  ab:
    source: source
    target: target
    mode: compare
    pairs: [t]
    settle: 0
${more}`;
const p = await project(sync(''));
for (const db of [p.source, p.target])
  await db.query('create table t as select generate_series(1, 10) id; alter table t add primary key (id)');

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('serve starts a worker, reads its configuration again when told to, and takes its worker with it', async () => {
  const server = p.start('serve', '--port', '0');
  const { url } = (await server.line((l) => l['message'] === 'listening')) as { url: string };
  assert.equal((await fetch(`${url}/api/v1/version`)).status, 200);
  const { pid } = (await server.line((l) => l['message'] === 'worker started')) as { pid: number };

  p.config(sync('    schedule: { evry: 1s }\n'));
  server.child.kill('SIGHUP');
  await server.line((l) => l['message'] === 'configuration is wrong, the old one stays');
  assert.equal((await fetch(`${url}/api/v1/version`)).status, 200);
  assert.deepEqual(await p.store.schedules.list(o), []);
  // What is looked up only when it is used is looked at all the same.
  const wrong = () => server.lines.filter((l) => l['message'] === 'configuration is wrong, the old one stays');
  for (const section of ['retention: { quiet: 1s }', 'telemetry: { traces: { otlp: nowhere } }']) {
    const before = wrong().length;
    p.config(`${sync('')}${section}\n`);
    server.child.kill('SIGHUP');
    await until(async () => wrong().length === before + 1);
  }

  p.config(sync('    schedule: { every: 1s }\n'));
  server.child.kill('SIGHUP');
  await server.line((l) => l['message'] === 'configuration read again' && l['part'] === 'worker');
  const [run] = await until(async () => {
    const found = await p.store.runs.list({ states: ['done'] }, o);
    return found.length > 0 && found;
  });
  assert.equal(run!.asked!.trigger, 'schedule');
  assert.deepEqual(
    run!.phases.map((phase) => phase.name),
    ['collect', 'detect', 'record'],
  );
  const types = (await p.store.events.after('0', { limit: 100 }, o))
    .filter((e) => e.subject === `runs/${run!.id}` && e.type !== 'run.progress')
    .map((e) => e.type);
  assert.deepEqual(types, ['run.queued', 'run.started', 'run.phase', 'run.phase', 'run.phase', 'run.finished']);
  const ended = (await p.store.events.after('0', { types: ['run.finished'], limit: 1 }, o))[0]!;
  assert.deepEqual(
    ['state', 'verdict', 'created', 'updated', 'deleted', 'failed', 'conflicts'].map(
      (k) => (ended.data as Record<string, unknown>)[k],
    ),
    ['done', 'agrees', 0, 0, 0, 0, 0],
  );

  process.kill(pid, 'SIGKILL');
  const second = (await server.line((l) => l['message'] === 'worker started' && l['pid'] !== pid)) as { pid: number };
  // killed, so that it can end nobody
  server.child.kill('SIGKILL');
  await until(async () => !alive(second.pid));
});
