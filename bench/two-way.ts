import { align } from '../src/diff/align.ts';
import { findTable } from '../src/diff/find-table.ts';
import { detectTwoWay } from '../src/diff/two-way/detect.ts';
import type { TwoWayFound } from '../src/diff/two-way/options.ts';
import { openPairArchive } from '../src/diff/two-way/pair-archive.ts';
import { postgres } from '../src/engines/postgres/index.ts';
import { systemClock } from '../src/lib/clock.ts';
import { urlConnector } from '../src/store/postgres/connect.ts';
import { openPostgresStore } from '../src/store/postgres/store.ts';
import { compare } from '../src/work/compare.ts';
import { type Figure, round } from './figures.ts';
import { median } from './measure.ts';
import { withClients } from './servers.ts';
import { createTable, type KeyKind } from './tables.ts';

const table = 'two_way';
const storeDatabase = 'two_way_store';
/** Rows edited on each side, other ones on each. */
const edits = 1000;
const goal = 1.7;

const makeTables = (urls: readonly string[], kind: KeyKind, rows: number): Promise<unknown> =>
  withClients(urls, async (clients) => {
    await clients[0]!.query(`drop database if exists ${storeDatabase}`);
    await clients[0]!.query(`create database ${storeDatabase}`);
    await Promise.all(
      clients.map(async (c) => {
        await c.query(`drop table if exists ${table}`);
        await createTable(c, table, kind, rows);
        await c.query(`vacuum (analyze, freeze) ${table}`);
      }),
    );
  });

/** 1,000 rows here and 1,000 others there, chosen by a hash of their `ref`. */
const edit = (urls: readonly string[], rows: number): Promise<unknown> =>
  withClients(urls, (clients) =>
    Promise.all(
      clients.map((c, i) =>
        c.query(
          `update ${table} set status = 'edited' where ref in (
             select md5('ref ' || n)::uuid from generate_series(${1 + i}, ${rows}, ${Math.floor(rows / edits)}) n)`,
        ),
      ),
    ),
  );

/**
 * Both sides compared with what they agreed on, in turn with a one-way comparison of the same tables, in this process:
 * the first contact, then nothing changed, then 1,000 rows edited on each side. The archive is in a database of the same
 * server.
 */
export const measureTwoWay = async (
  urls: readonly [string, string],
  kind: KeyKind,
  rows: number,
  rounds: number,
): Promise<readonly Figure[]> => {
  await makeTables(urls, kind, rows);
  const { signal } = new AbortController();
  const o = { signal };
  const storeUrl = Object.assign(new URL(urls[0]), { pathname: `/${storeDatabase}` }).href;
  await using store = await openPostgresStore(urlConnector(storeUrl), o);
  const connect = (url: string, name: string) =>
    postgres.connect(postgres.parse(url), { name, writable: false, signal });
  await using source = await connect(urls[0], 'source');
  await using target = await connect(urls[1], 'target');
  const endpoints = { source, target };
  const names = { source: 'source', target: 'target' };
  const [s, t] = [await source.inspect(o), await target.inspect(o)];
  const pair = align(findTable(s, table, 'source'), findTable(t, table, 'target'), {}, names);
  const archive = () =>
    openPairArchive({
      ...o,
      archives: store.archives,
      sync: 'bench',
      pair,
      endpoints,
      kept: () => 'value',
      secret: new Uint8Array(32),
    });

  const oneWay = async (differences: number): Promise<number> => {
    const start = performance.now();
    const report = await compare({
      source,
      target,
      pairs: [{ source: table }],
      settleMs: 0,
      clock: systemClock,
      seed: 1n,
      signal,
      sink: { wanted: () => Number.POSITIVE_INFINITY, write: async () => {} },
    });
    const seconds = (performance.now() - start) / 1000;
    if (report.pairs[0]!.different !== differences) throw new Error(`one way: ${report.pairs[0]!.different} differ`);
    return seconds;
  };
  const twoWay = async (met: number): Promise<{ readonly seconds: number; readonly found: TwoWayFound }> => {
    const start = performance.now();
    const found = await detectTwoWay({
      ...o,
      pair,
      endpoints,
      clock: systemClock,
      settleMs: 0,
      archive: await archive(),
      run: 'r_bench',
      sink: async () => {},
    });
    const seconds = (performance.now() - start) / 1000;
    if (found.met !== met) throw new Error(`two-way: ${found.met} keys (${found.report.explain.decision})`);
    return { seconds, found };
  };

  const inTurns = async (name: string, keys: number, limit: number | null): Promise<Figure> => {
    const ours: number[] = [];
    const theirs: number[] = [];
    let why = '';
    for (let turn = 0; turn <= rounds; turn++) {
      const whole = await oneWay(keys);
      const { seconds, found } = await twoWay(keys);
      why = found.report.explain.decision;
      if (turn === 0) continue;
      ours.push(seconds);
      theirs.push(whole);
    }
    const ratio = median(ours.map((x, i) => x / theirs[i]!));
    return {
      scenario: `two-way, ${kind} key, ${name}`,
      rows,
      seconds: round(median(ours)),
      yardstick: round(median(theirs)),
      ratio: round(ratio),
      goal: limit,
      holds: limit === null ? null : ratio <= limit,
      rss: null,
      note: `yardstick: one-way comparison; ${why}`,
    };
  };

  const before = await oneWay(0);
  const first = await twoWay(0);
  if (!first.found.firstContact) throw new Error('there was an archive already');
  const size = await withClients([storeUrl], async ([c]) => {
    const { rows: found } = await c!.query(
      `select sum(pg_total_relation_size(oid))::float8 as bytes from pg_class where relname ~ '^archive_row_[0-9]+$'`,
    );
    return found[0].bytes as number;
  });
  const figures: Figure[] = [
    {
      scenario: `two-way, ${kind} key, first contact`,
      rows,
      seconds: round(first.seconds),
      yardstick: round(before),
      ratio: round(first.seconds / before),
      goal: null,
      holds: null,
      rss: null,
      note: `yardstick: one-way comparison; the archive has ${Math.round(size / rows)} bytes a row`,
    },
    await inTurns('nothing changed', 0, null),
  ];
  await edit(urls, rows);
  figures.push(await inTurns('1,000 edits on each side', 2 * edits, goal));
  return figures;
};
