import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { inProcess } from '../cli/in-process.ts';
import { storeDatabase, type TestDatabase, testDatabase } from '../servers/postgres.ts';

/**
 * The whole path of a row through the control store, by the command line. `canary` is in the columns that are concealed,
 * where anything is; what keeps it in clear is found by its bytes.
 */
const canary = 'canary7f3a91';
/** In a column whose values may be seen. */
const seen = 'finch20c4';
const people = `create table people (id int primary key, email text, note text, plain text, age int);
  insert into people select n, '${canary}-old-' || n, '${canary}-note', '${seen}', n from generate_series(1, 20) n`;
const rules = `validate: { age: { max: 100 } }`;

let left: TestDatabase;
let right: TestDatabase;
let dir: string;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'stored-values-'));
  left = await testDatabase();
  right = await testDatabase();
});
after(async () => {
  await left[Symbol.asyncDispose]();
  await right[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

/** Both sides as they were at first. */
const begin = async (): Promise<void> => {
  for (const side of [left, right]) await side.query(`drop table if exists people; ${people}`);
};

const configured = (control: string, stored: string, columns = ''): Promise<void> =>
  writeFile(
    join(dir, 'lockstep.yaml'),
    `version: 1
control: ${control}
${stored}
endpoints:
  left: { url: "${left.url}", writable: true }
  right: { url: "${right.url}", writable: true }
syncs:
  copy: { source: left, target: right, settle: 0, guards: { max_changes: 1000, max_change_ratio: 1, max_deletes: 10 },
    differences: { sql: true },
    pairs: [{ source: people, ${rules} ${columns} }] }
  both: { source: left, target: right, mode: two_way, settle: 0, guards: { max_changes: 1000, max_change_ratio: 1 },
    pairs: [{ source: people ${columns} }] }
`,
  );

const run = async (args: readonly string[], env: Record<string, string> = {}) => {
  const done = await inProcess(args, { cwd: dir, env });
  return {
    ...done,
    json: args.includes('--json') && done.stdout.startsWith('{') ? JSON.parse(done.stdout) : undefined,
  };
};

/** Everything that commands have said. */
let said = '';

const good = async (args: readonly string[], codes: readonly number[] = [0], env: Record<string, string> = {}) => {
  const done = await run(args, env);
  said += done.stdout + done.stderr;
  assert.ok(codes.includes(done.code), `lockstep ${args.join(' ')}: ${done.code}\n${done.stdout}\n${done.stderr}`);
  return done;
};

/** Columns of the store that keep the canary in clear; what is packed is unpacked. */
const inClear = async (database: TestDatabase, what = canary): Promise<readonly string[]> => {
  const { rows: tables } = await database.query(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'lockstep_control' and c.relkind = 'r' order by 1`,
  );
  const found = new Set<string>();
  for (const { name } of tables as { name: string }[]) {
    const { rows } = await database.query(`select * from lockstep_control.${name}`);
    for (const row of rows as Record<string, unknown>[]) {
      for (const [column, value] of Object.entries(row)) {
        if (value === null) continue;
        const packed = Buffer.isBuffer(value) && value.length > 4 && value.readUInt32LE(0) === 0xfd2fb528;
        const text = packed
          ? zstdDecompressSync(value).toString('latin1')
          : Buffer.isBuffer(value)
            ? value.toString('latin1')
            : typeof value === 'object'
              ? JSON.stringify(value)
              : String(value);
        if (text.includes(what)) found.add(`${name.replace(/_\d+$/, '')}.${column}`);
      }
    }
  }
  return [...found].sort();
};

/** Everything that keeps values: a comparison, a plan as a file, its revert, invalid rows, both ways, a conflict, its end. */
const everything = async (file: string, formats: readonly string[] = ['json']): Promise<void> => {
  await begin();
  await left.query(`update people set email = '${canary}-new-' || id where id < 9; delete from people where id = 20;
    insert into people values (21, '${canary}-ins', null, '${seen}', 5), (22, '${canary}-bad', '${canary}', '${seen}', 500)`);
  await right.query(`create or replace function say() returns trigger language plpgsql as $$ begin
      if new.id = 3 then raise exception 'refused %', new.email; end if; new.note = new.note || ' ${canary}-trigger'; return new; end $$;
    create or replace trigger say before update on people for each row execute function say()`);
  const was = (await right.query('select * from people order by id')).rows;
  for (const format of formats) await good(['diff', 'copy', '--format', format], [2, 25]);
  await good(['plan', 'copy', '--out', file, '--json'], [2, 25]);
  const applied = await good(['apply', file, '--yes', '--json'], [0, 26, 27, 28, 25, 2, 1]);
  await right.query('drop trigger say on people');
  const now = (await right.query('select id, email from people where id in (1, 3, 20, 21) order by id')).rows;
  assert.deepEqual(now, [
    { id: 1, email: `${canary}-new-1` },
    { id: 3, email: `${canary}-old-3` },
    { id: 21, email: `${canary}-ins` },
  ]);
  await good(['revert', applied.json.run, '--yes', '--json', '--allow-deletes', '5'], [0, 2, 25, 27]);
  assert.deepEqual((await right.query('select * from people order by id')).rows, was);
  await good(['explain', 'copy', '1'], [0, 2, 25]);
  await good(['explain', 'copy', '22', '--json'], [0, 2, 25]);
  await good(['show', applied.json.run], [0, 26, 27]);
  await good(['show', applied.json.plan, '--json'], [0]);
  await good(['quarantine', 'list'], [0]);
  await good(['quarantine', 'list', '--json'], [0]);

  await begin();
  await good(['sync', 'both', '--yes'], [0]);
  await left.query(`update people set email = '${canary}-l' where id < 3`);
  await right.query(
    `update people set email = '${canary}-r' where id = 1; update people set note = '${canary}-n' where id = 5`,
  );
  await good(['sync', 'both', '--yes'], [26]);
  const { json } = await good(['conflicts', 'list', '--json'], [0, 26]);
  const [{ id }] = json.conflicts ?? json.data ?? json.items;
  await good(['conflicts', 'show', id], [0, 26]);
  await good(['explain', 'both', '1', '--json'], [0, 2, 25, 26]);
  await good(['explain', 'both', '1'], [0, 2, 25, 26]);
  await good(['conflicts', 'resolve', id, '--take', 'target', '--yes'], [0]);
  await good(['sync', 'both', '--yes'], [0]);
  const rows = (await left.query('select * from people order by id')).rows;
  assert.deepEqual((await right.query('select * from people order by id')).rows, rows);
  assert.equal((rows as { email: string }[])[0]!.email, `${canary}-r`);
};

test('this test finds what is kept in clear', async () => {
  await using database = await storeDatabase();
  await configured(database.url, '');
  await everything(join(dir, 'plain.plan'));
  const kept = await inClear(database);
  const chunks = ['difference_chunk.body', 'plan_chunk.body', 'plan_chunk.images', 'outcome_chunk.body'];
  for (const column of [...chunks, 'quarantine.image', 'conflict.source', 'archive_row.cells', 'difference_row.cells'])
    assert.ok(kept.includes(column), `${column} is not among ${kept.join(', ')}`);
  assert.ok(said.includes(canary));
  assert.match(await readFile(join(dir, 'plain.plan'), 'utf8'), new RegExp(canary));
});

test('with a key nothing is kept in clear, values of concealed columns are not shown, and all of it comes back', async () => {
  await using database = await storeDatabase();
  const columns = ', columns: { email: { store: mask }, note: { store: encrypt } }';
  await configured(database.url, '', columns);
  const none = await run(['diff', 'copy']);
  assert.equal(none.code, 20);
  assert.match(none.stderr, /`store: mask` of email needs a key/);

  await configured(database.url, 'stored: { key: "a secret for stored values" }', columns);
  said = '';
  await everything(join(dir, 'concealed.plan'), ['json', 'table', 'csv', 'sql', 'html', 'markdown']);
  assert.deepEqual(await inClear(database), []);
  assert.deepEqual(await inClear(database, seen), ['difference_row.cells']);
  assert.doesNotMatch(await readFile(join(dir, 'concealed.plan'), 'utf8'), new RegExp(`${canary}|${seen}`));
  assert.ok(said.includes(seen));
  const line = said.split('\n').find((text) => text.includes(canary));
  assert.equal(line, undefined);

  await left.query(`update people set email = 'same', note = 'one' where id in (6, 7)`);
  await right.query(`update people set email = 'other', note = 'two' where id in (6, 7)`);
  const { json } = await run(['diff', 'copy', '--json']);
  const cells = (id: string) => json.differences.find((d: { key: { id: string } }) => d.key.id === id).cells;
  assert.deepEqual(cells('6'), cells('7'), 'equal values have equal masks');
  const [email, note] = cells('6') as { column: string; source: string; target: string }[];
  assert.match(email!.source, /^mask:[0-9a-f]{16}$/);
  assert.notEqual(email!.source, email!.target);
  assert.deepEqual(note, { column: 'note', source: '•••', target: '•••' });
  await good(['stored', 'rekey'], [0]);
  assert.deepEqual((await run(['diff', 'copy', '--json'])).json.differences, json.differences, 'masks outlive a key');
  const { rows } = await database.query(`select cells from lockstep_control.difference_row where gone_no is null`);
  assert.ok(
    (rows as { cells: Record<string, unknown> }[]).some((r) =>
      JSON.stringify(r.cells['email']).includes(email!.source),
    ),
  );

  await configured(database.url, 'stored: { key: "a secret for stored values" }', ', columns: { id: { store: mask } }');
  const key = await run(['diff', 'copy']);
  assert.equal(key.code, 20);
  assert.match(key.stderr, /is a key column and cannot be concealed/);
});
