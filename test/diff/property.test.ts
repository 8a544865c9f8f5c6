import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonical } from '../../src/model/canon/canonical.ts';
import type { Difference } from '../../src/model/change.ts';
import type { Text } from '../../src/model/row.ts';
import type { ColumnType } from '../../src/model/schema.ts';
import { type Cells, column, compareAll, database, endpoint, sums, table } from './tables.ts';

/** Values of each kind as somebody might write them; made canonical before use. Few values, so that many coincide. */
const values: readonly { readonly type: ColumnType; readonly raw: readonly string[] }[] = [
  {
    type: { kind: 'int', bits: 64 },
    raw: ['0', '1', '-1', '140', '601295421440', '9223372036854775807', '-9223372036854775808'],
  },
  {
    type: { kind: 'decimal' },
    raw: ['0', '5', '-5', '1', '10000', '0.1', '-0.1', '99999999999999999999.000000001', '1e-9'],
  },
  { type: { kind: 'float', bits: 64 }, raw: ['0', '0.1', '-0.1', '1e+23', '5e-324', 'NaN', 'Infinity', '-Infinity'] },
  { type: { kind: 'bool' }, raw: ['true', 'false'] },
  { type: { kind: 'text' }, raw: ['', ' ', 'a', 'A', 'ab', 'b', 'NULL', 'é', '😀', '\uffee', 'a ', '~', "'"] },
  { type: { kind: 'bytes' }, raw: ['', '00', 'ff', '0000', 'c3'] },
  {
    type: { kind: 'uuid' },
    raw: [
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-0000-4000-8000-000000000001',
      '0fffffff-0000-4000-8000-000000000001',
    ],
  },
  { type: { kind: 'date' }, raw: ['2000-01-01', '0001-01-01', '9999-12-31', '1999-12-31'] },
  {
    type: { kind: 'timestamp', fraction: 6 },
    raw: ['2000-01-01 00:00:00', '9999-12-31 23:59:59.999998', '9999-12-31 23:59:59.999999', '2024-02-29 12:00:00.1'],
  },
];

const cellOf = (kind: number): fc.Arbitrary<string | null> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 8, arbitrary: fc.constantFrom(...values[kind]!.raw).map((raw) => canonical(values[kind]!.type, raw)) },
  );
const keyCellOf = (kind: number): fc.Arbitrary<string> =>
  kind === 0
    ? fc.bigInt({ min: -40n, max: 40n }).map(String)
    : kind === 4
      ? fc.string({ unit: fc.constantFrom('a', 'B', 'é', '\uffee', '😀', ' '), maxLength: 3 })
      : fc.constantFrom(...values[kind]!.raw).map((raw) => canonical(values[kind]!.type, raw));

interface Setting {
  readonly key: readonly number[];
  readonly rest: readonly number[];
  readonly source: readonly Cells[];
  readonly target: readonly Cells[];
  readonly force: 'digest' | 'hashes' | 'key_hashes' | 'rows';
  readonly batchRows: number;
}

const keyOf = (row: Cells, width: number): string => JSON.stringify(row.slice(0, width));

/** Rows of one side, then each kept, damaged in one cell, dropped, or exchanged with another's on the other side. */
const setting: fc.Arbitrary<Setting> = fc
  .record({
    key: fc.array(fc.constantFrom(0, 4, 6, 1, 0), { minLength: 1, maxLength: 2 }),
    rest: fc.array(fc.integer({ min: 0, max: values.length - 1 }), { minLength: 0, maxLength: 4 }),
  })
  .chain(({ key, rest }) => {
    const row = fc.tuple(...key.map(keyCellOf), ...rest.map(cellOf)) as fc.Arbitrary<(string | null)[]>;
    return fc.record({
      key: fc.constant(key),
      rest: fc.constant(rest),
      rows: fc.uniqueArray(row, { maxLength: 30, selector: (r) => keyOf(r, key.length) }),
      others: fc.uniqueArray(row, { maxLength: 30, selector: (r) => keyOf(r, key.length) }),
      fates: fc.array(fc.constantFrom('keep', 'keep', 'keep', 'other', 'drop', 'shift'), {
        minLength: 30,
        maxLength: 30,
      }),
      force: fc.constantFrom('digest' as const, 'hashes' as const, 'key_hashes' as const, 'rows' as const),
      batchRows: fc.constantFrom(1, 2, 7, 1000),
    });
  })
  .map(({ key, rest, rows, others, fates, force, batchRows }) => {
    const width = key.length;
    const target = new Map<string, Cells>();
    rows.forEach((r, i) => {
      const fate = fates[i];
      if (fate === 'drop') return;
      const changed = [...r];
      const other = others[i] ?? r;
      // The cells of another row, or one cell moved to its neighbour of the same kind.
      if (fate === 'other') for (let c = width; c < r.length; c += 2) changed[c] = other[c]!;
      if (fate === 'shift')
        for (let c = width; c + 1 < r.length; c++)
          if (rest[c - width] === rest[c - width + 1]) [changed[c], changed[c + 1]] = [r[c + 1]!, r[c]!];
      target.set(keyOf(changed, width), changed);
    });
    others.slice(25).forEach((r) => {
      if (!target.has(keyOf(r, width))) target.set(keyOf(r, width), r);
    });
    return { key, rest, source: rows, target: [...target.values()].reverse(), force, batchRows };
  });

const columnsOf = (s: Setting) => [...s.key, ...s.rest].map((kind, i) => column(`c${i}`, values[kind]!.type));

/** The obviously right one: all rows in maps, cells compared as texts. */
const oracle = (s: Setting): string[] => {
  const width = s.key.length;
  const source = new Map(s.source.map((r) => [keyOf(r, width), r]));
  const target = new Map(s.target.map((r) => [keyOf(r, width), r]));
  const found: string[] = [];
  for (const [key, row] of source) {
    const other = target.get(key);
    if (!other) found.push(`only_in_source ${JSON.stringify(row)}`);
    else {
      const columns = row.flatMap((cell, i) => (cell === other[i] ? [] : [i]));
      if (columns.length > 0) found.push(`different ${JSON.stringify([row, other, columns])}`);
    }
  }
  for (const [key, row] of target) if (!source.has(key)) found.push(`only_in_target ${JSON.stringify(row)}`);
  return found.sort();
};

const shown = (d: Difference): string =>
  d.kind === 'different'
    ? `different ${JSON.stringify([d.source, d.target, d.columns])}`
    : `${d.kind} ${JSON.stringify(d.source ?? d.target)}`;

test('every way of comparing finds exactly the differences that a naive comparison finds', async () => {
  const seen = { digest: 0, hashes: 0, key_hashes: 0, rows: 0, equal: 0, unequal: 0 };
  await fc.assert(
    fc.asyncProperty(setting, async (s) => {
      const t = table('things', columnsOf(s), s.key.length, { estimatedRows: 30_000 });
      const { report, differences, pair } = await compareAll(
        endpoint('left', database(t, s.source), s.batchRows),
        endpoint('right', database(t, s.target), s.batchRows),
        { force: s.force },
      );
      const expected = oracle(s);
      assert.deepEqual(differences.map(shown).sort(), expected);
      assert.deepEqual(sums(pair), []);
      assert.deepEqual(pair.rows, { source: s.source.length, target: s.target.length });
      assert.equal(pair.different + pair.only_in_source + pair.only_in_target, expected.length);
      assert.equal(report.verdict, expected.length === 0 ? 'agrees' : 'differs');
      assert.equal(pair.strategy, s.force === 'rows' ? 'merge' : 'digest');
      seen[s.force]++;
      seen[expected.length === 0 ? 'equal' : 'unequal']++;
    }),
    { numRuns: 3000 },
  );
  for (const [what, times] of Object.entries(seen)) assert.ok(times > 50, `${what} was tried ${times} times`);
});

test('rows without a key are compared as multisets', async () => {
  const row = fc.tuple(cellOf(0), cellOf(4), cellOf(1)) as fc.Arbitrary<(string | null)[]>;
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { maxLength: 12 }),
      fc.array(row, { maxLength: 6 }),
      fc.nat(12),
      async (rows, more, cut) => {
        const source = [...rows, ...rows.slice(0, 3)];
        const target = [...rows.slice(cut), ...more, ...rows.slice(0, 3)];
        const t = table(
          'log',
          [column('a', values[0]!.type), column('b', values[4]!.type), column('c', values[1]!.type)],
          0,
        );
        const { report, differences, pair } = await compareAll(
          endpoint('left', database(t, source)),
          endpoint('right', database(t, target)),
        );
        const counts = new Map<string, number>();
        for (const r of source) counts.set(JSON.stringify(r), (counts.get(JSON.stringify(r)) ?? 0) + 1);
        for (const r of target) counts.set(JSON.stringify(r), (counts.get(JSON.stringify(r)) ?? 0) - 1);
        const expected = [...counts]
          .flatMap(([r, n]) =>
            new Array<string>(Math.abs(n)).fill(`${n > 0 ? 'only_in_source' : 'only_in_target'} ${r}`),
          )
          .sort();
        assert.deepEqual(differences.map(shown).sort(), expected);
        assert.deepEqual(sums(pair), []);
        assert.deepEqual(pair.rows, { source: source.length, target: target.length });
        assert.equal(report.verdict, expected.length === 0 ? 'agrees' : 'differs');
      },
    ),
    { numRuns: 500 },
  );
});

test('JSON that is equal by value is no difference, and JSON that is not is one', async () => {
  const t = table(
    'docs',
    [column('id', values[0]!.type), column('doc', { kind: 'json', binary: true }), column('n', values[0]!.type)],
    1,
    { estimatedRows: 30_000 },
  );
  const source: Cells[] = [
    ['1', '{"a":1}', '1'],
    ['2', '{"a":1}', '2'],
    ['3', '[[1],2]', '3'],
  ];
  const target: Cells[] = [
    ['1', '{"a":1}', '1'],
    ['2', '{"a":1}', '9'],
    ['3', '[[1,2]]', '3'],
  ];
  for (const force of ['digest', 'hashes', 'key_hashes', 'rows'] as const) {
    const { pair, differences } = await compareAll(
      endpoint('left', database(t, source)),
      endpoint('right', database(t, target)),
      { force },
    );
    assert.deepEqual(
      differences.map((d) => d.key[0] as Text),
      ['2', '3'],
    );
    assert.deepEqual(pair.columns, { doc: 1, n: 1 });
  }
});
