import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { startPostgres } from '../test/servers/postgres.ts';
import { createTable } from './tables.ts';

/** What is written to the table `bench`, in this order: rows that are new, then changed, then gone. */
export type Work = 'insert' | 'update' | 'delete';
export const works: readonly Work[] = ['insert', 'update', 'delete'];

/** Rows per transaction of the source, as an application would write them. */
const sourceBatch = 1000;

/**
 * Two servers, both without fsync and with synchronous_commit off (the default of a subscription's worker): the first
 * has the source and the control store, the second one database for each way of writing, all with the same rows.
 */
export interface Sides extends AsyncDisposable {
  readonly source: string;
  readonly control: string;
  target(name: string): string;
  /** Writes to the source. */
  advance(work: Work): Promise<void>;
  /** Seconds that the subscription's worker takes to apply what `work` writes, by the clock of its server. */
  replicate(work: Work): Promise<number>;
  /** Processor seconds that the second server and its processes have used so far; undefined off Linux. */
  serverCpu(): Promise<number | undefined>;
  /** Removes dead rows and lets the server write its pages, so that each round begins alike. */
  tidy(): Promise<void>;
}

/** Fields of /proc/PID/stat behind the name: [state, parent, …]. */
const statOf = (pid: number | string): readonly string[] =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
const ticks = 100;

const cpuOf = (postmaster: number): number => {
  let sum = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const f = statOf(pid);
      if (Number(pid) === postmaster) sum += Number(f[11]) + Number(f[12]) + Number(f[13]) + Number(f[14]);
      else if (Number(f[1]) === postmaster) sum += Number(f[11]) + Number(f[12]);
    } catch {
      // It ended meanwhile, and then its parent counts it.
    }
  }
  return sum / ticks;
};

const client = async (url: string): Promise<pg.Client> => {
  const c = new pg.Client({ connectionString: url });
  await c.connect();
  return c;
};

const statement: Readonly<Record<Work, string>> = {
  insert: 'insert into bench select * from pool where id between $1 and $2',
  update: `update bench set status = 'changed', amount = amount + 1, updated_at = '2026-06-01Z' where id between $1 and $2`,
  delete: 'delete from bench where id between $1 and $2',
};

const settings = {
  wal_level: 'logical',
  synchronous_commit: 'off',
  shared_buffers: '512MB',
  max_wal_size: '8GB',
  checkpoint_timeout: '1h',
  autovacuum: 'off',
};

/** Servers to use instead of two new ones: with wal_level=logical and synchronous_commit=off. */
export type Servers = readonly [source: string, target: string];

const server = async (given: string | undefined): Promise<AsyncDisposable & { url(db?: string): string }> => {
  if (given === undefined) return startPostgres(settings);
  return {
    url: (db = 'postgres') => {
      const url = new URL(given);
      url.pathname = `/${db}`;
      return url.href;
    },
    [Symbol.asyncDispose]: async () => {},
  };
};

export const openSides = async (rows: number, targets: readonly string[], servers?: Servers): Promise<Sides> => {
  const first = await server(servers?.[0]);
  const second = await server(servers?.[1]);
  const make = async (on: typeof first, database: string): Promise<pg.Client> => {
    const admin = await client(on.url());
    await admin.query(`drop database if exists ${database} with (force)`);
    await admin.query(`create database ${database}`);
    await admin.end();
    return client(on.url(database));
  };
  const source = await make(first, 'source');
  await (await make(first, 'control')).end();
  await createTable(source, 'whole', 'bigint', 2 * rows);
  await source.query(`create table bench (like whole including all);
    insert into bench select * from whole where id <= ${rows};
    alter table whole rename to pool;
    create table mark (id serial primary key);
    create publication bench for table bench, mark`);
  const native = await make(second, 'native');
  const others = await Promise.all(targets.map((name) => make(second, name)));
  for (const c of [native, ...others]) await createTable(c, 'bench', 'bigint', rows);
  await native.query('create table mark (id int primary key, at timestamptz not null default clock_timestamp())');
  await native.query(
    `create subscription bench connection '${first.url('source')}' publication bench with (copy_data = false, enabled = false)`,
  );
  const everyone = [source, native, ...others];
  for (const c of everyone) await c.query('vacuum analyze');

  const advance = async (work: Work): Promise<void> => {
    for (let from = rows + 1; from <= 2 * rows; from += sourceBatch)
      await source.query(statement[work], [from, Math.min(2 * rows, from + sourceBatch - 1)]);
  };
  const mark = async (): Promise<number> =>
    Number((await source.query('insert into mark default values returning id')).rows[0].id);
  const applied = async (id: number): Promise<boolean> =>
    (await native.query('select from mark where id = $1', [id])).rowCount === 1;
  const until = async (done: () => Promise<boolean>): Promise<void> => {
    while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  return {
    source: first.url('source'),
    control: first.url('control'),
    target: (name) => second.url(name),
    advance,
    replicate: async (work) => {
      await native.query('alter subscription bench disable');
      await until(
        async () =>
          (await native.query(`select from pg_stat_subscription where subname = 'bench' and pid is not null`))
            .rowCount === 0,
      );
      const from = await mark();
      await advance(work);
      const to = await mark();
      await native.query('alter subscription bench enable');
      await until(() => applied(to));
      const { rows: times } = await native.query(
        'select extract(epoch from b.at - a.at)::float8 as seconds from mark a, mark b where a.id = $1 and b.id = $2',
        [from, to],
      );
      return times[0].seconds as number;
    },
    serverCpu: async () => {
      const { rows: found } = await native.query('select pg_backend_pid() as pid');
      try {
        return cpuOf(Number(statOf(found[0].pid)[1]));
      } catch {
        return undefined;
      }
    },
    tidy: async () => {
      for (const c of everyone) await c.query('vacuum analyze bench');
      await native.query('checkpoint');
      await source.query('checkpoint');
    },
    [Symbol.asyncDispose]: async () => {
      await native.query('alter subscription bench disable');
      await native.query('drop subscription bench');
      await Promise.all(everyone.map((c) => c.end()));
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
    },
  };
};
