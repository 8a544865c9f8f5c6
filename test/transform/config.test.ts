import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Column, ColumnType } from '../../src/model/schema.ts';
import { alignAll } from '../../src/work/compare.ts';
import { column, database, endpoint, int, table, text } from '../diff/tables.ts';
import { type Project, project } from './project.ts';

const opened: Project = await project('sqlite', 'sqlite');
after(() => opened[Symbol.asyncDispose]());

const mistakes: readonly (readonly [what: string, yaml: string, message: RegExp])[] = [
  ['a column that is nowhere', 'columns: { stat: { map: { a: b } } }', /t\.stat: the source has no column stat/],
  [
    'a made column without a partner',
    'columns: { total: { expr: "price * 2" } }',
    /target has no column total[\s\S]*`to`/,
  ],
  ['a column twice', 'columns: { price: { default: 1 }, PRICE: { default: 2 } }', /names price twice/],
  ['two origins', 'columns: { price: { expr: "price * 2", value: 1 } }', /four ways to make one value/],
  ['an expression of no column', 'columns: { price: { expr: "prise * 2" } }', /there is no column prise/],
  ['otherwise without a map', 'columns: { state: { otherwise: x } }', /`otherwise` needs a map/],
  ['two answers for the unmapped', 'columns: { state: { map: {}, otherwise: x, unmapped: keep } }', /same question/],
  ['a type that is none', 'columns: { state: { as: varchar } }', /expected a type such as int/],
  ['a number that YAML cannot hold', 'columns: { price: { default: 12345678901234567890 } }', /quote it/],
  ['an unknown rule', 'validate: { state: { inn: [a] } }', /unknown key `inn`[\s\S]*did you mean in\?/],
  ['a rule of no column', 'validate: { sate: { in: [a] } }', /no such column in the source/],
  ['a bound that is no value', 'validate: { price: { min: cheap } }', /'cheap' cannot be read as numeric/],
  ['a pattern that is none', 'validate: { state: { pattern: "(" } }', /pattern cannot be read/],
  [
    'a look-up of no table',
    'columns: { state: { lookup: { table: nope, by: { a: state }, value: b } } }',
    /no table nope/,
  ],
  [
    'a look-up by no column',
    'columns: { state: { lookup: { table: t, by: { a: state }, value: state } } }',
    /no column a/,
  ],
  ['a function in YAML', 'columns: { state: { transform: "x" } }', /expected a function of the row/],
];

const folder = mkdtempSync(join(tmpdir(), 'lockstep-mistakes-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const columns = (due: ColumnType): readonly Column[] => [
  column('id', int),
  column('price', { kind: 'decimal', precision: 10, scale: 2 }, { native: 'numeric(10,2)' }),
  column('state', text),
  column('due', due),
];
const source = endpoint('old', database(table('t', columns(text), 1), []));
const target = endpoint('new', database(table('t', columns({ kind: 'date' }), 1), []));

for (const [what, yaml, message] of mistakes) {
  test(`${what} is told before any row is read`, async () => {
    const file = join(folder, 'lockstep.yaml');
    writeFileSync(
      file,
      `version: 1\nendpoints: { old: { url: "sqlite:a" }, new: { url: "sqlite:b" } }\nsyncs: { s: { source: old, target: new, pairs: [{ source: t, ${yaml} }] } }\n`,
    );
    await assert.rejects(
      async () => {
        const config = await loadConfig(file, { cwd: folder, env: {} });
        const pairs = config.syncs['s']!.pairs!;
        await alignAll({ source, target, pairs, signal: new AbortController().signal });
      },
      (error: unknown) =>
        error instanceof LockstepError &&
        error.exit === 20 &&
        message.test([error.message, ...error.details, error.hint].join('\n')),
    );
  });
}

test('constants, casts, values that are read as text, and their order', async () => {
  await opened.target.run(
    'create table u (id integer primary key, who text, n text, day date, kind text, size numeric(10,2), price numeric(10,2))',
  );
  await opened.source.run(
    'create table u (id integer primary key, n integer, day text, kind text, size text, price numeric(10,2))',
  );
  await opened.source.run(
    `insert into u values (1, 7, '2024-02-29', null, '10', 1.5), (2, -1, 'never', 'x', '1.005', 1), (3, 0, '0001-01-01', 'y', null, 2.5)`,
  );
  opened.pairs(`
- source: u
  columns:
    who: { value: lockstep }
    n: { as: text(5), map: { "7": seven, "-1": null }, default: none }
    kind: { map: { x: ecks }, otherwise: other, default: nothing }
    size: { as: "decimal(10,2)", map: { "10": 20 } }
    price: { map: { "1.500": 3 } }
`);
  const { code, json, stderr } = await opened.json('diff', 's');
  assert.equal(code, 2, stderr);
  assert.deepEqual(
    json.differences.map((d: { cells: { source: string }[] }) => d.cells.map((c) => c.source)),
    [
      ['1', 'seven', '2024-02-29', 'nothing', '20', '3', 'lockstep'],
      ['3', '0', '0001-01-01', 'other', null, '2.5', 'lockstep'],
    ],
  );
  const explained = await opened.json('explain', 's/u', '2');
  assert.match(
    explained.json.quarantined.join(),
    /does not fit/,
    'a quarantined row that the target lacks has a story',
  );
  assert.equal(explained.json.quarantine.attempts, 1);
  assert.equal((await opened.run('explain', 's/u', '77')).code, 20);
  const { json: list } = await opened.json('quarantine', 'list');
  assert.match(list.rows[0].reasons.join(), /size: 1.005 does not fit decimal\(10,2\)/);
});

test('what was planned from a valid row is applied, and the row is left alone once it is invalid', async () => {
  await opened.source.run(
    `create table v (id integer primary key, state text); insert into v values (1, 'new'), (2, 'new')`,
  );
  await opened.target.run(`create table v (id integer primary key, state text); insert into v values (1, 'old')`);
  opened.pairs(`
- source: v
  columns: { state: { map: { new: NEW } } }
  validate: { state: { in: [new] } }
`);
  const planned = await opened.json('plan', 's');
  assert.equal(planned.code, 2, planned.stderr);
  await opened.source.run(`update v set state = 'broken'`);
  const applied = await opened.json('apply', planned.json.plan, '--yes');
  assert.equal(applied.code, 0, applied.stderr);
  assert.deepEqual(await opened.target.rows('select id, state from v order by id'), [
    [1n, 'NEW'],
    [2n, 'NEW'],
  ]);
  const synced = await opened.json('sync', 's', '--yes');
  assert.equal(synced.code, 25, synced.stderr);
  assert.deepEqual(synced.json.planned, { insert: 0, update: 0, delete: 0, withheld: 0 });
  assert.equal(synced.json.quarantined, 2);
});

test('quarantine: what is asked for wrongly is told', async () => {
  for (const [args, message] of [
    [['quarantine', 'lst'], /expected list, retry, drop/],
    [['quarantine', 'drop'], /which sync\?/],
    [['quarantine', 'drop', 's', '1'], /a key is of one pair/],
    [['quarantine', 'drop', 's/v', '77'], /no quarantined row with the key 77/],
    [['quarantine', 'retry', 'nope'], /no sync or endpoint/],
  ] as const) {
    const { code, stderr } = await opened.run(...args);
    assert.equal(code, 20, stderr);
    assert.match(stderr, message);
  }
  assert.deepEqual((await opened.json('quarantine', 'drop', 's/v', '1')).json, { schema_version: 1, dropped: 1 });
  assert.equal((await opened.json('quarantine', 'list', 's/v')).json.total, 1);
});
