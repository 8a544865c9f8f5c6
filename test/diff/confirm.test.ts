import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Candidates, inSource, inTarget } from '../../src/diff/candidates.ts';
import type { Key, Text } from '../../src/model/row.ts';
import { type Cells, column, compareAll, database, endpoint, heldClock, int, sums, table, text } from './tables.ts';

const orders = table('orders', [column('id', int), column('status', text)], 1);
const three: readonly Cells[] = [
  ['1', 'open'],
  ['2', 'open'],
  ['3', 'open'],
];
const ways = ['digest', 'hashes', 'rows'] as const;

const withStatus = (rows: readonly Cells[], id: string, status: string): Cells[] =>
  rows.map((r) => (r[0] === id ? [id, status] : [...r]));

for (const force of ways) {
  test(`a difference that is gone when it is read again is identical (${force})`, async () => {
    const source = database(orders, withStatus(three, '2', 'paid'));
    const target = database(orders, three);
    const clock = heldClock(() => target.edit('orders', (rows) => withStatus(rows, '2', 'paid')));
    const { report, differences, pair } = await compareAll(endpoint('a', source), endpoint('b', target), {
      clock,
      settleMs: 1000,
      force,
    });
    assert.deepEqual(differences, []);
    assert.equal(pair.identical, 3);
    assert.equal(report.verdict, 'agrees');
  });

  test(`a row that moves at every re-read is in flight, and the run is not green (${force})`, async () => {
    const source = database(orders, withStatus(three, '2', 'paid'));
    const target = database(orders, three);
    let turn = 0;
    const clock = heldClock(() => source.edit('orders', (rows) => withStatus(rows, '2', `moved ${turn++}`)));
    const { report, differences, pair } = await compareAll(endpoint('a', source), endpoint('b', target), {
      clock,
      settleMs: 1000,
      force,
    });
    assert.deepEqual(differences, []);
    assert.equal(pair.in_flight, 1);
    assert.equal(pair.identical, 2);
    assert.equal(report.verdict, 'incomplete');
    assert.equal(report.coverage.complete, false);
    assert.deepEqual(sums(pair), []);
    assert.equal(turn, 3);
  });

  test(`a real difference among moving rows is found, after three quiet re-reads (${force})`, async () => {
    const source = database(orders, withStatus(withStatus(three, '2', 'paid'), '3', 'void'));
    const target = database(orders, three);
    let turn = 0;
    const clock = heldClock(() => source.edit('orders', (rows) => withStatus(rows, '2', `moved ${turn++}`)));
    const { report, differences, pair } = await compareAll(endpoint('a', source), endpoint('b', target), {
      clock,
      settleMs: 1000,
      force,
    });
    assert.deepEqual(
      differences.map((d) => d.key),
      [['3']],
    );
    assert.equal(pair.in_flight, 1);
    assert.equal(report.verdict, 'differs');
    assert.deepEqual(sums(pair), []);
  });

  test(`a row that shows the same two values again by chance is not confirmed while the table moves (${force})`, async () => {
    // Row 2 toggles and its copy lags behind: both reads happen to see `on` against `off`; row 1 shows that things move.
    const source = database(orders, withStatus(withStatus(three, '1', 'new'), '2', 'on'));
    const target = database(orders, withStatus(three, '2', 'off'));
    let turn = 0;
    const clock = heldClock(() => {
      turn++;
      if (turn === 1) target.edit('orders', (rows) => withStatus(rows, '1', 'new'));
      if (turn === 2) target.edit('orders', (rows) => withStatus(rows, '2', 'on'));
    });
    const { report, differences, pair } = await compareAll(endpoint('a', source), endpoint('b', target), {
      clock,
      settleMs: 1000,
      force,
    });
    assert.deepEqual(differences, []);
    assert.equal(pair.identical, 3);
    assert.equal(report.verdict, 'agrees');
  });

  test(`a row that moved and still differs is a sign of movement too (${force})`, async () => {
    const source = database(orders, withStatus(withStatus(three, '1', 'new'), '2', 'on'));
    const target = database(orders, withStatus(three, '2', 'off'));
    let turn = 0;
    const clock = heldClock(() => {
      turn++;
      if (turn === 1) source.edit('orders', (rows) => withStatus(rows, '1', 'newer'));
      if (turn === 2) target.edit('orders', (rows) => withStatus(withStatus(rows, '1', 'newer'), '2', 'on'));
    });
    const { differences, pair } = await compareAll(endpoint('a', source), endpoint('b', target), {
      clock,
      settleMs: 1000,
      force,
    });
    assert.deepEqual(differences, []);
    assert.equal(pair.identical, 3);
  });

  test(`rows that appear or vanish while differences settle are counted as they were read last (${force})`, async () => {
    const source = database(orders, three);
    const target = database(orders, three.slice(0, 2));
    const clock = heldClock(() => source.edit('orders', (rows) => rows.filter((r) => r[0] !== '3')));
    const { report, pair } = await compareAll(endpoint('a', source), endpoint('b', target), {
      clock,
      settleMs: 1000,
      force,
    });
    assert.deepEqual(pair.rows, { source: 2, target: 2 });
    assert.deepEqual(sums(pair), []);
    assert.equal(report.verdict, 'agrees');
  });

  test(`nothing is confirmed before it has settled (${force})`, async () => {
    const waits: number[] = [];
    const clock = heldClock((ms) => void waits.push(ms));
    const source = database(orders, withStatus(three, '2', 'paid'));
    const { pair } = await compareAll(endpoint('a', source), endpoint('b', database(orders, three)), {
      clock,
      settleMs: 1500,
      force,
    });
    assert.deepEqual(waits, [1500]);
    assert.equal(pair.settle_ms, 1500);
    assert.equal(pair.different, 1);
  });
}

test('tables that agree do not wait', async () => {
  const clock = heldClock(() => assert.fail('waited'));
  const { report } = await compareAll(endpoint('a', database(orders, three)), endpoint('b', database(orders, three)), {
    clock,
    settleMs: 1000,
  });
  assert.equal(report.verdict, 'agrees');
});

test('a keyless row that is caught up is identical, one that is not is counted', async () => {
  const log = table('log', [column('line', text)], 0);
  const source = database(log, [['a'], ['a'], ['b'], ['c']]);
  const target = database(log, [['a'], ['b']]);
  const clock = heldClock(() => target.edit('log', () => [['a'], ['b'], ['c']]));
  const { differences, pair } = await compareAll(endpoint('s', source), endpoint('t', target), {
    clock,
    settleMs: 1000,
  });
  assert.deepEqual(
    differences.map((d) => d.source),
    [['a']],
  );
  assert.deepEqual([pair.identical, pair.only_in_source, pair.only_in_target], [3, 1, 0]);
  assert.deepEqual(pair.rows, { source: 4, target: 3 });
});

test('suspects keep any key and print, whatever their number', () => {
  const lone = `x${String.fromCharCode(0xdc80)}` as Text;
  const list = new Candidates(2);
  const keys = Array.from({ length: 1000 }, (_, i) => [
    i % 3 === 0 ? null : (`k${i}é` as Text),
    i % 2 === 0 ? lone : ('😀' as Text),
  ]);
  keys.forEach((key, i) => {
    list.add(key, i % 2 === 0 ? inSource : inTarget, { hi: i, lo: -i }, { hi: -1, lo: i }, i % 4, i % 5 === 0);
  });
  let i = 0;
  for (const c of list.entries()) {
    assert.deepEqual(c.key, keys[i]);
    assert.deepEqual([c.sides, c.steady, c.soft], [i % 2 === 0 ? inSource : inTarget, i % 4, i % 5 === 0]);
    assert.deepEqual([c.source.hi, c.source.lo, c.target.hi, c.target.lo], [i, 0 - i, -1, i]);
    i++;
  }
  assert.equal(i, 1000);
});

test('suspects keep their order and marks in more than one block', () => {
  const integers = new Candidates(1);
  const cells = new Candidates(2);
  const rows = 140_000;
  const at = (i: number): Key => [
    `k${i}` as Text,
    i % 1000 === 0 ? ('é'.repeat(i) as Text) : i % 7 === 0 ? null : ('\u0100' as Text),
  ];
  for (let i = 0; i < rows; i++) {
    const print = { hi: i, lo: ~i };
    assert.equal(integers.add(BigInt(i) - 70_000n, inSource, print, print, i % 4), i + 1);
    cells.add(at(i), inTarget, print, print);
  }
  for (let i = 0; i < rows; i += 3) integers.setSoft(i, true);
  let i = 0;
  for (const c of integers.entries()) {
    if (c.key !== BigInt(i) - 70_000n || c.source.hi !== i || c.target.lo !== ~i) assert.fail(`entry ${i}`);
    if (c.steady !== i % 4 || c.soft !== (i % 3 === 0) || c.sides !== inSource) assert.fail(`marks of ${i}`);
    i++;
  }
  assert.equal(i, rows);
  i = 0;
  for (const c of cells.entries()) {
    const [a, b] = at(i);
    if ((c.key as Key)[0] !== a || (c.key as Key)[1] !== b || c.source.lo !== ~i) assert.fail(`entry ${i}`);
    i++;
  }
  assert.equal(i, rows);
  assert.ok(integers.size >= 25 * rows && integers.size < 26 * rows + 25 * 65_536);
});

test('suspects whose keys turn out to be cells keep those that were integers', () => {
  const mixed = new Candidates(1);
  mixed.add(7n, 1, { hi: 0, lo: 0 }, { hi: 0, lo: 0 });
  mixed.add(['x' as Text], 1, { hi: 0, lo: 0 }, { hi: 0, lo: 0 });
  assert.deepEqual(
    Array.from(mixed.entries(), (c) => c.key),
    [['7'], ['x']],
  );
});
