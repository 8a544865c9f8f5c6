import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/store/embedded/cluster.ts';
import { findsLibraries, fromDebian, librariesIn } from './debian.ts';

const cache = join(import.meta.dirname, '../../.cache/redis');

interface Binaries {
  readonly server: string;
  /** For LD_LIBRARY_PATH; empty where the system finds them by itself. */
  readonly libraries: readonly string[];
}

const inRoot = (root: string): Binaries | undefined => {
  const server = ['usr/bin', 'usr/local/bin', 'opt/homebrew/bin']
    .map((dir) => join(root === '' ? '/' : root, dir, 'redis-server'))
    .find((file) => existsSync(file));
  if (server === undefined) return undefined;
  return { server, libraries: librariesIn(root) };
};

const environment = (b: Binaries): NodeJS.ProcessEnv =>
  b.libraries.length === 0 ? process.env : { ...process.env, LD_LIBRARY_PATH: b.libraries.join(':') };

/** The server is in the package of the tools, under another name. */
const packages = ['redis-server', 'redis-tools'];

/** URL of a server for tests. */
const variable = 'LOCKSTEP_TEST_REDIS_URL';

/** Undefined where none can be had, with one loud line; an error in CI. */
export const redisBinaries = async (): Promise<Binaries | undefined> => {
  try {
    return (
      inRoot('') ??
      inRoot(join(cache, 'root')) ??
      (await fromDebian(cache, packages, inRoot, (b) => findsLibraries([b.server], b.libraries)))
    );
  } catch (error) {
    if (process.env['CI']) throw error;
    console.error(
      `!!! NO REDIS (set ${variable}): its tests do NOT run. ${error instanceof Error ? error.message : error}`,
    );
    return undefined;
  }
};

export interface RedisServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

/** Whether it answers. */
const answers = async (port: number): Promise<boolean> => {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
};

/** The server of the variable, else one of its own, in memory, on this machine only. */
export const startRedis = async (password?: string): Promise<RedisServer | undefined> => {
  const given = process.env[variable];
  if (given) {
    const url = new URL(given);
    return { url: given, port: Number(url.port || 6379), [Symbol.asyncDispose]: async () => {} };
  }
  const binaries = await redisBinaries();
  if (binaries === undefined) return undefined;
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-redis-'));
  const port = await freePort();
  const child = spawn(
    binaries.server,
    [
      ...['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir],
      ...(password === undefined ? [] : ['--requirepass', password]),
    ],
    { stdio: 'ignore', env: environment(binaries) },
  );
  const ended = once(child, 'exit');
  const killed = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', killed);
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`Redis ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  child.unref();
  return {
    url: `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`,
    port,
    [Symbol.asyncDispose]: async () => {
      child.ref();
      child.kill('SIGKILL');
      await ended;
      process.removeListener('exit', killed);
      rmSync(dir, { recursive: true, force: true });
    },
  };
};
