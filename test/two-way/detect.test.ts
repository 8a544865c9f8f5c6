import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Met } from '../../src/diff/two-way/options.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Key, Row, Text } from '../../src/model/row.ts';
import { openSide, type Side } from '../diff/sides.ts';
import { freshStore } from '../store/fresh-store.ts';
import { agreeOn, agreeOnSeen, detectAll, pairOf, type Sides } from './two-sides.ts';

const { store } = await freshStore();
const databases: Sides<Side> = { source: await openSide('postgres', 'shop'), target: await openSide('sqlite', 'crm') };
const both: Sides<Endpoint> = { source: databases.source.endpoint, target: databases.target.endpoint };
after(async () => {
  await databases.source[Symbol.asyncDispose]();
  await databases.target[Symbol.asyncDispose]();
});

const sides = ['source', 'target'] as const;
const everywhere = async (sql: string, values?: readonly unknown[]): Promise<void> => {
  for (const side of sides) await databases[side].run(sql, values);
};

const shown = (rows: Iterable<Met>) =>
  [...rows]
    .map(({ key, base, source, target }) => [
      key.join(','),
      base?.source[1] ?? null,
      source?.[1] ?? null,
      target?.[1] ?? null,
    ])
    .sort((a, b) => (a[0]! < b[0]! ? -1 : 1));

const keyTypes = [
  { name: 'bigint', pg: 'bigint', key: (i: number) => String(i * 17 - 40) },
  { name: 'text', pg: 'text', key: (i: number) => `k\u{1f600}${'x'.repeat((i * 7) % 5)}${i}` },
] as const;

/** What happened to one key on one side since both agreed: u nothing, c changed, d deleted, i inserted, n not there. */
const fates = [
  ...['u', 'c', 'd'].flatMap((s) => ['u', 'c', 'd'].map((t) => `1${s}${t}`)),
  ...['n', 'i'].flatMap((s) => ['n', 'i'].map((t) => `0${s}${t}`)),
  // both did the same
  '1==',
  '0==',
];

for (const { name, pg, key } of keyTypes)
  for (const force of ['digest', 'merge'] as const)
    test(`what both sides did is found, whatever it was (${name} key, ${force})`, async () => {
      const table = `fates_${name}_${force}`;
      await databases.source.run(`create table ${table} (id ${pg} primary key, v text)`);
      await databases.target.run(`create table ${table} (id ${pg} not null primary key, v text)`);
      const copies = 3;
      const all = Array.from({ length: copies }, () => fates).flat();
      for (const [i, fate] of all.entries())
        if (fate[0] === '1') await everywhere(`insert into ${table} values ($1, $2)`, [key(i), `base ${i}`]);
      const pair = await pairOf(both, table);
      const first = await detectAll(store, both, pair);
      assert.equal(first.found.firstContact, true);
      assert.equal(first.met.size, 0);
      const there = all.filter((f) => f[0] === '1').length;
      assert.equal(first.found.report.identical, there);

      const expected: [string, string | null, string | null, string | null][] = [];
      for (const [i, fate] of all.entries()) {
        const base = fate[0] === '1' ? `base ${i}` : null;
        const now = { source: base, target: base };
        for (const [n, side] of sides.entries()) {
          const what = fate[n + 1];
          const value = what === '=' ? `same ${i}` : `${side} ${i}`;
          if (what === 'c' || (what === '=' && base !== null)) {
            await databases[side].run(`update ${table} set v = $2 where id = $1`, [key(i), value]);
            now[side] = value;
          } else if (what === 'i' || what === '=') {
            await databases[side].run(`insert into ${table} values ($1, $2)`, [key(i), value]);
            now[side] = value;
          } else if (what === 'd') {
            await databases[side].run(`delete from ${table} where id = $1`, [key(i)]);
            now[side] = null;
          }
        }
        if (now.source !== base || now.target !== base) expected.push([key(i), base, now.source, now.target]);
      }
      const then = await detectAll(store, both, pair, { force });
      assert.deepEqual(
        shown(then.met.values()),
        expected.sort((a, b) => (a[0] < b[0] ? -1 : 1)),
      );
      assert.equal(then.found.firstContact, false);
      assert.equal(then.found.report.strategy, force);
      assert.equal(then.found.changed.source, expected.filter(([, b, s]) => b !== null && s !== b).length);
      assert.equal(then.found.changed.target, expected.filter(([, b, , t]) => b !== null && t !== b).length);
      assert.equal(then.found.unknown, expected.filter(([, b]) => b === null).length);
      assert.equal(then.found.agreed, expected.filter(([, , s, t]) => s === t).length);
      assert.equal(then.found.doubted, 0);

      // what nobody agrees on is found again; what is agreed on is not
      assert.equal((await detectAll(store, both, pair, { force })).met.size, then.met.size);
      const alike = (m: Met): boolean => m.source?.[1] === m.target?.[1];
      await agreeOnSeen({ ...then, met: new Map([...then.met].filter(([, m]) => alike(m))) });
      const last = await detectAll(store, both, pair, { force });
      assert.deepEqual(shown(last.met.values()), shown([...then.met.values()].filter((m) => !alike(m))));
    });

test('nothing is read of a quiet pair but digests', async () => {
  await everywhere('create table quiet (id bigint not null primary key, v text)');
  for (let i = 0; i < 50; i++) await everywhere('insert into quiet values ($1, $2)', [i, `v${i}`]);
  const pair = await pairOf(both, 'quiet');
  await detectAll(store, both, pair);
  const { found, met } = await detectAll(store, both, pair, { force: 'digest' });
  assert.equal(met.size, 0);
  assert.equal(found.report.identical, 50);
  assert.match(found.report.explain.decision, /no part differs/);
  assert.deepEqual(found.report.rows, { source: 50, target: 50 });
});

test('values that two rows exchanged are found on the side that did it', async () => {
  await everywhere('create table swapped (id bigint not null primary key, a text, b bigint)');
  for (let i = 0; i < 20; i++) await everywhere('insert into swapped values ($1, $2, $3)', [i, `v${i}`, i]);
  const pair = await pairOf(both, 'swapped');
  await detectAll(store, both, pair);
  await databases.target.run(`update swapped set a = case id when 3 then 'v4' else 'v3' end where id in (3, 4)`);
  for (const force of ['digest', 'merge'] as const) {
    const { met, found } = await detectAll(store, both, pair, { force });
    assert.deepEqual([...met.keys()], ['["3"]', '["4"]']);
    assert.deepEqual(found.changed, { source: 0, target: 2 });
  }
});

test('what a tolerance covers is agreed as each side has it, and only a change beyond its own base counts', async () => {
  await everywhere('create table near (id bigint not null primary key, price numeric(12,4), name text)');
  await databases.source.run(`insert into near values (1, 10.00, 'a'), (2, 20.00, 'b'), (3, 30.00, 'c')`);
  await databases.target.run(`insert into near values (1, 10.01, 'a'), (2, 20.00, 'B'), (3, 30.5, 'c')`);
  const options = { tolerances: { price: { numeric: '0.02' }, name: { ignoreCase: true as const } } };
  const pair = await pairOf(both, 'near', options);
  const first = await detectAll(store, both, pair);
  assert.deepEqual([...first.met.keys()], ['["3"]']);
  assert.equal(first.met.get('["3"]')!.base, null);
  assert.deepEqual(first.found.report.tolerated, { price: 1, name: 1 });
  const second = await detectAll(store, both, pair, { force: 'digest' });
  assert.deepEqual([...second.met.keys()], ['["3"]']);
  // within the tolerance of the other side, and yet not what it was
  await databases.source.run('update near set price = 10.02 where id = 1');
  const third = await detectAll(store, both, pair, { force: 'digest' });
  const met = third.met.get('["1"]')!;
  assert.deepEqual(
    [met.base!.source[1], met.base!.target[1], met.source![1], met.target![1]],
    ['10', '10.01', '10.02', '10.01'],
  );
  assert.deepEqual(third.found.changed, { source: 1, target: 0 });
});

test('a column that each side keeps for itself is no change, and is not looked at twice', async () => {
  await everywhere('create table touched (id bigint not null primary key, v text, at text)');
  await databases.source.run(`insert into touched values (1, 'a', 's1'), (2, 'b', 's1')`);
  await databases.target.run(`insert into touched values (1, 'a', 't1'), (2, 'b', 't1')`);
  const pair = await pairOf(both, 'touched', { tolerances: { at: { any: true } } });
  const first = await detectAll(store, both, pair);
  assert.equal(first.found.report.identical, 2);
  await databases.source.run(`update touched set at = 's2'`);
  await databases.target.run(`update touched set at = 't2', v = 'B' where id = 2`);
  const { met, found } = await detectAll(store, both, pair);
  assert.deepEqual([...met.keys()], ['["2"]']);
  assert.deepEqual(found.changed, { source: 0, target: 1 });
  const [known] = await first.archive.archive.find([['1']] as unknown as Key[], {
    signal: new AbortController().signal,
  });
  assert.deepEqual([known!.base.source[2], known!.base.target[2]], ['s2', 't1']);
});

test('texts with what no encoding has, and NUL, are agreed and found to have changed', async () => {
  await databases.source.run('create table odd (id text primary key, v text)');
  await databases.target.run('create table odd (id text not null primary key, v text)');
  await everywhere('insert into odd values ($1, $2)', ['\u{1f600}\ufffd', '\u{1f601}']);
  await databases.target.run(`insert into odd values ('n' || char(0) || 'l', 'a' || char(0))`);
  await databases.target.run(`insert into odd values (cast(x'80' as text), cast(x'ff41' as text))`);
  const pair = await pairOf(both, 'odd');
  const first = await detectAll(store, both, pair);
  assert.equal(first.met.size, 2);
  const rows = [...first.met.values()];
  // as if the other side could hold them
  await agreeOn(
    first,
    both,
    rows.map((m) => ({ key: m.key, source: m.target, target: m.target })),
  );
  const second = await detectAll(store, both, pair);
  for (const { key, target } of rows) {
    const met = second.met.get(JSON.stringify(key))!;
    assert.deepEqual([met.base!.target, met.target, met.source], [target, target, null]);
  }
  assert.deepEqual(second.found.changed, { source: 2, target: 0 });
});

test('an archive that is wrong never hides a difference, and heals where there is none', async () => {
  await databases.source.run('create table wrong (id bigint primary key, v text)');
  const twin = await openSide('postgres', 'twin');
  try {
    await twin.run('create table wrong (id bigint primary key, v text)');
    const pairOfTwins: Sides<Endpoint> = { source: both.source, target: twin.endpoint };
    for (let i = 0; i < 30; i++)
      for (const side of [databases.source, twin]) await side.run('insert into wrong values ($1, $2)', [i, `v${i}`]);
    const pair = await pairOf(pairOfTwins, 'wrong');
    const first = await detectAll(store, pairOfTwins, pair);
    const { archive } = first.archive;
    // both sides differ, and the archive has the hash of each: as if it had been agreed
    await twin.run(`update wrong set v = 'other' where id = 5`);
    const seen = await detectAll(store, pairOfTwins, pair);
    const met = seen.met.get('["5"]')!;
    const base = { source: met.source!, target: met.target!, at: 1, run: 'r' };
    const hashes = { source: met.seen.source, target: met.seen.target };
    const keyHash = 5n;
    await archive.keep([{ key: met.key, keyHash, base, ...hashes }], { signal: new AbortController().signal });
    for (const force of ['digest', 'merge'] as const) {
      const { met: again, found } = await detectAll(store, pairOfTwins, pair, { force });
      assert.deepEqual(
        [...again.values()].map((m) => [m.key[0], m.base, m.source![1], m.target![1]]),
        [['5', null, 'v5', 'other']],
      );
      assert.equal(found.doubted, 1);
    }
    await twin.run(`update wrong set v = 'v5' where id = 5`);
    // other values, with the hashes of the rows exchanged: the sums stay the same
    const one = await archive.find([['7'], ['8']] as unknown as Key[], { signal: new AbortController().signal });
    const text = (value: string): Text => value as Text;
    await agreeOn(first, pairOfTwins, [
      { key: [text('7')], source: [text('7'), text('never')], target: [text('7'), text('never')] },
      { key: [text('5')], source: [text('5'), text('v5')], target: [text('5'), text('v5')] },
    ]);
    const healing = await detectAll(store, pairOfTwins, pair, { force: 'digest' });
    assert.deepEqual([...healing.met.keys()], ['["7"]']);
    assert.equal(healing.met.get('["7"]')!.base!.source[1], 'never');
    assert.equal(healing.found.agreed, 1);
    assert.equal(one.length, 2);
  } finally {
    await twin[Symbol.asyncDispose]();
  }
});

test('a row that moves between the readings waits for the next run', async () => {
  await everywhere('create table moving (id bigint not null primary key, v text)');
  for (let i = 0; i < 5; i++) await everywhere('insert into moving values ($1, $2)', [i, 'v']);
  const pair = await pairOf(both, 'moving');
  await detectAll(store, both, pair);
  await databases.source.run(`update moving set v = 'a' where id = 1`);
  await databases.target.run(`update moving set v = 'b' where id = 2`);
  let now = 0;
  let turn = 0;
  const clock = {
    now: () => now,
    elapsed: () => now,
    sleep: async (ms: number) => {
      now += ms;
      await databases.source.run('update moving set v = $1 where id = 1', [`moved ${turn++}`]);
    },
  };
  const { met, found } = await detectAll(store, both, pair, { clock });
  assert.deepEqual([...met.keys()], ['["2"]']);
  assert.equal(found.report.in_flight, 1);
  assert.equal(turn, 3);
  const next = await detectAll(store, both, pair);
  assert.deepEqual([...next.met.keys()], ['["1"]', '["2"]']);
  assert.equal(next.met.get('["1"]')!.source![1], 'moved 2');
});

test('a row that only left a filter is no deletion, and is forgotten', async () => {
  await everywhere('create table filtered (id bigint not null primary key, v text)');
  for (let i = 0; i < 6; i++) await everywhere('insert into filtered values ($1, $2)', [i, 'in']);
  const options = { filter: { source: `v <> 'out'`, target: `v <> 'out'` } };
  const pair = await pairOf(both, 'filtered', options);
  const first = await detectAll(store, both, pair);
  assert.equal(first.found.report.identical, 6);
  await databases.source.run(`update filtered set v = 'out' where id = 1`);
  await databases.target.run('delete from filtered where id = 2');
  await databases.target.run(`update filtered set v = 'out' where id = 3`);
  const second = await detectAll(store, both, pair);
  assert.deepEqual(shown(second.met.values()), [['2', 'in', 'in', null]]);
  assert.equal(second.found.leftFilter, 2);
  assert.deepEqual(
    await first.archive.archive.find([['1'], ['3']] as unknown as Key[], { signal: new AbortController().signal }),
    [],
  );
  const third = await detectAll(store, both, pair);
  assert.deepEqual([third.found.leftFilter, third.met.size], [2, 1]);
  // back again: it was forgotten, so it is new to both
  await databases.source.run(`update filtered set v = 'back' where id = 1`);
  const fourth = await detectAll(store, both, pair);
  assert.deepEqual(shown(fourth.met.values()), [
    ['1', null, 'back', 'in'],
    ['2', 'in', 'in', null],
  ]);
});

test('after writes, what is stored is agreed; what moved meanwhile is looked at again', async () => {
  await everywhere('create table written (id bigint not null primary key, v text)');
  for (let i = 0; i < 6; i++) await everywhere('insert into written values ($1, $2)', [i, 'v']);
  const pair = await pairOf(both, 'written');
  const first = await detectAll(store, both, pair);
  const row = (id: string, v: string): Row => [id, v] as unknown as Row;
  const key = (id: string): Key => [id] as unknown as Key;
  await everywhere(`update written set v = 'new' where id in (1, 2)`);
  await databases.target.run(`update written set v = 'newer' where id = 2`);
  await databases.target.run('delete from written where id = 3');
  await databases.source.run('delete from written where id = 4');
  await databases.target.run('delete from written where id = 4');
  await agreeOn(first, both, [
    { key: key('1'), source: row('1', 'new'), target: row('1', 'new') },
    { key: key('2'), source: row('2', 'new'), target: row('2', 'new') },
    { key: key('3'), source: row('3', 'v'), target: row('3', 'v') },
    { key: key('4'), source: null, target: null },
  ]);
  const { met, found } = await detectAll(store, both, pair, { force: 'digest' });
  assert.deepEqual(shown(met.values()), [
    ['2', 'new', 'new', 'newer'],
    ['3', 'v', 'v', null],
  ]);
  assert.deepEqual(found.changed, { source: 0, target: 2 });
});

test('rows that were agreed on and are not equal are believed only where one side keeps its own', async () => {
  await everywhere('create table own (id bigint not null primary key, v text)');
  await databases.source.run(`insert into own values (1, 'ours'), (2, 'both')`);
  await databases.target.run(`insert into own values (1, 'theirs'), (2, 'both')`);
  const pair = await pairOf(both, 'own');
  const first = await detectAll(store, both, pair);
  await agreeOnSeen(first);
  for (const force of ['digest', 'merge'] as const) {
    const trusting = await detectAll(store, both, pair, { force, mayDiffer: true });
    assert.deepEqual([trusting.met.size, trusting.found.doubted], [0, 0]);
    const { met, found } = await detectAll(store, both, pair, { force });
    assert.deepEqual([shown(met.values()), found.doubted], [[['1', null, 'ours', 'theirs']], 1]);
  }
  await databases.target.run(`update own set v = 'newer' where id = 1`);
  const { met } = await detectAll(store, both, pair, { mayDiffer: true });
  const { base } = met.get('["1"]')!;
  assert.deepEqual([base!.source[1], base!.target[1]], ['ours', 'theirs']);
});

test('base values that are not kept still tell what changed, and tell nothing else', async () => {
  await everywhere('create table hashed (id bigint not null primary key, a text, b text)');
  for (let i = 0; i < 4; i++) await everywhere('insert into hashed values ($1, $2, $3)', [i, 'secret', 'secret']);
  const pair = await pairOf(both, 'hashed');
  const kept = (column: number) => (column === 1 ? ('hash' as const) : ('value' as const));
  const first = await detectAll(store, both, pair, { kept });
  await databases.source.run(`update hashed set a = null where id = 1`);
  await databases.target.run(`update hashed set b = 'x' where id = 1`);
  const { met } = await detectAll(store, both, pair, { kept });
  const { base, source, target } = met.get('["1"]')!;
  assert.deepEqual(Object.keys(base!.source[1] as object), ['hash']);
  assert.equal(base!.source[2], 'secret');
  const { same } = first.archive.cells;
  assert.deepEqual(
    [1, 2].map((i) => [same(i, base!.source[i]!, source![i]!), same(i, base!.target[i]!, target![i]!)]),
    [
      [false, true],
      [true, false],
    ],
  );
  const other = first.archive.cells.of(['1', 'secret', 'secret'] as unknown as Row);
  assert.notDeepEqual(other[1], 'secret');
});

test('an empty side at first contact is counted as such', async () => {
  await everywhere('create table empty_one (id bigint not null primary key, v text)');
  for (let i = 0; i < 4; i++) await databases.target.run('insert into empty_one values ($1, $2)', [i, 'v']);
  const pair = await pairOf(both, 'empty_one');
  const { found, met } = await detectAll(store, both, pair);
  assert.deepEqual(found.report.rows, { source: 0, target: 4 });
  assert.equal(found.report.only_in_target, 4);
  assert.equal(met.size, 4);
});

test('a first contact that was interrupted begins again and loses nothing', async () => {
  await everywhere('create table begun (id bigint not null primary key, v text)');
  for (let i = 0; i < 6; i++) await everywhere('insert into begun values ($1, $2)', [i, 'v']);
  await databases.source.run(`update begun set v = 'x' where id = 3`);
  const pair = await pairOf(both, 'begun');
  const stop = new Error('stopped');
  await assert.rejects(
    detectAll(store, both, pair, {
      sink: async () => {
        throw stop;
      },
    }),
    stop,
  );
  await databases.source.run(`update begun set v = 'later' where id = 4`);
  await everywhere('delete from begun where id = 5');
  const again = await detectAll(store, both, pair);
  assert.equal(again.found.firstContact, true);
  assert.deepEqual(shown(again.met.values()), [
    ['3', null, 'x', 'v'],
    ['4', 'v', 'later', 'v'],
  ]);
  const next = await detectAll(store, both, pair);
  assert.equal(next.found.firstContact, false);
  assert.deepEqual(shown(next.met.values()), [
    ['3', null, 'x', 'v'],
    ['4', 'v', 'later', 'v'],
    ['5', 'v', null, null],
  ]);
});

test('a table without a key cannot be kept in step', async () => {
  await databases.source.run('create table keyless (a text)');
  await databases.target.run('create table keyless (a text)');
  const pair = await pairOf(both, 'keyless');
  await assert.rejects(detectAll(store, both, pair), { code: 'KEY_MISSING' });
});
