import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Difference } from '../../src/model/change.ts';
import { freshStore } from './fresh-store.ts';
import { newRun, o, row } from './plain.ts';

/** The page about differences in SQL, by what PostgreSQL makes of its statements. */

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const { store, database } = await freshStore();

const modified = (id: string, source: string | null, target: string | null): Difference => ({
  kind: 'different',
  key: row(id),
  source: row(id, source),
  target: row(id, target),
  columns: [1],
});
const publish = async (found: readonly Difference[]): Promise<void> => {
  const { id: run } = await store.runs.create(newRun({ kind: 'diff', sync: 'branches' }), o);
  const columns = ['id', 'price'].map((c) => ({ source: c, target: c, as: { kind: 'text' as const } }));
  await using writer = await store.differences.writer(run, [{ name: 'p', target: 'p', columns, keyWidth: 1 }], o);
  await writer.add('p', found, o);
  await writer.flush(o);
  const pairs = [{ name: 'p', new: 0, modified: found.length, deleted: 0 }];
  const facts = { verdict: 'differs', complete: true, whole: true, max: 100, historyMs: 1e9 } as const;
  await store.published.publish({ run, sync: 'branches', at: Date.now(), pairs, ...facts }, o);
};
await publish([modified('1', '19.90', null), modified('2', 'a\0', 'a'), modified('3', 'x', 'y')]);
await publish([modified('1', '19.90', null), modified('2', 'a\0', 'a')]);

const statements = (page: string): string[] =>
  [...read(page).matchAll(/```sql\n([\s\S]*?)```/g)]
    .flatMap(([, block]) => block!.split(';'))
    .map((s) => s.trim())
    .filter((s) => s !== '');

test('every statement of the guide runs, and every query finds what it is about', async () => {
  const all = statements('docs/guide/differences-in-sql.md');
  assert.ok(all.length >= 9, `saw only ${all.length} statements`);
  const analyst = `analyst_${process.pid}_${Date.now().toString(36)}`;
  await database.query(`create role ${analyst}`);
  try {
    for (const sql of all) {
      const { rows } = await database.query(sql.replaceAll('analyst', analyst));
      if (!sql.startsWith('grant')) assert.ok(rows.length > 0, `no rows: ${sql}`);
    }
  } finally {
    await database.query(`drop owned by ${analyst}; drop role ${analyst}`);
  }
});

test('the query of the example runs, and its page shows one like it', async () => {
  const { rows } = await database.query(read('examples/firebird-branches/differences.sql'));
  assert.deepEqual(
    rows.map((r) => r.key),
    [{ id: '1' }, { id: '2' }],
  );
  const [, query] = statements('examples/firebird-branches/README.md')
    .join(';')
    .split(/(select change[^;]*)/);
  assert.equal((await database.query(query!)).rows.length, 2);
});

test('NULL and the missing side are told apart as the guide says', async () => {
  const sql = statements('docs/guide/differences-in-sql.md').find((s) => s.includes('south_says_null'))!;
  const { rows } = await database.query(`${sql} order by 1`);
  assert.deepEqual(rows[0], { id: '1', north: '19.90', south: null, south_says_null: true });
  assert.equal(rows[1].south_says_null, false);
});

test('what jsonb cannot hold is found as the guide says', async () => {
  const sql = statements('docs/guide/differences-in-sql.md').find((s) => s.includes('jsonb_path_exists'))!;
  assert.deepEqual((await database.query(sql)).rows, [{ source_table: 'p', key: { id: '2' } }]);
});

test('the columns of the views are the contract', async () => {
  const { rows } = await database.query(
    `select table_name || ': ' || string_agg(column_name || ' ' || udt_name, ', ' order by ordinal_position) as line
     from information_schema.columns
     where table_schema = 'lockstep_control' and table_name in (select table_name from information_schema.views)
     group by table_name order by table_name`,
  );
  const difference =
    'sync text, pair text, source_table text, target_table text, change text, kind text, key jsonb, cells jsonb';
  const found = 'detected_run text, detected_at timestamptz';
  const gone = 'gone_run text, gone_at timestamptz';
  assert.deepEqual(
    rows.map((r) => r.line),
    [
      'comparisons: run text, sync text, compared_at timestamptz, verdict text, complete bool, pairs _text, new_rows int8, modified_rows int8, deleted_rows int8, shown bool, latest bool',
      `difference_history: ${difference}, ${found}, ${gone}`,
      `differences: ${difference}, run text, compared_at timestamptz, ${found}`,
      `run_differences: run text, compared_at timestamptz, ${difference}, ${found}, ${gone}`,
    ],
  );
});
