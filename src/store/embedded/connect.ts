import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { Clock } from '../../lib/clock.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import { connectClient } from '../postgres/connect.ts';
import type { Connector } from '../postgres/connector.ts';
import { exclusively } from './mutex.ts';
import { findPlace, type Place, pathError } from './place.ts';
import { isServerOf, readPostmaster, workingFolder } from './postmaster.ts';
import { serverLogin, startServer } from './server.ts';
import { userLock, watcherLock } from './watch-locks.ts';

const watched = `exists (select from pg_locks where locktype = 'advisory' and granted
  and classid = 0 and objid = ${watcherLock} and objsubid = 1)`;

/** So long the server outlives its last user, milliseconds. */
const usualGraceMs = 3000;

const noStore = Symbol('no server to connect to');

const readPassword = (place: Place): string => {
  try {
    return readFileSync(place.password, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw noStore;
    throw new LockstepError('STORE', `the control store in ${place.home} belongs to another user`, {
      hint: 'Run as the user who made it, or give a control store of your own with --control.',
      cause,
    });
  }
};

interface Seen {
  readonly admitted: boolean;
  readonly watched: boolean;
  readonly data: string;
  /** The lock file in the folder that the server works in. */
  readonly lockfile: string | null;
}

const look = async (client: pg.Client): Promise<Seen> => {
  const { rows } = await client.query<Seen>(
    `select pg_try_advisory_lock_shared(${userLock}) as admitted, current_setting('data_directory') as data,
       pg_read_file('postmaster.pid', 0, 4096, true) as lockfile, ${watched} as watched`,
  );
  return rows[0]!;
};

/** A copied folder has the lock file of the original's server; a moved folder has its own server under the old name. */
const isStoreOf = (place: Place, seen: Seen): boolean => {
  if (seen.data === place.data) return true;
  if (!existsSync(seen.data)) {
    const folder = workingFolder(Number(seen.lockfile?.split('\n')[0]));
    if (folder !== undefined) return folder === place.data;
    return seen.lockfile === readFileSync(join(place.data, 'postmaster.pid'), 'utf8');
  }
  const [a, b] = [statSync(seen.data), statSync(place.data)];
  return a.ino === b.ino && a.dev === b.dev;
};

/** Connects to the server that runs, as one of its users; throws `noStore` when there is none, or it is about to end. */
const enter = async (place: Place, graceMs: number, o: Cancel): Promise<pg.Client> => {
  const password = readPassword(place);
  const server = readPostmaster(place.data);
  if (!server?.ready) throw noStore;
  const client = new pg.Client({
    host: '127.0.0.1',
    port: server.port,
    user: serverLogin,
    password,
    database: 'postgres',
    application_name: 'lockstep',
    ssl: false,
    keepAlive: true,
    connectionTimeoutMillis: 15_000,
  });
  try {
    await connectClient(client, `embedded, ${place.home}`, o);
  } catch (error) {
    // Nobody or somebody else answers on that port, or the server is starting or ending.
    if (o.signal.aborted || !(error instanceof LockstepError)) throw error;
    throw noStore;
  }
  const seen = await look(client).catch(() => undefined);
  if (!seen?.admitted || !isStoreOf(place, seen)) {
    await client.end().catch(() => {});
    throw noStore;
  }
  if (!seen.watched) startWatcher(place, graceMs);
  return client;
};

/** The process that ends the server after its last user; it ends by itself when there is one already. */
const startWatcher = (place: Place, graceMs: number): void => {
  const script = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './watch.ts' : './watch.js', import.meta.url));
  const child = spawn(process.execPath, [script, place.store, String(graceMs)], {
    cwd: '/',
    detached: true,
    stdio: 'ignore',
    env: { PATH: process.env['PATH'] },
  });
  child.once('error', () => {});
  child.unref();
};

/** The address of the embedded server of a folder, with its password. Somebody must be using it: then it stays. */
export const embeddedUrl = async (dir: string): Promise<string> => {
  const place = await findPlace(dir);
  const server = existsSync(place.data) ? readPostmaster(place.data) : undefined;
  if (server?.ready)
    return `postgres://${serverLogin}:${encodeURIComponent(readPassword(place))}@127.0.0.1:${server.port}/postgres?sslmode=disable`;
  throw new LockstepError('STORE', `the embedded control store in ${place.home} is not running`);
};

/**
 * The embedded store of a folder as it is now, without making or starting anything; undefined: it is not made yet. Without
 * a connector its server does not run. There is one connection.
 */
export const embeddedAsItIs = async (
  dir: string,
  o: Cancel,
): Promise<{ readonly description: string; readonly connector?: Connector } | undefined> => {
  const outer = join(dir, '.lockstep');
  if (!['store', 'location'].some((name) => existsSync(join(outer, name)))) return undefined;
  const place = await findPlace(dir);
  if (!existsSync(place.data)) return undefined;
  const description = `embedded, ${place.home}`;
  try {
    const client = await enter(place, usualGraceMs, o);
    return { description, connector: { description, connect: async () => client } };
  } catch (error) {
    if (error === noStore) return { description };
    throw error;
  }
};

/**
 * Connections to the embedded server of a folder, which is started by whoever comes first. Every connection is a user
 * of it (a shared advisory lock); without users for `graceMs` it ends.
 */
export const embeddedConnector = async (
  dir: string,
  o: { readonly clock: Clock; readonly graceMs?: number },
): Promise<Connector> => {
  const place = await findPlace(dir);
  const graceMs = o.graceMs ?? usualGraceMs;
  const attempt = async (c: Cancel): Promise<pg.Client | undefined> => {
    try {
      return await enter(place, graceMs, c);
    } catch (error) {
      if (error === noStore) return undefined;
      throw error;
    }
  };
  const start = async (c: Cancel): Promise<void> => {
    try {
      await exclusively(place.lock, o.clock, c, () => startServer(place, o.clock, c));
    } catch (error) {
      c.signal.throwIfAborted();
      throw pathError(error, place.home);
    }
  };
  return {
    description: `embedded, ${place.home}`,
    connect: async (c) => {
      for (let tries = 0; ; tries++) {
        const client = await attempt(c);
        if (client) return client;
        const server = existsSync(place.data) ? readPostmaster(place.data) : undefined;
        if (tries > 0 && server && isServerOf(server.pid, place.data)) await o.clock.sleep(25, c.signal);
        if (tries > 4000)
          throw new LockstepError('STORE', `the embedded control store in ${place.home} does not answer`, {
            hint: `See ${place.log}.`,
          });
        await start(c);
      }
    },
    leave: async (client) => {
      const { rows } = await client.query<{ watched: boolean }>(`select ${watched} as watched`);
      if (!rows[0]?.watched) startWatcher(place, graceMs);
    },
  };
};
