import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { systemClock } from '../../lib/clock.ts';
import { readPostmaster } from './postmaster.ts';
import { userLock, watcherLock } from './watch-locks.ts';

/**
 * A process of its own beside an embedded server: `watch.ts STORE GRACE_MS`. It looks how many users the server has and
 * ends it when there was none for the grace time. Users may leave in any way, killed too: their connections end with
 * them. When this process is killed, the next user starts another.
 */
const [store = '', grace = ''] = process.argv.slice(2);
const data = join(store, 'data');
const graceMs = Number(grace);
const { signal } = new AbortController();

const server = readPostmaster(data);
if (!server?.ready) process.exit(0);
const client = new pg.Client({
  host: '127.0.0.1',
  port: server.port,
  user: 'lockstep',
  password: readFileSync(join(store, 'password'), 'utf8'),
  database: 'postgres',
  application_name: 'lockstep watcher',
  ssl: false,
});
// The server ended without us.
client.on('error', () => process.exit(0));
client.on('end', () => process.exit(0));
await client.connect().catch(() => process.exit(0));

const { rows } = await client.query<{ mine: boolean }>(`select pg_try_advisory_lock(${watcherLock}) as mine`);
if (!rows[0]!.mine) process.exit(0);

let aloneSince = systemClock.elapsed();
for (;;) {
  await systemClock.sleep(Math.min(500, Math.max(20, graceMs / 4)), signal);
  const looked = await client.query<{ others: boolean }>(
    `select exists (select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()) as others`,
  );
  const now = systemClock.elapsed();
  if (looked.rows[0]!.others) aloneSince = now;
  if (now - aloneSince < graceMs) continue;
  const locked = await client.query<{ alone: boolean }>(`select pg_try_advisory_lock(${userLock}) as alone`);
  if (locked.rows[0]!.alone) break;
  aloneSince = now;
}
// The server's own lock file, read by itself: right also when the folder was moved meanwhile.
const own = await client.query<{ lockfile: string | null }>(
  `select pg_read_file('postmaster.pid', 0, 4096, true) as lockfile`,
);
const pid = Number(own.rows[0]!.lockfile?.split('\n')[0]);
if (Number.isInteger(pid) && pid > 1) process.kill(pid, 'SIGINT');
