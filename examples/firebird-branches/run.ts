/** The story of this example, told by running it. Every command is the one a user would type. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseEnv, promisify } from 'node:util';
import pg from 'pg';
import { parseConfig } from '../../src/engines/firebird/config.ts';
import { clusterUrl, freePort, initCluster, startCluster, stopCluster } from '../../src/store/embedded/cluster.ts';
import { startFirebird } from '../../test/servers/firebird.ts';
import { firebirdBinaries } from '../../test/servers/firebird-binaries.ts';

const here = dirname(import.meta.filename);
const launcher = join(here, '../../src/main.ts');
const say = (text: string): void => console.log(`\n\x1b[1m${text}\x1b[0m`);

/** Runs one command in the example's folder, shows it as typed, and insists on the exit code the story promises. */
const lockstep = async (folder: string, args: readonly string[], promised: number): Promise<void> => {
  console.log(`\n$ lockstep ${args.join(' ')}`);
  const child = spawn(process.execPath, [launcher, ...args], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
  const code = await new Promise<number>((resolve) => child.once('exit', (exit) => resolve(exit ?? 1)));
  if (code !== promised) throw new Error(`lockstep ${args[0]} ended with ${code}, not ${promised}`);
};

const folder = mkdtempSync(join(tmpdir(), 'lockstep-branches-'));
chmodSync(folder, 0o755);
await using own = new AsyncDisposableStack();
own.defer(() => rmSync(folder, { recursive: true, force: true }));

const file = join(here, '.env');
const given = { ...(existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {}), ...process.env };

/** The two branches that were configured, or two databases of a Firebird that is started now; and its isql. */
const branches = async () => {
  const { NORTH_URL: north, SOUTH_URL: south } = given;
  if (north && south) {
    const { isql, libraries, home } = await firebirdBinaries();
    const paths = libraries.length === 0 ? {} : { LD_LIBRARY_PATH: libraries.join(':') };
    return { north, south, isql, env: { ...process.env, ...paths, FIREBIRD_MSG: home } };
  }
  const server = own.use(await startFirebird());
  const made = { north: `${server.url}/north.fdb`, south: `${server.url}/south.fdb` };
  for (const url of Object.values(made)) {
    const { user, password, database, host, port } = parseConfig(url);
    const script = `create database '${host}/${port}:${database}' user '${user}' password '${password}' default character set UTF8;`;
    const creating = promisify(execFile)(server.binaries.isql, ['-quiet', '-bail'], { env: server.env });
    creating.child.stdin!.end(script);
    await creating;
  }
  return { ...made, isql: server.binaries.isql, env: server.env };
};

/** The PostgreSQL that was configured, or one that is started now. */
const control = async (): Promise<string> => {
  if (given['CONTROL_URL']) return given['CONTROL_URL'];
  const admin = { user: 'postgres', password: 'admin' };
  const dataDir = join(folder, 'server');
  await initCluster(dataDir, admin);
  const cluster = await startCluster(dataDir, { ...admin, port: await freePort(), settings: { fsync: 'off' } });
  own.defer(() => stopCluster(cluster, 'immediate'));
  return clusterUrl(cluster, 'postgres');
};

const { north, south, isql, env } = await branches();
const controlUrl = await control();

/** Runs SQL in a branch, as its people would. */
const inBranch = async (url: string, sql: string): Promise<void> => {
  const { host, port, user, password, database } = parseConfig(url);
  const login = ['-user', user, '-password', password ?? ''];
  const running = promisify(execFile)(
    isql,
    ['-quiet', '-bail', '-charset', 'UTF8', ...login, `${host}/${port}:${database}`],
    { env },
  );
  running.child.stdin!.end(sql);
  await running;
};

interface Difference {
  readonly change: string;
  readonly source_table: string;
  readonly key: unknown;
  readonly cells: unknown;
}

/** Asks the control PostgreSQL, and shows what it says. */
const ask = async (sql: string): Promise<readonly Difference[]> => {
  console.log(`\n${sql.trim()}`);
  const client = new pg.Client({ connectionString: controlUrl });
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  const shown = (cell: unknown): unknown => (cell instanceof Date ? cell.toISOString() : cell);
  const lines = rows.map((row) =>
    Object.values(row as object)
      .map((cell) => (typeof cell === 'string' ? cell : JSON.stringify(shown(cell))))
      .join(' | '),
  );
  console.log(`${lines.map((line) => `  ${line}\n`).join('')}  (${rows.length} rows)`);
  return rows as readonly Difference[];
};
const differences = readFileSync(join(here, 'differences.sql'), 'utf8');

say('Two branches with the same 1,000 customers and 500 prices');
for (const url of [north, south]) await inBranch(url, readFileSync(join(here, 'schema.sql'), 'utf8'));
cpSync(join(here, 'lockstep.yaml'), join(folder, 'lockstep.yaml'));
writeFileSync(join(folder, '.env'), `NORTH_URL="${north}"\nSOUTH_URL="${south}"\nCONTROL_URL="${controlUrl}"\n`);
await lockstep(folder, ['check'], 0);

say('Without a configuration, the noise of LAST_SEEN covers everything');
await lockstep(folder, ['diff', 'north', 'south', 'CUSTOMERS', '--limit', '2'], 2);

say('The sync leaves it out: the branches agree');
await lockstep(folder, ['diff', 'branches'], 0);
assert.deepEqual(await ask(differences), []);

say('In the north somebody inserts, edits and deletes a row');
await inBranch(
  north,
  `insert into CUSTOMERS (ID, NAME, CITY, CREDIT_LIMIT) values (1001, 'Zoë Müller', 'Łódź', 250);
   update PRICES set PRICE = 19.9049 where ARTICLE = 'A0000042' and REGION = 'EU';
   delete from CUSTOMERS where ID = 7;
   update CUSTOMERS set LAST_SEEN = current_timestamp;
   commit;`,
);
await lockstep(folder, ['diff', 'branches'], 2);
const three = await ask(differences);
assert.deepEqual(
  three.map(({ change, source_table, key }) => ({ change, source_table, key })),
  [
    { change: 'deleted', source_table: 'CUSTOMERS', key: { ID: '7' } },
    { change: 'modified', source_table: 'PRICES', key: { ARTICLE: 'A0000042', REGION: 'EU' } },
    { change: 'new', source_table: 'CUSTOMERS', key: { ID: '1001' } },
  ],
);
assert.deepEqual(three[1]!.cells, { PRICE: { source: '19.9049', target: '42.99' } });

say('The south takes the price over: two are left, and the third is history');
await inBranch(south, "update PRICES set PRICE = 19.9049 where ARTICLE = 'A0000042' and REGION = 'EU'; commit;");
await lockstep(folder, ['diff', 'branches'], 2);
assert.equal((await ask(differences)).length, 2);
const gone = await ask(
  "select change, source_table, key, cells, gone_at from lockstep_control.difference_history where sync = 'branches' and gone_at is not null",
);
assert.equal(gone.length, 1);
await ask(
  "select compared_at, verdict, new_rows, modified_rows, deleted_rows from lockstep_control.comparisons where sync = 'branches' order by compared_at",
);
