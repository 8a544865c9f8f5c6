import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import { binaries } from './binaries.ts';
import { freePort, initCluster } from './cluster.ts';
import { type Place, pathError } from './place.ts';
import { isAlive, isServerOf, readPostmaster } from './postmaster.ts';

export const serverLogin = 'lockstep';

const settings: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '64MB',
  // one server per project, often beside the databases that are compared: small, and never parallel
  max_parallel_workers_per_gather: '0',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_wal_size: '512MB',
  wal_compression: 'on',
  jit: 'off',
  log_checkpoints: 'off',
  timezone: 'UTC',
};

const tail = (log: string, from = 0): readonly string[] => {
  try {
    return readFileSync(log, 'utf8').slice(from).trim().split('\n').slice(-5);
  } catch {
    return [];
  }
};

const failed = (place: Place, why: string, details: readonly string[] = []): LockstepError =>
  new LockstepError('STORE', `the embedded control store in ${place.home} ${why}`, {
    hint: `Its log is ${place.log}. Or give a PostgreSQL of your own: --control postgres://…`,
    details,
  });

/** Makes the cluster aside and moves it to its place whole: what is there is always complete. */
const initialise = async (place: Place): Promise<void> => {
  const parent = dirname(place.store);
  for (const name of readdirSync(parent)) {
    if (name.startsWith(`${basename(place.store)}.new-`)) rmSync(join(parent, name), { recursive: true, force: true });
  }
  const fresh = `${place.store}.new-${randomBytes(4).toString('hex')}`;
  try {
    mkdirSync(fresh, { mode: 0o700 });
    const password = randomBytes(24).toString('base64url');
    writeFileSync(join(fresh, 'password'), password, { mode: 0o600 });
    if (place.as) for (const path of [fresh, join(fresh, 'password')]) chownSync(path, place.as.uid, place.as.gid);
    await initCluster(join(fresh, 'data'), {
      user: serverLogin,
      password,
      sync: true,
      ...(place.as ? { as: place.as } : {}),
    });
    renameSync(fresh, place.store);
  } catch (cause) {
    rmSync(fresh, { recursive: true, force: true });
    const { stderr } = cause as { readonly stderr?: string };
    if (typeof stderr !== 'string') throw pathError(cause, place.home);
    if (/No space left|disk full/i.test(stderr)) throw pathError({ code: 'ENOSPC' }, place.home);
    throw failed(place, 'could not be created', stderr.trim().split('\n').slice(-5));
  }
};

/** Refuses data of another major version of PostgreSQL, which this one cannot read. */
const checkVersion = (place: Place, major: string): void => {
  const found = readFileSync(join(place.data, 'PG_VERSION'), 'utf8').trim();
  if (found === major) return;
  const newer = Number(found) > Number(major);
  throw new LockstepError(
    newer ? 'STORE_NEWER' : 'STORE',
    `the control store in ${place.home} was written by PostgreSQL ${found}, this Lockstep brings PostgreSQL ${major}`,
    {
      hint: newer
        ? 'Use the newer Lockstep that wrote it, or give a control store with --control.'
        : 'Use the Lockstep that wrote it, or move the .lockstep folder away to begin with an empty store (the history stays in the folder).',
    },
  );
};

const maxLog = 10 * 1024 * 1024;

/** Starts the server in a session of its own and waits until it is ready. False: try again (a port or a child of the
 * last one was in the way, or it was killed and `again` allows for that). */
const launch = async (place: Place, clock: Clock, again: boolean, o: Cancel): Promise<boolean> => {
  const { postgres, major } = await binaries(place.as);
  checkVersion(place, major);
  const size = existsSync(place.log) ? statSync(place.log).size : 0;
  if (size > maxLog) renameSync(place.log, `${place.log}.1`);
  const from = size > maxLog ? 0 : size;
  const log = openSync(place.log, 'a', 0o600);
  if (place.as) chownSync(place.log, place.as.uid, place.as.gid);
  const port = await freePort();
  const child = spawn(
    postgres,
    [
      '-D',
      place.data,
      '-p',
      String(port),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    {
      ...place.as,
      cwd: '/',
      detached: true,
      stdio: ['ignore', log, log],
      env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
    },
  );
  closeSync(log);
  child.unref();
  let ended: string | undefined;
  child.once('error', (error) => (ended = error.message));
  let killed = false;
  child.once('exit', (code, signal) => {
    ended = `ended with ${signal ?? code}`;
    killed = signal !== null;
  });
  while (ended === undefined) {
    const server = readPostmaster(place.data);
    if (server?.ready && server.pid === child.pid) return true;
    await clock.sleep(10, o.signal);
  }
  const said = tail(place.log, from);
  const text = said.join('\n');
  if (killed && again) return false;
  if (/still in use|could not bind|Address already in use|could not create any TCP/i.test(text)) return false;
  if (/No space left on device/i.test(text)) throw pathError({ code: 'ENOSPC' }, place.home);
  throw failed(place, `did not start (${ended})`, said);
};

/** How long a server may take to start (recovery after a crash included) or to end. */
const patienceMs = 120_000;

/**
 * Makes sure that the server runs. Only one process may be here at a time (see `exclusively`): it waits for a server
 * that is just starting or ending, clears the lock file of one that is gone, and starts a new one.
 */
export const startServer = async (place: Place, clock: Clock, o: Cancel): Promise<void> => {
  if (!existsSync(place.store)) await initialise(place);
  const start = clock.elapsed();
  let launches = 0;
  for (;;) {
    const server = readPostmaster(place.data);
    if (server && isServerOf(server.pid, place.data)) {
      if (server.ready) return;
    } else {
      // The number is a stranger's now. (A dead one is the server's own to judge, with what its file says of shared memory.)
      if (server && isAlive(server.pid)) rmSync(join(place.data, 'postmaster.pid'), { force: true });
      if (await launch(place, clock, launches++ < 5, o)) return;
    }
    if (clock.elapsed() - start > patienceMs) {
      throw failed(
        place,
        `is not ready after ${patienceMs / 1000} s${server ? ` (process ${server.pid})` : ''}`,
        tail(place.log),
      );
    }
    await clock.sleep(50, o.signal);
  }
};
