/**
 * `npm run soak -- --scenario segments [--rows 5000000] [--delay 25]`: one large table compared by one worker and by two, over
 * connections that a proxy makes slow; then compared and written by four workers, each killed with -9 in turn. Fails
 * unless every difference is found, and written, once.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CompareReport } from '../src/model/report.ts';
import type { RunRequest } from '../src/model/service.ts';
import type { ServiceStore } from '../src/model/service-store.ts';
import type { Run } from '../src/model/store.ts';
import { urlConnector } from '../src/store/postgres/connect.ts';
import { openPostgresStore } from '../src/store/postgres/store.ts';
import { slowProxy } from '../test/faults/proxy.ts';
import { prepareTables } from './diff.ts';
import { startBenchServer, withClients } from './servers.ts';

const main = join(import.meta.dirname, '../src/main.ts');
const { signal } = new AbortController();
const o = { signal };

/** Workers of one configuration. */
class Workers implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'lockstep-segments-'));
  readonly all = new Set<ChildProcess>();

  constructor(control: string, urls: readonly [string, string], target: string, differences: number) {
    writeFileSync(
      join(this.dir, 'lockstep.yaml'),
      `version: 1
control: "${control}"
endpoints:
  a: { url: "${urls[0]}" }
  b: { url: "${urls[1]}", writable: true }
syncs:
  big:
    source: a
    target: b
    mode: mirror
    pairs: [{ source: k_bigint, target: ${target} }]
    guards: { max_changes: ${differences * 2}, max_change_ratio: 100% }
`,
    );
  }

  start(): ChildProcess {
    const child = spawn(process.execPath, [main, 'worker'], { cwd: this.dir, stdio: 'ignore' });
    this.all.add(child);
    child.once('exit', () => this.all.delete(child));
    return child;
  }

  async end(child: ChildProcess, how: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    child.kill(how);
    await once(child, 'exit');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.all].map((child) => this.end(child, 'SIGKILL')));
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const membersAre = async (store: ServiceStore, count: number): Promise<void> => {
  while ((await store.segments.members(o)) !== count) await sleep(50);
};

const ask = async (store: ServiceStore, request: RunRequest): Promise<Run> =>
  (await store.desk.request(request, { actor: 'bench', correlation: 'segments', trigger: 'api' }, o)).run;

const ended = async (store: ServiceStore, id: string): Promise<Run> => {
  for (;;) {
    const run = (await store.runs.get(id, o))!;
    if (run.state === 'done') return run;
    if (run.state === 'failed' || run.state === 'cancelled')
      throw new Error(`${run.kind}: ${JSON.stringify(run.error)}`);
    await sleep(50);
  }
};

const check = (run: Run, differences: number, rows: number): number => {
  const [pair] = (run.report as unknown as CompareReport).pairs;
  if (pair!.different !== differences || pair!.rows.source !== rows || pair!.rows.target !== rows)
    throw new Error(`found ${JSON.stringify({ ...pair, explain: undefined, ranges: undefined, patterns: undefined })}`);
  return pair!.ranges?.length ?? 1;
};

export const soakSegments = async (rows: number, delayMs: number): Promise<void> => {
  const differences = Math.round(rows / 100);
  const target = `k_bigint_${differences}`;
  await using server = await startBenchServer();
  await prepareTables(server.urls, 'bigint', rows, [differences]);
  await withClients(server.urls, async ([a, b]) => {
    await Promise.all([a!.query('create database control'), b!.query('vacuum analyze'), a!.query('vacuum analyze')]);
  });
  const control = server.urls[0].replace(/\/a$/, '/control');
  await using store = await openPostgresStore(urlConnector(control), o);

  const seconds: number[] = [];
  {
    await using left = await slowProxy(server.urls[0], delayMs);
    await using right = await slowProxy(server.urls[1], delayMs);
    await using workers = new Workers(control, [left.url, right.url], target, differences);
    for (const count of [1, 2]) {
      workers.start();
      await membersAre(store, count);
      const run = await ended(store, (await ask(store, { kind: 'diff', sync: 'big' })).id);
      seconds.push((run.finished! - run.started) / 1000);
      const parts = check(run, differences, rows);
      console.log(
        `${count} ${count === 1 ? 'worker' : 'workers'}, ${delayMs} ms for each piece: ${seconds.at(-1)!.toFixed(1)} s in ${parts} parts, ${Math.round(rows / seconds.at(-1)!)} rows/s`,
      );
    }
  }
  console.log(`two workers are ${(seconds[0]! / seconds[1]!).toFixed(2)} times as fast as one`);
  await membersAre(store, 0);

  await using workers = new Workers(control, server.urls, target, differences);
  const four = [1, 2, 3, 4].map(() => workers.start());
  await membersAre(store, 4);
  const sync = await ask(store, { kind: 'sync', sync: 'big' });
  const every = Math.max(300, rows / 1000);
  let killed = 0;
  const killing = (async () => {
    for (const one of four) {
      await sleep(every);
      if ((await store.runs.get(sync.id, o))!.state === 'done') return;
      await workers.end(one, 'SIGKILL');
      killed++;
      workers.start();
    }
  })();
  const synced = await ended(store, sync.id);
  await killing;
  const digest = `select count(*)::text as n, sum(hash_record_extended(t, 0)::numeric)::text as sum from`;
  await withClients(server.urls, async ([a, b]) => {
    const [s, t] = [await a!.query(`${digest} k_bigint t`), await b!.query(`${digest} ${target} t`)];
    if (JSON.stringify(s.rows) !== JSON.stringify(t.rows)) throw new Error('the databases do not agree');
  });
  const tally = await store.journal.tally(sync.id, o);
  const [, depth] = [await store.tend(o), await store.queue.depth('run', o)];
  if (depth.queued + depth.active > 0) throw new Error(`the queue is not empty: ${JSON.stringify(depth)}`);
  const proof = await ended(store, (await ask(store, { kind: 'diff', sync: 'big' })).id);
  check(proof, 0, rows);
  console.log(
    `${killed} of 4 workers killed in turn during a sync of ${rows} rows, attempt ${synced.asked!.attempt}, ${((synced.finished! - synced.started) / 1000).toFixed(1)} s: ${JSON.stringify(tally)} of ${differences} differences written, the databases agree`,
  );
};
