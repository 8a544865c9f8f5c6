/**
 * Copies one table of ten columns, in turns with what else does it:
 *
 *   SQLite to PostgreSQL       pgloader, everything it does (it compares nothing afterwards)
 *   PostgreSQL to PostgreSQL   psql … copy to stdout | psql … copy from stdin, into a table without keys
 *
 *   node bench/copy.ts [--rows 1000000] [--rounds 3] [--pgloader /path/to/pgloader]
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { engineOfUrl, loadEngine } from '../src/engines/registry.ts';
import { systemClock } from '../src/lib/clock.ts';
import type { Endpoint } from '../src/model/endpoint.ts';
import type { Store } from '../src/model/store.ts';
import { copy } from '../src/work/copy.ts';
import { openStore } from '../src/work/open-store.ts';
import { factsOf } from '../src/work/recorded.ts';
import { median, runProcess, timed } from './measure.ts';
import { startBenchServer, withClients } from './servers.ts';

const { values } = parseArgs({
  options: { rows: { type: 'string' }, rounds: { type: 'string' }, pgloader: { type: 'string' } },
});
const rows = Number(values.rows ?? 1_000_000);
const rounds = Number(values.rounds ?? 3);
const pgloader = values.pgloader ?? '/usr/bin/pgloader';
const signal = new AbortController().signal;

const makeFile = (path: string): void => {
  const db = new DatabaseSync(path);
  db.exec(`create table big (id integer primary key, name text not null, email varchar(80), amount decimal(12,2), score real,
      active boolean, born date, made datetime, note text, qty integer);
    insert into big with recursive n(i) as (select 1 union all select i + 1 from n where i < ${rows})
      select i, 'name of row ' || i, 'user' || i || '@example.org', round(i * 1.37, 2), i / 7.0, i % 2,
        date('2000-01-01', '+' || (i % 9000) || ' days'), datetime(1600000000 + i * 13, 'unixepoch'),
        case when i % 5 = 0 then null else 'some note text that is longer ' || (i * 7919) end, i % 1000 from n;`);
  db.close();
};

const open = async (url: string, name: string, writable: boolean): Promise<Endpoint> => {
  const engine = (await loadEngine(engineOfUrl(url)!))!;
  return engine.connect(engine.parse(url), { name, writable, signal });
};

interface Ours {
  /** The rows alone. */
  readonly load: number;
  /** Tables, rows, keys and indexes. */
  readonly made: number;
  /** With the comparison of every row. */
  readonly certified: number;
}

const ours = async (store: Store, from: string, to: string): Promise<Ours> => {
  await withClients([to], async ([c]) => {
    await c!.query('drop table if exists big');
  });
  await using source = await open(from, 'old', false);
  await using target = await open(to, 'new', true);
  const began = performance.now();
  let made = 0;
  let loading = false;
  const { certificate } = await copy({
    store,
    source,
    target,
    facts: { source: factsOf(source, from), target: factsOf(target, to) },
    sync: null,
    actor: 'bench',
    correlation: 'bench',
    excludeTables: [],
    tables: [{ source: 'big' }],
    types: new Map(),
    settleMs: 0,
    clock: systemClock,
    seed: 1n,
    signal,
    version: 'bench',
    onProgress: ({ phase }) => {
      loading ||= phase === 'load';
      if (loading && phase === 'inspect' && made === 0) made = performance.now() - began;
    },
  });
  if (certificate?.verdict !== 'certified') throw new Error(`the copy is ${certificate?.verdict}`);
  const [table] = certificate.tables;
  return { load: table!.loaded.elapsed_ms / 1000, made: made / 1000, certified: (performance.now() - began) / 1000 };
};

const show = (name: string, ours: readonly Ours[], yardstick: readonly number[], compared: keyof Ours): void => {
  const figures = {
    bench: name,
    rows,
    load_s: median(ours.map((o) => o.load)).toFixed(2),
    made_s: median(ours.map((o) => o.made)).toFixed(2),
    certified_s: median(ours.map((o) => o.certified)).toFixed(2),
    ...(yardstick.length === 0
      ? {}
      : {
          yardstick_s: median(yardstick).toFixed(2),
          times_its_rate: median(ours.map((o, i) => yardstick[i]! / o[compared])).toFixed(2),
        }),
  };
  console.log(JSON.stringify(figures));
};

const dir = mkdtempSync(join(tmpdir(), 'lockstep-bench-'));
await using server = await startBenchServer();
const [a, b] = server.urls;
await withClients([a], async ([c]) => {
  await c!.query('create database control');
});
const controlUrl = a.replace(/\/a$/, '/control');
await using store = await openStore({ controlUrl, dir, clock: systemClock, signal });
try {
  const path = join(dir, 'big.db');
  makeFile(path);
  const [fromFile, theirs] = [[] as Ours[], [] as number[]];
  for (let i = 0; i < rounds; i++) {
    if (existsSync(pgloader)) {
      await withClients([a], async ([c]) => {
        await c!.query('drop table if exists big');
      });
      theirs.push(
        await timed(async () => {
          const done = await runProcess(pgloader, [`sqlite://${path}`, a]);
          if (done.code !== 0) throw new Error(done.stdout + done.stderr);
        }),
      );
    } else if (i === 0) console.error(`there is no ${pgloader}: only ours is measured`);
    fromFile.push(await ours(store, `sqlite:${path}`, a));
  }
  show('SQLite to PostgreSQL, against pgloader', fromFile, theirs, 'made');

  const [piped, pipes] = [[] as Ours[], [] as number[]];
  for (let i = 0; i < rounds; i++) {
    await withClients([b], async ([c]) => {
      await c!.query('drop table if exists big');
      await c!.query(`create table big (id bigint, name text, email varchar(80), amount numeric(12,2), score double precision,
        active boolean, born date, made timestamp, note text, qty bigint)`);
    });
    pipes.push(
      await timed(async () => {
        const pipe = `psql -qXc 'copy big to stdout' '${a}' | psql -qXc 'copy big from stdin' '${b}'`;
        const done = await runProcess('sh', ['-c', pipe]);
        if (done.code !== 0 || done.stderr !== '') throw new Error(done.stderr);
      }),
    );
    piped.push(await ours(store, a, b));
  }
  show('PostgreSQL to PostgreSQL, against psql | psql', piped, pipes, 'load');
} finally {
  rmSync(dir, { recursive: true, force: true });
}
