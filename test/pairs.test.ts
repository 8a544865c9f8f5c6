import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../src/lib/clock.ts';
import type { Difference } from '../src/model/change.ts';
import { compare } from '../src/work/compare.ts';
import type { Harness, KitTable } from './conformance/harness.ts';
import { firebirdHarness } from './conformance/harnesses/firebird.ts';
import { httpHarness } from './conformance/harnesses/http.ts';
import { memoryHarness } from './conformance/harnesses/memory.ts';
import { mysqlHarness } from './conformance/harnesses/mysql.ts';
import { postgresHarness } from './conformance/harnesses/postgres.ts';
import { sqliteHarness } from './conformance/harnesses/sqlite.ts';
import { fitted, fittedOrder, makeLab } from './conformance/lab.ts';
import { keyed, keyTables, mixed } from './conformance/tables.ts';
import { isFirebirdMissing } from './servers/firebird.ts';
import { isMariadbMissing } from './servers/mariadb.ts';

type Cells = readonly (string | null)[];

/** Another value of each column, as careless comparisons would miss it. `end`: the last digits of a second but one. */
const others = (end: string): Readonly<Record<string, (cell: string | null) => string | null>> => ({
  flag: (c) => (c === 'true' ? 'false' : 'true'),
  small: (c) => (c === '1' ? '2' : '1'),
  amount: (c) => (c === null ? '0' : c === '0' ? null : c.startsWith('-') ? c.slice(1) : `-${c}`),
  ratio: (c) => (c === '0.1' ? '0.10000000000000002' : '0.1'),
  name: (c) => (c === null ? '' : `${c} `),
  ref: (c) => (c === null ? '00000000-0000-0000-0000-000000000000' : null),
  raw: (c) => (c === null ? '' : `${c}00`),
  day: (c) => (c === '9999-12-30' ? '9999-12-31' : '9999-12-30'),
  clock: (c) => (c === `23:59:59.${end}8` ? `23:59:59.${end}9` : `23:59:59.${end}8`),
  made: (c) => (c === `9999-12-31 23:59:59.${end}8` ? null : `9999-12-31 23:59:59.${end}8`),
  seen: (c) => (c === `9999-12-31 23:59:59.${end}7` ? null : `9999-12-31 23:59:59.${end}7`),
});

interface Planted {
  readonly source: readonly Cells[];
  readonly target: readonly Cells[];
  /** `key kind columns` of each difference. */
  readonly expected: readonly string[];
}

/** Three hundred rows of every kind of value, as both databases can hold them. */
const plant = (fit: (kit: KitTable) => KitTable): Planted => {
  const held = fit(mixed).rows;
  const rows: readonly Cells[] = Array.from({ length: 300 }, (_, i) => [
    String(i * 7 - 900),
    ...held[i % held.length]!.slice(1),
  ]);
  const other = others(held.some((row) => row.some((cell) => cell?.endsWith('.999999'))) ? '99999' : '999');
  const names = mixed.columns.map((c) => c.name);
  const expected: string[] = [];
  const target: Cells[] = [];
  rows.forEach((row, i) => {
    const name = names[1 + ((i / 11) % (names.length - 1))];
    if (i === 50 || i === 299) expected.push(`${row[0]} only_in_source`);
    else if (i % 11 === 0 && i < 11 * (names.length - 1)) {
      target.push(row.map((cell, j) => (names[j] === name ? other[name!]!(cell) : cell)));
      expected.push(`${row[0]} different ${name}`);
    } else target.push(row);
  });
  for (const id of ['-9223372036854775808', '9223372036854775807', '-896']) {
    target.push([id, ...rows[4]!.slice(1)]);
    expected.push(`${id} only_in_target`);
  }
  return { source: rows, target, expected: expected.sort() };
};

/** What a comparison of two tables finds, in words. */
const found = async (
  source: Harness,
  target: Harness,
  kits: readonly [readonly KitTable[], readonly KitTable[]],
  force?: 'digest' | 'hashes' | 'key_hashes' | 'rows',
) => {
  await using lab = makeLab(source);
  await using other = makeLab(target);
  const differences: (Difference & { readonly table: string })[] = [];
  const report = await compare({
    source: await lab.open(await lab.database(...kits[0])),
    target: await other.open(await other.database(...kits[1])),
    pairs: kits[0].map((kit) => ({ source: kit.name })),
    settleMs: 0,
    clock: systemClock,
    seed: 12345n,
    signal: lab.signal,
    sink: {
      wanted: () => Number.POSITIVE_INFINITY,
      write: async (pair, some) => void differences.push(...some.map((d) => ({ ...d, table: pair.source.name }))),
    },
    ...(force ? { force } : {}),
  });
  return { report, differences };
};

const engines = [
  memoryHarness,
  sqliteHarness,
  postgresHarness,
  ...(isMariadbMissing ? [] : [mysqlHarness]),
  ...(isFirebirdMissing ? [] : [firebirdHarness]),
  httpHarness,
];

const words = (kit: KitTable, d: Difference): string => {
  const names = [...kit.key, ...kit.columns.map((c) => c.name).filter((n) => !kit.key.includes(n))];
  return [d.key.join(','), d.kind, ...(d.kind === 'different' ? d.columns.map((i) => names[i]) : [])].join(' ');
};

for (const source of engines) {
  for (const target of engines) {
    const fit = (kit: KitTable): KitTable => fitted(target, fitted(source, kit));
    for (const force of ['digest', 'hashes', 'key_hashes', 'rows'] as const) {
      // An API has no order of key hashes: it would be compared by row hashes a second time.
      if (force === 'key_hashes' && (source === httpHarness || target === httpHarness)) continue;
      test(`${source.name} against ${target.name} by ${force}: exactly the planted differences of every kind of value`, async () => {
        const planted = plant(fit);
        assert.ok(planted.expected.length > 15);
        const same = { ...mixed, name: 'same', rows: planted.target };
        const kits = [
          [{ ...mixed, rows: planted.source }, same],
          [{ ...mixed, rows: planted.target }, same],
        ] as const;
        const { report, differences } = await found(source, target, kits, force);
        assert.deepEqual(
          differences
            .filter((d) => d.table === 'mixed')
            .map((d) => words(mixed, d))
            .sort(),
          planted.expected,
        );
        assert.equal(report.verdict, 'differs');
        const [mixedReport, sameReport] = report.pairs;
        assert.deepEqual(mixedReport!.rows, { source: planted.source.length, target: planted.target.length });
        assert.deepEqual(
          differences.filter((d) => d.table === 'same'),
          [],
        );
        assert.equal(sameReport!.identical, planted.target.length);
      });
    }
    test(`${source.name} against ${target.name}: every kind of key, a changed, a missing and an added row`, async () => {
      const tables = keyTables
        .filter((t) => t.order.length > 5)
        .map(({ kit, order }) => ({
          kit: fit(kit),
          order: fittedOrder(target, fitted(source, kit), fittedOrder(source, kit, order)),
        }));
      const at = (kit: KitTable): number[] => kit.key.map((name) => kit.columns.findIndex((c) => c.name === name));
      const is = (kit: KitTable, row: Cells, key: readonly string[]): boolean =>
        at(kit).every((j, n) => row[j] === key[n]);
      const change = (kit: KitTable, row: Cells, key: readonly string[]): Cells =>
        is(kit, row, key) ? row.map((cell, j) => (kit.columns[j]!.name === 'v' ? 'changed' : cell)) : row;
      const { differences } = await found(source, target, [
        tables.map(({ kit, order }) => ({ ...kit, rows: kit.rows.filter((row) => !is(kit, row, order[0]!)) })),
        tables.map(({ kit, order }) => ({
          ...kit,
          rows: kit.rows.filter((row) => !is(kit, row, order.at(-1)!)).map((row) => change(kit, row, order[2]!)),
        })),
      ]);
      for (const { kit, order } of tables) {
        const expected = [`${order[0]} only_in_target`, `${order[2]} different v`, `${order.at(-1)} only_in_source`];
        const own = differences.filter((d) => d.table === kit.name);
        assert.deepEqual(
          own.map((d) => words(kit, d)),
          expected,
          kit.name,
        );
      }
    });
    test(`${source.name} against ${target.name}: either side empty`, async () => {
      const kit = keyed('sides', { kind: 'text' }, ['a', '', '\u{1f600}', '\ue000']);
      const none = { ...kit, rows: [] };
      assert.equal((await found(source, target, [[kit], [none]])).report.pairs[0]!.only_in_source, 4);
      assert.equal((await found(source, target, [[none], [kit]])).report.pairs[0]!.only_in_target, 4);
      assert.equal((await found(source, target, [[none], [none]])).report.verdict, 'agrees');
    });
  }
}
