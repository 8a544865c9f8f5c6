/** Many clients at once, by wrk of Debian: one that takes more of the processor than the server would be what is measured. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findsLibraries, fromDebian, librariesIn } from '../test/servers/debian.ts';

const cache = join(import.meta.dirname, '../.cache/wrk');
const script = join(import.meta.dirname, 'records-clients.lua');

interface Binary {
  readonly program: string;
  /** For LD_LIBRARY_PATH; empty where the system finds them by itself. */
  readonly libraries: readonly string[];
}

const inRoot = (root: string): Binary | undefined => {
  const program = join(root === '' ? '/' : root, 'usr/bin/wrk');
  return existsSync(program) ? { program, libraries: librariesIn(root) } : undefined;
};

/** wrk, from the machine or from a Debian package that is extracted into `.cache`. Rejects where there is none. */
export const wrkBinary = async (): Promise<Binary> =>
  inRoot('') ??
  inRoot(join(cache, 'root')) ??
  (await fromDebian(cache, ['wrk'], inRoot, (b) => findsLibraries([b.program], b.libraries)));

/** What clients met. */
export interface Met {
  readonly done: number;
  /** Answers a second. */
  readonly rate: number;
  /** Connections that failed, answers that did not come, and those of status 400 and above. */
  readonly errors: number;
  /** Milliseconds; corrected for requests that would have been sent while one waited. */
  readonly p50: number;
  readonly p99: number;
}

/** So many clients for so many seconds, each with one request after the other. */
export const clients = async (
  { program, libraries }: Binary,
  o: {
    readonly url: string;
    readonly token: string;
    readonly connections: number;
    readonly seconds: number;
    readonly paths: readonly string[];
  },
): Promise<Met> => {
  const { stdout } = await promisify(execFile)(
    program,
    [
      ...['-t1', `-c${o.connections}`, `-d${o.seconds}s`, '--timeout', '30s'],
      ...['-H', `authorization: Bearer ${o.token}`, '--latency', '-s', script, o.url, '--', ...o.paths],
    ],
    { env: libraries.length === 0 ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries.join(':') } },
  );
  return JSON.parse(stdout.slice(stdout.indexOf('{'))) as Met;
};
