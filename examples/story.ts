/** What the stories of the examples share: saying what happens, typing commands, and a PostgreSQL of their own. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { runCommandLine } from '../src/cli/run.ts';
import { clusterUrl, freePort, initCluster, startCluster, stopCluster } from '../src/store/embedded/cluster.ts';
import { world } from '../test/cli/in-process.ts';

/** The command line as a program for Node. */
export const launcher = join(dirname(import.meta.filename), '../src/main.ts');

export const say = (text: string): void => console.log(`\n\x1b[1m${text}\x1b[0m`);

/** Fails when what the story says is not so. */
export const insist = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(`the story does not hold: ${what}`);
};

/** A configuration with shorter times: the stories have less patience than their users. Each of them must be in it. */
export const hurried = (config: string, times: Readonly<Record<string, string>>): string =>
  Object.entries(times).reduce((text, [usual, quick]) => {
    insist(text.includes(usual), `the configuration says ${usual}`);
    return text.replace(usual, quick);
  }, config);

/** Runs one command in the folder, within this process: the words and the exit code are those of the program. */
const run = (folder: string, args: readonly string[], out: (text: string) => void): Promise<number> =>
  runCommandLine(args, {
    ...world({ cwd: folder, env: process.env, out, err: (text) => process.stderr.write(text) }),
    command: [process.execPath, launcher],
  });

/** Runs one command in the example's folder, shows it as typed, and insists on the exit code the story promises. */
export const lockstep = async (folder: string, args: readonly string[], promised: number): Promise<void> => {
  console.log(`\n$ lockstep ${args.join(' ')}`);
  const code = await run(folder, args, (text) => process.stdout.write(text));
  insist(code === promised, `lockstep ${args[0]} ends with ${promised}, not ${code}`);
};

/** Runs one command in the folder and gives what it says to programs. */
export const output = async (folder: string, args: readonly string[]): Promise<string> => {
  let text = '';
  const code = await run(folder, args, (part) => {
    text += part;
  });
  insist(code === 0, `lockstep ${args.slice(0, 2).join(' ')} ends with 0, not ${code}`);
  return text.trim();
};

export interface Stage extends AsyncDisposable {
  /** A temporary folder, to type the commands in. */
  readonly folder: string;
  readonly port: number;
  /** Of the user postgres. */
  readonly password: string;
  url(database: string): string;
  query(database: string, sql: string): Promise<readonly Record<string, unknown>[]>;
  /** Ends the server as a crash would; `start` has it again, on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** A temporary folder that servers which run as another user may look into. */
export const openFolder = (name: string): AsyncDisposable & { readonly folder: string } => {
  const folder = mkdtempSync(join(tmpdir(), `lockstep-${name}-`));
  chmodSync(folder, 0o755);
  return {
    folder,
    [Symbol.asyncDispose]: async () => {
      // The embedded control store would end by itself, some seconds after its last user, and write into the folder until then.
      const running = join(folder, '.lockstep/store/data/postmaster.pid');
      if (existsSync(running)) process.kill(Number(readFileSync(running, 'utf8').split('\n')[0]), 'SIGINT');
      for (let n = 0; n < 500 && existsSync(running); n++) await new Promise((resolve) => setTimeout(resolve, 20));
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

/** A temporary folder with an embedded PostgreSQL in it. */
export const openStage = async (name: string): Promise<Stage> => {
  const home = openFolder(name);
  const { folder } = home;
  const admin = { user: 'postgres', password: 'stage-only' };
  const dataDir = join(folder, 'server');
  await initCluster(dataDir, admin);
  const options = { ...admin, port: await freePort(), settings: { fsync: 'off' } };
  let cluster = await startCluster(dataDir, options);
  return {
    folder,
    port: cluster.port,
    password: admin.password,
    url: (database) => clusterUrl(cluster, database),
    query: async (database, sql) => {
      const client = new pg.Client({ connectionString: clusterUrl(cluster, database) });
      await client.connect();
      try {
        const result = (await client.query(sql)) as unknown as pg.QueryResult | pg.QueryResult[];
        return (Array.isArray(result) ? result.at(-1)! : result).rows as Record<string, unknown>[];
      } finally {
        await client.end();
      }
    },
    stop: () => stopCluster(cluster, 'immediate'),
    start: async () => {
      cluster = await startCluster(dataDir, options);
    },
    [Symbol.asyncDispose]: async () => {
      await stopCluster(cluster, 'immediate');
      await home[Symbol.asyncDispose]();
    },
  };
};
