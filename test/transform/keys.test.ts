import assert from 'node:assert/strict';
import { test } from 'node:test';
import { project } from './project.ts';

const pairs = `
- source: licence
  target: licence
  key: { code: number }
  columns:
    code: { to: number, expr: 'int(code.substring(2))' }
    name: {}
  exclude: [id]
`;

test('a key may be made: rows are sorted anew, duplicates and rows without a key are told, and nothing is deleted in doubt', async () => {
  await using p = await project('postgres', 'postgres');
  await p.source.run('create table licence (id bigint primary key, code text not null, name text)');
  await p.source.run(
    `insert into licence select i, 'L-' || (5001 - i), 'name ' || (5001 - i) from generate_series(1, 5000) i`,
  );
  await p.target.run(
    'create table licence (id bigint generated always as identity primary key, number bigint not null unique, name text)',
  );
  await p.target.run(`insert into licence (number, name) select i, 'name ' || i from generate_series(1, 5000) i`);
  p.pairs(pairs);
  const diff = (): ReturnType<typeof p.json> => p.json('diff', 's');
  const same = await diff();
  assert.equal(same.code, 0, same.stderr + JSON.stringify(same.json));
  assert.equal(same.json.pairs[0].identical, 5000);
  assert.match(JSON.stringify((await p.json('diff', 's', '--explain')).json.pairs[0].explain.decision), /transformed/);

  await p.source.run(`update licence set name = 'new' where code = 'L-42'; delete from licence where code = 'L-43'`);
  const differs = await diff();
  assert.deepEqual(
    differs.json.differences.map((d: { key: { code: string }; kind: string }) => [d.key.code, d.kind]),
    [
      ['42', 'different'],
      ['43', 'only_in_target'],
    ],
  );

  await p.source.run(`insert into licence values (6000, 'L-0042', 'double'), (6001, 'L-x7', 'no number')`);
  const odd = await diff();
  const [pair] = odd.json.pairs;
  assert.equal(odd.code, 2);
  assert.deepEqual([pair.duplicate_key, pair.unkeyed, pair.only_in_target, pair.different], [1, 1, 1, 0]);
  assert.equal(pair.rows.source, 5001);
  assert.match(odd.json.coverage.not_compared[0].reason, /the key of 1 row cannot be made/);
  assert.match(pair.warnings.join('\n'), /code: .*cannot convert to int/);

  const kept = await p.json('sync', 's', '--yes');
  assert.equal(kept.code, 2, kept.stderr);
  assert.deepEqual(kept.json.applied, { insert: 0, update: 0, delete: 0 }, 'row 43 may be the one with the odd code');
  assert.match(kept.json.warnings.join('\n'), /key cannot be made.*none is deleted/);
  assert.equal((await p.target.rows('select * from licence')).length, 5000);

  await p.source.run(`delete from licence where id >= 6000`);
  const synced = await p.json('sync', 's', '--yes');
  assert.equal(synced.code, 0, synced.stderr);
  assert.deepEqual(synced.json.applied, { insert: 0, update: 1, delete: 1 });
  assert.equal(synced.json.verified, 2, 'keys that are made are found again');
});

test('a condition stays one on what is stored, and what it hides is not deleted', async () => {
  await using p = await project('postgres', 'sqlite');
  await p.source.run(`create table t (id bigint primary key, state text, n int)`);
  await p.source.run(`insert into t values (1, 'draft', 1), (2, 'open', 2), (3, 'odd', 3)`);
  await p.target.run(`create table t (id integer primary key, state text, n integer)`);
  await p.target.run(`insert into t values (1, 'x', 9), (2, 'OPEN', 2), (3, 'kept', 3)`);
  p.pairs(`
- source: t
  columns: { state: { map: { open: OPEN } } }
  validate: { state: { in: [open, draft] } }
  where: { source: "state <> 'draft'" }
`);
  const { code, json, stderr } = await p.json('sync', 's', '--yes');
  assert.equal(code, 25, stderr);
  assert.deepEqual(json.planned, { insert: 0, update: 0, delete: 0, withheld: 0 });
  assert.deepEqual((await p.target.rows('select state from t order by id')).flat(), ['x', 'OPEN', 'kept']);
});

test('rows that the target has for itself, and a matching column that nothing keeps unique', async () => {
  await using p = await project('postgres', 'postgres');
  await p.source.run(
    `create table s (id bigint primary key, name text); insert into s values (1, 'a'), (2, 'b'), (3, 'c')`,
  );
  await p.target.run(`create table t (id bigint generated always as identity primary key, ext bigint, name text);
    insert into t (ext, name) values (1, 'a'), (null, 'own'), (2, 'twice'), (2, 'twice')`);
  const pair = `
- source: s
  target: t
  key: { id: ext }
  where: { target: "ext is not null" }
`;
  p.pairs(pair);
  const loose = await p.json('sync', 's', '--yes');
  assert.match(loose.json.warnings.join('\n'), /no unique index on ext/);
  assert.deepEqual(loose.json.applied, { insert: 1, update: 0, delete: 0 });
  const rows = (): Promise<unknown> => p.target.rows('select ext, name from t order by id');
  const left = [
    ['1', 'a'],
    [null, 'own'],
    ['2', 'twice'],
    ['2', 'twice'],
    ['3', 'c'],
  ];
  assert.deepEqual(await rows(), left, 'a key that two rows carry is not written');
  await p.target.run(`delete from t where id = 4; create unique index on t (ext)`);
  const guarded = await p.json('sync', 's', '--yes');
  assert.equal(guarded.code, 0, guarded.stderr + JSON.stringify(guarded.json));
  assert.deepEqual(guarded.json.warnings, []);
  assert.deepEqual(await rows(), [...left.slice(0, 2), ['2', 'b'], left[4]]);
  const undone = await p.run('revert', guarded.json.run, '--yes');
  assert.equal(undone.code, 0, undone.stderr);
  p.pairs(pair.replace('- source', '- exclude: [id]\n  source'));
  assert.equal((await p.json('diff', 's')).code, 2, 'id is left out in the target; in the source it is the key');
});

test('a row outside the filter whose key cannot be made may be any row of the target: none is deleted', async () => {
  await using p = await project('sqlite', 'sqlite');
  await p.source.run(`create table licence (id integer primary key, code text, active integer, name text);
    insert into licence values (1, 'L-1', 1, 'one'), (2, 'L-2', 1, 'two'), (3, 'L-?', 0, 'three')`);
  await p.target.run(`create table licence (number integer primary key, name text);
    insert into licence values (1, 'one'), (3, 'three')`);
  p.pairs(pairs.replace('exclude: [id]', 'exclude: [id, active]\n  where: { source: "active = 1" }'));
  const doubt = await p.json('sync', 's', '--yes');
  assert.deepEqual(doubt.json.applied, { insert: 1, update: 0, delete: 0 }, JSON.stringify(doubt.json));
  assert.notEqual(doubt.code, 0);
  assert.match(doubt.json.warnings.join('\n'), /key cannot be made.*none is deleted/);
  await p.source.run(`update licence set code = 'L-4' where id = 3`);
  const sure = await p.json('sync', 's', '--yes');
  assert.deepEqual(sure.json.applied, { insert: 0, update: 0, delete: 1 }, JSON.stringify(sure.json));
  assert.equal(sure.code, 0);
});
