import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../acceptance/databases.ts';
import { type Project, project } from './project.ts';

/** Every row of the target, as text. */
const dump = async (db: Database, sql: string): Promise<ReadonlyMap<string, string>> =>
  new Map(
    (await db.rows(sql)).map((row) => [
      String(row[0]),
      JSON.stringify(row.map((cell) => (cell === null ? null : String(cell)))),
    ]),
  );

const config = `
import { defineConfig } from 'lockstep';
const never = '(a+)+$';
export default defineConfig({
  version: 1,
  endpoints: { old: { url: '\${env:SOURCE}' }, new: { url: '\${env:TARGET}', writable: true } },
  syncs: {
    s: {
      source: 'old', target: 'new', settle: 0, guards: { max_deletes: 100, max_changes: 1000, max_change_ratio: 1 },
      pairs: [{
        source: 'item',
        columns: {
          kind: { map: { a: 'alpha', b: 'beta' }, unmapped: 'quarantine' },
          ratio: { expr: 'amount / parts' },
          label: { transform: (row) => {
            if (row.label === 'throw') throw new Error('no \\u001b[31m label');
            if (row.label === 'object') return { a: 1 };
            if (row.label === 'pollute') { try { row.__proto__.polluted = 1; row.constructor.prototype.polluted = 1; } catch {} Object.assign(row, {}); }
            return row.label === 'big' ? 9223372036854775807n : row.label === null ? null : String(row.label).toUpperCase();
          } },
          code: { as: 'int' },
        },
        validate: {
          amount: { min: '0.000000000001', max: 1000000 },
          word: { pattern: '^(a+)+$', length: { max: 30000 } },
          due: { min: '2020-01-01', not_null: true },
          parts: { check: 'coalesce(parts, 1) != 13', message: 'thirteen parts are bad luck' },
          id: { check: (row) => row.id !== 15n || 'fifteen is not wanted' },
        },
      }],
    },
  },
});
`;

const long = 'a'.repeat(25_000);
/** id, amount, parts, kind, label, code, word, due; what is wrong with it, or what becomes of it. */
const rows: readonly (readonly [(string | null)[], RegExp | readonly (string | null)[]])[] = [
  [
    ['1', '0.123456789012', '1', 'a', 'x', '7', 'a', '2024-01-01'],
    ['alpha', '0.123456789012', 'X', '7'],
  ],
  [
    ['2', '1', '3', 'b', null, '-8', 'aaa', '2020-01-01'],
    ['beta', '0.33333333333333333333', null, '-8'],
  ],
  [['3', '1', '1', 'c', 'x', '1', 'a', '2024-01-01'], /kind is 'c', which the map does not name/],
  [['4', '1', '0', 'a', 'x', '1', 'a', '2024-01-01'], /ratio: division by zero/],
  [['5', '1', null, 'a', 'x', '1', 'a', '2024-01-01'], /ratio: parts is NULL/],
  [['6', '1', '1', 'a', 'throw', '1', 'a', '2024-01-01'], /label: the function threw: no/],
  [['7', '1', '1', 'a', 'object', '1', 'a', '2024-01-01'], /label: it gives an object, not a value/],
  [
    ['8', '1', '1', 'a', 'pollute', '1', 'a', '2024-01-01'],
    ['alpha', '1', 'POLLUTE', '1'],
  ],
  [['9', '1', '1', 'a', 'x', 'no number', 'a', '2024-01-01'], /code: 'no number' cannot be read as int/],
  [['10', '0', '1', 'a', 'x', '1', 'a', '2024-01-01'], /amount is '0', less than 0.000000000001/],
  [['11', '1000000.000000000001', '1', 'a', 'x', '1', 'a', '2024-01-01'], /amount is .*, more than 1000000/],
  [['12', '1', '1', 'a', 'x', '1', `${long}!`, '2024-01-01'], /word is .* which does not match/],
  [['13', '1', '1', 'a', 'x', '1', long, null], /due is NULL/],
  [
    ['14', '1', '13', 'a', 'x', '1', 'a', '2019-12-31'],
    /^due is '2019-12-31', less than 2020-01-01; thirteen parts are bad luck$/,
  ],
  [['15', '1', '1', 'a', 'x', '1', 'a', '2024-01-01'], /fifteen is not wanted/],
  [
    ['16', '999999.999999999999', '1', null, 'big', '9223372036854775807', null, '2024-01-01'],
    [null, '999999.999999999999', '9223372036854775807', '9223372036854775807'],
  ],
  [['17', '1', '1', 'a', 'x', '9223372036854775808', 'a', '2024-01-01'], /code: .* cannot be read as int/],
];

/** SQLite keeps 15 digits of a number: the rest is refused, never rounded. */
const tooExact = new Set(['2', '16']);

const sql = (cell: string | null): string => (cell === null ? 'null' : `'${cell}'`);

const fill = async (p: Project): Promise<void> => {
  await p.source.run(
    'create table item (id bigint primary key, amount numeric(30,12) not null, parts bigint, kind text, label text, code text, word text, due date)',
  );
  await p.source.run(`insert into item values ${rows.map(([cells]) => `(${cells.map(sql).join(', ')})`).join(', ')}`);
  await p.target.run(
    'create table item (id bigint primary key, amount numeric(30,12), parts bigint, kind text, ratio numeric(40,20), label text, code bigint, word text, due date)',
  );
  // What must never be touched, a row that is changed, and one that has to go.
  await p.target.run(
    `insert into item (id, label) values ${[...rows.flatMap(([cells, outcome]) => (outcome instanceof RegExp || cells[0] === '1' ? [cells[0]] : [])), '99'].map((id) => `(${id}, 'old ${id}')`).join(', ')}`,
  );
};

const all = 'select id, kind, ratio, label, code, amount, word from item order by id';
const invalid = rows.filter(([, outcome]) => outcome instanceof RegExp);

for (const [from, to] of [
  ['postgres', 'postgres'],
  ['postgres', 'sqlite'],
] as const) {
  test(`an invalid row goes into quarantine with its reason, and its row in the target stays: ${from} to ${to}`, async () => {
    await using p = await project(from, to);
    await fill(p);
    p.pairs(config, 'lockstep.config.ts');
    const before = await dump(p.target, all);
    const diff = await p.json('diff', 's', '--limit', 'all');
    assert.equal(diff.code, 2, diff.stderr);
    const [pair] = diff.json.pairs;
    assert.equal(pair.quarantined, invalid.length);
    assert.equal(pair.rows.source, rows.length);
    assert.equal(pair.rows.source, pair.identical + pair.different + pair.only_in_source + pair.apart.source);
    assert.equal(pair.rows.target, pair.identical + pair.different + pair.only_in_target + pair.apart.target);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);

    const listed = await p.json('quarantine', 'list', 's');
    const reasons = new Map<string, string>(
      listed.json.rows.map((r: { key: { id: string }; reasons: string[] }) => [r.key.id, r.reasons.join('; ')]),
    );
    assert.equal(reasons.size, invalid.length);
    for (const [[id], reason] of invalid) assert.match(reasons.get(id!) ?? '', reason as RegExp, `row ${id}`);
    const shown = await p.run('quarantine', 'list', 's');
    assert.ok(!shown.stdout.includes('\u001b'), 'what a row or a function says does nothing to a terminal');

    const synced = await p.json('sync', 's', '--yes');
    assert.equal(synced.code, to === 'sqlite' ? 2 : 25, synced.stderr);
    assert.equal(synced.json.quarantined, invalid.length);
    assert.equal(synced.json.applied.delete, 1);
    const after = await dump(p.target, all);
    for (const [[id]] of invalid) assert.equal(after.get(id!), before.get(id!), `the target's row ${id} was touched`);
    assert.ok(!after.has('99'));
    for (const [[id, ...stored], made] of rows) {
      if (made instanceof RegExp || (to === 'sqlite' && tooExact.has(id!))) continue;
      const row: (string | null)[] = JSON.parse(after.get(id!)!);
      const plain = (text: string | null): string | null => (text === null ? null : text.replace(/\.?0+$/, ''));
      if (to === 'postgres')
        assert.deepEqual(
          [row[1], plain(row[2]!), row[3], row[4], plain(row[5]!), row[6]],
          [...[made[0], plain(made[1]!), made[2], made[3]], plain(stored[0]!), stored[5]],
          `row ${id}`,
        );
      else assert.deepEqual([row[1], row[3], row[4]], [made[0], made[2], made[3]], `row ${id}`);
    }
    const again = await p.json('diff', 's');
    const [second] = again.json.pairs;
    if (to === 'postgres') {
      assert.equal(again.code, 25, again.stderr);
      assert.deepEqual([second.different, second.only_in_source, second.only_in_target], [0, 0, 0]);
    }
    assert.equal(second.quarantined, invalid.length);
  });
}
