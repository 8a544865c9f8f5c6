import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Difference } from '../model/change.ts';
import type { ColumnPair, Pair } from '../model/pair.ts';
import type { Row } from '../model/row.ts';
import type { Column, ColumnType, Table } from '../model/schema.ts';
import { buildChange, targetShape } from './target-row.ts';

const text: ColumnType = { kind: 'text' };
const int: ColumnType = { kind: 'int', bits: 64 };
const column = (name: string, type: ColumnType, native: string, o: Partial<Column> = {}): Column => ({
  name,
  type,
  native,
  nullable: true,
  ...o,
});
const tableOf = (columns: readonly Column[]): Table => ({
  name: 't',
  kind: 'table',
  columns,
  uniques: [],
  foreignKeys: [],
  triggers: [],
  indexes: [],
});
const pairOf = (target: Table, columns: readonly ColumnPair[]): Pair => ({
  name: 't',
  source: tableOf(columns.map((c) => c.source)),
  target,
  columns,
  keyWidth: 1,
  notCompared: [],
  warnings: [],
});
const both = (c: Column, as: ColumnType = c.type): ColumnPair => ({ source: c, target: c, as });
const row = (...cells: (string | null)[]): Row => cells as unknown as Row;

const id = column('id', int, 'bigint', { nullable: false });
const price = column('price', { kind: 'decimal', precision: 10, scale: 2 }, 'numeric(10,2)');
const wide: ColumnType = { kind: 'decimal' };

test('what the target cannot hold is refused with a reason, never rounded', () => {
  const shape = targetShape(pairOf(tableOf([price, id]), [both(id), both(price, wide)]));
  const difference: Difference = { key: row('1'), kind: 'only_in_source', source: row('1', '19.9949'), target: null };
  const built = buildChange(shape, difference, 'insert', undefined);
  assert.equal(built.kind, 'unfit');
  assert.match((built as { reason: string }).reason, /^price: .*19\.9949.*numeric\(10,2\)/);
  const concealed: ColumnPair = { ...both(price, wide), concealed: 'encrypt' };
  const secret = targetShape(pairOf(tableOf([price, id]), [both(id), concealed]));
  const told = buildChange(secret, difference, 'insert', undefined) as { reason: string };
  assert.match(told.reason, /^price: its value .*numeric\(10,2\)/);
  assert.doesNotMatch(told.reason, /19/);
  const fits = buildChange(shape, { ...difference, source: row('1', '19.99') }, 'insert', undefined);
  assert.deepEqual(fits, {
    kind: 'change',
    change: { key: ['1'], op: 'insert', before: null, after: ['1', '19.99'], columns: [0, 1] },
  });
});

test('an update keeps every cell outside the comparison and writes only what differs', () => {
  const note = column('note', text, 'text');
  const a = column('a', text, 'text');
  const b = column('b', text, 'text');
  const shape = targetShape(pairOf(tableOf([note, id, a, b]), [both(id), both(b), both(a)]));
  assert.equal(shape.whole, false);
  const difference: Difference = {
    key: row('7'),
    kind: 'different',
    source: row('7', 'B', 'x'),
    target: row('7', 'b', 'x'),
    columns: [1],
  };
  const built = buildChange(shape, difference, 'update', row('7', 'kept', 'x', 'b'));
  assert.deepEqual(built, {
    kind: 'change',
    change: { key: ['7'], op: 'update', before: ['7', 'kept', 'x', 'b'], after: ['7', 'kept', 'x', 'B'], columns: [3] },
  });
  assert.equal(buildChange(shape, difference, 'update', row('7', 'kept', 'x', 'c')).kind, 'moved');
  assert.equal(buildChange(shape, difference, 'update', undefined).kind, 'moved');
});

test('a required column without a source, and computed columns, are told', () => {
  const owner = column('owner', text, 'text', { nullable: false });
  const sum = column('sum', int, 'bigint', { generated: 'always' });
  const shape = targetShape(pairOf(tableOf([id, owner, sum]), [both(id), both(sum)]));
  const insert = buildChange(
    shape,
    { key: row('1'), kind: 'only_in_source', source: row('1', '3'), target: null },
    'insert',
    undefined,
  );
  assert.match(
    (insert as { reason: string }).reason,
    /owner of t must not be NULL, has no default and no source column/,
  );
  const update = buildChange(
    shape,
    { key: row('1'), kind: 'different', source: row('1', '3'), target: row('1', '4'), columns: [1] },
    'update',
    row('1', 'me', '4'),
  );
  assert.match((update as { reason: string }).reason, /sum: computed by the target/);
});
