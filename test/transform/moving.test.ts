import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Rejected, TransformSettings } from '../../src/model/transform.ts';
import {
  type Cells,
  column,
  compareAll,
  database,
  decimal,
  endpoint,
  heldClock,
  int,
  keeping,
  sums,
  table,
  text,
} from '../diff/tables.ts';

const source = table('orders', [column('id', int), column('status', text), column('cents', int)], 1);
const target = table('orders', [column('id', int), column('status', text), column('price', decimal)], 1);
const settings: TransformSettings = {
  columns: {
    status: { map: new Map([['open', 'OPEN']]) },
    price: { expr: 'cents / 100' },
  },
  validate: { status: { in: ['open', 'paid'] } },
};
const pairs = [{ source: 'orders', transform: settings }];

/** Collects what is quarantined beside the differences. */
const compared = async (
  a: ReturnType<typeof database>,
  b: ReturnType<typeof database>,
  more: Parameters<typeof compareAll>[2] = {},
) => {
  const invalid: Rejected[] = [];
  const kept = keeping();
  const result = await compareAll(endpoint('a', a, 3), endpoint('b', b, 2), {
    pairs,
    ...more,
    sink: { ...kept, quarantine: async (_pair, rows) => void invalid.push(...rows) },
  });
  assert.deepEqual(sums(result.pair), []);
  return { ...result, differences: kept.kept, invalid };
};

const stored: readonly Cells[] = [
  ['1', 'open', '100'],
  ['2', 'paid', '250'],
];
const made: readonly Cells[] = [
  ['1', 'OPEN', '1'],
  ['2', 'paid', '2.5'],
];
const withStatus = (rows: readonly Cells[], id: string, status: string): Cells[] =>
  rows.map((r) => (r[0] === id ? [r[0], status, r[2]!] : [...r]));

test('a row that becomes invalid before a difference is confirmed is in flight, and no difference', async () => {
  const a = database(source, stored);
  const b = database(target, withStatus(made, '1', 'old'));
  const clock = heldClock(() => a.edit('orders', (rows) => withStatus(rows, '1', 'broken')));
  const moving = await compared(a, b, { clock, settleMs: 1000 });
  assert.deepEqual([moving.differences, moving.invalid], [[], []]);
  assert.deepEqual([moving.pair.identical, moving.pair.in_flight, moving.report.verdict], [1, 1, 'incomplete']);
  const { differences, invalid, pair, report } = await compared(a, b);
  assert.deepEqual(differences, []);
  assert.deepEqual(
    invalid.map((r) => [r.key, r.reasons]),
    [[['1'], ["status is 'broken', none of open, paid"]]],
  );
  assert.deepEqual([pair.identical, pair.quarantined, report.verdict], [1, 1, 'incomplete']);
});

test('a row that is mended before it is confirmed to be invalid is compared', async () => {
  const a = database(source, withStatus(stored, '1', 'broken'));
  const b = database(target, made);
  const clock = heldClock(() => a.edit('orders', (rows) => withStatus(rows, '1', 'open')));
  const { differences, invalid, pair, report } = await compared(a, b, { clock, settleMs: 1000 });
  assert.deepEqual([differences, invalid], [[], []]);
  assert.deepEqual([pair.identical, pair.quarantined, report.verdict], [2, 0, 'agrees']);
});

test('an invalid row that is deleted before it is confirmed is in flight, and then missing in the source', async () => {
  const a = database(source, withStatus(stored, '1', 'broken'));
  const b = database(target, made);
  const clock = heldClock(() => a.edit('orders', (rows) => rows.filter((r) => r[0] !== '1')));
  const moving = await compared(a, b, { clock, settleMs: 1000 });
  assert.deepEqual([moving.differences, moving.invalid, moving.pair.in_flight], [[], [], 1]);
  const { differences } = await compared(a, b);
  assert.deepEqual(
    differences.map((d) => [d.kind, d.key[0]]),
    [['only_in_target', '1']],
  );
});

/** What a naive reader of the same rules says. */
const naive = (id: string, status: string | null, cents: string | null): Cells | undefined => {
  if (status !== null && !['open', 'paid'].includes(status)) return undefined;
  if (cents === null) return undefined;
  const n = BigInt(cents);
  const sign = n < 0n ? '-' : '';
  const digits = String(n < 0n ? -n : n).padStart(3, '0');
  const price = `${digits.slice(0, -2)}.${digits.slice(-2)}`.replace(/0+$/, '').replace(/\.$/, '');
  return [id, status === 'open' ? 'OPEN' : status, `${sign}${price}` === '-0' ? '0' : `${sign}${price}`];
};

const status = fc.constantFrom('open', 'paid', 'broken', null);
const cents = fc.oneof(fc.constantFrom('100', '250', '0', null), fc.bigInt(-(2n ** 62n), 2n ** 62n).map(String));
const rowsOf = <T>(cells: fc.Arbitrary<T>): fc.Arbitrary<ReadonlyMap<string, T>> =>
  fc
    .array(fc.tuple(fc.integer({ min: 1, max: 30 }).map(String), cells), { maxLength: 30 })
    .map((entries) => new Map(entries.toSorted((x, y) => Number(x[0]) - Number(y[0]))));

test('what differs is what a naive comparison of the transformed rows says, whatever the rows', async () => {
  await fc.assert(
    fc.asyncProperty(
      rowsOf(fc.tuple(status, cents)),
      rowsOf(fc.tuple(fc.constantFrom('OPEN', 'paid', 'open', null), fc.constantFrom('1', '2.5', '0', null))),
      fc.nat(4),
      async (left, right, limit) => {
        const a = database(
          source,
          [...left].map(([id, cells]) => [id, ...cells]),
        );
        const b = database(
          target,
          [...right].map(([id, cells]) => [id, ...cells]),
        );
        const expected = new Map<string, string>();
        let identical = 0;
        for (const id of new Set([...left.keys(), ...right.keys()])) {
          const there = right.get(id);
          const here = left.get(id);
          const row = here && naive(id, ...here);
          if (here && !row) expected.set(id, 'quarantined');
          else if (!row) expected.set(id, 'only_in_target');
          else if (!there) expected.set(id, 'only_in_source');
          else if (JSON.stringify(row) === JSON.stringify([id, ...there])) identical++;
          else expected.set(id, 'different');
        }
        const { differences, invalid, pair } = await compared(a, b);
        const found = new Map([
          ...differences.map((d) => [d.key[0]!, d.kind] as const),
          ...invalid.map((r) => [r.key[0]!, 'quarantined'] as const),
        ]);
        const sorted = (m: ReadonlyMap<string, string>): unknown =>
          [...m].toSorted((x, y) => Number(x[0]) - Number(y[0]));
        assert.deepEqual(sorted(found), sorted(expected));
        assert.equal(pair.identical, identical);
        // Whatever is shown, everything invalid is kept and everything is counted.
        const few = keeping(limit);
        const rejected: Rejected[] = [];
        const again = await compareAll(endpoint('a', a), endpoint('b', b), {
          pairs,
          sink: { ...few, quarantine: async (_pair, rows) => void rejected.push(...rows) },
        });
        assert.equal(rejected.length, invalid.length);
        const count = (p: typeof pair): unknown => [p.identical, p.different, p.only_in_source, p.only_in_target];
        assert.deepEqual(count(again.pair), count(pair));
      },
    ),
    { numRuns: 150 },
  );
});

test('a table of its key alone: an invalid row is not identical to anything', async () => {
  const keys = table('k', [column('id', int)], 1);
  const rows = [['1'], ['2']];
  const { pair, report } = await compareAll(endpoint('a', database(keys, rows)), endpoint('b', database(keys, rows)), {
    pairs: [{ source: 'k', transform: { columns: {}, validate: { id: { max: '1' } } } }],
  });
  assert.deepEqual([pair.identical, pair.quarantined, report.verdict], [1, 1, 'incomplete']);
});

test('without a key nothing can be set apart, and a made key needs one to read the source by: refused', async () => {
  const loose = table('k', [column('n', int), column('code', text)], 0);
  const keyed = table('k', [column('n', int), column('code', text)], 1);
  const validate = { n: { max: '1' } };
  const run = (a: typeof loose, more: object, transform: TransformSettings) =>
    compareAll(endpoint('a', database(a, [])), endpoint('b', database(keyed, [])), {
      pairs: [{ source: 'k', transform, ...more }],
    });
  await assert.rejects(run(loose, {}, { columns: {}, validate }), /KEY_MISSING|has no key on both sides/);
  await assert.rejects(
    run(loose, { key: ['n'] }, { columns: { n: { expr: 'int(code)' } }, validate: {} }),
    /made of other columns, and it has no key of its own/,
  );
});

test('with a key that is made: the same, with duplicates told and none of them compared', async () => {
  const coded = table('orders', [column('n', int), column('code', text), column('status', text)], 1);
  const plain = table('orders', [column('id', int), column('status', text)], 1);
  const keyed: TransformSettings = {
    columns: { id: { expr: 'int(code.substring(1))' } },
    validate: { status: { in: ['open', 'paid'] } },
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), status), { maxLength: 25 }),
      rowsOf(fc.constantFrom('open', 'paid')),
      async (left, right) => {
        const a = database(
          coded,
          left.map(([id, s], i) => [String(i + 1), `c${id}`, s]),
        );
        const b = database(
          plain,
          [...right].map(([id, s]) => [id, s]),
        );
        const invalid: Rejected[] = [];
        const kept = keeping();
        const { pair } = await compareAll(endpoint('a', a), endpoint('b', b), {
          pairs: [{ source: 'orders', key: ['id'], transform: keyed }],
          sink: { ...kept, quarantine: async (_pair, rows) => void invalid.push(...rows) },
        });
        assert.deepEqual(sums(pair), []);
        const byKey = Map.groupBy(left, ([id]) => String(id));
        const double = [...byKey.values()].filter((rows) => rows.length > 1).length;
        assert.equal(pair.duplicate_key, double);
        for (const d of kept.kept) {
          const mine = byKey.get(d.key[0]!) ?? [];
          assert.ok(mine.length <= 1, 'a double key is no difference');
          const valid = mine.length === 1 && mine[0]![1] !== 'broken';
          assert.equal(d.source !== null, valid);
          if (d.kind === 'only_in_target') assert.equal(mine.length, 0, 'what the source has is never to be deleted');
        }
        for (const r of invalid)
          assert.deepEqual(
            byKey.get(r.key[0]!)?.map(([, s]) => s),
            ['broken'],
          );
      },
    ),
    { numRuns: 150 },
  );
});

test('columns are named without regard to case, as everywhere', async () => {
  const upper = table('ORDERS', [column('ID', int), column('STATUS', text), column('CENTS', int)], 1);
  const a = database(upper, stored);
  const b = database(target, made);
  const { pair, report } = await compareAll(endpoint('a', a), endpoint('b', b), {
    pairs: [
      {
        source: 'orders',
        target: 'orders',
        key: ['id'],
        map: { cents: 'price' },
        transform: {
          columns: { Status: { map: new Map([['open', 'OPEN']]) }, cents: { expr: 'cents / 100' } },
          validate: { status: { check: 'row.STATUS != "x" && cents > 0' } },
        },
      },
    ],
  });
  assert.deepEqual([pair.identical, report.verdict], [2, 'agrees']);
});

test('a column that only a function might look at is told as not compared', async () => {
  const a = database(source, stored);
  const b = database(target, made);
  const run = (transform: TransformSettings) =>
    compareAll(endpoint('a', a), endpoint('b', b), { pairs: [{ source: 'orders', transform }] });
  const status = { status: { map: new Map([['open', 'OPEN']]) } };
  const named = await run({ columns: { ...status, price: { expr: 'cents / 100' } }, validate: {} });
  assert.equal(named.report.verdict, 'agrees', 'cents is compared through price');
  const price = (row: Readonly<Record<string, unknown>>): string => (row['id'] === 1n ? '1' : '2.5');
  const guessed = await run({ columns: { ...status, price: { transform: price } }, validate: {} });
  assert.equal(guessed.pair.identical, 2);
  assert.equal(guessed.report.verdict, 'incomplete');
  assert.deepEqual(
    guessed.pair.not_compared.map((n) => n.what),
    ['orders.cents'],
  );
});
