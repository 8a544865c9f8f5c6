/** Compares two tables by merging their values, as a process of its own; prints the pair's report. */
import { postgres } from '../src/engines/postgres/index.ts';
import { systemClock } from '../src/lib/clock.ts';
import { randomSeed } from '../src/lib/ids.ts';
import { compare } from '../src/work/compare.ts';

const [from, to, sourceTable, targetTable] = process.argv.slice(2);
const { signal } = new AbortController();
const connect = (url: string, name: string) => postgres.connect(postgres.parse(url), { name, writable: false, signal });
await using source = await connect(from!, 'source');
await using target = await connect(to!, 'target');
let shown = 0;
const report = await compare({
  source,
  target,
  pairs: [{ source: sourceTable!, target: targetTable! }],
  settleMs: 0,
  clock: systemClock,
  seed: randomSeed(),
  signal,
  force: 'rows',
  sink: {
    wanted: () => 100 - shown,
    write: async (_pair, differences) => {
      shown += differences.length;
    },
  },
});
const { explain: _, ...pair } = report.pairs[0]!;
console.log(JSON.stringify(pair));
