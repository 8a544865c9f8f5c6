import assert from 'node:assert/strict';
import { rowHasher } from '../../../src/model/hash/row-hash.ts';
import { compareKeys } from '../../../src/model/order.ts';
import type { Reader } from '../../../src/model/reader.ts';
import type { Key, Row, Text } from '../../../src/model/row.ts';
import type { KeyRange, Partition, Segment, Selection } from '../../../src/model/selected.ts';
import { keyTypes } from '../../../src/model/selection.ts';
import {
  type Case,
  expectedDigests,
  expectedHashes,
  fitted,
  fittedOrder,
  hashes,
  type Lab,
  partOf,
  same,
  scan,
  tidy,
  unpack,
  withTable,
} from '../lab.ts';
import { keyTables, numbered } from '../tables.ts';

const spec = { seed: 0x0123456789abcdefn, form: 'hex' } as const;

/** The ranges between these keys, unbounded at both ends. */
const tiles = (cuts: readonly Key[]): KeyRange[] =>
  [...cuts, undefined].map((to, i) => ({
    ...(i > 0 ? { from: cuts[i - 1]! } : {}),
    ...(to === undefined ? {} : { to }),
  }));

const keyOf = (row: Row, selection: Selection): string => JSON.stringify(row.slice(0, selection.keyWidth));

/** A selection of a range must answer everything as a table would that holds no rows but `rows`. */
const holdsOnly = async (
  lab: Lab,
  reader: Reader,
  selection: Selection,
  rows: readonly Row[],
  all: readonly Row[],
): Promise<void> => {
  const { signal } = lab;
  const what = JSON.stringify(selection.range);
  same(await scan(lab, reader, selection), rows, `rows of ${what}`);
  assert.equal(await reader.count(selection, { signal }), rows.length, `count of ${what}`);
  same(await hashes(lab, reader, selection, { kind: 'all' }, spec), expectedHashes(selection, rows, spec), what);
  same(
    tidy(await reader.hashing!.digest(selection, undefined, spec, { signal })),
    expectedDigests(selection, rows, spec, () => 0),
    `digest of ${what}`,
  );
  const asked = all.map((row) => row.slice(0, selection.keyWidth));
  same(await scan(lab, reader, selection, { kind: 'keys', keys: asked }), rows, `keys of ${what}`);
  const inside = new Set(rows.map((row) => keyOf(row, selection)));
  for (const key of await reader.sample(selection, 5, { signal }))
    assert.ok(inside.has(keyOf(key, selection)), `sampled ${key} outside ${what}`);
};

/** Where an engine delivers rows by the hashes of their keys: exactly these rows, in that order, with their hashes. */
const byKeyHashIs = async (
  lab: Lab,
  reader: Reader,
  selection: Selection,
  segment: Segment,
  rows: readonly Row[],
): Promise<void> => {
  const { byKeyHash } = reader.hashing!;
  if (byKeyHash === undefined) return;
  const hasher = rowHasher(selection.columns, selection.keyWidth, spec);
  const expected = expectedHashes(selection, rows, spec).map(({ hash }, i) => ({ key: hasher.key(rows[i]!), hash }));
  const batches = await Array.fromAsync(byKeyHash(selection, segment, spec, { signal: lab.signal }));
  const found = batches.flatMap(unpack).map(({ key, hash }) => ({ key: BigInt(key[0]!), hash }));
  same(
    found,
    expected.sort((a, b) => (a.key < b.key ? -1 : 1)),
    segment.kind,
  );
};

export const rangeCases: readonly Case[] = [
  ...keyTables.map(
    (t): Case => ({
      name: `${t.kit.name}: selections of ranges tile, and show no row outside theirs`,
      run: async (lab) => {
        const kit = fitted(lab.harness, t.kit);
        const order = fittedOrder(lab.harness, t.kit, t.order) as unknown as Key[];
        const { reader, selection } = await withTable(lab, kit);
        const all = await scan(lab, reader, selection);
        const cuts = [...new Set([Math.floor(order.length / 3), order.length - 1])].filter((i) => i > 0);
        const seen: Row[] = [];
        for (const range of tiles(cuts.map((i) => order[i]!))) {
          const types = keyTypes(selection);
          const rows = all.filter(
            (row) =>
              (!range.from || compareKeys(types, row, range.from) >= 0) &&
              (!range.to || compareKeys(types, row, range.to) < 0),
          );
          assert.ok(rows.length > 0, 'an empty tile shows nothing');
          await holdsOnly(lab, reader, { ...selection, range }, rows, all);
          seen.push(...rows);
        }
        same(seen, all);
      },
    }),
  ),
  {
    name: 'a range of a selection holds for ranges, parts, bounds, changes and filters in it, and empty ranges are empty',
    run: async (lab) => {
      const { signal } = lab;
      const kit = numbered('bounded', 600);
      const { reader, selection: whole } = await withTable(lab, kit);
      const all = await scan(lab, reader, whole);
      const id = (n: number): Key => [String(n)] as unknown as Key;
      const between = (from: number, to: number): Row[] => all.filter(([k]) => Number(k) >= from && Number(k) < to);
      const selection = { ...whole, range: { from: id(-100), to: id(401) } };
      const inside = between(-100, 401);
      assert.equal(typeof (await reader.ranges?.(selection, { signal })), reader.ranges ? 'boolean' : 'undefined');
      same(await reader.keyBounds(selection, { signal }), { min: -99n, max: 399n });
      same(await scan(lab, reader, selection, { kind: 'range', from: id(0) }), between(0, 401));
      same(await scan(lab, reader, selection, { kind: 'range', from: id(-500), to: id(0) }), between(-100, 0));
      same(await scan(lab, reader, selection, { kind: 'range', from: id(401) }), []);
      const middle = { kind: 'range', from: id(-500), to: id(0) } as const;
      same(await hashes(lab, reader, selection, middle, spec), expectedHashes(whole, between(-100, 0), spec));
      const partitions: Partition[] = [
        { by: 'range', origin: -600n, width: 300n, count: 6 },
        { by: 'hash', count: 1024, hash: spec },
      ];
      for (const partition of partitions) {
        const part = partOf(whole, partition);
        const digests = tidy(await reader.hashing!.digest(selection, partition, spec, { signal }));
        same(digests, expectedDigests(whole, inside, spec, part), partition.by);
        const parts = [...new Set(all.map(part))].filter((_, i) => i % 3 === 1);
        const expected = inside.filter((row) => parts.includes(part(row)));
        assert.ok(expected.length > 0);
        const segment = { kind: 'parts', partition, parts } as const;
        same(await scan(lab, reader, selection, segment), expected, partition.by);
        same(await hashes(lab, reader, selection, segment, spec), expectedHashes(whole, expected, spec), partition.by);
        if (partition.by === 'hash') await byKeyHashIs(lab, reader, selection, segment, expected);
      }
      await byKeyHashIs(lab, reader, selection, { kind: 'all' }, inside);
      const keyHash = rowHasher(whole.columns, whole.keyWidth, spec);
      const sorted = inside.map((row) => keyHash.key(row)).sort((a, b) => (a < b ? -1 : 1));
      const [from, to] = [sorted[40]!, sorted[140]!];
      const part = { kind: 'range', from: [String(from)], to: [String(to)] } as unknown as Segment;
      const those = inside.filter((row) => keyHash.key(row) >= from && keyHash.key(row) < to);
      assert.equal(those.length, 100);
      await byKeyHashIs(lab, reader, selection, part, those);
      const filtered = { ...selection, filter: lab.harness.condition?.('n = 3') ?? 'n = 3' };
      const at = whole.columns.findIndex((c) => c.name === 'n');
      const some = inside.filter((row) => row[at] === '3');
      same(await scan(lab, reader, filtered), some);
      assert.equal(await reader.count(filtered, { signal }), some.length);
      same(await reader.keyBounds(filtered, { signal }), { min: BigInt(some[0]![0]!), max: BigInt(some.at(-1)![0]!) });
      const keys = { ...selection, columns: whole.columns.slice(0, 1) };
      const changed: string[] = [];
      for await (const rows of reader.changes!.columns!.since(keys, whole.columns[at]!, '8' as Text, { signal }))
        for (const [key] of rows) changed.push(key!);
      const since = inside.filter((row) => Number(row[at]) >= 8).map(([key]) => key!);
      same(new Set(changed), new Set(since));
      same(changed.length, since.length);
      for (const range of [
        { from: id(5000) },
        { from: id(50), to: id(50) },
        { from: id(60), to: id(50) },
        { to: id(-5000) },
      ])
        await holdsOnly(lab, reader, { ...whole, range }, [], all);
      if (reader.raw) {
        const offered = await reader.raw.spellings(selection, { signal });
        const spellings = offered!.map((of) => of[0]!);
        const raw: Row[] = [];
        for await (const b of reader.raw.read(selection, spellings, { signal }))
          for (let i = 0; i < b.count; i++) raw.push(b.row(i));
        same(raw, inside);
      }
      if (reader.bulk) {
        const form = (await reader.bulk.forms(selection, { signal })).find((f) => f.startsWith('postgres text'))!;
        const bytes: Buffer[] = [];
        for await (const b of reader.bulk.read(selection, { kind: 'all' }, form, { signal })) bytes.push(b);
        const newlines = Buffer.concat(bytes).filter((b) => b === 0x0a).length;
        assert.equal(newlines, inside.length);
      }
    },
  },
];
