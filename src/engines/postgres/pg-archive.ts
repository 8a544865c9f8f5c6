import { type ChildProcess, spawn } from 'node:child_process';
import { pipeline } from 'node:stream/promises';
import type { ConnectionOptions } from 'node:tls';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { PostgresConfig } from './config.ts';
import { passwordFromFile } from './passfile.ts';
import { openDoor } from './pg-door.ts';

/** How PostgreSQL's programs reach a database. */
export interface PgPlace {
  readonly config: PostgresConfig;
  readonly tls: ConnectionOptions | undefined;
  /** As messages name it. */
  readonly name: string;
}

const mostWords = 4000;

/** What a program finds its server by; nothing else of our surroundings that starts with PG. */
const surroundings = async ({ config }: PgPlace, host: string): Promise<NodeJS.ProcessEnv> => {
  const rest = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'));
  const kept = config.password ?? process.env['PGPASSWORD'];
  const found = kept === undefined ? await passwordFromFile(config) : undefined;
  const password = kept ?? (found !== undefined && 'password' in found ? found.password : undefined);
  return {
    ...Object.fromEntries(rest),
    LC_ALL: 'C',
    PGHOST: host,
    PGPORT: String(config.port),
    PGUSER: config.user,
    PGDATABASE: config.database,
    PGSSLMODE: 'disable',
    PGGSSENCMODE: 'disable',
    PGAPPNAME: config.applicationName,
    PGCONNECT_TIMEOUT: String(Math.max(2, Math.ceil(config.connectTimeoutMs / 1000))),
    ...(password === undefined ? {} : { PGPASSWORD: password }),
  };
};

interface Started {
  readonly child: ChildProcess;
  /** Its last words, once it has ended: undefined when it ended well. */
  readonly ended: Promise<string | undefined>;
}

const start = (program: string, args: readonly string[], env: NodeJS.ProcessEnv, o: Cancel): Started => {
  const child = spawn(program, args, { env, signal: o.signal, stdio: ['pipe', 'pipe', 'pipe'] });
  let words = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-mostWords);
  });
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, killed) =>
      resolve(code === 0 ? undefined : words.trim() || `it ended with ${killed ?? code}`),
    );
  });
  return { child, ended };
};

const failed = (place: PgPlace, program: string, words: string): LockstepError =>
  /permission denied|must be (?:superuser|owner)|not allowed/i.test(words)
    ? new LockstepError('PRIVILEGE', `${place.name}: ${program} may not: ${words}`, {
        hint: 'Use an account that may read (or make) all of the database.',
        side: place.name,
      })
    : new LockstepError('DATABASE', `${place.name}: ${program} failed: ${words}`, { side: place.name });

/** The whole database (or these schemas) as pg_dump's custom format, of a snapshot that a session holds open. */
export const readArchive = async function* (
  place: PgPlace,
  program: string,
  what: { readonly snapshot: string; readonly schemas?: readonly string[] },
  o: Cancel,
): AsyncGenerator<Buffer, void, undefined> {
  await using door = await openDoor(place.config, place.tls);
  const schemas = what.schemas?.map((name) => `--schema="${name.replaceAll('"', '""')}"`) ?? [];
  const args = ['--format=custom', '--compress=0', '--no-password', `--snapshot=${what.snapshot}`, ...schemas];
  const { child, ended } = start(program, args, await surroundings(place, door.host), o);
  try {
    for await (const piece of child.stdout!) yield piece as Buffer;
    const words = await ended;
    o.signal.throwIfAborted();
    if (words !== undefined) throw failed(place, 'pg_dump', words);
  } finally {
    child.kill();
    await ended;
  }
};

/** Restores such an archive, in one transaction, into the database of `place`. */
export const writeArchive = async (
  place: PgPlace,
  program: string,
  archive: AsyncIterable<Buffer>,
  o: Cancel,
): Promise<void> => {
  await using door = await openDoor(place.config, place.tls);
  const args = ['--single-transaction', '--exit-on-error', '--no-owner', '--no-privileges', '--no-password'];
  const env = await surroundings(place, door.host);
  const { child, ended } = start(program, [...args, `--dbname=${place.config.database}`], env, o);
  child.stdout!.resume();
  try {
    // One that ends early says itself why.
    const fed = pipeline(archive, child.stdin!).catch((error: unknown) => {
      if (!['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    });
    const [words] = await Promise.all([ended, fed]);
    o.signal.throwIfAborted();
    if (words !== undefined) throw failed(place, 'pg_restore', words);
  } finally {
    child.kill();
    await ended;
  }
};
