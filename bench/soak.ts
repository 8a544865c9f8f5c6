/**
 * `npm run soak [-- --rows 5000000 --compares 100 --seconds 600 --key uuid]`: a large table compared again and again while the
 * same writes reach both sides, a thousand a second. Fails on a confirmed difference that nobody planted, on a planted
 * one that is not found, and on memory that grows. `--scenario segments`: see `segments.ts`; `--scenario service`: a
 * server with three schedules that is killed at random for so many `--seconds`, then how late a change comes;
 * `--scenario two-way [--seed 1]`: users of two databases, faults and people for so many `--seconds`, one history after
 * another, PostgreSQL with PostgreSQL and with Firebird in turn. What one that does not fail has seen is appended to
 * `soak.jsonl`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startPostgres } from '../test/servers/postgres.ts';
import { killedServe } from '../test/service/killed-serve.ts';
import { keyKinds, lockstepDiff, prepareTables } from './diff.ts';
import { recordSoak } from './figures.ts';
import { soakSegments } from './segments.ts';
import { startBenchServer, withClients } from './servers.ts';
import { soakTwoWay } from './soak-two-way.ts';
import { keyOf } from './tables.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '5000000' },
    compares: { type: 'string', default: '100' },
    seconds: { type: 'string' },
    scenario: { type: 'string', default: 'live' },
    key: { type: 'string', default: 'bigint' },
    delay: { type: 'string', default: '25' },
    seed: { type: 'string' },
  },
});
const rows = Number(values.rows);
if (values.scenario === 'segments') {
  recordSoak('segments', await soakSegments(rows, Number(values.delay)), new Date());
  process.exit();
}
if (values.scenario === 'service') {
  const seconds = values.seconds === undefined ? 600 : Number(values.seconds);
  const o = { random: Math.random, tell: (text: string) => console.log(text) };
  {
    await using own = await startPostgres();
    process.env['LOCKSTEP_TEST_POSTGRES_URL'] = own.url();
    const killed = await killedServe({ ...o, seconds });
    console.log(killed);
    const calm = await killedServe({ ...o, seconds: Math.min(seconds, 60), calm: true });
    console.log(calm);
    recordSoak('service', { seconds, killed, calm }, new Date());
  }
  process.exit();
}
if (values.scenario === 'two-way') {
  const seconds = Number(values.seconds ?? 600);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  recordSoak('two-way', { seconds, seed, ...(await soakTwoWay(seconds, seed)) }, new Date());
  process.exit();
}
const kind = keyKinds.find((k) => k === values.key);
if (kind === undefined) throw new Error(`--key is one of ${keyKinds.join(', ')}`);
const compares = Number(values.compares);
const until = performance.now() + Number(values.seconds ?? 3600) * 1000;
const planted = 100;
const writesPerTick = 100;
const memoryMb = 300;

/** Every tenth row is the writers'; none of them is planted with a difference. */
const writersRow = (): number => 10 * (1 + Math.floor(Math.random() * (rows / 10 - 1)));

await using server = await startBenchServer();
await prepareTables(server.urls, kind, rows, [planted]);
const [source, target] = [`k_${kind}`, `k_${kind}_${planted}`];
const stop = new AbortController();
let written = 0;

/** A tick writes the same rows to both sides, the second within 200 ms of the first. */
const write = async (): Promise<void> => {
  await withClients(server.urls, async ([a, b]) => {
    while (!stop.signal.aborted) {
      const began = performance.now();
      const ids = Array.from({ length: writesPerTick }, writersRow);
      const sql = (table: string): string =>
        `update ${table} set amount = amount + 1 where id in (select ${keyOf(kind)} from unnest('{${[...new Set(ids)].join(',')}}'::int[]) n)`;
      await a!.query(sql(source));
      await b!.query(sql(target));
      written += writesPerTick;
      await sleep(Math.max(0, 100 - (performance.now() - began)));
    }
  });
};

const writing = write();
let most = 0;
let done = 0;
try {
  while (done < compares && performance.now() < until) {
    const o = await lockstepDiff(server.urls, `${source}=${target}`, planted, ['--settle', '1s'], true);
    done++;
    most = Math.max(most, o.process.peakMb);
    if (most > memoryMb) throw new Error(`${Math.round(most)} MB of memory in comparison ${done}`);
    console.log(
      `${done}: ${o.process.seconds.toFixed(1)} s, ${Math.round(o.process.peakMb)} MB, ${o.inFlight} in flight, ${written} writes so far`,
    );
  }
} finally {
  stop.abort();
  await writing;
}
console.log(
  `${done} comparisons of ${rows} rows under ${written} writes: no false difference, none missed, at most ${Math.round(most)} MB`,
);
recordSoak(
  'live',
  { key: kind, rows, comparisons: done, writes: written, planted, mostMb: Math.round(most) },
  new Date(),
);
