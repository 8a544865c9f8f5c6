import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../src/store/embedded/cluster.ts';

const run = promisify(execFile);
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
  return {
    server,
    libraries: root === '' ? [] : [...globSync(`${root}/usr/lib/*-linux-gnu`), ...globSync(`${root}/lib/*-linux-gnu`)],
  };
};

/** `apt-get download` into a folder; without package lists they are fetched first, into folders of our own. */
const download = async (packages: readonly string[], into: string): Promise<void> => {
  const privately = [
    ...['-o', `Dir::State=${into}/apt/state`, '-o', `Dir::Cache=${into}/apt/cache`],
    ...['-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User='],
  ];
  try {
    await run('apt-get', ['-o', 'APT::Sandbox::User=', 'download', ...packages], { cwd: into });
  } catch {
    for (const dir of ['state/lists/partial', 'cache/archives/partial'])
      mkdirSync(join(into, 'apt', dir), { recursive: true });
    await run('apt-get', [...privately, 'update'], { cwd: into });
    await run('apt-get', [...privately, 'download', ...packages], { cwd: into });
  }
};

const extract = async (into: string, root: string): Promise<readonly string[]> => {
  const needed: string[] = [];
  for (const file of readdirSync(into).filter((name) => name.endsWith('.deb'))) {
    const { stdout } = await run('dpkg-deb', ['-f', join(into, file), 'Depends']);
    needed.push(...[...stdout.matchAll(/(?:^|, )((?:lib|lua-)[a-z0-9.+-]+)/g)].map((m) => m[1]!));
    await run('dpkg-deb', ['-x', join(into, file), root]);
    rmSync(join(into, file));
  }
  return [...new Set(needed)].filter((name) => !/^lib(c6|gcc|stdc)/.test(name));
};

const complete = async (b: Binaries): Promise<boolean> => {
  const { stdout } = await run('ldd', [b.server], { env: environment(b) });
  return !stdout.includes('not found');
};

const environment = (b: Binaries): NodeJS.ProcessEnv =>
  b.libraries.length === 0 ? process.env : { ...process.env, LD_LIBRARY_PATH: b.libraries.join(':') };

/** Downloads and extracts the Debian packages into the project's cache: nothing is installed, no root is needed. */
const fromDebian = async (): Promise<Binaries> => {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'making-'));
  const root = join(work, 'root');
  try {
    // the server is in the package of the tools, under another name
    await download(['redis-server', 'redis-tools'], work);
    const needed = await extract(work, root);
    const found = inRoot(root);
    if (found === undefined) throw new Error('the package redis-server holds no server');
    if (!(await complete(found))) {
      await download(needed, work);
      await extract(work, root);
      if (!(await complete(inRoot(root)!))) throw new Error('Redis lacks libraries');
    }
    try {
      renameSync(root, join(cache, 'root'));
    } catch {
      // Another process was faster; its files are the same.
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return inRoot(join(cache, 'root'))!;
};

/** URL of a server for tests. */
const variable = 'LOCKSTEP_TEST_REDIS_URL';

/** Undefined where none can be had, with one loud line; an error in CI. */
export const redisBinaries = async (): Promise<Binaries | undefined> => {
  try {
    return inRoot('') ?? inRoot(join(cache, 'root')) ?? (await fromDebian());
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
