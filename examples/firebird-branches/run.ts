/** The story of this example, told by running it. Every command is the one a user would type. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseEnv, promisify } from 'node:util';
import pg from 'pg';
import { parseConfig } from '../../src/engines/firebird/config.ts';
import { firebirdDatabase } from '../../test/servers/firebird.ts';
import { firebirdBinaries } from '../../test/servers/firebird-binaries.ts';
import { serve, tokenFor, until, worker } from '../service.ts';
import { insist, lockstep, openFolder, openStage, say } from '../story.ts';

const here = dirname(import.meta.filename);
await using own = new AsyncDisposableStack();

const file = join(here, '.env');
const given = { ...(existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {}), ...process.env };

/** The branches that were configured, or databases of a Firebird that is started for it. */
const branch = async (url: string | undefined): Promise<string> => url || own.use(await firebirdDatabase()).url;
const north = await branch(given['NORTH_URL']);
const south = await branch(given['SOUTH_URL']);

/** The PostgreSQL that was configured, or one that is started now. */
const stage = given['CONTROL_URL'] ? undefined : own.use(await openStage('branches'));
const controlUrl = given['CONTROL_URL'] || stage!.url('postgres');
const folder = stage?.folder ?? own.use(openFolder('branches')).folder;

const { isql, libraries, home } = await firebirdBinaries();
const env = {
  ...process.env,
  ...(libraries.length === 0 ? {} : { LD_LIBRARY_PATH: libraries.join(':') }),
  FIREBIRD_MSG: home,
};

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
const inSql = readFileSync(join(here, 'differences.sql'), 'utf8');

say('Two branches with the same 1,000 customers and 500 prices');
const schema = readFileSync(join(here, 'schema.sql'), 'utf8');
await Promise.all([inBranch(north, schema), inBranch(south, schema)]);
writeFileSync(join(folder, '.env'), `NORTH_URL="${north}"\nSOUTH_URL="${south}"\nCONTROL_URL="${controlUrl}"\n`);

say(
  'At first nobody thinks of LAST_SEEN, which every till writes all the time: the configuration does not leave it out',
);
const written = readFileSync(join(here, 'lockstep.yaml'), 'utf8');
const noisy = written.replace(/^ *exclude: \[LAST_SEEN\].*\n/m, '');
insist(noisy !== written, 'lockstep.yaml leaves LAST_SEEN out');
writeFileSync(join(folder, 'lockstep.yaml'), noisy);
await lockstep(folder, ['check'], 0);
const scopes = ['runs:read', 'differences:read', 'differences:read_values'];
const reader = await tokenFor(folder, 'reports', ...scopes.flatMap((scope) => ['--scope', scope]));

say('One command serves the API and starts the comparisons, every two seconds; another is a worker that makes them');
await using service = await serve(folder, '--workers', '0');
await using first = await worker(folder);

interface Listed {
  readonly change: string;
  readonly pair: string;
  readonly key: Readonly<Record<string, string>>;
}
const path = '/syncs/branches/differences';
/** The differences as they are now, once there are so many of them by a comparison that saw everything. */
const present = (count: number): Promise<readonly Listed[]> =>
  until(`there are ${count} differences`, async () => {
    const { status, body } = await service.look(`${path}?limit=100`, reader);
    if (status !== 200 || body.as_of === null || !body.as_of.complete) return undefined;
    const more = body.page.next_cursor !== null;
    return (more ? count > 100 : body.data.length === count) && (body.data as readonly Listed[]);
  });

say('The noise covers everything: all customers seem to differ');
await present(1000);
await service.ask(200, 'GET', `${path}?change=modified&limit=1`, { token: reader });

say('The column is left out in the configuration, which is read again without a restart: its noise is gone');
console.log('\nlockstep.yaml:  exclude: [LAST_SEEN]');
writeFileSync(join(folder, 'lockstep.yaml'), written);
const reloaded = [service.logged('configuration read again'), first.logged('configuration read again')];
service.reload();
first.reload();
await Promise.all(reloaded);
await present(0);
assert.deepEqual(await ask(inSql), []);

say('In the north somebody inserts, edits and deletes a row. The tills go on writing, and a limit is a cent off');
await inBranch(
  north,
  `insert into CUSTOMERS (ID, NAME, CITY, CREDIT_LIMIT) values (1001, 'Zoë Müller', 'Łódź', 250);
   update PRICES set PRICE = 19.9049 where ARTICLE = 'A0000042' and REGION = 'EU';
   delete from CUSTOMERS where ID = 7;
   update CUSTOMERS set LAST_SEEN = current_timestamp;
   update CUSTOMERS set CREDIT_LIMIT = CREDIT_LIMIT + 0.01 where ID = 8;
   commit;`,
);
const committed = Date.now();
const three = await present(3);
console.log(`\nexactly three differences, ${((Date.now() - committed) / 1000).toFixed(1)} s after the commit`);
const told = (all: readonly { readonly change: string; readonly key: unknown }[], table: 'pair' | 'source_table') =>
  all
    .map((d) => `${d.change} ${(d as never as Record<string, string>)[table]} ${Object.values(d.key as object).sort()}`)
    .sort();
const expected = ['deleted CUSTOMERS 7', 'modified PRICES A0000042,EU', 'new CUSTOMERS 1001'];
assert.deepEqual(told(three, 'pair'), expected);

say('By REST, one kind at a time; and by SQL');
for (const change of ['new', 'modified', 'deleted']) {
  const { body } = await service.ask(200, 'GET', `${path}?change=${change}`, { token: reader });
  insist(body.data.length === 1 && body.data[0].change === change, `there is one that is ${change}`);
}
const inView = await ask(inSql);
assert.deepEqual(told(inView, 'source_table'), expected);
assert.deepEqual(inView.find((d) => d.change === 'modified')!.cells, { PRICE: { source: '19.9049', target: '42.99' } });

say('A second worker is started, and the first one stopped: the comparisons go on without a gap');
await using second = await worker(folder);
const taken = second.logged('run started');
await first.stop();
await taken;

say('The south takes the price over: two are left, and the third is history');
const before = (await service.look(path, reader)).body.as_of.run as string;
await inBranch(south, "update PRICES set PRICE = 19.9049 where ARTICLE = 'A0000042' and REGION = 'EU'; commit;");
await present(2);
const { body } = await service.ask(200, 'GET', `/runs/${before}/differences`, { token: reader });
insist(body.data.length === 3, `run ${before} still tells its three`);
const gone = await ask(
  `select change, source_table, key, cells, gone_at from lockstep_control.difference_history
where sync = 'branches' and gone_at is not null and source_table = 'PRICES'`,
);
assert.equal(gone.length, 1);
await ask(
  `select compared_at, verdict, new_rows, modified_rows, deleted_rows from lockstep_control.comparisons
where sync = 'branches' order by compared_at desc limit 3`,
);
await second.stop();
await service.stop();
