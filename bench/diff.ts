import pg from 'pg';
import { postgres } from '../src/engines/postgres/index.ts';
import { systemClock } from '../src/lib/clock.ts';
import { randomSeed } from '../src/lib/ids.ts';
import type { PairReport } from '../src/model/report.ts';
import { compare } from '../src/work/compare.ts';
import { median } from './measure.ts';
import { createTable, damagedCopy, type KeyKind } from './tables.ts';

/** One line of the speed table: a comparison against its yardstick, measured in the same run on the same server. */
export interface DiffFigures {
  readonly key: KeyKind;
  readonly rows: number;
  readonly differences: number;
  readonly way: string;
  /** Milliseconds, medians. `limit`: both databases hashing their whole table at once with the cheapest built-in hash. */
  readonly limitMs: number;
  /** Finding and counting, without the confirmation. */
  readonly diffMs: number;
  /** Waiting for differences to settle, and reading them again. */
  readonly settleMs: number;
  /** Median of the ratios of neighbouring runs. */
  readonly ratio: number;
  readonly rssMb: number;
  readonly decision: string;
}

/** `digest | hashes | rows` by force, or as the probe chooses. */
export type Way = 'chosen' | 'digest' | 'hashes' | 'rows';

export interface DiffScenario {
  readonly key: KeyKind;
  readonly rows: number;
  readonly differences: number;
  readonly way?: Way;
}

const signal = new AbortController().signal;

const withClients = async <T>(
  urls: readonly string[],
  work: (clients: readonly pg.Client[]) => Promise<T>,
): Promise<T> => {
  const clients = urls.map((url) => new pg.Client({ connectionString: url }));
  try {
    await Promise.all(clients.map((c) => c.connect()));
    return await work(clients);
  } finally {
    await Promise.all(clients.map((c) => c.end()));
  }
};

/** Creates the scenario's tables, the same in both databases but for the differences; returns their name. */
const prepare = async (urls: readonly [string, string], s: DiffScenario): Promise<string> => {
  const name = `bench_${s.key}_${s.rows}_${s.differences}`;
  for (const [i, url] of urls.entries()) {
    await withClients([url], async ([client]) => {
      const { rows } = await client!.query('select to_regclass($1) as there', [name]);
      if (rows[0]?.there !== null) return;
      await createTable(client!, `${name}_base`, s.key, s.rows);
      await damagedCopy(client!, `${name}_base`, name, s.rows, i === 0 ? 0 : s.differences);
      await client!.query(`drop table ${name}_base`);
      await client!.query(`vacuum analyze ${name}`);
    });
  }
  return name;
};

/** The yardstick of a scenario: what reading every value costs, or for values in key order, a sorted COPY. */
const limitSql = (table: string, way: Way): string =>
  way === 'rows'
    ? `copy (select * from ${table} order by id${table.startsWith('bench_text') ? ' collate "C"' : ''}) to '/dev/null'`
    : `select count(*), sum(hash_record_extended(t, 0)::numeric) from ${table} t`;

const elapsed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

const diffOnce = async (urls: readonly [string, string], table: string, way: Way): Promise<PairReport> => {
  const connect = (url: string, name: string) =>
    postgres.connect(postgres.parse(url), { name, writable: false, signal });
  await using source = await connect(urls[0], 'source');
  await using target = await connect(urls[1], 'target');
  let shown = 0;
  const report = await compare({
    source,
    target,
    pairs: [{ source: table }],
    settleMs: 1000,
    clock: systemClock,
    seed: randomSeed(),
    signal,
    sink: {
      wanted: () => 100 - shown,
      write: async (_pair, differences) => {
        shown += differences.length;
      },
    },
    ...(way === 'chosen' ? {} : { force: way }),
  });
  return report.pairs[0]!;
};

/** Measures one scenario: yardstick and comparison in turns, `rounds` times, after one of each to warm up. */
export const measureDiff = async (
  urls: readonly [string, string],
  s: DiffScenario,
  rounds: number,
): Promise<DiffFigures> => {
  const table = await prepare(urls, s);
  const way = s.way ?? 'chosen';
  const limits: number[] = [];
  const reports: PairReport[] = [];
  let rss = 0;
  for (let round = 0; round <= rounds; round++) {
    const limit = await withClients(urls, (clients) =>
      elapsed(() => Promise.all(clients.map((c) => c.query(limitSql(table, way))))),
    );
    const report = await diffOnce(urls, table, way);
    if (report.different !== s.differences || report.identical !== s.rows - s.differences)
      throw new Error(`${table}: ${report.different} differences were found, ${s.differences} were planted`);
    rss = Math.max(rss, process.memoryUsage.rss() / 2 ** 20);
    if (round === 0) continue;
    limits.push(limit);
    reports.push(report);
  }
  const net = reports.map((r) => r.elapsed_ms - r.settle_ms);
  return {
    key: s.key,
    rows: s.rows,
    differences: s.differences,
    way,
    limitMs: Math.round(median(limits)),
    diffMs: Math.round(median(net)),
    settleMs: Math.round(median(reports.map((r) => r.settle_ms))),
    ratio: Math.round(median(net.map((ms, i) => ms / limits[i]!)) * 100) / 100,
    rssMb: Math.round(rss),
    decision: reports[0]!.explain.decision,
  };
};

/** The rows of the speed table for one table size. */
export const diffScenarios = (rows: number): readonly DiffScenario[] => [
  ...(['bigint', 'uuid', 'text'] as const).flatMap((key) =>
    [0, 100, rows / 100, rows / 2].map((differences): DiffScenario => ({ key, rows, differences })),
  ),
  { key: 'bigint', rows, differences: 100, way: 'rows' },
];
