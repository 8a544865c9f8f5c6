import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../src/store/embedded/cluster.ts';
import { fromDebian } from './debian.ts';

const run = promisify(execFile);
const cache = join(import.meta.dirname, '../../.cache/nginx');
const inRoot = (root: string): string | undefined =>
  [`${root}/usr/sbin/nginx`, `${root}/usr/local/sbin/nginx`].find((file) => existsSync(file));

/** The machine's nginx, the cache's, or one fetched now. Undefined where none can be had, with one loud line; an error in CI. */
export const nginxBinary = async (): Promise<string | undefined> => {
  try {
    const file =
      inRoot('') ?? inRoot(join(cache, 'root')) ?? (await fromDebian(cache, ['nginx'], inRoot, async () => true));
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
