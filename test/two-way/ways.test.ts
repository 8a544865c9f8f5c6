import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { Archive, Archives } from '../../src/model/archive.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { judge } from '../../src/model/judge.ts';
import type { Reader } from '../../src/model/reader.ts';
import type { Key, Row } from '../../src/model/row.ts';
import type { ColumnType } from '../../src/model/schema.ts';
import { openSide, type Side } from '../diff/sides.ts';
import { column, database, endpoint, table } from '../diff/tables.ts';
import { freshStore } from '../store/fresh-store.ts';
import { agreeOn, detectAll, pairOf, type Sides } from './two-sides.ts';

const { store } = await freshStore();
const databases = {
  shop: await openSide('postgres', 'shop'),
  twin: await openSide('postgres', 'twin'),
  crm: await openSide('sqlite', 'crm'),
};
after(async () => {
  for (const side of Object.values(databases)) await side[Symbol.asyncDispose]();
});
const between = (source: Side, target: Side): Sides<Endpoint> => ({ source: source.endpoint, target: target.endpoint });
const twins = between(databases.shop, databases.twin);
const mixed = between(databases.shop, databases.crm);

/** The store, and how many rows were kept through it. */
const counted = () => {
  const kept = { rows: 0 };
  const archives: Archives = {
    ...store.archives,
    open: async (of, o): Promise<Archive> => {
      const archive = await store.archives.open(of, o);
      return {
        ...archive,
        keep: (agreed, c) => {
          kept.rows += agreed.length;
          return archive.keep(agreed, c);
        },
      };
    },
  };
  return { store: { archives, sharedSecret: store.sharedSecret }, kept };
};

/** The endpoint as an API without hashes would be. */
const withoutHashes = (endpoint: Endpoint): Endpoint => ({
  ...endpoint,
  name: endpoint.name,
  engine: endpoint.engine,
  fingerprint: endpoint.fingerprint,
  inspect: (o) => endpoint.inspect(o),
  snapshot: async (o): Promise<Reader> => {
    const { hashing: _, ...reader } = await endpoint.snapshot(o);
    return reader;
  },
  [Symbol.asyncDispose]: () => endpoint[Symbol.asyncDispose](),
});

test('JSON that a database writes in its own way is agreed at once, by its own hash', async () => {
  for (const side of [databases.shop, databases.twin]) {
    await side.run('create table documents (id uuid primary key, body jsonb, raw json)');
    await side.run(`insert into documents select md5(n::text)::uuid, format('{"a": %s.%s, "b": [1e2]}', n, repeat('0', n))::jsonb,
      format('{"z":%s,  "a":1}', n)::json from generate_series(1, 30) n`);
  }
  const pair = await pairOf(twins, 'documents');
  const { store: first, kept } = counted();
  const begun = await detectAll(first, twins, pair);
  assert.deepEqual([begun.met.size, kept.rows], [0, 30]);
  for (const force of ['digest', 'merge'] as const) {
    const { found, met } = await detectAll(first, twins, pair, { force });
    // nothing was looked at again, so nothing was kept again
    assert.deepEqual([met.size, kept.rows, found.report.identical], [0, 30, 30]);
  }
  await databases.twin.run(`update documents set body = '{"a": 1}' where id = md5('7')::uuid`);
  for (const force of ['digest', 'merge'] as const) {
    const { found, met } = await detectAll(first, twins, pair, { force });
    assert.equal(met.size, 1);
    assert.deepEqual(found.changed, { source: 0, target: 1 });
  }
});

test('where a side cannot hash beside its rows, what it has is looked at once more and then known', async () => {
  await databases.shop.run('create table notes (id bigint primary key, body jsonb)');
  await databases.crm.run('create table notes (id bigint not null primary key, body json)');
  for (let i = 0; i < 10; i++)
    for (const side of [databases.shop, databases.crm])
      await side.run('insert into notes values ($1, $2)', [i, `{"n": ${i}.50, "t": ["x"]}`]);
  const pair = await pairOf(mixed, 'notes');
  const { store: first } = counted();
  assert.equal((await detectAll(first, mixed, pair)).met.size, 0);
  assert.equal((await detectAll(first, mixed, pair)).met.size, 0);
  const { store: later, kept } = counted();
  const { met, found } = await detectAll(later, mixed, pair, { force: 'digest' });
  assert.deepEqual([met.size, kept.rows, found.report.identical], [0, 0, 10]);
});

test('a side without hashes has its rows hashed here; when it learns to hash, what was agreed stays', async () => {
  for (const side of [databases.shop, databases.twin]) {
    await side.run('create table bare (a text not null, b bigint not null, v jsonb, primary key (a, b))');
    await side.run(
      `insert into bare select 'k' || n % 3, n, format('{"n": %s.0}', n)::jsonb from generate_series(1, 40) n`,
    );
  }
  const bare = { source: withoutHashes(twins.source), target: twins.target };
  const pair = await pairOf(twins, 'bare');
  assert.equal((await detectAll(store, bare, pair)).met.size, 0);
  await databases.shop.run(`update bare set v = '{}' where b = 7`);
  await databases.twin.run('delete from bare where b = 8');
  for (const sides of [bare, bare, twins, twins]) {
    const { met, found } = await detectAll(store, sides, pair);
    assert.deepEqual([...met.keys()].sort(), ['["k1","7"]', '["k2","8"]']);
    assert.deepEqual(found.changed, { source: 1, target: 1 });
    assert.equal(
      found.firstContact,
      [...met.values()].every((m) => m.base === null),
    );
  }
});

test('keys by the thousand, all changed, are found in parts and as a whole', async () => {
  for (const [kind, key] of [
    ['uuid', "md5('k' || n)::uuid"],
    ['bigint', 'n::bigint * n * n'],
  ]) {
    const name = `many_${kind}`;
    for (const side of [databases.shop, databases.twin]) {
      await side.run(`create table ${name} (id ${kind} primary key, v text)`);
      await side.run(`insert into ${name} select ${key}, 'v' from generate_series(1, 5000) n`);
    }
    const pair = await pairOf(twins, name);
    assert.equal((await detectAll(store, twins, pair)).found.report.identical, 5000);
    await databases.shop.run(`update ${name} set v = 'changed'`);
    await databases.twin.run(`delete from ${name} where right(md5(id::text), 1) = '0'`);
    const found = [];
    for (const force of ['digest', 'merge'] as const) {
      const two = await detectAll(store, twins, pair, { force });
      assert.equal(two.met.size, 5000);
      assert.equal(two.found.changed.source, 5000);
      found.push([two.found.changed.target, two.found.report.only_in_source]);
    }
    assert.deepEqual(found[0], found[1]);
    assert.ok(found[0]![0]! > 100);
  }
});

test('rows whose key is NULL or comes twice are counted and left alone, with what was agreed of the key', async () => {
  for (const side of [databases.shop, databases.twin]) {
    await side.run('create table loose (code text, v text)');
    await side.run(`insert into loose values ('a', '1'), ('b', '2'), ('c', '3'), (null, '4')`);
  }
  const pair = await pairOf(twins, 'loose', { key: ['code'] });
  const first = await detectAll(store, twins, pair);
  assert.deepEqual([first.found.report.identical, first.met.size], [3, 0]);
  await databases.shop.run(`insert into loose values ('b', 'twice')`);
  await databases.twin.run(`update loose set v = 'x' where code = 'c'`);
  const second = await detectAll(store, twins, pair);
  assert.deepEqual([...second.met.keys()], ['["c"]']);
  assert.equal(second.found.report.duplicate_key, 1);
  assert.deepEqual(second.found.report.apart, { source: 3, target: 2 });
  await databases.shop.run(`delete from loose where v = 'twice'`);
  const third = await detectAll(store, twins, pair);
  assert.deepEqual([...third.met.keys()], ['["c"]']);
  assert.equal(third.found.report.duplicate_key, 0);
});

test('hashes in an archive that are those of other rows are put right, and hide nothing', async () => {
  for (const side of [databases.shop, databases.twin]) {
    await side.run('create table crossed (id bigint primary key, v text)');
    await side.run(`insert into crossed select n, 'v' || n from generate_series(1, 20) n`);
  }
  const pair = await pairOf(twins, 'crossed');
  const { archive } = await detectAll(store, twins, pair);
  const signal = new AbortController().signal;
  const keys = [['7'], ['8']] as unknown as Parameters<Archive['find']>[0];
  const bases = new Map((await archive.archive.find(keys, { signal })).map((r) => [r.key[0], r.base]));
  const hashes: bigint[] = [];
  for await (const batch of archive.archive.hashes({ keys }, { signal }))
    for (let i = 0; i < 2; i++)
      hashes.push((BigInt(batch.source[2 * i]!) << 32n) | BigInt(batch.source[2 * i + 1]! >>> 0));
  // each has the hash of the other: the sums are what they were
  await archive.archive.keep(
    keys.map((key, i) => ({
      key,
      keyHash: 0n,
      base: bases.get(key[0]!)!,
      source: hashes[1 - i]!,
      target: hashes[1 - i]!,
    })),
    { signal },
  );
  await databases.twin.run(`update crossed set v = 'changed' where id = 8`);
  const { met, found } = await detectAll(store, twins, pair, { force: 'merge' });
  assert.deepEqual([...met.keys()], ['["8"]']);
  assert.deepEqual(found.changed, { source: 0, target: 1 });
  const again = await detectAll(store, twins, pair, { force: 'merge' });
  assert.deepEqual([...again.met.keys()], ['["8"]']);
});

type Cells = readonly (string | null)[];
type State = ReadonlyMap<string, Cells>;

const kinds: readonly { readonly type: ColumnType; readonly key: (i: number) => string }[] = [
  { type: { kind: 'int', bits: 64 }, key: (i) => String((i - 6) * 3) },
  {
    type: { kind: 'int', bits: 64 },
    key: (i) => (i === 0 ? '-9223372036854775808' : String(9223372036854775807n - BigInt(i))),
  },
  {
    type: { kind: 'text' },
    key: (i) =>
      ['', 'a', 'a\0', '\u{1f600}', '\ufffd', '\udc80', 'B', 'é', 'é'][i % 9]! + 'x'.repeat(Math.floor(i / 9)),
  },
  { type: { kind: 'decimal' }, key: (i) => `${(i % 5) - 2}${i < 5 ? '' : `.${i}1`}`.replace(/^-0$/, '0') },
  { type: { kind: 'uuid' }, key: (i) => `${((i * 37) % 16).toString(16)}fffffff-0000-4000-8000-00000000000${i % 10}` },
];
const someText = fc.constantFrom('x', 'y', 'X', '', 'x\0', '\udc80', null);

/** What happens to a key on one side in one round. */
const deed = fc.oneof(
  { weight: 5, arbitrary: fc.constant('keep' as const) },
  { weight: 1, arbitrary: fc.constant('drop' as const) },
  { weight: 3, arbitrary: fc.record({ put: someText, n: fc.constantFrom('1', '1.05', '2') }) },
);
type Deed = 'keep' | 'drop' | { readonly put: string | null; readonly n: string };

const places = 12;
const round = fc.record({
  deeds: fc.array(fc.tuple(deed, deed), { minLength: places, maxLength: places }),
  /** Both sides do what the source does. */
  alike: fc.array(
    fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    { minLength: places, maxLength: places },
  ),
  /** What becomes of keys that were handed on: nothing, or what one side shows is agreed, whatever the other does. */
  ends: fc.array(fc.constantFrom('wait', 'source', 'target', 'seen'), { minLength: places, maxLength: places }),
  force: fc.constantFrom('digest' as const, 'merge' as const),
});
const setting = fc.record({
  keys: fc.array(fc.nat(kinds.length - 1), { minLength: 1, maxLength: 2 }),
  tolerant: fc.boolean(),
  batchRows: fc.constantFrom(1, 3, 1000),
  rounds: fc.array(round, { minLength: 2, maxLength: 4 }),
});

let tables = 0;

test('what is handed on is what a naive comparison of three states finds', async () => {
  await fc.assert(
    fc.asyncProperty(setting, async ({ keys, tolerant, batchRows, rounds }) => {
      const name = `t${++tables}`;
      const keyColumns = keys.map((k, i) => column(`k${i}`, kinds[k]!.type));
      const numeric: ColumnType = { kind: 'decimal' };
      const shape = table(name, [...keyColumns, column('v', { kind: 'text' }), column('n', numeric)], keys.length);
      const keyOf = (i: number): string[] => keys.map((k, c) => kinds[k]!.key(c === 0 ? i : (i * 5) % places));
      const state: Record<'source' | 'target', State> = { source: new Map(), target: new Map() };
      const databases = { source: database(shape, []), target: database(shape, []) };
      const sides = {
        source: endpoint('a', databases.source, batchRows),
        target: endpoint('b', databases.target, batchRows),
      };
      const options = tolerant ? { tolerances: { v: { ignoreCase: true as const }, n: { numeric: '0.1' } } } : {};
      const pair = await pairOf(sides, name, options);
      const equal = (a: Cells | undefined, b: Cells | undefined): boolean =>
        a === undefined || b === undefined ? a === b : judge(pair.columns, a as Row, b as Row).columns.length === 0;
      const same = (a: Cells | undefined, b: Cells | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);
      /** What was agreed, by key. */
      const base = new Map<string, { source: Cells; target: Cells }>();

      for (const [turn, { deeds, alike, ends, force }] of rounds.entries()) {
        const distinct = new Map(deeds.map((_, i) => [JSON.stringify(keyOf(i)), i]));
        for (const side of ['source', 'target'] as const) {
          const next = new Map(state[side]);
          for (const [key, i] of distinct) {
            const what: Deed = deeds[i]![side === 'source' || alike[i]! ? 0 : 1];
            if (what === 'drop') next.delete(key);
            else if (what !== 'keep') next.set(key, [...keyOf(i), what.put, what.n]);
          }
          state[side] = next;
          databases[side].edit(name, () => [...next.values()]);
        }
        const all = new Set([...state.source.keys(), ...state.target.keys(), ...base.keys()]);
        const expected: string[] = [];
        for (const key of all) {
          const [s, t, b] = [state.source.get(key), state.target.get(key), base.get(key)];
          if (turn === 0) {
            if (s !== undefined && t !== undefined && equal(s, t)) base.set(key, { source: s, target: t });
            else expected.push(JSON.stringify([key, null, s ?? null, t ?? null]));
          } else if (b === undefined || !same(s, b.source) || !same(t, b.target))
            expected.push(JSON.stringify([key, b?.source ?? null, s ?? null, t ?? null]));
          // agreed on what is not equal: not believed, where equal rows have equal hashes
          else if (!tolerant && !equal(s, t)) expected.push(JSON.stringify([key, null, s, t]));
        }
        const two = await detectAll(store, sides, pair, { force });
        const { met, found } = two;
        const handed = [...met].map(([key, m]) => JSON.stringify([key, m.base?.source ?? null, m.source, m.target]));
        assert.deepEqual(handed.sort(), expected.sort());
        assert.equal(found.firstContact, turn === 0);
        const { report } = found;
        assert.deepEqual(report.rows, { source: state.source.size, target: state.target.size });
        assert.equal(report.identical + report.different + report.only_in_source, state.source.size);

        const agreed = [...met.values()].flatMap((m) => {
          const i = distinct.get(JSON.stringify(m.key));
          const what = i === undefined ? 'wait' : ends[i]!;
          const of = (row: Row | null) => [{ key: m.key as Key, source: row, target: row }];
          if (what === 'seen') return [{ key: m.key, source: m.source, target: m.target }];
          return what === 'wait' ? [] : of(m[what as 'source' | 'target']);
        });
        await agreeOn(two, sides, agreed);
        for (const { key, source, target } of agreed) {
          if (source === null || target === null) base.delete(JSON.stringify(key));
          else base.set(JSON.stringify(key), { source, target });
        }
      }
    }),
    { numRuns: 15, seed: 20_261_121, endOnFailure: true },
  );
});
