/**
 * `npm test [-- FILE ...]`: starts the servers the tests need, runs every test with Node's own runner, stops them.
 * Files given narrow the run. Exits with the runner's code; 1 if no test was found.
 */
import { existsSync, globSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import pg from 'pg';
import { urlConnector } from '../src/store/postgres/connect.ts';
import { openPostgresStore } from '../src/store/postgres/store.ts';
import { firebirdVariable, startFirebird } from '../test/servers/firebird.ts';
import { mariadbVariable, startMariadb } from '../test/servers/mariadb.ts';
import { startPostgres } from '../test/servers/postgres.ts';

const root = join(dirname(import.meta.filename), '..');
const given = process.argv.slice(2);
// Those beside the sources are run by test/beside-sources.test.ts.
const files = given.length > 0 ? given : globSync('test/**/*.test.ts', { cwd: root }).sort();
if (files.length === 0) {
  console.error('no test files found');
  process.exit(1);
}

/** What takes longest comes first, so that no core waits for it in the end; the others by their names. */
const longest = [
  'e2e/examples',
  'pairs',
  'acceptance/sync',
  'apply/crash',
  'e2e/package',
  'e2e/demo',
  'copy/northwind',
].map((name) => join(root, `test/${name}.test.ts`));
const missing = longest.filter((file) => !existsSync(file));
if (missing.length > 0)
  throw new Error(`no such file, though it is named as one of the longest: ${missing.join(', ')}`);
const paths = files.map((file) => resolve(root, file));
const ordered = [...longest.filter((file) => paths.includes(file)), ...paths.filter((file) => !longest.includes(file))];

const external = process.env['LOCKSTEP_TEST_POSTGRES_URL'];
const postgres = external ? undefined : await startPostgres({ wal_level: 'logical', max_prepared_transactions: '10' });
console.error(
  `PostgreSQL for the tests: ${external ? 'LOCKSTEP_TEST_POSTGRES_URL' : 'embedded, started for this run'}`,
);

interface Started extends AsyncDisposable {
  readonly url: string;
}
const started: AsyncDisposable[] = postgres ? [postgres] : [];
const stopAll = async (): Promise<void> => {
  for (const server of started) await server[Symbol.asyncDispose]();
};

/** A server that is no npm package may be out of reach: an error where it counts, one loud line elsewhere. */
const provide = async (name: string, variable: string, start: () => Promise<Started>): Promise<string> => {
  const there = process.env[variable];
  try {
    const server = there ? undefined : await start();
    if (server) started.push(server);
    console.error(`${name} for the tests: ${server ? 'started for this run' : variable}`);
    return server?.url ?? there!;
  } catch (error) {
    console.error(
      `!!! NO ${name.toUpperCase()}: its tests do NOT run. Set ${variable}. ${error instanceof Error ? error.message : error}`,
    );
    if (process.env['CI']) {
      await stopAll();
      process.exit(1);
    }
    return 'none';
  }
};

/** Making the tables of a control store takes longer than copying them; tests of the migrations make their own. */
const makeStoreTemplate = async (url: string): Promise<string> => {
  const name = `lockstep_store_${process.pid}`;
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  started.unshift({
    [Symbol.asyncDispose]: async () => {
      await admin.query(`drop database if exists ${name} with (force)`);
      await admin.end();
    },
  });
  await admin.query(`create database ${name}`);
  const inside = new URL(url);
  inside.pathname = `/${name}`;
  const store = await openPostgresStore(urlConnector(inside.href), { signal: AbortSignal.timeout(60_000) });
  await store[Symbol.asyncDispose]();
  return name;
};
const storeTemplate = await makeStoreTemplate(external ?? postgres!.url());

const mariadb = await provide('MariaDB', mariadbVariable, startMariadb);
const firebird = await provide('Firebird', firebirdVariable, startFirebird);

Object.assign(process.env, {
  // Tests start many processes, and reading the modules is most of a short one.
  NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(root, 'node_modules/.cache/tests'),
  LOCKSTEP_TEST_POSTGRES_URL: external ?? postgres!.url(),
  LOCKSTEP_TEST_STORE_TEMPLATE: storeTemplate,
  [mariadbVariable]: mariadb,
  [firebirdVariable]: firebird,
});
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
// Not `node --test`: that sorts the files by name. Four at once on two cores, since many of them mostly wait.
const events = run({ files: [...ordered], cwd: root, concurrency: 4, timeout: 300_000, signal: stopping.signal });
let code = 1;
events.on('test:summary', ({ file, success }) => {
  if (file === undefined && success) code = 0;
});
for await (const text of events.compose(spec)) if (!stopping.signal.aborted) process.stdout.write(text);
await stopAll();
process.exit(code);
