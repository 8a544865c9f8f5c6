/** A worker of its own process: takes a segment, finds its differences, and waits for them to settle until it is killed. */
import { postgres } from '../../src/engines/postgres/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { workOnSegments } from '../../src/service/segment-work.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { alignAll } from '../../src/work/compare.ts';

const [control, sourceUrl, targetUrl, run, pairName] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const { signal } = new AbortController();
const store = await openPostgresStore(urlConnector(control), { signal });
const connect = (name: string, url: string) => postgres.connect(postgres.parse(url), { name, writable: false, signal });
const [source, target] = [await connect('left', sourceUrl), await connect('right', targetUrl)];
const { pairs } = await alignAll({ source, target, signal });
const set = (await store.segments.find(run, pairName, { signal }))!;
await workOnSegments({
  segments: {
    ...store.segments,
    take: async (...a) => {
      const taken = await store.segments.take(...a);
      process.stdout.write(`${taken?.n}\n`);
      return taken;
    },
  },
  worker: `killed ${process.pid}`,
  set,
  options: {
    pair: pairs[0]!,
    endpoints: { source, target },
    clock: systemClock,
    signal,
    settleMs: 600_000,
    seed: 3n,
    sink: { wanted: () => 0, write: async () => {} },
  },
});
