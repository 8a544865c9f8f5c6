import { join } from 'node:path';
import { type Figure, round } from './figures.ts';
import { median, type ProcessFigures, runProcess, timed } from './measure.ts';
import { withClients } from './servers.ts';
import { createTable, damagedCopy, type KeyKind } from './tables.ts';

type Urls = readonly [string, string];

export const keyKinds: readonly KeyKind[] = ['bigint', 'uuid', 'text'];
/** A process needs this long to start, connect and read the catalogues; the goals are for what comes after. */
const startUp = 0.3;
const root = join(import.meta.dirname, '..');
/** Code compiled once is kept for the next run, as `lockstep` of a checkout does. */
const compiled = { NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/lockstep') };

interface Outcome {
  readonly process: ProcessFigures;
  readonly settleSeconds: number;
  readonly decision: string;
  readonly inFlight: number;
}

/** Seconds of finding and counting: the whole process without its start and without the confirmation. */
const netOf = (o: Outcome): number => o.process.seconds - o.settleSeconds - startUp;

interface ReportedPair {
  readonly different: number;
  readonly in_flight: number;
  readonly settle_ms: number;
  readonly explain: { readonly decision: string };
}

/** Runs `lockstep diff` as a process of its own, and checks what it found. `live`: rows may be in flight. */
export const lockstepDiff = async (
  urls: readonly [string, string],
  tables: string,
  differences: number,
  more: readonly string[] = ['--settle', '0s'],
  live = false,
): Promise<Outcome> => {
  const args = [join(root, 'src/main.ts'), 'diff', ...urls, tables, '--json', '--explain', ...more];
  const run = await runProcess(process.execPath, args, compiled);
  const pair = run.stdout === '' ? undefined : (JSON.parse(run.stdout) as { pairs: ReportedPair[] }).pairs[0];
  if (pair === undefined || (!live && run.code !== (differences === 0 ? 0 : 2)))
    throw new Error(`diff ${tables} ended with ${run.code}: ${run.stderr} ${run.stdout.slice(0, 3000)}`);
  if (pair.different !== differences)
    throw new Error(`${tables}: ${pair.different} differences found, not ${differences}`);
  return {
    process: run,
    settleSeconds: pair.settle_ms / 1000,
    decision: pair.explain.decision,
    inFlight: pair.in_flight,
  };
};

const limitSql = (table: string): string => `select count(*), sum(hash_record_extended(t, 0)::numeric) from ${table} t`;

/** Both databases at once. */
const atOnce = (urls: Urls, sql: readonly [string, string]): Promise<number> =>
  withClients(urls, (clients) => timed(() => Promise.all(clients.map((c, i) => c.query(sql[i]!)))));

/** The table `k_<kind>` in both databases, and damaged copies of it in the second. */
export const prepareTables = async (
  urls: Urls,
  kind: KeyKind,
  rows: number,
  differences: readonly number[],
): Promise<void> => {
  const name = `k_${kind}`;
  await withClients(urls, (clients) =>
    Promise.all(
      clients.map(async (c, i) => {
        await c.query(`drop table if exists ${name}`);
        await createTable(c, name, kind, rows);
        await c.query(`vacuum (analyze, freeze) ${name}`);
        for (const n of i === 0 ? [] : differences.filter((d) => d > 0)) {
          await c.query(`drop table if exists ${name}_${n}`);
          await damagedCopy(c, name, `${name}_${n}`, rows, n);
          await c.query(`vacuum (analyze, freeze) ${name}_${n}`);
        }
      }),
    ),
  );
};

export const dropTables = async (urls: Urls, kind: KeyKind, differences: readonly number[]): Promise<void> => {
  await withClients(urls, (clients) =>
    Promise.all(
      clients.map((c) =>
        c.query(`drop table if exists ${[`k_${kind}`, ...differences.map((n) => `k_${kind}_${n}`)].join(', ')}`),
      ),
    ),
  );
};

const goalOf = (kind: KeyKind, rows: number, differences: number): number =>
  differences > 100 ? 2.3 : kind === 'bigint' ? (rows > 1_000_000 ? 1.6 : 1.4) : 1.8;

const label = (differences: number, rows: number): string =>
  differences <= 100 ? `${differences} differences` : `${Math.round((100 * differences) / rows)} % different`;

/** The diff row: yardstick and `lockstep diff` in turns, after one turn to warm up. */
export const measureDiff = async (
  urls: Urls,
  kind: KeyKind,
  rows: number,
  differences: number,
  rounds: number,
): Promise<Figure> => {
  const [source, target] = [`k_${kind}`, differences === 0 ? `k_${kind}` : `k_${kind}_${differences}`];
  const turns: { readonly limit: number; readonly ours: Outcome }[] = [];
  for (let turn = 0; turn <= rounds; turn++) {
    const limit = await atOnce(urls, [limitSql(source), limitSql(target)]);
    const ours = await lockstepDiff(urls, `${source}=${target}`, differences);
    if (turn > 0) turns.push({ limit, ours });
  }
  const ratio = round(median(turns.map((t) => netOf(t.ours) / t.limit)));
  const goal = goalOf(kind, rows, differences);
  return {
    scenario: `diff ${kind} key, ${label(differences, rows)}`,
    rows,
    seconds: round(median(turns.map((t) => netOf(t.ours)))),
    yardstick: round(median(turns.map((t) => t.limit))),
    ratio,
    goal,
    holds: ratio <= goal,
    rss: Math.round(Math.max(...turns.map((t) => t.ours.process.peakMb))),
    confirm: round(median(turns.map((t) => t.ours.settleSeconds))),
    note: turns[0]!.ours.decision.split(';')[0]!.replace(/^.*: /, ''),
  };
};

/** The whole process with the default wait before differences are confirmed. */
export const measureSettled = async (urls: Urls, rows: number, differences: number): Promise<Figure> => {
  const ours = await lockstepDiff(urls, `k_bigint=k_bigint_${differences}`, differences, []);
  return {
    scenario: `diff bigint key, ${label(differences, rows)}, default settle`,
    rows,
    seconds: round(ours.process.seconds),
    yardstick: null,
    ratio: null,
    goal: null,
    holds: null,
    rss: Math.round(ours.process.peakMb),
    confirm: round(ours.settleSeconds),
    note: 'whole process, wall time',
  };
};

/** The merge row: values merged in key order against a sorted COPY of both sides to nowhere. */
export const measureMerge = async (urls: Urls, rows: number, rounds: number): Promise<Figure> => {
  const turns: { readonly limit: number; readonly ours: number; readonly rss: number }[] = [];
  const copy = (table: string): string => `copy (select * from ${table} order by id) to '/dev/null'`;
  for (let turn = 0; turn <= rounds; turn++) {
    const limit = await atOnce(urls, [copy('k_bigint'), copy('k_bigint_100')]);
    const run = await runProcess(process.execPath, [
      join(import.meta.dirname, 'merge-values.ts'),
      ...urls,
      'k_bigint',
      'k_bigint_100',
    ]);
    if (run.code !== 0) throw new Error(run.stderr);
    const report = JSON.parse(run.stdout) as { different: number; elapsed_ms: number; settle_ms: number };
    if (report.different !== 100) throw new Error(`${report.different} differences were found, not 100`);
    if (turn > 0) turns.push({ limit, ours: (report.elapsed_ms - report.settle_ms) / 1000, rss: run.peakMb });
  }
  const ratio = round(median(turns.map((t) => t.ours / t.limit)));
  return {
    scenario: 'merge of values, 100 differences',
    rows,
    seconds: round(median(turns.map((t) => t.ours))),
    yardstick: round(median(turns.map((t) => t.limit))),
    ratio,
    goal: 1.5,
    holds: ratio <= 1.5,
    rss: Math.round(Math.max(...turns.map((t) => t.rss))),
  };
};

/** How much two connections at once gain over one after the other: the yardstick's scan, and ours. */
export const measureParallelism = async (urls: Urls, rows: number, rounds: number): Promise<readonly Figure[]> => {
  const one: number[] = [];
  const both: number[] = [];
  const workers: Record<number, number[]> = { 0: [], 2: [] };
  const sql = limitSql('k_bigint');
  for (let turn = 0; turn <= rounds; turn++) {
    const serial = await withClients(urls, (clients) =>
      timed(async () => {
        for (const c of clients) await c.query(sql);
      }),
    );
    const parallel = await atOnce(urls, [sql, sql]);
    for (const n of [0, 2]) {
      await withClients([urls[0]], ([c]) =>
        c!.query(`alter role current_user set max_parallel_workers_per_gather = ${n}`),
      );
      const ours = await lockstepDiff(urls, 'k_bigint=k_bigint', 0);
      if (turn > 0) workers[n]!.push(netOf(ours));
    }
    await withClients([urls[0]], ([c]) => c!.query('alter role current_user reset max_parallel_workers_per_gather'));
    if (turn > 0) {
      one.push(serial);
      both.push(parallel);
    }
  }
  const figure = (scenario: string, ours: readonly number[], yardstick: readonly number[]): Figure => ({
    scenario,
    rows,
    seconds: round(median(ours)),
    yardstick: round(median(yardstick)),
    ratio: round(median(ours.map((x, i) => x / yardstick[i]!))),
    goal: null,
    holds: null,
    rss: null,
  });
  return [
    figure('parallel: scan of both sides, at once / in turn', both, one),
    figure('parallel: diff, 2 / 0 workers per query', workers[2]!, workers[0]!),
  ];
};
