import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { inProcess } from '../cli/in-process.ts';
import { testDatabase } from '../servers/postgres.ts';
import { type Database, database } from './databases.ts';

/** What only reads leaves no trace, by the server's own account; what is secret is nowhere to be found. */

const canary = 'Canary7f3a9c51e2';

/** Everything a writer would change: rows counted as written, relations, schemas, slots, ids of transactions. */
const traces = async (db: Database): Promise<string> => {
  const rows = async (sql: string) => db.rows(sql);
  await db.run('select pg_stat_force_next_flush(); select pg_stat_clear_snapshot()');
  return JSON.stringify([
    await rows(
      `select coalesce(sum(n_tup_ins), 0), coalesce(sum(n_tup_upd), 0), coalesce(sum(n_tup_del), 0) from pg_stat_all_tables where schemaname not in ('pg_catalog', 'pg_toast')`,
    ),
    await rows(
      `select n.nspname, c.relname, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname not like 'pg_t%' order by 1, 2`,
    ),
    await rows('select nspname from pg_namespace where nspname not like $$pg_t%$$ order by 1'),
    await rows('select proname from pg_proc where oid >= 16384 order by 1'),
    await rows('select slot_name from pg_replication_slots order by 1'),
    await rows('select md5(string_agg(t::text, $$,$$ order by id)) from t'),
    await rows('select xmin::text, ctid::text from t order by id'),
    await rows('select temp_files from pg_stat_database where datname = current_database()'),
  ]);
};

test('diff, plan, explain, check and init write nothing to either side, and no secret anywhere', async () => {
  await using a = await database('postgres');
  await using b = await database('postgres');
  await using c = await database('sqlite');
  await using control = await testDatabase();
  const home = mkdtempSync(join(tmpdir(), 'lockstep-readonly-'));
  try {
    const users: string[] = [];
    for (const [i, db] of [a, b].entries()) {
      await db.run(`create table t (id bigint primary key, v text, doc jsonb);
        insert into t select n, 'v' || n || ${i} * (n % 100), '{}' from generate_series(1, 3000) n`);
      const user = `${canary.toLowerCase()}_${process.pid}_${i}`;
      await db.run(`create role ${user} login password '${canary}'; grant all on schema public to ${user}; grant all on t to ${user};
        grant create on database ${new URL(db.url).pathname.slice(1)} to ${user}`);
      users.push(user);
    }
    await c.run(`create table t (id integer primary key, v text, doc json);
      insert into t values (1, 'v1', '{}'), (2, 'other', '{}'); pragma wal_checkpoint(truncate)`);
    const file = c.url.slice('sqlite:'.length);
    const bytes = (): string => createHash('sha256').update(readFileSync(file)).digest('hex');
    const beside = (): string[] => readdirSync(dirname(file)).sort();
    const withUser = (db: Database, i: number): string => {
      const url = new URL(db.url);
      url.username = users[i]!;
      url.password = canary;
      return url.href;
    };
    const env = {
      LOCKSTEP_CONTROL_URL: control.url,
      SOURCE_URL: withUser(a, 0),
      TARGET_PASSWORD: canary,
      WRONG_PASSWORD: `${canary}wrong`,
    };
    const at = new URL(b.url);
    writeFileSync(
      join(home, 'lockstep.yaml'),
      `version: 1
endpoints:
  left: { url: "\${env:SOURCE_URL}" }
  right: { engine: postgres, host: "${at.hostname}", port: ${at.port}, user: ${users[1]}, password: "\${env:TARGET_PASSWORD}", database: "${at.pathname.slice(1)}", writable: true }
  wrong: { engine: postgres, host: "${at.hostname}", port: ${at.port}, user: ${users[1]}, password: "\${env:WRONG_PASSWORD}", database: nowhere }
syncs:
  things: { source: left, target: right, settle: 0ms, guards: { max_changes: 5000, max_change_ratio: 100% }, pairs: [ { source: t } ] }
  lost: { source: left, target: wrong, pairs: [ { source: t } ] }
`,
    );
    const before = [await traces(a), await traces(b), bytes(), beside()];
    const said: string[] = [];
    const run = async (codes: readonly number[], ...args: string[]) => {
      const done = await inProcess(args, { cwd: home, env });
      said.push(done.stdout, done.stderr);
      assert.ok(codes.includes(done.code), `${args.join(' ')}: exit ${done.code} ${done.stderr}`);
      return done;
    };
    const fast = ['--settle', '0'];
    await run([2], 'diff', env.SOURCE_URL, withUser(b, 1), ...fast, '--verbose', '--explain');
    await run([2], 'diff', 'things', '--format', 'json', '--explain');
    await run([2], 'diff', env.SOURCE_URL, c.url, ...fast);
    await run([2], 'diff', c.url, env.SOURCE_URL, ...fast, '--format', 'html');
    await run([2], 'plan', 'things', '--out', join(home, 'plan.jsonl'));
    await run([2], 'plan', env.SOURCE_URL, c.url, ...fast, '--max-changes', '5000');
    await run([0], 'explain', 'things/t', '50');
    await run([0, 2, 20, 25], 'check', 'things');
    await run([0, 2, 20, 25], 'check', env.SOURCE_URL, c.url);
    await run([0], 'init', env.SOURCE_URL, withUser(b, 1), '--out', join(home, 'made.yaml'));
    await run([21], 'diff', 'lost');
    await run([20, 21], 'diff', withUser(a, 0).replace('postgres:', 'postgrex:'), c.url);
    await run([21], 'diff', withUser(a, 0).replace(/\/t_[^/]*$/, '/nowhere'), c.url, '--verbose');
    await run([20, 21], 'diff', `${withUser(a, 0)}?sslmode=nonsense`, c.url);
    await run([0], 'runs');
    assert.deepEqual([await traces(a), await traces(b), bytes(), beside()], before);

    // The canary is in the environment and in the URLs that were typed; nowhere else.
    const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((f) => f.isFile());
    for (const f of files) {
      // What `init` was given goes to the one file that is made for secrets, for its owner only.
      const path = join(f.parentPath, f.name);
      if (f.name === '.env') assert.equal(statSync(path).mode & 0o777, 0o600);
      else said.push(readFileSync(path, 'latin1'));
    }
    assert.ok(files.some((f) => f.name === 'made.yaml') && files.some((f) => f.name === 'plan.jsonl'));
    const stored = await control.query(
      `select format('%I.%I', table_schema, table_name) as name from information_schema.tables where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`,
    );
    assert.ok(stored.rows.length > 5);
    for (const { name } of stored.rows) said.push(JSON.stringify((await control.query(`select * from ${name}`)).rows));
    for (const text of said) {
      const i = text.indexOf(canary);
      assert.equal(i, -1, `a secret is told: ${text.slice(Math.max(0, i - 200), i + 60)}`);
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
    for (const [i, db] of [a, b].entries()) {
      const user = `${canary.toLowerCase()}_${process.pid}_${i}`;
      await db.run(`drop owned by ${user}; drop role ${user}`);
    }
  }
});
