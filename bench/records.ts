/**
 * `node bench/records.ts [--clients 1000] [--seconds 8] [--rounds 3]`: many clients at once on the records API of
 * `lockstep serve`, in turns with a bare Fastify handler that sends PostgreSQL the same statements, with servers that keep
 * answers in memory and in Redis, and with one that sends constant bytes, as fast as Node can. Each is a process of its
 * own, and so are the clients (wrk of Debian); on two cores they share them with the databases. `--only get` measures one
 * kind, `--only 'get and list in turns'` both at once.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startPostgres } from '../test/servers/postgres.ts';
import { startRedis } from '../test/servers/redis.ts';
import { type Figure, lineOf, record } from './figures.ts';
import { median } from './measure.ts';
import { clients, type Met, wrkBinary } from './wrk.ts';

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
  },
});
const connections = Number(values.clients);
const seconds = Number(values.seconds);
const here = dirname(import.meta.filename);
const rows = 100_000;

await using stack = new AsyncDisposableStack();
const server = stack.use(await startPostgres({ track_activity_query_size: '16384', shared_buffers: '256MB' }));
const url = server.url();
const client = new pg.Client({ connectionString: url });
client.on('error', () => {});
await client.connect();
stack.defer(() => client.end());
await client.query(
  `
  create table transactions (
    id bigint generated always as identity primary key, user_id int not null, amount numeric(12, 2) not null,
    currency text not null default 'EUR', status text not null, note varchar(40), created_at timestamptz not null);
  insert into transactions (user_id, amount, status, note, created_at)
    select i % 1000, i + 0.25, case when i % 3 = 0 then 'settled' else 'pending' end, 'note ' || i, now() - i * interval '1 minute'
    from generate_series(1, ${rows}) i;
  create index on transactions (user_id, id);
  vacuum analyze transactions`.split(';\n  vacuum')[0]!,
);
await client.query('vacuum analyze transactions');
await client.query('create database control');

const folder = mkdtempSync(join(tmpdir(), 'lockstep-bench-'));
stack.defer(() => rmSync(folder, { recursive: true, force: true }));
const redis = await startRedis();
if (redis === undefined) throw new Error('there is no Redis to measure');
stack.use(redis);
/** Configurations by the name of their file. */
const configs = {
  ours: '',
  memory: 'cache: { ttl: 300s }',
  redis: `cache: { ttl: 300s, redis: "${redis.url}" }`,
  // what every process asks Redis for each time
  alone: `cache: { ttl: 300s, max_bytes: 0, redis: "${redis.url}" }`,
};
for (const [name, cache] of Object.entries(configs))
  writeFileSync(
    join(folder, `${name}.yaml`),
    `version: 1
control: "${server.url('control')}"
records: { transactions: { table: transactions } }
server: { rate_limit: false, log: { level: warn } }
${cache}
`,
  );
const launcher = join(here, '../src/main.ts');
const env = { ...process.env, DATABASE_URL: url };

interface Started {
  readonly url: string;
  readonly pid: number;
}

/** Starts a server that prints its address. */
const start = async (args: readonly string[]): Promise<Started> => {
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  stack.defer(async () => {
    child.kill();
    await new Promise((resolve) => child.once('exit', resolve));
  });
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout! }).once('line', (url) => resolve({ url, pid: child.pid! }));
    child.once('exit', (code) => reject(new Error(`${args.join(' ')} ended with ${code}`)));
  });
};
const output = async (args: readonly string[]): Promise<string> => {
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout!.on('data', (part) => {
    text += part;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`${args.slice(0, 3).join(' ')} ended with ${code}`);
  return text;
};

const { secret } = JSON.parse(
  await output([
    ...[launcher, 'token', 'create', 'bench', '--scope', 'records:read', '--json'],
    ...['--config', 'ours.yaml'],
  ]),
) as { readonly secret: string };
const serve = (name: string): Promise<Started> =>
  start([launcher, 'serve', '--port', '0', '--workers', '0', '--config', `${name}.yaml`]);
const ours = await serve('ours');

/** The statement that our server sent last, word for word. */
const sent = async (path: string): Promise<{ sql: string; columns: string[] }> => {
  const reply = await fetch(`${ours.url}/api/v1/records/transactions${path}`, {
    headers: { authorization: `Bearer ${secret}` },
  });
  if (reply.status !== 200) throw new Error(await reply.text());
  const body = (await reply.json()) as { readonly data?: readonly object[] };
  const { rows: found } = await client.query(
    `select query from pg_stat_activity where application_name = 'lockstep' and query like '%"transactions"%' order by query_start desc limit 1`,
  );
  return { sql: found[0].query, columns: Object.keys(body.data?.[0] ?? body) };
};
const get = await sent('/17');
const list = await sent('?user_id=eq.42&limit=20');
const kept = { memory: await serve('memory'), redis: await serve('redis'), alone: await serve('alone') };
const bare = await start([join(here, 'records-bare.ts'), JSON.stringify({ url, list, get })]);

interface Served extends Met {
  /** Milliseconds of processor time of the server for each request. */
  readonly cpu: number;
}
/** Processor time that a process has used, in milliseconds; the kernel counts it in hundredths of a second. */
const cpuOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
};
const wrk = await wrkBinary();
const load = async (at: Started, paths: readonly string[]): Promise<Served> => {
  const before = cpuOf(at.pid);
  const met = await clients(wrk, { url: at.url, token: secret, connections, seconds, paths });
  return { ...met, cpu: (cpuOf(at.pid) - before) / met.done };
};

const some = Array.from({ length: 50 }, (_, i) => (i * 1999) % rows);
const alone = {
  get: {
    ours: some.map((i) => `/api/v1/records/transactions/${i + 1}`),
    bare: some.map((i) => `/get/${i + 1}`),
  },
  'list of 20': {
    ours: some.map((i) => `/api/v1/records/transactions?user_id=eq.${i % 1000}&limit=20`),
    bare: some.map((i) => `/list?user_id=${i % 1000}&limit=20`),
  },
};
const inTurns = (side: 'ours' | 'bare'): readonly string[] =>
  some.flatMap((_, i) => [alone.get[side][i]!, alone['list of 20'][side][i]!]);
const kinds = { ...alone, 'get and list in turns': { ours: inTurns('ours'), bare: inTurns('bare') } };
for (const [kind, paths] of Object.entries(kinds)) {
  if (values.only !== '' && kind !== values.only) continue;
  const met: Readonly<Record<'ours' | 'bare' | keyof typeof kept | 'constant', Served>>[] = [];
  const answer = await fetch(`${ours.url}${paths.ours[0]}`, { headers: { authorization: `Bearer ${secret}` } });
  const constant = await start([join(here, 'records-constant.ts'), await answer.text()]);
  const round = async () => ({
    ours: await load(ours, paths.ours),
    bare: await load(bare, paths.bare),
    memory: await load(kept.memory, paths.ours),
    redis: await load(kept.redis, paths.ours),
    alone: await load(kept.alone, paths.ours),
    constant: await load(constant, paths.ours),
  });
  // not counted: all compile what is asked of them
  await round();
  for (let i = 0; i < Number(values.rounds); i++) met.push(await round());
  const of = (what: (m: (typeof met)[number]) => number): number => median(met.map(what));
  const say = (
    side: keyof (typeof met)[number],
    than: keyof (typeof met)[number],
    name: string,
    goal: number | null,
  ): void => {
    const errors = met.reduce((sum, m) => sum + m[side].errors, 0);
    const ratio = of((m) => m[side].rate / m[than].rate);
    const words = {
      bare: 'a bare handler',
      ours: 'our own server without a cache',
      constant: 'a server that sends the same bytes to all',
      memory: '',
      redis: '',
      alone: '',
    }[than];
    const figure: Figure = {
      scenario: `records: ${kind}${name}, ${connections} clients`,
      rows,
      seconds: of((m) => m[side].p99) / 1000,
      yardstick: of((m) => m[than].p99) / 1000,
      ratio,
      goal,
      holds: goal === null ? null : ratio >= goal && errors === 0,
      rss: null,
      note: `${Math.round(of((m) => m[side].rate))}/s against ${Math.round(of((m) => m[than].rate))}/s of ${words}, ${errors} errors, ${of((m) => m[side].cpu).toFixed(3)} ms of processor time each against ${of((m) => m[than].cpu).toFixed(3)}, p50 ${of((m) => m[side].p50)} ms against ${of((m) => m[than].p50)} ms; seconds are p99`,
    };
    console.log(lineOf(figure));
    record(figure, new Date());
  };
  say('ours', 'bare', '', 0.8);
  say('memory', 'ours', ', kept in memory', 3);
  say('redis', 'ours', ', kept in memory and Redis', 3);
  say('alone', 'ours', ', kept in Redis alone', null);
  say('memory', 'constant', ', kept in memory, and constant bytes', null);
}
