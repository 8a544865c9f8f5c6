/** The story of this example, told by running it. Every command is the one a user would type. */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseEnv } from 'node:util';
import pg from 'pg';
import { startRedis } from '../../test/servers/redis.ts';
import { startReplicaPair } from '../../test/servers/replica.ts';
import { serve, tokenFor, until } from '../service.ts';
import { hurried, insist, lockstep, openFolder, output, say } from '../story.ts';

const here = dirname(import.meta.filename);

await using own = new AsyncDisposableStack();
const { folder } = own.use(openFolder('production-postgres'));
const run = (args: readonly string[], promised: number): Promise<void> => lockstep(folder, args, promised);
const shell = (...[program = '', ...args]: readonly string[]): string =>
  execFileSync(program, args, { cwd: folder, encoding: 'utf8' });
const serviceConfig = ['--config', 'service.yaml'];

say('0. A development environment, by one command, in a fresh checkout of this example');
for (const name of ['lockstep.yaml', 'compose.yaml', 'init.sql']) cpSync(join(here, name), join(folder, name));
cpSync(join(here, '../../.gitignore'), join(folder, '.gitignore'));
const service = hurried(readFileSync(join(here, 'service.yaml'), 'utf8'), { 'reset_after: 60s': 'reset_after: 2s' });
writeFileSync(join(folder, 'service.yaml'), service);
const git = (...args: readonly string[]): string =>
  shell('git', '-c', 'user.name=story', '-c', 'user.email=story@example.com', ...args);
git('init', '--quiet');
git('add', '.');
git('commit', '--quiet', '--message', 'Begin');
const setup = (...flags: readonly string[]): string => {
  console.log(`\n$ ./setup_dev.sh ${flags.join(' ')}`);
  const said = shell('sh', join(here, 'setup_dev.sh'), '--dir', folder, ...flags);
  console.log(said.trim());
  return said;
};
const development = (): Record<string, string | undefined> =>
  parseEnv(readFileSync(join(folder, '.env'), 'utf8')) as Record<string, string | undefined>;
own.defer(() => void setup('--stop'));
insist(setup().includes('connected as shop: 500 customers, 12000 orders'), 'the schema and its rows are there');
insist(setup().includes('PostgreSQL is there'), 'it may be run again');
insist(git('status', '--porcelain') === '', '`git status` is clean afterwards');

const query = async (url: string, sql: string): Promise<readonly Record<string, unknown>[]> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const result = (await client.query(sql)) as unknown as pg.QueryResult | readonly pg.QueryResult[];
    return (Array.isArray(result) ? result.at(-1)! : result).rows;
  } finally {
    await client.end();
  }
};
/** The database of development, as its user. */
const inDevelopment = (sql: string): Promise<readonly Record<string, unknown>[]> => {
  const { DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD } = development();
  return query(`postgres://${DB_USER}:${DB_PASSWORD}@${DB_HOST}:${DB_PORT}/${DB_NAME}`, sql);
};

say('Somebody drops an index that the orders of a customer are found by. `check` says which one is missing');
const advice = async (): Promise<string | undefined> => {
  const { findings } = JSON.parse(await output(folder, ['check', ...serviceConfig, '--json'])) as {
    readonly findings: readonly { readonly code: string; readonly message: string; readonly fix?: string }[];
  };
  const found = findings.find((f) => f.code === 'index');
  const tooMany = findings.find((f) => /may also write to .*orders|may create/.test(f.message));
  insist(tooMany === undefined, `the service needs every right that it has: ${tooMany?.message}`);
  console.log(
    `\n$ lockstep check --config service.yaml\n${found ? `  ${found.message}\n  ${found.fix}` : '  (no index is missing)'}`,
  );
  return found?.fix;
};
insist((await advice()) === undefined, 'no index is missing');
await inDevelopment('drop index orders_by_customer');
const index = await advice();
insist(index === 'create index on public.orders (customer_id);', 'check says which index is missing');
await inDevelopment(index!);
insist((await advice()) === undefined, 'the statement that it gave was the cure');

say('Production: a primary and a streaming replica. The environment wins over .env');
const servers = own.use(await startReplicaPair());
await servers.primary.query('create database shop');
const primary = servers.primary.url('shop');
Object.assign(process.env, {
  DB_HOST: '127.0.0.1',
  DB_PORT: String(servers.primary.port),
  DB_NAME: 'shop',
  DB_USER: new URL(primary).username,
  DB_PASSWORD: new URL(primary).password,
  DB_REPLICA_URL: servers.replica.url('shop'),
});
const inShop = (sql: string): Promise<readonly Record<string, unknown>[]> => query(primary, sql);

const file = join(folder, 'old.sqlite');
const old = (sql: string): void => {
  const db = new DatabaseSync(file, { enableForeignKeyConstraints: false });
  db.exec(sql);
  db.close();
};
old(readFileSync(join(here, 'old.sql'), 'utf8'));

say('1. Assess: what is in the old file, and what would not fit?');
await run(['assess', 'old', 'new'], 2);

say('Three rows are not what their columns say. They are mended where they are, by whoever knows what they mean');
old(`update orders set quantity = 12 where id = 1200;
  update customers set born = '1985-02-28' where id = 77;
  delete from orders where customer_id = 9999`);
await run(['assess', 'old', 'new'], 0);

say('2. Copy: tables, keys, indexes and every row; then everything is compared, and certified');
await run(['copy', 'old', 'new', '--yes', '--out', 'certificate.json'], 0);
const certificate = JSON.parse(readFileSync(join(folder, 'certificate.json'), 'utf8')) as { readonly verdict: string };
console.log(`\n(certificate.json says: ${certificate.verdict})`);

say('3. Catch up: the old application went on writing');
old(`update orders set status = 'shipped', updated_at = '2026-03-01 08:00:00' where id between 10 and 19;
  insert into orders (customer_id, status, quantity, total, updated_at) values (5, 'open', 2, 19.99, '2026-03-01 08:01:00');
  delete from orders where id = 3`);
await run(['diff', 'catch_up'], 2);
await run(['sync', 'catch_up', '--yes'], 0);

say('4. Freeze: the old application is stopped, its file is read-only. The last verification');
chmodSync(file, 0o444);
await run(['diff', 'catch_up'], 0);

say('Would damage be noticed? Somebody changes one cent');
await inShop('update orders set total = total + 0.01 where id = 2000');
await run(['diff', 'catch_up'], 2);
await inShop('update orders set total = total - 0.01 where id = 2000');
await run(['diff', 'catch_up'], 0);

say('5. Switch: the application now writes to PostgreSQL. New numbers go on where the old ones ended');
await inShop(
  `insert into orders (customer_id, status, quantity, total, updated_at) values (7, 'open', 1, 42, '2026-03-02 09:00:00');
   update customers set name = 'Renamed Ltd' where id = 100`,
);

say('6. The way back is kept open: what the new side has written goes into the old file');
chmodSync(file, 0o644);
await run(['sync', 'way_back', '--yes'], 0);
await run(['diff', 'way_back'], 0);

say(
  '7. In production: it listens on this machine only, unless it knows who asks. Beyond that it refuses, and names the ways out',
);
await run(['serve', '--host', '0.0.0.0', '--port', '8000'], 20);

say('A backup, restored into a database of its own and compared; `serve` makes one each day at 03:00');
await run(['backup', 'create', 'shop', ...serviceConfig], 0);
await run(['backup', 'list', ...serviceConfig], 0);

const redis = await startRedis();
if (redis === undefined) console.log('\n(no Redis can be had here: the cache is in memory alone)');
else Object.assign(process.env, { REDIS_HOST: new URL(redis.url).hostname, REDIS_PORT: String(redis.port) });
own.defer(() => redis?.[Symbol.asyncDispose]());
const token = await tokenFor(folder, 'shop', '--role', 'admin', ...serviceConfig);
await using api = await serve(folder, '--workers', '0', ...serviceConfig);
const list = (n: number) => `/customers/7/orders?sort=-id&limit=${n}`;
let orders = 0;
const order = () => ({
  token,
  headers: { 'idempotency-key': `order-${++orders}` },
  body: { customer_id: '7', quantity: '1', total: '9.90', status: 'open', updated_at: '2026-03-02 10:00:00' },
});
const health = async (): Promise<string> => {
  const { body } = await api.look('/api/monitoring/database/health', token);
  return body.endpoints[0].status as string;
};

say('8. All is well');
await api.ask(200, 'GET', '/health', { token });
await api.ask(200, 'GET', '/api/monitoring/database/health', { token });
await api.ask(201, 'POST', '/records/orders', order());
await api.ask(200, 'GET', list(1), { token });
await api.ask(200, 'GET', '/api/monitoring/performance', { token });

say('A list that is asked for again comes from the cache; a write is seen at once; when Redis dies, nobody notices');
const fresh = await api.ask(200, 'GET', list(5), { token });
const kept = await api.ask(200, 'GET', list(5), { token });
insist(/fwd=miss/.test(fresh.cacheStatus ?? '') && /hit/.test(kept.cacheStatus ?? ''), 'the second is from the cache');
await api.ask(201, 'POST', '/records/orders', order());
const after = await api.ask(200, 'GET', list(5), { token });
insist(after.body.data[0].id > kept.body.data[0].id, 'what was written is there');
await redis?.[Symbol.asyncDispose]();
await api.ask(200, 'GET', list(6), { token });
await servers.caughtUp();

say('9. The primary is down: reads are served from the replica, writes say when to try again');
await servers.primary.stop();
const seen = await api.ask(200, 'GET', list(2), { token });
insist(seen.body.data.length === 2, 'the replica has the orders');
const refused = await api.ask(503, 'POST', '/records/orders', order());
insist(Number(refused.retryAfter) > 0 && refused.body.code === 'PRIMARY_DOWN', 'a write says when to try again');
await until('the database is degraded', async () => (await health()) === 'degraded');
await api.ask(200, 'GET', '/api/monitoring/database/health', { token });
await api.ask(200, 'GET', '/health', { token });
const groups = await api.ask(200, 'GET', '/monitoring/errors', { token });
for (const group of groups.body.data) console.log(`  ${group.kind} × ${group.count}, last: ${group.example.message}`);
insist(
  groups.body.data.some((g: { kind: string }) => g.kind === 'PRIMARY_DOWN'),
  'failures are counted by kind',
);

say('10. It is started again, and everything recovers by itself');
await servers.primary.start();
await until('the primary is used again', async () => (await health()) === 'ok');
await api.ask(201, 'POST', '/records/orders', order());
await servers.caughtUp();

say('11. The primary is lost for good; the replica is promoted, and found');
await servers.primary.stop();
await servers.replica.promote();
await until('the promoted server takes writes', async () => {
  const { headers, body } = order();
  const made = await fetch(`${api.base}/api/v1/records/orders`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return made.status === 201;
});
await api.ask(200, 'GET', list(4), { token });
await api.stop();
insist(
  !existsSync(join(folder, 'backups')) &&
    git('status', '--porcelain', '--ignored=no') === '?? certificate.json\n?? old.sqlite\n',
  'only what was asked for is new',
);
