/** What `./setup_dev.sh` does. `--dir FOLDER`: elsewhere than beside this file; `--stop`: ends what it started. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { parseArgs, parseEnv } from 'node:util';
import pg from 'pg';
import { freePort, initCluster, startCluster } from '../../src/store/embedded/cluster.ts';

const here = dirname(import.meta.filename);
const { values: flags } = parseArgs({
  options: { dir: { type: 'string', default: here }, stop: { type: 'boolean', default: false } },
});
const { dir } = flags;
const servers = join(dir, '.lockstep/dev');
const data = join(servers, 'postgres');
const redisPid = join(servers, 'redis.pid');

const has = (program: string, ...args: readonly string[]): boolean =>
  spawnSync(program, args, { stdio: 'ignore' }).status === 0;

/** Ends the process whose id the file begins with, if it is there. */
const end = async (name: string, file: string, signal: NodeJS.Signals): Promise<void> => {
  if (!existsSync(file)) return;
  const id = Number.parseInt(readFileSync(file, 'utf8'), 10);
  try {
    process.kill(id, signal);
    // It is there until it is not.
    for (let n = 0; n < 100; n++, process.kill(id, 0)) await new Promise((resolve) => setTimeout(resolve, 100));
    console.log(`${name} does not stop: process ${id}`);
  } catch {
    console.log(`${name} is stopped`);
  }
};

const file = join(dir, '.env');
const before = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {};
const docker = (): boolean => dir === here && has('docker', 'info') && has('docker', 'compose', 'version');

if (flags.stop) {
  await end('PostgreSQL', join(data, 'postmaster.pid'), 'SIGINT');
  await end('Redis', redisPid, 'SIGTERM');
  if (docker()) execFileSync('docker', ['compose', 'stop', 'db', 'redis'], { cwd: dir, stdio: 'inherit' });
  process.exit(0);
}

/** Does something listen there that says `reply` to `question`? */
const answers = (host: string, port: number, question: string, reply: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, host, () => socket.write(question));
    const done = (found: boolean): void => {
      socket.destroy();
      resolve(found);
    };
    socket.setTimeout(1000, () => done(false));
    socket.once('data', (bytes) => done(bytes.toString().startsWith(reply)));
    socket.once('error', () => done(false));
  });

const query = async (
  o: { readonly host: string; readonly port: number; readonly user: string; readonly password: string },
  database: string,
  sql: string,
): Promise<readonly Record<string, unknown>[]> => {
  const client = new pg.Client({ ...o, database });
  await client.connect();
  try {
    const result = (await client.query(sql)) as unknown as pg.QueryResult | readonly pg.QueryResult[];
    return (Array.isArray(result) ? result.at(-1)! : result).rows;
  } finally {
    await client.end();
  }
};

mkdirSync(servers, { recursive: true });
chmodSync(join(dir, '.lockstep'), 0o755);
writeFileSync(join(dir, '.lockstep/.gitignore'), '*\n');

const inDocker = !before['DB_HOST'] && docker();
const given = (name: string, usual: string): string => before[name] || usual;
const db = {
  host: given('DB_HOST', '127.0.0.1'),
  port: Number(before['DB_HOST'] ? given('DB_PORT', '5432') : inDocker ? 5432 : await freePort()),
  user: given('DB_USER', 'shop'),
  password: given('DB_PASSWORD', randomBytes(12).toString('base64url')),
};
const name = given('DB_NAME', 'shop');
const redis = { host: given('REDIS_HOST', '127.0.0.1'), port: Number(given('REDIS_PORT', '6379')) };
const url = (database: string): string =>
  `postgres://${db.user}:${encodeURIComponent(db.password)}@${db.host}:${db.port}/${database}`;
writeFileSync(
  file,
  `${Object.entries({
    ...before,
    DB_HOST: db.host,
    DB_PORT: db.port,
    DB_NAME: name,
    DB_USER: db.user,
    DB_PASSWORD: db.password,
    DB_REPLICA_URL: given('DB_REPLICA_URL', url(name)),
    REDIS_HOST: redis.host,
    REDIS_PORT: redis.port,
    LOCKSTEP_PROXY: given('LOCKSTEP_PROXY', '127.0.0.1'),
    LOCKSTEP_CONTROL_URL: given('LOCKSTEP_CONTROL_URL', url('lockstep_control')),
  })
    .map(([key, value]) => `${key}=${/[\s#"'$]/.test(String(value)) ? JSON.stringify(value) : value}`)
    .join('\n')}\n`,
  { mode: 0o600 },
);

const postgresThere = async (): Promise<boolean> =>
  query(db, 'postgres', 'select 1').then(
    () => true,
    () => false,
  );
const redisThere = (): Promise<boolean> => answers(redis.host, redis.port, 'PING\r\n', '+PONG');

if (inDocker)
  execFileSync('docker', ['compose', 'up', '--detach', '--wait', 'db', 'redis'], { cwd: dir, stdio: 'inherit' });

/** An embedded PostgreSQL that stays when this program ends. */
const startPostgres = async (): Promise<void> => {
  const admin = { user: 'postgres', password: db.password };
  const made = existsSync(join(data, 'PG_VERSION'));
  if (!made) await initCluster(data, admin);
  const cluster = await startCluster(data, { ...admin, port: db.port, detached: true });
  cluster.process.unref();
  if (!made)
    await query(
      { ...db, ...admin },
      'postgres',
      `create role "${db.user}" login createdb password '${db.password.replaceAll("'", "''")}'`,
    );
};
if (await postgresThere()) console.log(`PostgreSQL is there: ${db.host}:${db.port}`);
else if (before['DB_HOST'] && !existsSync(join(data, 'PG_VERSION'))) {
  console.error(`nothing answers at ${db.host}:${db.port}, which .env names: start it, or empty DB_HOST there`);
  process.exit(21);
} else {
  await startPostgres();
  console.log(`PostgreSQL is started: ${db.host}:${db.port}, embedded, in .lockstep/dev`);
}

if (await redisThere()) console.log(`Redis is there: ${redis.host}:${redis.port}`);
else if (has('redis-server', '--version')) {
  const args = ['--port', String(redis.port), '--bind', '127.0.0.1', '--save', '', '--dir', servers];
  spawn('redis-server', [...args, '--daemonize', 'yes', '--pidfile', redisPid], { stdio: 'ignore' }).unref();
  console.log(`Redis is started: ${redis.host}:${redis.port}`);
} else console.log('no Redis: there is no docker and no redis-server here; the cache is then kept in memory alone');

for (const database of [name, 'lockstep_control']) {
  const [there] = await query(db, 'postgres', `select from pg_database where datname = '${database}'`);
  if (there === undefined) await query(db, 'postgres', `create database "${database}"`);
}
const [schema] = await query(db, name, "select to_regclass('orders') is not null as there");
if (schema!['there'] !== true) await query(db, name, readFileSync(join(here, 'init.sql'), 'utf8'));

const [test] = await query(
  db,
  name,
  'select current_user as "user", (select count(*) from customers) as customers, (select count(*) from orders) as orders',
);
console.log(`connected as ${test!['user']}: ${test!['customers']} customers, ${test!['orders']} orders`);
console.log('next: ../../lockstep check --config service.yaml, then ../../lockstep serve --config service.yaml');
