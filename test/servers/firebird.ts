import { execFile, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { parseConfig } from '../../src/engines/firebird/config.ts';
import { openConnection } from '../../src/engines/firebird/connect.ts';
import { driverConnection } from '../../src/engines/firebird/driver.ts';
import { type RawRow, Session, type SqlQuery } from '../../src/engines/firebird/session.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { freePort } from '../../src/store/embedded/cluster.ts';
import { type FirebirdBinaries, firebirdBinaries, relocated } from './firebird-binaries.ts';

const run = promisify(execFile);
const login = { user: 'SYSDBA', password: 'masterkey' };

export interface FirebirdServer extends AsyncDisposable {
  /** `firebird://SYSDBA:…@127.0.0.1:port/folder`: databases of the tests are made in that folder. */
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  readonly binaries: FirebirdBinaries;
  /** What the tools of the server need around them. */
  readonly env: NodeJS.ProcessEnv;
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

const template = 'template.fdb';

const isql = async (binaries: FirebirdBinaries, env: NodeJS.ProcessEnv, sql: string): Promise<void> => {
  const running = run(binaries.isql, ['-quiet', '-user', login.user], { env });
  running.child.stdin!.end(sql);
  await running;
};

/** An empty database that does not wait for the disk: copying it is ten times faster than making another. */
const makeTemplate = async (binaries: FirebirdBinaries, dir: string, env: NodeJS.ProcessEnv): Promise<void> => {
  const path = join(dir, template);
  await isql(binaries, env, `create database '${path}' page_size 16384; commit;`);
  await run(join(dirname(binaries.gbak), 'gfix'), ['-user', login.user, '-write', 'async', path], { env });
};

/** Starts a server of its own in a temporary folder, on a free port of this machine only. */
export const startFirebird = async (settings: Readonly<Record<string, string>> = {}): Promise<FirebirdServer> => {
  const found = await firebirdBinaries();
  // A short name: it takes the place of a path in the binaries.
  const dir = mkdtempSync(join(tmpdir().length > 12 ? '/tmp' : tmpdir(), 'lockstep-fb-'));
  const home = join(dir, 'home');
  const port = await freePort();
  for (const folder of ['lock', 'data', 'sort']) mkdirSync(join(dir, folder));
  const binaries = relocated(found, home);
  const security = join(dir, 'security.fdb');
  const conf: Readonly<Record<string, string>> = {
    RemoteServicePort: String(port),
    RemoteBindAddress: '127.0.0.1',
    SecurityDatabase: security,
    AuthServer: 'Srp',
    UserManager: 'Srp',
    WireCrypt: 'Enabled',
    ServerMode: 'Super',
    DatabaseAccess: 'Full',
    DefaultDbCachePages: '4096',
    TempDirectories: join(dir, 'sort'),
    TempCacheLimit: '134217728',
    ...settings,
  };
  const text = Object.entries(conf).map(([name, value]) => `${name} = ${value}\n`);
  writeFileSync(join(home, 'firebird.conf'), text.join(''));
  writeFileSync(join(home, 'databases.conf'), `security.db = ${security}\n`);
  writeFileSync(join(home, 'plugins.conf'), '');
  const env = {
    ...process.env,
    FIREBIRD: home,
    FIREBIRD_MSG: home,
    FIREBIRD_LOCK: join(dir, 'lock'),
    FIREBIRD_TMP: join(dir, 'sort'),
    ...(binaries.libraries.length === 0 ? {} : { LD_LIBRARY_PATH: binaries.libraries.join(':') }),
  };
  const users = `create database '${security}' page_size 8192; commit; create or alter user ${login.user} password '${login.password}' using plugin Srp; commit;`;
  await isql(binaries, env, users);
  await makeTemplate(binaries, join(dir, 'data'), env);
  // The shell ends the server when its input ends: with the process that started it, however that ends.
  const script = 'trap "" TERM INT HUP; "$0" & pid=$!; read -r _; kill -9 $pid; rm -rf "$1"';
  const server = spawn('sh', ['-c', script, binaries.firebird, dir], {
    env,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  const until = Date.now() + 20_000;
  while (!(await answers(port))) {
    if (Date.now() > until) {
      server.stdin.end();
      throw new Error(`Firebird did not start (${binaries.firebird})`);
    }
    await setTimeout(20);
  }
  // who forgets it may end all the same; the server then goes with the process
  server.unref();
  (server.stdin as unknown as { unref(): void }).unref();
  return {
    url: `firebird://${login.user}:${login.password}@127.0.0.1:${port}/${join(dir, 'data')}`,
    port,
    dir,
    binaries,
    env,
    [Symbol.asyncDispose]: async () => {
      server.ref();
      server.stdin.end();
      await ended;
    },
  };
};

/** URL of a server's folder for tests; `none`: there is no server, and `npm test` has said so. */
export const firebirdVariable = 'LOCKSTEP_TEST_FIREBIRD_URL';

/** No server can be had: what needs one is left out. */
export const isFirebirdMissing = process.env[firebirdVariable] === 'none';

let own: Promise<FirebirdServer> | undefined;

/** The server of this file's own, where no other is given. */
export const ownFirebird = (): Promise<FirebirdServer> => (own ??= startFirebird());

/** URL of the tests' server and folder: the variable's (as `npm test` sets it), else that of a server started for this file. */
export const firebirdUrl = async (): Promise<string> => process.env[firebirdVariable] || (await ownFirebird()).url;

let counter = 0;

export interface FirebirdDatabase extends AsyncDisposable {
  readonly url: string;
  /** Runs statements in one transaction of a connection of its own, committed when it returns; rows of the last one. */
  run(...statements: readonly (string | SqlQuery)[]): Promise<RawRow[]>;
  /** Closes that connection: a tool may want the database for itself. The next `run` opens another. */
  away(): Promise<void>;
}

const patient = new AbortController().signal;
const at = { signal: patient, doing: 'preparing a test' };

/** A connection that the engine's own code does not hold: for what tests do beside it. */
const openSession = async (url: string): Promise<Session> => {
  const config = parseConfig(url);
  const context = { name: 'test', config, clock: systemClock, statementTimeoutMs: undefined };
  return new Session(context, await openConnection(config, 'test', patient));
};

const createDatabase = async (url: string, options: object): Promise<void> => {
  const { host, port, user, password, database } = parseConfig(url);
  const o = { user, password, database, encoding: 'UTF8', isPool: true, pageSize: 16_384, ...options };
  const Connection = driverConnection();
  await new Promise<void>((resolve, reject) => {
    const c = new Connection(
      host,
      port,
      (error) => {
        if (error) return reject(error);
        c.connect(o, (refused) => {
          if (refused) return reject(refused);
          const creating = c as unknown as { createDatabase(o: object, done: (e: unknown) => void): void };
          creating.createDatabase(o, (failed) => {
            if (failed) return reject(failed);
            c.detach(() => {
              c._socket.destroy();
              resolve();
            });
          });
        });
      },
      o,
    );
  });
};

/** Drops it as soon as nobody is connected any more. */
const dropDatabase = async (url: string): Promise<void> => {
  const config = parseConfig(url);
  const connection = await openConnection(config, 'test', patient);
  const dropping = connection as unknown as { dropDatabase(done: (e: unknown) => void): void };
  // In use still (a test that failed): the server's folder goes in the end anyway.
  await new Promise<void>((resolve) => dropping.dropDatabase(() => resolve()));
  connection._socket.destroy();
};

/** A fresh empty database on the tests' server; dropped when disposed. */
export const firebirdDatabase = async (): Promise<FirebirdDatabase> => {
  const base = await firebirdUrl();
  const name = `t_${process.pid}_${Date.now().toString(36)}_${counter++}.fdb`;
  const url = `${base}/${name}`;
  // A server of another machine has no template.
  const folder = parseConfig(base).database;
  if (existsSync(join(folder, template))) copyFileSync(join(folder, template), join(folder, name));
  else await createDatabase(url, {});
  let session: Promise<Session> | undefined;
  return {
    url,
    run: async (...statements) => {
      session ??= openSession(url);
      const s = await session;
      let rows: RawRow[] = [];
      await s.begin('write', at);
      try {
        for (const statement of statements) rows = await s.query(statement, at);
        await s.commit(at);
      } finally {
        await s.rollback();
      }
      return rows;
    },
    away: async () => {
      await (await session)?.[Symbol.asyncDispose]();
      session = undefined;
    },
    [Symbol.asyncDispose]: async () => {
      await (await session)?.[Symbol.asyncDispose]();
      await dropDatabase(url);
    },
  };
};
