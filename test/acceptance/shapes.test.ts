import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareAll } from '../diff/tables.ts';
import { database, directions, quotedName, quotedText } from './databases.ts';
import { diffJson } from './diff-json.ts';

/** Tables of unusual shape: each with as many differences as it says. */

const allNames = [
  'select',
  'ORDER',
  'order',
  "it's",
  'a "b"',
  'two words',
  '\u{1f600}',
  'é',
  'a.b',
  'semi;colon',
  '$1',
  '%s',
  'a\nb',
  '--x',
  '/*',
  '\u001b[31mred',
  'a'.repeat(63),
];
const names = ['Orders 2024', 'user', 'a.b', 'say "hi"', '\u{1f600}', "it's", 'UPPER', 'x;drop table y', '\u202eevil'];

test('tables and columns of any name', async () => {
  for (const sides of directions) {
    await using source = await database(sides[0]);
    await using target = await database(sides[1]);
    // SQLite holds names that differ in case for one.
    const columnNames = allNames.filter((c) => c !== 'order' || !sides.includes('sqlite'));
    for (const db of [source, target])
      for (const name of names) {
        const columns = columnNames.map((c) => `${quotedName(c)} text`);
        const int = db.engine === 'sqlite' ? 'integer' : 'bigint';
        await db.run(`create table ${quotedName(name)} ("key ""of"" it" ${int} primary key, ${columns.join(', ')})`);
        for (let i = 0; i < columnNames.length; i++) {
          // Row i differs in column i.
          const cells = columnNames.map((c, j) => quotedText(db === target && i === j ? `other ${c}` : c));
          await db.run(`insert into ${quotedName(name)} values (${i}, ${cells.join(', ')})`);
        }
      }
    const found = await diffJson(source.url, target.url);
    assert.equal(found.pairs.length, names.length);
    for (const name of names) {
      const own = found.differences.filter((d) => d.pair === (sides[0] === 'postgres' ? `public.${name}` : name));
      assert.deepEqual(
        own.map((d) => [d.key['key "of" it'], ...d.cells.map((c) => [c.column, c.source, c.target])]),
        columnNames.map((c, i) => [String(i), [c, c, `other ${c}`]]),
        `${name} ${sides}`,
      );
    }
    for (const force of sides[0] === 'postgres' ? (['digest'] as const) : (['rows'] as const)) {
      await using from = await source.connect('from');
      await using to = await target.connect('to');
      const { pair } = await compareAll(from, to, { force, pairs: [{ source: 'say "hi"' }] });
      assert.deepEqual(pair.columns, Object.fromEntries(columnNames.map((c) => [c, 1])), pair.explain.decision);
    }
  }
});

test('empty on one side, on both, one row, no column but the key', async () => {
  for (const sides of directions) {
    await using source = await database(sides[0]);
    await using target = await database(sides[1]);
    for (const db of [source, target]) {
      const int = db.engine === 'sqlite' ? 'integer' : 'bigint';
      for (const name of ['none', 'here', 'there', 'one', 'other'])
        await db.run(`create table "${name}" (id ${int} primary key, v text)`);
      await db.run(`create table keys_only (id ${int} primary key); insert into keys_only values (1), (2)`);
      await db.run(`insert into "one" values (1, null); insert into other values (1, '${db === source}')`);
    }
    await source.run(`insert into here values (1, 'x'), (2, null), (-3, '')`);
    await target.run(`insert into there values (9223372036854775807, 'x'); insert into keys_only values (3)`);
    const found = await diffJson(source.url, target.url);
    assert.deepEqual(
      Object.fromEntries(
        found.pairs.map((p) => [
          p.source.replace('public.', ''),
          [p.identical, p.different, p.only_in_source, p.only_in_target],
        ]),
      ),
      {
        none: [0, 0, 0, 0],
        here: [0, 0, 3, 0],
        there: [0, 0, 0, 1],
        one: [1, 0, 0, 0],
        other: [0, 1, 0, 0],
        keys_only: [2, 0, 0, 1],
      },
    );
    const none = await diffJson(source.url, target.url, 'none', 'one');
    assert.equal(none.verdict, 'agrees');
    for (const force of sides[0] === sides[1] ? (['digest'] as const) : (['hashes', 'rows'] as const)) {
      await using from = await source.connect('from');
      await using to = await target.connect('to');
      const { report } = await compareAll(from, to, { force });
      assert.deepEqual(
        report.pairs.map((p) => p.different + p.only_in_source + p.only_in_target).sort(),
        [0, 0, 1, 1, 1, 3],
        force,
      );
    }
  }
});

test('cells of 12 MB that differ in their last character or byte only', async () => {
  const size = 12 * 1024 * 1024;
  await using a = await database('postgres');
  await using b = await database('postgres');
  await using c = await database('sqlite');
  for (const [db, end, last] of [
    [a, 'z', '00'],
    [b, 'Z', '01'],
  ] as const)
    await db.run(`create table big (id bigint primary key, t text, b bytea);
      insert into big values (1, repeat('x', ${size}) || '${end}', ''), (2, '', decode(repeat('00', ${size}), 'hex') || '\\x${last}')`);
  await c.run(`create table big (id integer primary key, t text, b blob);
    insert into big values (1, replace(hex(zeroblob(${size / 2})), '0', 'x') || 'Z', x''), (2, '', zeroblob(${size + 1}))`);
  for (const [target, expected] of [
    [b, ['1 t', '2 b']],
    [c, ['1 t']],
  ] as const) {
    const found = await diffJson(a.url, target.url);
    assert.deepEqual(
      found.differences.map((d) => `${d.key['id']} ${d.cells.map((x) => x.column)}`),
      expected,
    );
    assert.equal(found.differences[0]!.cells[0]!.target, `${'x'.repeat(size)}Z`);
  }
});

test('a table of a thousand columns', async () => {
  const width = 1000;
  await using a = await database('postgres');
  await using b = await database('postgres');
  await using c = await database('sqlite');
  const columns = Array.from({ length: width }, (_, i) => `c${i}`);
  for (const db of [a, b, c]) {
    const types = columns.map((n) => `${n} int`).join(', ');
    await db.run(`create table wide (id ${db.engine === 'sqlite' ? 'integer' : 'bigint'} primary key, ${types})`);
    for (let id = 1; id <= 20; id++)
      await db.run(
        `insert into wide values (${id}, ${columns.map((_, i) => (i % 7 === id % 7 ? 'null' : i * id)).join(', ')})`,
      );
  }
  for (const db of [b, c])
    await db.run(`
      update wide set c999 = -1 where id = 4;
      update wide set c0 = c1, c1 = c0 where id = 6;
      update wide set c500 = c500 + 1 where id = 8;
      update wide set c500 = c500 - 1 where id = 9`);
  for (const [source, target] of [
    [a, b],
    [a, c],
    [c, a],
  ] as const) {
    const found = await diffJson(source.url, target.url);
    assert.deepEqual(
      found.differences.map((d) => `${d.key['id']} ${d.cells.map((x) => x.column)}`),
      ['4 c999', '6 c0,c1', '8 c500', '9 c500'],
    );
    for (const force of ['digest', 'rows'] as const) {
      await using from = await source.connect('from');
      await using to = await target.connect('to');
      const { pair } = await compareAll(from, to, { force });
      assert.deepEqual(pair.columns, { c0: 1, c1: 1, c500: 2, c999: 1 }, pair.explain.decision);
    }
  }
});

test('partitions through their parent, generated columns, views by name', async () => {
  await using a = await database('postgres');
  await using b = await database('postgres');
  await using c = await database('sqlite');
  for (const db of [a, b])
    await db.run(`
      create table events (id bigint, day date, v text, primary key (id, day)) partition by range (day);
      create table events_old partition of events for values from (minvalue) to ('2024-01-01');
      create table events_new partition of events for values from ('2024-01-01') to (maxvalue);
      insert into events select n, date '2023-12-01' + n::int, 'v' || n from generate_series(1, 100) n;
      create table made (id bigint generated always as identity primary key, a int, b int, c int generated always as (a + b) stored);
      insert into made (a, b) select n, n * 2 from generate_series(1, 50) n;
      create view seen as select id, c from made`);
  await c.run(`
    create table events (id integer not null, day date not null, v text, primary key (id, day));
    with recursive n(n) as (select 1 union all select n + 1 from n where n < 100)
      insert into events select n, date('2023-12-01', '+' || n || ' days'), 'v' || n from n;
    create table made (id integer primary key, a int, b int, c int generated always as (a + b) stored);
    with recursive n(n) as (select 1 union all select n + 1 from n where n < 50)
      insert into made (a, b) select n, n * 2 from n;
    create view seen as select id, c from made`);
  for (const db of [b, c]) {
    await db.run(`
      update events set v = 'other' where id in (3, 80);
      delete from events where id = 31;
      update made set a = a + 1, b = b - 1 where id = 10;
      update made set a = a + 1 where id = 20`);
  }
  for (const target of [b, c]) {
    const found = await diffJson(a.url, target.url);
    assert.deepEqual(
      found.differences.map((d) =>
        [d.pair, d.key['id'], d.kind, ...(d.kind === 'different' ? d.cells.map((x) => x.column) : [])].join(' '),
      ),
      [
        'public.events 3 different v',
        'public.events 31 only_in_source',
        'public.events 80 different v',
        // c is a + b: equal in row 10, although both changed.
        'public.made 10 different a b',
        'public.made 20 different a c',
      ],
      target.engine,
    );
    const view = await diffJson(a.url, target.url, 'seen', '--key', 'id');
    assert.deepEqual(
      view.differences.map((d) => [d.key['id'], ...d.cells.map((x) => x.column)]),
      [['20', 'c']],
    );
    for (const force of ['digest', 'rows'] as const) {
      await using from = await a.connect('from');
      await using to = await target.connect('to');
      const { report } = await compareAll(from, to, { force });
      assert.deepEqual(
        report.pairs.map((p) => [p.different, p.only_in_source, p.only_in_target]),
        [
          [2, 1, 0],
          [2, 0, 0],
        ],
      );
    }
  }
});
