import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DiffOptions } from '../../src/diff/context.ts';
import { cutRanges } from '../../src/diff/cut-ranges.ts';
import { type Detected, detect } from '../../src/diff/diff-table.ts';
import { type RangeCounted, rangesReport } from '../../src/diff/report.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Difference } from '../../src/model/change.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { compareKeys } from '../../src/model/order.ts';
import type { PairReport } from '../../src/model/report.ts';
import type { Key } from '../../src/model/row.ts';
import type { KeyRange } from '../../src/model/selected.ts';
import { alignAll } from '../../src/work/compare.ts';
import { overEndpoint, overReader } from '../conformance/wrap.ts';
import { openSide } from './sides.ts';
import { type Cells, column, compareAll, database, decimal, endpoint, int, sums, table, text } from './tables.ts';

/** Compares range by range, each by itself, and adds up. */
const inRanges =
  (ranges: readonly KeyRange[]) =>
  async (options: DiffOptions): Promise<Detected> => {
    const parts: RangeCounted[] = [];
    const sample: Difference[] = [];
    for (const range of ranges) {
      const detected = await detect({ ...options, range });
      const compared = await detected.confirm();
      parts.push({ counted: compared.counted, positions: detected.positions });
      sample.push(...compared.sample.slice(0, 500 - sample.length));
    }
    return {
      size: 0,
      positions: {},
      confirm: async () => ({ ...rangesReport(options.pair, parts, sample, 'because', 0), sample }),
    };
  };

const between = (cuts: readonly Key[]): KeyRange[] =>
  Array.from({ length: cuts.length + 1 }, (_, i) => ({
    ...(i > 0 ? { from: cuts[i - 1]! } : {}),
    ...(i < cuts.length ? { to: cuts[i]! } : {}),
  }));

/** What may be another thing when a pair is compared in ranges: how long it took, and how it was done. */
const counts = ({ elapsed_ms, settle_ms, explain, strategy, ranges, ...rest }: PairReport) => rest;

const row = fc.tuple(
  fc.integer({ min: -20, max: 20 }).map(String),
  fc.constantFrom('', 'a', 'B', 'é', '😀', '\uffee'),
  fc.option(fc.constantFrom('1', '1.004', '2', '-1')),
  fc.option(fc.constantFrom('x', 'X', 'y')),
) as fc.Arbitrary<(string | null)[]>;
const columns = [column('a', int), column('b', text), column('n', decimal), column('t', text)];

test('what is counted of ranges adds up to the report of the whole, with the same differences in the same order', async () => {
  let cutThrough = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { maxLength: 40 }),
      fc.array(row, { maxLength: 12 }),
      fc.array(fc.nat(40), { maxLength: 12 }),
      fc.uniqueArray(
        fc.tuple(fc.integer({ min: -22, max: 22 }).map(String), fc.constantFrom('', 'a', '\uffee', '😀')),
        {
          maxLength: 6,
          selector: (k) => JSON.stringify(k),
        },
      ),
      fc.constantFrom('digest' as const, 'hashes' as const, 'rows' as const),
      fc.constantFrom('unique', 'repeated'),
      fc.boolean(),
      async (kept, added, dropped, bounds, force, keys, filtered) => {
        const cuts = (bounds as unknown as Key[]).sort((a, b) => compareKeys([int, text], a, b));
        const distinct = (rows: readonly Cells[]): Cells[] =>
          keys === 'unique' ? [...new Map(rows.map((r) => [JSON.stringify(r.slice(0, 2)), r])).values()] : [...rows];
        // keys may repeat where no index keeps them unique
        const t = table('things', columns, 2, { estimatedRows: 30_000, ...(keys === 'unique' ? {} : { uniques: [] }) });
        const source = distinct(kept);
        const target = distinct([...kept.filter((_, i) => !dropped.includes(i)), ...added]);
        const options = {
          pairs: [
            {
              source: 'things',
              key: ['a', 'b'],
              tolerances: { n: { numeric: '0.01' }, t: { ignoreCase: true as const } },
              ...(filtered ? { filter: { source: 'a < 7', target: 'a > -9' } } : {}),
            },
          ],
          force,
        };
        const sides = [endpoint('left', database(t, source)), endpoint('right', database(t, target))] as const;
        const whole = await compareAll(...sides, options);
        const ranges = between(cuts);
        const parts = await compareAll(...sides, { ...options, spread: inRanges(ranges) });
        assert.deepEqual(counts(parts.pair), counts(whole.pair));
        assert.deepEqual(parts.differences, whole.differences);
        assert.deepEqual(sums(parts.pair), []);
        assert.equal(parts.report.verdict, whole.report.verdict);
        assert.equal(parts.pair.ranges?.length, ranges.length);
        if (ranges.length > 1 && whole.differences.length > 2) cutThrough++;
      },
    ),
    { numRuns: 250 },
  );
  assert.ok(cutThrough > 50, `${cutThrough} were cut`);
});

const cutOf = async (source: Endpoint, target: Endpoint, cut: Parameters<typeof cutRanges>[1]) => {
  const { signal } = new AbortController();
  const { pairs } = await alignAll({ source, target, signal });
  return cutRanges(
    {
      pair: pairs[0]!,
      endpoints: { source, target },
      clock: systemClock,
      signal,
      settleMs: 0,
      seed: 1n,
      sink: { wanted: () => 0, write: async () => {} },
    },
    cut,
  );
};

const numbers = (rows: number): Cells[] => Array.from({ length: rows }, (_, i) => [String(i), 'v']);

test('ranges are about even, and one where the table is small, has no key, or a side cannot read a range cheaply', async () => {
  const t = table('things', [column('id', int), column('v', text)], 1);
  const of = (rows: readonly Cells[], made = t) => endpoint('left', database(made, rows));
  const rows = numbers(4000);
  const cut = { ranges: () => 8, smallRows: 1000 };
  const { ranges } = (await cutOf(of(rows), of(rows), cut))!;
  assert.equal(ranges.length, 8);
  const sizes = ranges.map(
    ({ from, to }) =>
      rows.filter(([k]) => Number(k) >= Number(from?.[0] ?? 0) && Number(k) < Number(to?.[0] ?? 1e9)).length,
  );
  for (const size of sizes) assert.ok(size > 300 && size < 800, sizes.join());
  assert.deepEqual(await cutOf(of(rows), of(rows), { ranges: () => 8 }), undefined);
  assert.deepEqual(await cutOf(of(rows), of(rows), { ...cut, ranges: () => 1 }), undefined);
  const keyless = table('things', [column('id', int), column('v', text)], 0);
  assert.deepEqual(await cutOf(of(rows, keyless), of(rows, keyless), cut), undefined);
  const dear = overEndpoint(of(rows), {
    snapshot: async (o) => overReader(await of(rows).snapshot(o), { ranges: async () => false }),
  });
  assert.deepEqual(await cutOf(of(rows), dear, cut), undefined);
});

test('PostgreSQL: ranges add up to the whole, and are about even though most keys share a small part of the numbers', async () => {
  await using left = await openSide('postgres', 'left');
  await using right = await openSide('postgres', 'right');
  for (const side of [left, right]) {
    await side.run('create table things (id bigint primary key, v text, amount numeric(12, 4))');
    await side.run(`insert into things select i, 'value ' || i, i / 7.0 from generate_series(1, 20000) i`);
    await side.run(`insert into things values (9000000000000000000, 'far away', 1)`);
    await side.run('analyze things');
  }
  await right.run(`update things set v = 'other' where id % 900 = 0`);
  await right.run('delete from things where id % 1100 = 0');
  await right.run(`insert into things select 100000 + i, 'new', null from generate_series(1, 11) i`);
  const found = await cutOf(left.endpoint, right.endpoint, { ranges: () => 6, smallRows: 1000 });
  const { ranges } = found!;
  assert.equal(ranges.length, 6);
  const whole = await compareAll(left.endpoint, right.endpoint);
  const parts = await compareAll(left.endpoint, right.endpoint, { spread: inRanges(ranges) });
  assert.deepEqual(counts(parts.pair), counts(whole.pair));
  assert.deepEqual(parts.differences, whole.differences);
  assert.equal(whole.pair.different + whole.pair.only_in_source + whole.pair.only_in_target, 22 + 1 + 18 - 2 + 11);
  for (const { rows, positions } of parts.pair.ranges!) {
    assert.ok(rows.source > 1500, `uneven: ${parts.pair.ranges!.map((r) => r.rows.source).join()}`);
    assert.ok(positions.source !== undefined && positions.target !== undefined);
  }
});
