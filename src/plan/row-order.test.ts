import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Change } from '../model/change.ts';
import type { Row, Text } from '../model/row.ts';
import { parentsFirst } from './row-order.ts';

const insert = (id: number, parent: number | null): Change => ({
  key: [String(id) as Text],
  op: 'insert',
  before: null,
  after: [String(id) as Text, parent === null ? null : (String(parent) as Text)],
  columns: [0, 1],
});
const image = (c: Change): Row => c.after!;
const self = [{ from: [1], to: [0] }];

test('in any forest, each row comes after the one it refers to, and none is lost', () => {
  const parents = fc.array(fc.nat(), { maxLength: 60 });
  fc.assert(
    fc.property(parents, fc.nat(), (list, seed) => {
      const changes = list.map((p, i) => insert(i, i === 0 || p % 4 === 0 ? null : p % i));
      const shuffled = changes.toSorted(
        (a, b) => ((Number(a.key[0]) * 7919 + seed) % 61) - ((Number(b.key[0]) * 7919 + seed) % 61),
      );
      const ordered = parentsFirst(shuffled, self, image);
      assert.deepEqual(new Set(ordered), new Set(changes));
      const place = new Map(ordered.map((c, i) => [c.key[0], i]));
      for (const c of ordered) {
        const parent = c.after![1];
        if (parent !== null) assert.ok(place.get(parent!)! < place.get(c.key[0])!);
      }
    }),
  );
});

test('circles, references to oneself and to rows outside keep every row', () => {
  const changes = [insert(1, 2), insert(2, 1), insert(3, 3), insert(4, 99), insert(5, 4)];
  const ordered = parentsFirst(changes, self, image);
  assert.equal(ordered.length, 5);
  assert.ok(ordered.indexOf(changes[3]!) < ordered.indexOf(changes[4]!));
});

test('a chain of 100,000 rows does not exhaust the stack', () => {
  const chain = Array.from({ length: 100_000 }, (_, i) => insert(i, i === 99_999 ? null : i + 1));
  assert.equal(parentsFirst(chain, self, image)[0]!.key[0], '99999');
});
