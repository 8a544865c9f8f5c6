/**
 * `npm run soak -- --scenario segments [--rows 5000000] [--delay 25]`: one large table compared by one worker and by two, over
 * connections that a proxy makes slow; then compared and written by four workers, asked for through nginx and two instances
 * of the API, each of these six killed with -9 in turn. Fails unless every difference is found, and written, once.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CompareReport } from '../src/model/report.ts';
import type { Run } from '../src/model/runs.ts';
import type { RunRequest } from '../src/model/service.ts';
import type { ServiceStore } from '../src/model/service-store.ts';
import { freePort } from '../src/store/embedded/cluster.ts';
import { urlConnector } from '../src/store/postgres/connect.ts';
import { openPostgresStore } from '../src/store/postgres/store.ts';
import { slowProxy } from '../test/faults/proxy.ts';
import { nginxBinary, startNginx } from '../test/servers/nginx.ts';
import { prepareTables } from './diff.ts';
import { round } from './figures.ts';
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

  start(...args: string[]): ChildProcess {
    const command = args.length === 0 ? ['worker'] : args;
    const child = spawn(process.execPath, [main, ...command], { cwd: this.dir, stdio: 'ignore' });
    this.all.add(child);
    child.once('exit', () => this.all.delete(child));
    return child;
  }

  /** A token that may do everything. */
  token(): string {
    const made = execFileSync(process.execPath, [main, 'token', 'create', 'soak', '--role', 'admin', '--json'], {
      cwd: this.dir,
      encoding: 'utf8',
    });
    return (JSON.parse(made) as { secret: string }).secret;
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

/** The API behind its proxy, as a client uses it that knows that instances come and go. */
const client = (url: string, token: string) => {
  let asked = 0;
  let refused = 0;
  const call = async (path: string, init: RequestInit = {}): Promise<Response> => {
    for (;;) {
      asked++;
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...init.headers };
      const answer = await fetch(`${url}/api/v1/${path}`, { ...init, headers }).catch(() => undefined);
      if (answer !== undefined && answer.status < 500) return answer;
      refused++;
      await sleep(100);
    }
  };
  return {
    asked: () => asked,
    refused: () => refused,
    ask: async (request: RunRequest): Promise<{ readonly id: string }> => {
      const headers = { 'idempotency-key': 'segments' };
      const answer = await call('runs', { method: 'POST', headers, body: JSON.stringify(request) });
      if (answer.status !== 202) throw new Error(`${answer.status}: ${await answer.text()}`);
      return (await answer.json()) as { id: string };
    },
    ends: async (id: string): Promise<void> => {
      for (;;) {
        const answer = await call(`runs/${id}`);
        const run = (await answer.json()) as { state?: string };
        if (answer.status !== 200) throw new Error(`${answer.status}: ${JSON.stringify(run)}`);
        if (run.state === 'done' || run.state === 'failed' || run.state === 'cancelled') return;
        await sleep(50);
      }
    },
  };
};

export const soakSegments = async (rows: number, delayMs: number): Promise<object> => {
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
  const ports = [await freePort(), await freePort()];
  const serve = (port: number): ChildProcess => workers.start('serve', '--workers', '0', '--port', String(port));
  const instances = ports.map(serve);
  const binary = await nginxBinary();
  if (binary === undefined) throw new Error('there is no nginx');
  await using nginx = await startNginx(
    binary,
    readFileSync(join(import.meta.dirname, '../deploy/nginx.conf'), 'utf8'),
    Object.fromEntries(ports.map((port, i) => [`api-${i + 1}:8000`, `127.0.0.1:${port}`])),
  );
  const api = client(nginx.url, workers.token());
  const { id } = await api.ask({ kind: 'sync', sync: 'big' });
  const every = Math.max(300, rows / 1500);
  let killed = 0;
  const killing = (async () => {
    const all = [...four, ...instances];
    for (const one of [0, 4, 1, 5, 2, 3]) {
      await sleep(every);
      if ((await store.runs.get(id, o))!.state === 'done') return;
      await workers.end(all[one]!, 'SIGKILL');
      killed++;
      if (one < 4) workers.start();
      else serve(ports[one - 4]!);
    }
  })();
  await api.ends(id);
  const synced = await ended(store, id);
  await killing;
  const digest = `select count(*)::text as n, sum(hash_record_extended(t, 0)::numeric)::text as sum from`;
  await withClients(server.urls, async ([a, b]) => {
    const [s, t] = [await a!.query(`${digest} k_bigint t`), await b!.query(`${digest} ${target} t`)];
    if (JSON.stringify(s.rows) !== JSON.stringify(t.rows)) throw new Error('the databases do not agree');
  });
  const tally = await store.journal.tally(id, o);
  const [, depth] = [await store.tend(o), await store.queue.depth('run', o)];
  if (depth.queued + depth.active > 0) throw new Error(`the queue is not empty: ${JSON.stringify(depth)}`);
  const proof = await ended(store, (await ask(store, { kind: 'diff', sync: 'big' })).id);
  check(proof, 0, rows);
  console.log(
    `${killed} of 4 workers and 2 API instances killed in turn during a sync of ${rows} rows, attempt ${synced.asked!.attempt}, ${((synced.finished! - synced.started) / 1000).toFixed(1)} s: ${JSON.stringify(tally)} of ${differences} differences written, the databases agree; ${api.asked()} calls through nginx, ${api.refused()} of them refused while both instances were away`,
  );
  return {
    rows,
    delayMs,
    seconds,
    ratio: round(seconds[0]! / seconds[1]!),
    killed,
    attempt: synced.asked!.attempt,
    tally,
    calls: api.asked(),
    refused: api.refused(),
  };
};
