/**
 * `npm run bench [-- --rows 200000,1000000,5000000 --only diff,merge,incremental,two-way,sqlite,drivers,apply,memory --keys bigint,uuid,text --quick]`:
 * measures the rows of the speed table on servers of its own, prints them, and appends them to `history.jsonl`.
 */
import { parseArgs } from 'node:util';
import { applyScenarios } from './apply.ts';
import {
  dropTables,
  keyKinds,
  measureDiff,
  measureMerge,
  measureParallelism,
  measureSettled,
  prepareTables,
} from './diff.ts';
import { measureDrivers } from './drivers.ts';
import { type Figure, header, lineOf, record } from './figures.ts';
import { measureIncremental } from './incremental.ts';
import { startBenchServer } from './servers.ts';
import { measureSqlite } from './sqlite.ts';
import { measureTwoWay } from './two-way.ts';

const parts = ['diff', 'merge', 'incremental', 'two-way', 'sqlite', 'drivers', 'apply', 'memory'] as const;
const { values } = parseArgs({
  options: {
    rows: { type: 'string' },
    only: { type: 'string' },
    keys: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
});
const list = <T extends string>(name: string, given: string | undefined, known: readonly T[]): readonly T[] => {
  const items = given?.split(',') ?? known;
  for (const item of items)
    if (!(known as readonly string[]).includes(item)) throw new Error(`--${name} ${item}: one of ${known.join(', ')}`);
  return items as readonly T[];
};
const only = list('only', values.only, parts);
const keys = list('keys', values.keys, keyKinds);
const sizes = (values.rows ?? (values.quick ? '200000' : '200000,1000000,5000000')).split(',').map((text) => {
  if (!/^\d+$/.test(text) || Number(text) < 10_000) throw new Error(`--rows ${text}: a number of at least 10000`);
  return Number(text);
});
const roundsFor = (rows: number): number => (values.quick ? 1 : rows === 1_000_000 ? 5 : 3);

const figures: Figure[] = [];
const show = (figure: Figure): void => {
  figures.push(figure);
  console.log(lineOf(figure));
  record(figure, new Date());
};

/** No comparison may hold more than this, whatever the size: the greatest peak of all that were measured. */
const memoryFigure = (rows: number, seen: readonly Figure[]): Figure => {
  const most = seen.reduce((a, b) => ((b.rss ?? 0) > (a.rss ?? 0) ? b : a));
  return {
    scenario: 'memory, greatest peak of all comparisons',
    rows,
    seconds: most.seconds,
    yardstick: null,
    ratio: most.rss,
    goal: 300,
    holds: (most.rss ?? 0) < 300,
    rss: most.rss,
    note: most.scenario,
  };
};

console.log(header);
if (only.some((part) => part !== 'apply')) {
  await using server = await startBenchServer();
  const { urls } = server;
  for (const rows of sizes) {
    const rounds = roundsFor(rows);
    const from = figures.length;
    for (const kind of keys) {
      const bigint = kind === 'bigint';
      const whole = only.includes('diff');
      const differences = whole
        ? [0, 100, rows / 100, rows / 2]
        : only.includes('memory')
          ? [100, rows / 2]
          : bigint && (only.includes('merge') || only.includes('sqlite'))
            ? [100]
            : [];
      if (differences.length === 0) continue;
      await prepareTables(urls, kind, rows, differences);
      if (whole || only.includes('memory'))
        for (const n of differences) show(await measureDiff(urls, kind, rows, n, whole ? rounds : 1));
      if (bigint && whole) {
        show(await measureSettled(urls, rows, 100));
        for (const figure of await measureParallelism(urls, rows, Math.min(rounds, 3))) show(figure);
      }
      if (bigint && only.includes('merge')) show(await measureMerge(urls, rows, rounds));
      if (bigint && only.includes('sqlite'))
        for (const figure of await measureSqlite(urls[0], rows, rounds)) show(figure);
      await dropTables(urls, kind, differences);
    }
    if (only.includes('incremental')) for (const figure of await measureIncremental(urls, rows, rounds)) show(figure);
    if (only.includes('two-way'))
      for (const kind of keys)
        for (const figure of await measureTwoWay(urls, kind, rows, Math.min(rounds, 3))) show(figure);
    if (only.includes('drivers'))
      for (const figure of await measureDrivers(urls[0], rows, Math.min(rounds, 3))) show(figure);
    if (figures.slice(from).some((f) => f.rss !== null)) show(memoryFigure(rows, figures.slice(from)));
  }
}
if (only.includes('apply')) {
  for (const figure of await applyScenarios({ rows: values.quick ? 20_000 : 200_000, rounds: values.quick ? 1 : 3 }))
    show({ ...figure, rss: null });
}
const missed = figures.filter((f) => f.holds === false);
console.log(
  missed.length === 0
    ? '\nevery goal holds'
    : `\n${missed.length} goals do not hold: ${missed.map((f) => f.scenario).join('; ')}`,
);
