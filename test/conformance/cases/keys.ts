import assert from 'node:assert/strict';
import { isMisfit } from '../../../src/model/canon/misfit.ts';
import type { Key } from '../../../src/model/row.ts';
import type { Segment } from '../../../src/model/selected.ts';
import type { Harness } from '../harness.ts';
import type { Case } from '../lab.ts';
import {
  expectedHashes,
  fitted,
  fittedOrder,
  hashes,
  inspected,
  kitRows,
  same,
  scan,
  selectionOf,
  withTable,
} from '../lab.ts';
import { int64, keyTables, mixed, numbered, text } from '../tables.ts';

const spec = { seed: 0x0123456789abcdefn, form: 'hex' } as const;

type KeyTable = (typeof keyTables)[number];
const fittedTable = (harness: Harness, { kit, order }: KeyTable): KeyTable => ({
  kit: fitted(harness, kit),
  order: fittedOrder(harness, kit, order),
});

const byKey: readonly Case[] = keyTables.flatMap((t): Case[] => [
  {
    name: `${t.kit.name}: rows come in the one order of keys, with the cells that were written`,
    run: async (lab) => {
      const { kit, order } = fittedTable(lab.harness, t);
      const { reader, selection } = await withTable(lab, kit);
      const rows = await scan(lab, reader, selection);
      same(
        rows.map((row) => row.slice(0, kit.key.length)),
        order,
      );
      const expected = new Map(kitRows(kit).map((row) => [JSON.stringify(row.slice(0, kit.key.length)), row]));
      for (const row of rows) same(row, expected.get(JSON.stringify(row.slice(0, kit.key.length))));
    },
  },
  {
    name: `${t.kit.name}: keys that are asked for come in key order, each once, and missing ones do not`,
    run: async (lab) => {
      const { kit, order } = fittedTable(lab.harness, t);
      const { reader, selection } = await withTable(lab, kit);
      const wanted = order.filter((_, i) => i % 2 === 0) as unknown as Key[];
      const keys = [...wanted].reverse();
      const rows = await scan(lab, reader, selection, { kind: 'keys', keys: [...keys, keys[0]!] });
      same(
        rows.map((row) => row.slice(0, kit.key.length)),
        wanted,
      );
      same(await scan(lab, reader, selection, { kind: 'keys', keys: [] }), []);
    },
  },
  {
    name: `${t.kit.name}: half-open ranges tile at every key, with no gap and no overlap`,
    run: async (lab) => {
      const { kit, order } = fittedTable(lab.harness, t);
      const { reader, selection } = await withTable(lab, kit);
      const keys = order as unknown as Key[];
      const cut = [1, Math.floor(keys.length / 3), Math.floor(keys.length / 2), keys.length - 1];
      const cuts = [...new Set(cut)].filter((i) => i > 0 && i < keys.length).map((i) => keys[i]!);
      const seen: Key[] = [];
      for (let i = 0; i <= cuts.length; i++) {
        const range = {
          kind: 'range' as const,
          ...(i > 0 ? { from: cuts[i - 1]! } : {}),
          ...(i < cuts.length ? { to: cuts[i]! } : {}),
        };
        for (const row of await scan(lab, reader, selection, range)) seen.push(row.slice(0, kit.key.length));
      }
      same(seen, keys);
      const first = keys[0]!;
      same(await scan(lab, reader, selection, { kind: 'range', from: first, to: first }), []);
      same(await scan(lab, reader, selection, { kind: 'range', to: first }), []);
    },
  },
  {
    name: `${t.kit.name}: the hash stream shows the same keys in the same order as the scan`,
    run: async (lab) => {
      const { kit, order } = fittedTable(lab.harness, t);
      const { reader, selection } = await withTable(lab, kit);
      const rows = await scan(lab, reader, selection);
      const range = { kind: 'range' as const, from: order[Math.floor(order.length / 2)] as unknown as Key };
      same(await hashes(lab, reader, selection, { kind: 'all' }, spec), expectedHashes(selection, rows, spec));
      const upper = rows.slice(Math.floor(order.length / 2));
      same(await hashes(lab, reader, selection, range, spec), expectedHashes(selection, upper, spec));
    },
  },
]);

export const keyCases: readonly Case[] = [
  ...byKey,
  {
    name: 'an empty table gives nothing, counts nothing and has no bounds',
    run: async (lab) => {
      const { reader, selection } = await withTable(lab, { ...mixed, rows: [] });
      same(await scan(lab, reader, selection), []);
      same(await scan(lab, reader, selection, { kind: 'keys', keys: [['1']] as unknown as Key[] }), []);
      assert.equal(await reader.count(selection, { signal: lab.signal }), 0);
      assert.equal(await reader.keyBounds(selection, { signal: lab.signal }), undefined);
      same(await reader.sample(selection, 10, { signal: lab.signal }), []);
      const digests = await reader.hashing!.digest(selection, undefined, spec, { signal: lab.signal });
      assert.ok(digests.every((d) => d.rows === 0 && d.sum === 0n));
    },
  },
  {
    name: 'thousands of keys, present and missing, are looked up at once',
    run: async (lab) => {
      const kit = numbered('thousands', 6000);
      const { reader, selection } = await withTable(lab, kit);
      const keys = Array.from({ length: 9000 }, (_, i) => [String(i * 2 - 6000)]) as unknown as Key[];
      const present = new Set(kit.rows.map((row) => row[0]));
      const rows = await scan(lab, reader, selection, { kind: 'keys', keys });
      same(
        rows.map((row) => row[0]),
        keys.map((k) => k[0]!).filter((k) => present.has(k)),
      );
      const hashed = await hashes(lab, reader, selection, { kind: 'keys', keys }, spec);
      same(hashed, expectedHashes(selection, rows, spec));
    },
  },
  {
    name: 'random ranges tile thousands of rows, whatever the cuts',
    run: async (lab) => {
      const kit = numbered('tiled', 4000);
      const { reader, selection } = await withTable(lab, kit);
      const whole = await scan(lab, reader, selection);
      for (const seed of [1, 2, 3]) {
        const cuts = [...new Set(Array.from({ length: 9 }, (_, i) => (((i + 1) * 7919 * seed) % 13000) - 5000))].sort(
          (a, b) => a - b,
        );
        const tiles = [];
        for (let i = 0; i <= cuts.length; i++) {
          const from = cuts[i - 1] === undefined ? {} : { from: [String(cuts[i - 1])] as unknown as Key };
          const to = cuts[i] === undefined ? {} : { to: [String(cuts[i])] as unknown as Key };
          tiles.push(...(await scan(lab, reader, selection, { kind: 'range', ...from, ...to })));
        }
        same(tiles, whole, `cuts ${cuts.join(', ')}`);
      }
    },
  },
  {
    name: 'the ends of the integers are bounds and keys like any other, held or not',
    run: async (lab) => {
      const { kit, order } = keyTables.find((t) => t.kit.name === 'negative_keys')!;
      const ends = [order[0]![0]!, order.at(-1)![0]!];
      for (const without of [[], [ends[0]!], [ends[1]!], ends]) {
        const held = order.filter(([k]) => !without.includes(k!));
        const rows = kit.rows.filter((row) => !without.includes(row[0]!));
        const { reader, selection } = await withTable(lab, { ...kit, rows });
        const read = async (segment: Segment): Promise<unknown> =>
          (await scan(lab, reader, selection, segment)).map((row) => row.slice(0, 1));
        const [least, most] = ends.map((k) => [k] as unknown as Key);
        same(await read({ kind: 'range', from: least! }), held, `from the least, without ${without}`);
        same(
          await read({ kind: 'range', to: most! }),
          held.filter(([k]) => k !== ends[1]),
        );
        same(await read({ kind: 'range', to: least! }), []);
        same(
          await read({ kind: 'range', from: most! }),
          held.filter(([k]) => k === ends[1]),
        );
        const keys = order.map((key) => key as unknown as Key);
        same(await read({ kind: 'keys', keys }), held);
        const bounds = await reader.keyBounds(selection, { signal: lab.signal });
        same(bounds, { min: BigInt(held[0]![0]!), max: BigInt(held.at(-1)![0]!) });
      }
    },
  },
  {
    name: 'ranges of a composite key tile where many rows share its first column',
    run: async (lab) => {
      const kit = {
        name: 'shared_prefix',
        columns: [
          { name: 'a', type: int64 },
          { name: 'b', type: text },
          { name: 'v', type: text },
        ],
        key: ['a', 'b'],
        rows: Array.from({ length: 900 }, (_, i) => [
          String(Math.floor(i / 300) - 1),
          `b${String(i % 300).padStart(3, '0')}`,
          `v${i}`,
        ]),
      };
      const { reader, selection } = await withTable(lab, kit);
      const whole = await scan(lab, reader, selection);
      assert.equal(whole.length, 900);
      const cuts = [
        ['-1', 'b150'],
        ['0', ''],
        ['0', 'b000'],
        ['0', 'b299'],
        ['0', 'zzz'],
        ['1', 'b001'],
      ] as unknown as Key[];
      const tiles = [];
      for (let i = 0; i <= cuts.length; i++) {
        tiles.push(
          ...(await scan(lab, reader, selection, {
            kind: 'range',
            ...(i > 0 ? { from: cuts[i - 1]! } : {}),
            ...(i < cuts.length ? { to: cuts[i]! } : {}),
          })),
        );
      }
      same(tiles, whole);
    },
  },
  {
    name: 'count, key bounds and sample tell the truth',
    run: async (lab) => {
      const kit = numbered('counted', 3000);
      const { reader, selection } = await withTable(lab, kit);
      assert.equal(await reader.count(selection, { signal: lab.signal }), 3000);
      same(await reader.keyBounds(selection, { signal: lab.signal }), { min: -3000n, max: 5997n });
      const present = new Set(kit.rows.map((row) => row[0]));
      const sample = await reader.sample(selection, 100, { signal: lab.signal });
      assert.ok(sample.length <= 3000);
      for (const key of sample)
        assert.ok(key.length === 1 && present.has(key[0]!), `sampled a key that is not there: ${key}`);
    },
  },
  {
    name: 'a filter holds for scan, count, bounds, keys, digest and hashes alike',
    run: async (lab) => {
      const kit = numbered('filtered', 1000);
      const database = await lab.database(kit);
      const endpoint = await lab.open(database);
      const reader = await lab.read(endpoint);
      const table = await inspected(lab, endpoint, kit.name);
      const selection = selectionOf(table, kit, {
        filter: lab.harness.condition?.("n = 3 and v <> 'row 3'") ?? "n = 3 and v <> 'row 3'",
      });
      const plain = selectionOf(table, kit);
      const at = plain.columns.findIndex((c) => c.name === 'n');
      const whole = await scan(lab, reader, plain);
      const expected = whole.filter((row) => row[at] === '3' && row[1] !== null && row[1] !== 'row 3');
      assert.ok(expected.length > 50 && expected.length < 100);
      same(await scan(lab, reader, selection), expected);
      assert.equal(await reader.count(selection, { signal: lab.signal }), expected.length);
      const ids = expected.map((row) => BigInt(row[0]!));
      same(await reader.keyBounds(selection, { signal: lab.signal }), { min: ids[0], max: ids.at(-1) });
      const keys = whole.slice(0, 200).map((row) => row.slice(0, 1));
      const among = expected.filter((row) => keys.some((k) => k[0] === row[0]));
      same(await scan(lab, reader, selection, { kind: 'keys', keys }), among);
      same(await hashes(lab, reader, selection, { kind: 'all' }, spec), expectedHashes(plain, expected, spec));
      const [digest] = await reader.hashing!.digest(selection, undefined, spec, { signal: lab.signal });
      assert.equal(digest?.rows, expected.length);
    },
  },
  {
    name: 'every kind of value comes back as the canonical text that was written',
    run: async (lab) => {
      const kit = fitted(lab.harness, mixed);
      const { reader, selection } = await withTable(lab, kit);
      const rows = await scan(lab, reader, selection);
      same(rows, kitRows(kit));
      assert.ok(rows.every((row) => row.every((cell) => !isMisfit(cell))));
    },
  },
  {
    name: 'names of any kind are quoted',
    run: async (lab) => {
      const kit = {
        name: 'We"ird \u00e4 "; drop table x; --',
        columns: [
          { name: 'Sel"ect', type: int64 },
          { name: 'order', type: text, nullable: true as const },
          { name: lab.harness.names === 'basic' ? "it's \u2603" : "it's \u{1f600}", type: text },
        ],
        key: ['Sel"ect'],
        rows: [
          ['1', 'a', 'b'],
          ['2', null, ''],
        ],
      };
      const { reader, selection } = await withTable(lab, kit);
      same(await scan(lab, reader, selection), kit.rows);
      same(await scan(lab, reader, selection, { kind: 'range', from: ['2'] as unknown as Key }), [kit.rows[1]]);
    },
  },
];
