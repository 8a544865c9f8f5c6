import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Column, ForeignKey, Table } from '../model/schema.ts';
import { orderTables } from './order.ts';

/** `a: b? c!` is a table `a` with a nullable reference to `b` and a required, deferrable one to `c`. */
const tables = (text: string): Table[] =>
  text.split(';').map((line): Table => {
    const [name, refs = ''] = line.split(':').map((s) => s.trim());
    const parents = refs.split(' ').filter((r) => r !== '');
    const bare = (r: string): string => r.replace(/[?!]/g, '');
    return {
      name: name!,
      kind: 'table',
      columns: parents.map(
        (r): Column => ({
          name: bare(r),
          type: { kind: 'int', bits: 64 },
          native: 'bigint',
          nullable: r.includes('?'),
        }),
      ),
      uniques: [],
      foreignKeys: parents.map(
        (r): ForeignKey => ({
          name: `${name}_${bare(r)}`,
          columns: [bare(r)],
          references: { name: bare(r) },
          referencedColumns: ['id'],
          deferrable: r.includes('!'),
        }),
      ),
      triggers: [],
      indexes: [],
    };
  });

const ranks = (text: string, canBreak = true): string => {
  const list = tables(text);
  const order = orderTables(list, () => canBreak);
  return order.tables
    .map(
      (t, i) =>
        `${list[i]!.name}${t.rank}${t.self.length > 0 ? ' self' : ''}${t.together ? ' together' : ''}${t.broken.map((k) => ` breaks ${k.name}`).join('')}`,
    )
    .join(', ');
};

test('parents have smaller ranks than their children', () => {
  assert.equal(
    ranks('items: orders products; orders: people; people; products'),
    'items2, orders1, people0, products0',
  );
  assert.equal(ranks('a: elsewhere; b'), 'a0, b0', 'tables outside the plan do not matter');
  assert.equal(ranks('node: node'), 'node0 self');
});

test('a circle is opened at a nullable reference, else held together', () => {
  assert.equal(ranks('a: b?; b: a; c: b'), 'a0 breaks a_b, b1, c2');
  assert.equal(ranks('a: b!; b: a; c: b'), 'a0 together, b0 together, c1');
  assert.equal(
    ranks('a: b?; b: a', false),
    'a0 together, b0 together',
    'a row that is not wholly known is not written twice',
  );
  assert.equal(ranks('a: b?; b: c; c: a; d: a b c'), 'a0 breaks a_b, b2, c1, d3');
});

test('a circle that nothing can open is told with the keys that would', () => {
  const warning = orderTables(tables('a: b; b: a'), () => true).warnings[0]!;
  assert.match(warning, /^a, b refer to each other .* Make one of a_b, b_a deferrable\.$/);
});

test('a chain of three thousand tables does not exhaust the stack', () => {
  const chain = Array.from({ length: 3000 }, (_, i) => (i === 0 ? 't0' : `t${i}: t${i - 1}`)).join(';');
  assert.equal(orderTables(tables(chain), () => true).ranks, 3000);
});
