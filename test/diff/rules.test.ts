import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cells } from './tables.ts';
import { column, compareAll, database, decimal, endpoint, int, sums, table, text } from './tables.ts';

const ways = [undefined, 'digest', 'hashes', 'rows'] as const;
const orders = table('orders', [column('id', int), column('status', text), column('amount', decimal)], 1, {
  estimatedRows: 30_000,
});
const rows: readonly Cells[] = [
  ['1', 'open', '10'],
  ['2', 'open', '20'],
  ['3', 'draft', '30'],
  ['4', 'paid', '40'],
];
const ids = (differences: readonly { readonly key: Cells }[]) => differences.map((d) => d.key[0]);

for (const force of ways) {
  const by = force ? { force } : {};
  const name = force ?? 'chosen';

  test(`a row that only left the filter is told apart from a missing one (${name})`, async () => {
    const target = rows.map((r) => (r[0] === '2' ? ['2', 'draft', '20'] : r)).filter((r) => r[0] !== '4');
    const { report, differences, pair } = await compareAll(
      endpoint('a', database(orders, rows)),
      endpoint('b', database(orders, target)),
      {
        ...by,
        pairs: [{ source: 'orders', filter: { source: "status <> 'draft'", target: "status <> 'draft'" } }],
      },
    );
    assert.deepEqual(ids(differences), ['4']);
    assert.deepEqual([pair.identical, pair.outside_filter, pair.only_in_source], [1, 1, 1]);
    assert.equal(report.verdict, 'differs');
    assert.deepEqual(sums(pair), []);
  });

  test(`a run in which rows only left the filter is not green (${name})`, async () => {
    const target = rows.map((r) => (r[0] === '2' ? ['2', 'draft', '20'] : r));
    const filter = "status <> 'draft'";
    const { report } = await compareAll(
      endpoint('a', database(orders, rows)),
      endpoint('b', database(orders, target)),
      {
        ...by,
        pairs: [{ source: 'orders', filter: { source: filter, target: filter } }],
      },
    );
    assert.equal(report.verdict, 'incomplete');
  });

  test(`a tolerance hides what it covers, counts it, and nothing more (${name})`, async () => {
    const target: readonly Cells[] = [
      ['1', 'open', '10.01'],
      ['2', 'open', '20.02'],
      ['3', 'DRAFT', '30.005'],
      ['4', 'paid', '40'],
    ];
    const { differences, pair } = await compareAll(
      endpoint('a', database(orders, rows)),
      endpoint('b', database(orders, target)),
      {
        ...by,
        defaults: { tolerances: { amount: { numeric: '0.01' } } },
      },
    );
    assert.deepEqual(ids(differences), ['2', '3']);
    assert.deepEqual(pair.columns, { status: 1, amount: 1 });
    assert.equal(pair.identical, 2);
    assert.ok(pair.tolerated['amount']! >= 1);
    assert.deepEqual(sums(pair), []);
  });

  test(`keys that occur twice are counted apart, shown, and never green (${name})`, async () => {
    const events = table('events', [column('code', text, { nullable: false }), column('n', int)], 0);
    const source: readonly Cells[] = [
      ['a', '1'],
      ['b', '1'],
      ['b', '2'],
      ['c', '1'],
      ['d', '1'],
    ];
    const target: readonly Cells[] = [
      ['a', '1'],
      ['b', '1'],
      ['c', '1'],
      ['c', '1'],
      ['d', '1'],
    ];
    for (const batchRows of [1, 2, 1000]) {
      const { report, differences, pair } = await compareAll(
        endpoint('a', database(events, source), batchRows),
        endpoint('b', database(events, target), batchRows),
        {
          ...by,
          defaults: { key: ['code'] },
        },
      );
      assert.deepEqual(differences, []);
      assert.deepEqual([pair.identical, pair.duplicate_key], [2, 2]);
      assert.deepEqual(pair.rows, { source: 5, target: 5 });
      assert.deepEqual(pair.apart, { source: 3, target: 3 });
      assert.equal(report.verdict, 'incomplete');
      assert.match(pair.warnings.join('\n'), /key code=b appears 2 times in a;/);
      assert.match(pair.warnings.join('\n'), /key code=c appears 2 times in b;/);
    }
  });

  test(`the same duplicates on both sides do not agree (${name})`, async () => {
    const events = table('events', [column('id', int, { nullable: false }), column('n', int)], 0);
    const both: readonly Cells[] = [
      ['1', '1'],
      ['1', '2'],
      ['2', '1'],
    ];
    const { report, pair } = await compareAll(
      endpoint('a', database(events, both)),
      endpoint('b', database(events, both)),
      {
        ...by,
        defaults: { key: ['id'] },
      },
    );
    assert.equal(report.verdict, 'incomplete');
    assert.deepEqual([pair.identical, pair.duplicate_key], [1, 1]);
  });

  test(`rows with a NULL in the key are counted and not compared (${name})`, async () => {
    const events = table('events', [column('id', int), column('n', int)], 0);
    const source: readonly Cells[] = [
      [null, '1'],
      ['1', '1'],
      ['2', '1'],
    ];
    const target: readonly Cells[] = [
      ['1', '1'],
      ['2', '2'],
    ];
    const { report, differences, pair } = await compareAll(
      endpoint('a', database(events, source)),
      endpoint('b', database(events, target)),
      {
        ...by,
        defaults: { key: ['id'] },
      },
    );
    assert.deepEqual(ids(differences), ['2']);
    assert.deepEqual(pair.rows, { source: 3, target: 2 });
    assert.equal(report.coverage.complete, false);
    assert.match(pair.not_compared[0]!.reason, /1 row has a NULL/);
    assert.deepEqual(sums(pair), []);
  });

  test(`either side, or both, may be empty (${name})`, async () => {
    for (const [s, t, verdict] of [
      [rows, [], 'differs'],
      [[], rows, 'differs'],
      [[], [], 'agrees'],
    ] as const) {
      const { report, differences, pair } = await compareAll(
        endpoint('a', database(orders, s)),
        endpoint('b', database(orders, t)),
        by,
      );
      assert.equal(report.verdict, verdict);
      assert.equal(differences.length, s.length + t.length);
      assert.deepEqual(pair.rows, { source: s.length, target: t.length });
    }
  });

  test(`counts are complete whatever number of differences is shown (${name})`, async () => {
    const many = Array.from({ length: 3000 }, (_, i): Cells => [String(i), 'open', '1']);
    const other = many.map((r): Cells => [r[0]!, 'paid', '1']);
    for (const limit of [0, 7, 2500]) {
      const { differences, pair } = await compareAll(
        endpoint('a', database(orders, many)),
        endpoint('b', database(orders, other)),
        { ...by, limit },
      );
      assert.equal(differences.length, limit);
      assert.equal(pair.different, 3000);
      assert.deepEqual(pair.columns, { status: 3000 });
    }
  });
}

test('a comparison that is aborted stops with the reason', async () => {
  const stop = new AbortController();
  const slow = endpoint('a', database(orders, rows), 1);
  const running = compareAll(slow, endpoint('b', database(orders, []), 1), { signal: stop.signal });
  stop.abort(new Error('enough'));
  await assert.rejects(running, /enough/);
});

test('pairs that were done before are reported and not compared again', async () => {
  const source = endpoint('a', database(orders, rows));
  const first = await compareAll(source, endpoint('b', database(orders, rows)));
  const asked: string[] = [];
  const again = await compareAll(source, endpoint('b', database(orders, [])), {
    done: new Map([['orders', first.pair]]),
    onPair: (pair) => void asked.push(pair.name),
  });
  assert.deepEqual(again.report.pairs, first.report.pairs);
  assert.deepEqual(asked, []);
});

test('a failure of one side ends the comparison with that failure', async () => {
  const good = endpoint('a', database(orders, rows));
  const bad = endpoint('b', database(orders, rows));
  const broken = {
    ...bad,
    snapshot: async (o: Parameters<typeof bad.snapshot>[0]) => {
      const reader = await bad.snapshot(o);
      return Object.assign(Object.create(reader), {
        hashing: {
          ...reader.hashing,
          // biome-ignore lint/correctness/useYield: it fails before its first batch
          hashes: async function* () {
            throw new Error('the disk is gone');
          },
        },
        [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
      });
    },
  };
  await assert.rejects(compareAll(good, broken as typeof bad, { force: 'hashes' }), /the disk is gone/);
});
