import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Change } from '../model/change.ts';
import type { PlanItem } from '../model/plans.ts';
import { areColumns, columnBytes, columnHeads, columnItems } from './item-columns.ts';
import { imagesAt, itemLine } from './item-line.ts';

const half = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const cell = fc.option(fc.string({ unit: 'binary', maxLength: 5 }), { nil: null });

/** Items of one kind, of one table, with the same columns. */
const alike: fc.Arbitrary<PlanItem[]> = fc
  .record({
    op: fc.constantFrom('delete', 'update'),
    width: fc.integer({ min: 1, max: 3 }),
    more: fc.integer({ min: 1, max: 3 }),
    group: fc.nat(9),
    table: fc.nat(9),
    first: fc.integer({ min: 1, max: 1e9 }),
  })
  .chain(({ op, width, more, group, table, first }) => {
    const columns = Array.from({ length: more }, (_, i) => width + i);
    const row = fc.tuple(
      fc.array(fc.string({ unit: 'binary', maxLength: 5 }), { minLength: width, maxLength: width }),
      fc.array(cell, { minLength: more, maxLength: more }),
      fc.array(cell, { minLength: more, maxLength: more }),
      fc.array(half, { minLength: op === 'update' ? 4 : 2, maxLength: op === 'update' ? 4 : 2 }),
    );
    return fc.array(row, { minLength: 1, maxLength: 20 }).map((rows) =>
      rows.map(([key, old, now, hashes], i): PlanItem => {
        const before = [...key, ...old];
        const after = [...key, ...now];
        const change =
          op === 'update'
            ? { op: 'update', key, hashes, before, after, columns }
            : { op: 'delete', key, hashes, before, after: null };
        return { seq: first + i, group, table, change: change as never };
      }),
    );
  });

const read = (items: readonly PlanItem[], plain: Buffer): PlanItem[] => {
  const ends = (): string[] => items.map((item) => itemLine(item)).map((line) => line.slice(imagesAt(line)));
  const found = columnItems(plain, { first: items[0]!.seq, count: items.length }, ends);
  assert.ok(found);
  return found;
};

test('items by columns are the items, and give the same lines', () => {
  fc.assert(
    fc.property(alike, (items) => {
      const plain = columnBytes(items)!;
      assert.ok(areColumns(plain));
      const found = read(items, plain);
      for (const [i, item] of items.entries()) {
        const { change, ...rest } = found[i]!;
        const wanted = item.change;
        assert.deepEqual(rest, { seq: item.seq, group: item.group, table: item.table });
        assert.deepEqual(
          [change.op, change.key, change.hashes, change.before, change.after],
          [wanted.op, wanted.key, wanted.hashes, wanted.before, wanted.after],
        );
        if (wanted.op === 'update' && change.op === 'update') {
          assert.deepEqual(change.columns, wanted.columns);
          assert.deepEqual(
            change.cells,
            wanted.columns.map((at) => wanted.after[at]),
          );
        }
      }
      const lines = items.map((item) => itemLine(item));
      assert.deepEqual(
        columnHeads(found),
        lines.map((line) => line.slice(0, imagesAt(line))),
      );
    }),
  );
});

const one = (seq: number, change: Change, table = 0): PlanItem => ({ seq, group: 1, table, change });
const gone = (key: string, hashes?: readonly number[]): Change => {
  const hashed = hashes === undefined ? {} : { hashes };
  return { op: 'delete', key: [key] as never, ...hashed, before: [key, 'x'] as never, after: null };
};

test('items that are not alike are not put in columns', () => {
  const changed = (columns: readonly number[]): Change => {
    const [before, after] = [
      ['1', 'a', 'b'],
      ['1', 'A', 'B'],
    ];
    const images = { before: before as never, after: after as never };
    return { op: 'update', key: ['1'] as never, hashes: [1, 2, 3, 4], ...images, columns };
  };
  const row = ['1'] as never;
  const inserted: Change = { op: 'insert', key: row, hashes: [1, 2], before: null, after: row, columns: [0] };
  for (const items of [
    [],
    [one(1, inserted)],
    [one(1, gone('1', [1, 2])), one(2, gone('2'))],
    [one(1, gone('1', [1, 2])), one(2, gone('2', [1, 2]), 1)],
    [one(1, gone('1', [1, 2])), one(2, changed([1]))],
    [one(1, changed([1])), one(2, changed([1, 2]))],
  ])
    assert.equal(columnBytes(items), undefined, JSON.stringify(items));
});

test('bytes that are not whole are no items', () => {
  const plain = columnBytes([one(1, gone('1', [1, 2])), one(2, gone('2', [3, 4]))])!;
  const items = (bytes: Buffer, count = 2) => columnItems(bytes, { first: 1, count }, () => []);
  assert.equal(items(plain)?.length, 2);
  assert.equal(items(plain, 3), undefined);
  assert.equal(items(plain.subarray(0, -8)), undefined);
  assert.equal(items(plain.subarray(0, -3)), undefined);
  assert.equal(items(Buffer.from(plain.toString('latin1').replace('["1","2"]', '["1"]'), 'latin1')), undefined);
  assert.equal(items(Buffer.from('{"columns":1')), undefined);
});

test('cells that look like the marks between cells are themselves', () => {
  for (const key of [
    ['a","b', 'c'],
    ['a\\', 'b'],
    ['"', ','],
    [',null,', '"]'],
    ['', ''],
    ['\u2028', '\n'],
  ] as const) {
    const items = ['1', '2'].map((n, i): PlanItem => {
      const row = [...key, n];
      const change = {
        op: 'update',
        key: row,
        hashes: [1, 2, 3, -4],
        before: [...row, 'x'],
        after: [...row, null],
        columns: [3],
      };
      return { seq: 7 + i, group: 0, table: 0, change: change as never };
    });
    const read = columnItems(columnBytes(items)!, { first: 7, count: 2 }, () => []);
    assert.deepEqual(
      read?.map(({ change }) => change.key),
      items.map(({ change }) => change.key),
    );
    assert.deepEqual(
      read?.map(({ change }) => (change as { readonly cells: unknown }).cells),
      [[null], [null]],
    );
  }
});
