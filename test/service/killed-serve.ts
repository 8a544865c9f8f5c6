import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunRequest } from '../../src/model/service.ts';
import { o } from '../store/plain.ts';
import { asked, openProject, type ServiceChild, until } from './project.ts';

/** What was seen; for people. */
export interface KilledServe {
  readonly kills: number;
  readonly runs: Readonly<Record<string, number>>;
  /** Runs that went on in another process than the one they began in. */
  readonly takenOver: number;
  readonly changes: number;
  /** From a commit in the source until the row was in the target, milliseconds. */
  readonly lateMs: { readonly median: number; readonly most: number };
}

const quick = `  quick:
    source: source
    target: target
    pairs: [t]
    settle: 0
    incremental: { by: auto }
    guards: { max_changes: 100000, max_change_ratio: 100%, max_deletes: 100000, empty_source: keep }
    apply: { batch_size: 20 }
    schedule: { every: 1s }
`;
const others = `  whole:
    source: source
    target: target
    mode: compare
    pairs: [t, steady]
    settle: 100ms
    schedule: { every: 2s }
  follows:
    source: source
    target: target
    mode: compare
    pairs: [steady]
    settle: 0
    after: whole
`;

/**
 * `lockstep serve` with three schedules and runs asked for beside them, while the source is written to; the server, its
 * worker or both are killed at random moments and started again. Throws unless in the end no run is lost, none doubled,
 * the queue is empty, every change was written once, and the databases agree.
 */
export const killedServe = async (x: {
  readonly seconds: number;
  /** Nothing is killed, and nothing asked for beside the one quick schedule: to see how late a change comes. */
  readonly calm?: boolean;
  readonly random: () => number;
  readonly tell: (text: string) => void;
}): Promise<KilledServe> => {
  await using p = await openProject(x.calm ? quick : quick + others);
  const { source, target, store } = p;
  for (const db of [source, target]) {
    await db.query('create table t (id int primary key, v bigint not null); create table steady (id int primary key)');
    await db.query(
      'insert into steady select generate_series(1, 5000); insert into t select generate_series(1, 2000), 0',
    );
  }
  await target.query(`create table writes (n serial, id int, v bigint, at timestamptz default clock_timestamp())`);
  await target.query(`create function note() returns trigger language plpgsql as $$
    begin insert into writes (id, v) values (new.id, new.v); return null; end $$`);
  await target.query(`create trigger note after insert or update on t for each row execute function note()`);
  const start = (): ServiceChild => p.start('serve', '--port', '0');
  let server = start();
  await server.line((l) => l['message'] === 'worker started');

  const over = performance.now() + x.seconds * 1000;
  const going = (): boolean => performance.now() < over;
  const commits = new Map<string, number>();
  let changes = 0;
  const write = async (): Promise<void> => {
    while (going()) {
      const v = ++changes;
      const id = 1 + Math.floor(x.random() * 2000);
      if (x.random() < 0.1) await source.query('delete from t where id = $1', [id]);
      else {
        await source.query('insert into t values ($1, $2) on conflict (id) do update set v = excluded.v', [id, v]);
        commits.set(String(v), Date.now());
      }
      await sleep(20);
    }
  };
  const wanted = new Set<string>();
  const ask = async (): Promise<void> => {
    for (let n = 0; going(); n++) {
      const kind = x.random() < 0.5 ? 'diff' : 'verify';
      const request: RunRequest = { kind, sync: x.random() < 0.5 ? 'whole' : 'follows' };
      const key = { ...asked, idempotencyKey: `ask ${n}` };
      const [a, b] = await Promise.all([store.desk.request(request, key, o), store.desk.request(request, key, o)]);
      assert.equal(a.run.id, b.run.id);
      wanted.add(a.run.id);
      await sleep(400 + x.random() * 600);
    }
  };
  let kills = 0;
  const kill = async (): Promise<void> => {
    /** Lines of the server's worker before the one that is at work now. */
    let before = 0;
    while (going()) {
      const now = server;
      const { pid } = (await now.line(
        (l) => l['message'] === 'worker started' && now.lines.indexOf(l) >= before,
      )) as unknown as { readonly pid: number };
      // Time to make headway, or a run would be given up for killing its workers.
      await sleep(1500 + x.random() * 4000);
      if (!going()) return;
      kills++;
      const what = x.random();
      x.tell(`kill ${kills}: ${what < 0.4 ? 'worker' : what < 0.7 ? 'server' : 'both'}`);
      before = now.lines.length;
      if (what < 0.4 || what >= 0.7) process.kill(pid, 'SIGKILL');
      if (what < 0.4) continue;
      server.child.kill('SIGKILL');
      await server.ended;
      before = 0;
      server = start();
    }
  };
  await Promise.all(x.calm ? [write()] : [write(), ask(), kill()]);

  // The databases agree once the last change has been carried over; then there is a moment without work.
  await until(async () => {
    const [a, b] = await Promise.all([source, target].map((db) => db.query('select * from t order by id')));
    return JSON.stringify(a!.rows) === JSON.stringify(b!.rows);
  }, 100);
  await server.line((l) => l['message'] === 'worker started');
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
  const last = p.start('worker');
  await last.line((l) => l['message'] === 'worker started');
  await until(async () => {
    const { queued, active } = await store.queue.depth('run', o);
    return queued + active === 0;
  }, 100);
  last.child.kill('SIGTERM');
  assert.equal(await last.ended, 0);

  const runs = await store.runs.list({ limit: 100_000 }, o);
  const states: Record<string, number> = {};
  for (const run of runs) states[run.state] = (states[run.state] ?? 0) + 1;
  assert.deepEqual(Object.keys(states), ['done'], JSON.stringify(runs.filter((r) => r.state !== 'done').slice(0, 3)));
  assert.deepEqual(
    [...wanted].filter((id) => !runs.some((r) => r.id === id)),
    [],
    'runs are lost',
  );
  const { rows: twice } = await target.query('select id, v from writes where v > 0 group by id, v having count(*) > 1');
  assert.deepEqual(twice, [], 'changes were written twice');
  const { rows: ended } = await p.control.query(
    `select data::json ->> 'run' as run from lockstep_control.event where type = 'run.finished'`,
  );
  assert.equal(ended.length, runs.length, 'each run ended once');
  const { rows: open } = await p.control.query(`select from lockstep_control.step where state = 'intended'`);
  assert.equal(open.length, 0, 'writes are not settled');

  const { rows: came } = await target.query('select v, at from writes');
  const late = came
    .map((r) => (r.at as Date).getTime() - (commits.get(String(r.v)) ?? Number.NaN))
    .filter((ms) => !Number.isNaN(ms))
    .sort((a, b) => a - b);
  return {
    kills,
    runs: states,
    takenOver: runs.filter((r) => (r.asked?.attempt ?? 0) > 1).length,
    changes,
    lateMs: { median: late[Math.floor(late.length / 2)] ?? 0, most: late.at(-1) ?? 0 },
  };
};
