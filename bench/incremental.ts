import { postgres } from '../src/engines/postgres/index.ts';
import { systemClock } from '../src/lib/clock.ts';
import type { IncrementalRule, Standing } from '../src/model/incremental.ts';
import { type CompareOptions, compare } from '../src/work/compare.ts';
import { runStandings } from '../src/work/standings.ts';
import { type Figure, round } from './figures.ts';
import { median } from './measure.ts';
import { withClients } from './servers.ts';
import { createTable } from './tables.ts';

const table = 'incremental';
const changed = 100;

const ways: readonly (readonly [string, IncrementalRule['by']['source'], IncrementalRule['deletes']])[] = [
  ['xmin, keys compared', 'xmin', 'keys'],
  ['xmin, deletes not seen', 'xmin', 'none'],
  ['indexed column, keys compared', 'updated_at', 'keys'],
  ['indexed column, deletes not seen', 'updated_at', 'none'],
];

const ruleOf = (by: string, deletes: IncrementalRule['deletes']): IncrementalRule => ({
  by: { source: by, target: by },
  sameColumn: true,
  overlapMs: 120_000,
  overlapCount: 0,
  deletes,
  fullEvery: { ms: 86_400_000 },
});

/** 100 rows of the source changed: found incrementally, each way in turn with a comparison of all rows, in this process. */
export const measureIncremental = async (
  urls: readonly [string, string],
  rows: number,
  rounds: number,
): Promise<readonly Figure[]> => {
  await withClients(urls, (clients) =>
    Promise.all(
      clients.map(async (c) => {
        await c.query(`drop table if exists ${table}`);
        await createTable(c, table, 'bigint', rows);
        await c.query(`update ${table} set updated_at = timestamptz '2025-12-31' where updated_at is null`);
        await c.query(`create index on ${table} (updated_at)`);
        await c.query(`vacuum (analyze, freeze) ${table}`);
      }),
    ),
  );
  const { signal } = new AbortController();
  const connect = (url: string, name: string) =>
    postgres.connect(postgres.parse(url), { name, writable: false, signal });
  await using source = await connect(urls[0], 'source');
  await using target = await connect(urls[1], 'target');
  const kept = new Map<string, Standing>();
  const standings = {
    get: async (sync: string, _pair: string, settings: string) => kept.get(`${sync} ${settings}`),
    put: async (sync: string, all: readonly Standing[]) => {
      for (const s of all) kept.set(`${sync} ${s.settings}`, s);
    },
  };
  /** Seconds of one comparison; `way` undefined: of all rows. */
  const run = async (way: (typeof ways)[number] | undefined, differences: number, keep = false): Promise<number> => {
    const work =
      way &&
      runStandings(
        { store: { standings }, sync: way[0], signal, source, target, incremental: { rule: ruleOf(way[1], way[2]) } },
        { id: 'bench', started: Date.now() },
      );
    const options: CompareOptions = {
      source,
      target,
      pairs: [{ source: table }],
      settleMs: 0,
      clock: systemClock,
      seed: 1n,
      signal,
      sink: { wanted: () => Number.POSITIVE_INFINITY, write: async () => {} },
      ...(work ? { incremental: work.incremental } : {}),
    };
    const start = performance.now();
    const report = await compare(options);
    const seconds = (performance.now() - start) / 1000;
    const [pair] = report.pairs;
    if (pair?.different !== differences || (way && !keep && pair.strategy !== 'incremental'))
      throw new Error(`${way?.[0] ?? 'all rows'}: ${pair?.different} differences by ${pair?.strategy}`);
    if (keep) await work?.keep();
    return seconds;
  };
  for (const way of ways) await run(way, 0, true);
  const every = Math.floor(rows / changed);
  await withClients([urls[0], urls[0]], async ([c]) => {
    await c!.query(`update ${table} set status = 'changed', updated_at = now() where id % ${every} = ${every - 1}`);
  });
  const times = new Map<string, number[]>([['all rows', []], ...ways.map(([name]): [string, number[]] => [name, []])]);
  for (let turn = 0; turn <= rounds; turn++) {
    const whole = await run(undefined, changed);
    if (turn > 0) times.get('all rows')!.push(whole);
    for (const way of ways) {
      const seconds = await run(way, changed);
      if (turn > 0) times.get(way[0])!.push(seconds);
    }
  }
  const whole = times.get('all rows')!;
  await withClients(urls, (clients) => Promise.all(clients.map((c) => c.query(`drop table ${table}`))));
  return ways.map(([name]): Figure => {
    const ours = times.get(name)!;
    return {
      scenario: `incremental, ${name}`,
      rows,
      seconds: round(median(ours)),
      yardstick: round(median(whole)),
      ratio: round(median(ours.map((s, i) => s / whole[i]!))),
      goal: null,
      holds: null,
      rss: null,
      note: 'yardstick: comparison of all rows, 100 differences',
    };
  });
};
