import assert from 'node:assert/strict';
import type { HashSpec } from '../../../src/model/hash/spec.ts';
import type { Row } from '../../../src/model/row.ts';
import type { Partition } from '../../../src/model/selected.ts';
import type { KitTable } from '../harness.ts';
import {
  byHash,
  type Case,
  expectedDigests,
  expectedHashes,
  fitted,
  fittedOrder,
  hashes,
  type Lab,
  looseHashes,
  partOf,
  same,
  scan,
  tidy,
  withTable,
} from '../lab.ts';
import { int64, keyTables, mixed, numbered, text } from '../tables.ts';

const seeds = [0n, 1n, 0x0123456789abcdefn, 0xffffffffffffffffn, 0x8000000000000000n];

/** Specs to try: every seed in every form the engine can hash. */
const specs = (forms: readonly HashSpec['form'][]): HashSpec[] =>
  seeds.flatMap((seed) => forms.map((form) => ({ seed, form })));

/** Digest, hash stream and scan of some parts must show the same rows and the numbers of `row-hash.ts`. */
const partsAgree = async (lab: Lab, all: KitTable, partition: Partition, some: readonly number[]): Promise<void> => {
  const kit = fitted(lab.harness, all);
  const { reader, selection } = await withTable(lab, kit);
  const hashing = reader.hashing!;
  const rows = await scan(lab, reader, selection);
  const spec = partition.by === 'hash' ? partition.hash : { seed: 77n, form: hashing.forms[0]! };
  const part = partOf(selection, partition);
  const digests = tidy(await hashing.digest(selection, partition, spec, { signal: lab.signal }));
  same(digests, expectedDigests(selection, rows, spec, part));
  assert.ok(digests.length > 1, 'only one part has rows: this shows nothing');
  const segment = { kind: 'parts' as const, partition, parts: some };
  const inside = rows.filter((row) => some.includes(part(row)));
  assert.ok(inside.length > 0 && inside.length < rows.length, 'the parts hold no rows or all: this shows nothing');
  same(await scan(lab, reader, selection, segment), inside);
  const expected = expectedHashes(selection, inside, spec);
  same(await hashes(lab, reader, selection, segment, spec), expected);
  if (hashing.loose) same(byHash(await looseHashes(lab, reader, selection, segment, spec)), byHash(expected));
};

const hashOf = (key: readonly (string | null)[]): string => JSON.stringify(key);

export const hashingCases: readonly Case[] = [
  {
    name: 'the kinds that must be hashed are hashed exactly',
    run: async (lab) => {
      const { reader, selection } = await withTable(lab, fitted(lab.harness, mixed));
      assert.ok(reader.hashing, 'no hashing at all');
      assert.ok(reader.hashing.forms.includes('hex'), 'every engine can do the hex form');
      for (const c of selection.columns) {
        if (lab.harness.hashed.includes(c.as.kind))
          assert.equal(reader.hashing.supports(c), 'exact', `${c.name} (${c.as.kind})`);
      }
    },
  },
  {
    name: 'row hashes of every kind of value are the numbers of the one table, in every form and seed',
    run: async (lab) => {
      const { reader, selection } = await withTable(lab, fitted(lab.harness, mixed));
      const rows = await scan(lab, reader, selection);
      assert.equal(rows.length, mixed.rows.length);
      for (const spec of specs(reader.hashing!.forms)) {
        const found = await hashes(lab, reader, selection, { kind: 'all' }, spec);
        same(found, expectedHashes(selection, rows, spec), `seed ${spec.seed}, form ${spec.form}`);
        assert.equal(new Set(found.map((r) => r.hash)).size, rows.length);
        if (reader.hashing!.loose)
          same(byHash(await looseHashes(lab, reader, selection, { kind: 'all' }, spec)), byHash(found));
      }
    },
  },
  {
    name: 'a digest is the count and the sum modulo 2^64 of the row hashes',
    run: async (lab) => {
      const { reader, selection } = await withTable(lab, fitted(lab.harness, mixed));
      const rows = await scan(lab, reader, selection);
      for (const spec of specs(reader.hashing!.forms)) {
        const digests = await reader.hashing!.digest(selection, undefined, spec, { signal: lab.signal });
        same(
          tidy(digests),
          expectedDigests(selection, rows, spec, () => 0),
          `seed ${spec.seed}`,
        );
        assert.ok(digests[0]!.sum >= 0n && digests[0]!.sum < 1n << 64n);
      }
    },
  },
  {
    name: 'a digest sees values that move between rows, columns, signs and halves of an integer',
    run: async (lab) => {
      const cells = (a: string | null, b: string | null, n: string, m: string): (string | null)[] => [a, b, n, m];
      const base = [cells('x', 'y', '1', '10000'), cells('p', null, '140', '5'), cells('', 'q', '7', '-7')];
      const changed: Record<string, (string | null)[][]> = {
        'two rows exchange a value': [cells('p', 'y', '1', '10000'), cells('x', null, '140', '5'), base[2]!],
        'two columns exchange a value': [cells('y', 'x', '1', '10000'), base[1]!, base[2]!],
        'numbers exchange their weights': [cells('x', 'y', '10000', '1'), base[1]!, base[2]!],
        'one up here, one down there': [cells('x', 'y', '2', '10000'), cells('p', null, '139', '5'), base[2]!],
        'a sign': [base[0]!, cells('p', null, '140', '-5'), base[2]!],
        'a shift by 32 bits': [base[0]!, cells('p', null, '601295421440', '5'), base[2]!],
        'a NULL that moves to the next column': [base[0]!, cells(null, 'p', '140', '5'), base[2]!],
        'NULL instead of empty': [base[0]!, base[1]!, cells(null, 'q', '7', '-7')],
        'a row less': [base[0]!, base[1]!],
      };
      const kit = (name: string, rows: (string | null)[][]): KitTable => ({
        name,
        columns: [
          { name: 'id', type: int64 },
          { name: 'a', type: text, nullable: true },
          { name: 'b', type: text, nullable: true },
          { name: 'n', type: int64 },
          { name: 'm', type: { kind: 'decimal', precision: 10, scale: 2 } },
        ],
        key: ['id'],
        rows: rows.map((row, i) => [String(i), ...row]),
      });
      const spec: HashSpec = { seed: 4711n, form: 'hex' };
      const sum = async (name: string, rows: (string | null)[][]): Promise<string> => {
        const { reader, selection } = await withTable(lab, kit(name, rows));
        const [d] = await reader.hashing!.digest(selection, undefined, spec, { signal: lab.signal });
        return `${d?.rows} ${d?.sum}`;
      };
      const agreed = await sum('base', base);
      assert.equal(await sum('same', base), agreed);
      for (const [what, rows] of Object.entries(changed)) assert.notEqual(await sum('changed', rows), agreed, what);
    },
  },
  {
    name: 'ranges of an integer key cut alike in digest, hash stream and scan',
    run: (lab) =>
      partsAgree(
        lab,
        numbered('ranged', 2000),
        { by: 'range', origin: -1500n, width: 97n, count: 40 },
        [0, 3, 4, 5, 17, 39],
      ),
  },
  {
    name: 'ranges reach over the whole of the integers',
    run: (lab) =>
      partsAgree(lab, mixed, { by: 'range', origin: -(1n << 63n), width: (1n << 60n) + 1n, count: 16 }, [0, 8, 15]),
  },
  {
    name: 'the first and the last range are unbounded',
    run: (lab) => partsAgree(lab, mixed, { by: 'range', origin: 0n, width: 1n, count: 3 }, [0, 2]),
  },
  ...keyTables
    .filter(({ order }) => order.length > 5)
    .map(
      ({ kit }): Case => ({
        name: `${kit.name}: buckets of the key's hash cut alike in digest, hash stream and scan`,
        run: (lab) => partsAgree(lab, kit, { by: 'hash', count: 4, hash: { seed: 99n, form: 'hex' } }, [1, 2]),
      }),
    ),
  {
    name: 'many buckets spread thousands of rows evenly',
    run: async (lab) => {
      const kit = numbered('bucketed', 4000);
      const { reader, selection } = await withTable(lab, kit);
      const partition: Partition = { by: 'hash', count: 256, hash: { seed: 5n, form: 'hex' } };
      const digests = tidy(await reader.hashing!.digest(selection, partition, partition.hash, { signal: lab.signal }));
      assert.equal(
        digests.reduce((n, d) => n + d.rows, 0),
        4000,
      );
      assert.ok(digests.length > 250, `only ${digests.length} of 256 buckets hold rows`);
      assert.ok(
        digests.every((d) => d.rows < 60),
        'a bucket holds far more than its share',
      );
    },
  },
  {
    name: 'a column rendered as the wider common type hashes as that type',
    run: async (lab) => {
      const kit: KitTable = {
        name: 'widened',
        columns: [
          { name: 'id', type: { kind: 'int', bits: 32 } },
          { name: 'd', type: { kind: 'date' } },
          { name: 'f', type: { kind: 'bool' } },
        ],
        key: ['id'],
        rows: [
          ['-5', '0001-01-01', 'true'],
          ['3', '2024-02-29', 'false'],
          ['12', '9999-12-31', 'true'],
        ],
      };
      const { reader, selection: own } = await withTable(lab, kit);
      const as = [{ kind: 'decimal' }, { kind: 'timestamp', fraction: 6 }, { kind: 'int', bits: 64 }] as const;
      const selection = { ...own, columns: own.columns.map((c, i) => ({ ...c, as: as[i]! })) };
      const rows = await scan(lab, reader, selection);
      same(rows, [
        ['-5', '0001-01-01 00:00:00', '1'],
        ['3', '2024-02-29 00:00:00', '0'],
        ['12', '9999-12-31 00:00:00', '1'],
      ] as unknown as Row[]);
      const spec: HashSpec = { seed: 3n, form: 'hex' };
      for (const c of selection.columns) assert.equal(reader.hashing!.supports(c), 'exact', c.name);
      same(await hashes(lab, reader, selection, { kind: 'all' }, spec), expectedHashes(selection, rows, spec));
    },
  },
  {
    name: 'tables without a key are read as multisets, NULL first, with how often each row occurs',
    run: async (lab) => {
      const kit: KitTable = {
        name: 'keyless',
        columns: [
          { name: 'a', type: text, nullable: true },
          { name: 'n', type: int64, nullable: true },
        ],
        key: [],
        rows: [
          ['b', '1'],
          [null, null],
          ['a', '-2'],
          ['b', '1'],
          [null, '5'],
          ['a', null],
          [null, null],
          ['', '3'],
          ['b', '1'],
          ['\u{1f600}', '0'],
          ['\ue000', '0'],
          ['a', '10'],
          ['a', '9'],
        ],
      };
      const { reader, selection } = await withTable(lab, kit);
      const rows = await scan(lab, reader, selection);
      same(rows, [
        [null, null, '2'],
        [null, '5', '1'],
        ['', '3', '1'],
        ['a', null, '1'],
        ['a', '-2', '1'],
        ['a', '9', '1'],
        ['a', '10', '1'],
        ['b', '1', '3'],
        ['\ue000', '0', '1'],
        ['\u{1f600}', '0', '1'],
      ]);
      assert.equal(await reader.count(selection, { signal: lab.signal }), kit.rows.length);
      if (reader.hashing) {
        const spec: HashSpec = { seed: 8n, form: 'hex' };
        const [digest] = await reader.hashing.digest(selection, undefined, spec, { signal: lab.signal });
        const expanded = rows.flatMap((row) => Array.from({ length: Number(row.at(-1)) }, () => row.slice(0, -1)));
        same(
          tidy([digest!]),
          expectedDigests(selection, expanded, spec, () => 0),
        );
      }
    },
  },
  {
    name: 'a table with a key can be read as a multiset too',
    run: async (lab) => {
      const { kit, order } = keyTables[0]!;
      const { reader, selection } = await withTable(lab, fitted(lab.harness, kit));
      const keyless = { ...selection, keyWidth: 0 };
      const rows = await scan(lab, reader, keyless);
      same(
        rows.map((row) => hashOf(row.slice(0, 1))),
        fittedOrder(lab.harness, kit, order).map(hashOf),
      );
      assert.ok(rows.every((row) => row.length === selection.columns.length + 1 && row.at(-1) === '1'));
    },
  },
];
