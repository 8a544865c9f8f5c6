import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../src/store/embedded/cluster.ts';

const run = promisify(execFile);
const cache = join(import.meta.dirname, '../../.cache/nginx');
const inRoot = (root: string): string | undefined =>
  [`${root}/usr/sbin/nginx`, `${root}/usr/local/sbin/nginx`].find((file) => existsSync(file));

/** Downloads and extracts the Debian package into the project's cache: nothing is installed, no root is needed. */
const fromDebian = async (): Promise<string> => {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'making-'));
  try {
    const own = ['-o', `Dir::State=${work}/apt/state`, '-o', `Dir::Cache=${work}/apt/cache`];
    const options = [...own, '-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', 'APT::Sandbox::User='];
    try {
      await run('apt-get', ['-o', 'APT::Sandbox::User=', 'download', 'nginx'], { cwd: work });
    } catch {
      for (const dir of ['state/lists/partial', 'cache/archives/partial'])
        mkdirSync(join(work, 'apt', dir), { recursive: true });
      await run('apt-get', [...options, '-o', 'Debug::NoLocking=1', 'update'], { cwd: work });
      await run('apt-get', [...options, 'download', 'nginx'], { cwd: work });
    }
    const deb = readdirSync(work).find((file) => file.endsWith('.deb'))!;
    await run('dpkg-deb', ['-x', join(work, deb), join(work, 'root')]);
    try {
      renameSync(join(work, 'root'), join(cache, 'root'));
    } catch {
      // Another process was faster; its files are the same.
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const found = inRoot(join(cache, 'root'));
  if (found === undefined) throw new Error('the package nginx holds no server');
  return found;
};

/** The machine's nginx, the cache's, or one fetched now. Undefined where none can be had, with one loud line; an error in CI. */
export const nginxBinary = async (): Promise<string | undefined> => {
  try {
    const file = inRoot('') ?? inRoot(join(cache, 'root')) ?? (await fromDebian());
    await run(file, ['-v']);
    return file;
  } catch (error) {
    if (process.env['CI']) throw error;
    console.error(`!!! NO NGINX: its tests do NOT run. ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
};

export interface Nginx extends AsyncDisposable {
  readonly url: string;
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

/**
 * Starts it with the text of a file as deploy/nginx.conf: its port, its temporary folders, and the servers behind it, by name,
 * are the ones given here.
 */
export const startNginx = async (
  binary: string,
  config: string,
  servers: Readonly<Record<string, string>>,
): Promise<Nginx> => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-nginx-'));
  chmodSync(dir, 0o777);
  const port = await freePort();
  let text = config
    .replaceAll('listen 8080', `listen 127.0.0.1:${port}`)
    .replaceAll('/tmp/', `${dir}/`)
    .replaceAll('/dev/stdout', `${dir}/access.log`)
    .replace('worker_processes auto', 'worker_processes 1');
  for (const [name, address] of Object.entries(servers)) text = text.replaceAll(name, address);
  writeFileSync(join(dir, 'nginx.conf'), text);
  const child = spawn(binary, ['-p', dir, '-e', 'stderr', '-c', join(dir, 'nginx.conf'), '-g', 'daemon off;'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (part) => {
    said += part;
  });
  const ended = once(child, 'exit');
  while (!(await listens(port))) if (child.exitCode !== null) throw new Error(`nginx did not start: ${said}`);
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
};
