import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LockstepError } from '../model/errors.ts';
import type { Column, ColumnType, Schema, Table } from '../model/schema.ts';
import { align, type PairOptions } from './align.ts';
import { findTable, pairAllTables } from './find-table.ts';
import { keyIsGuaranteed } from './key.ts';

const int: ColumnType = { kind: 'int', bits: 64 };
const text: ColumnType = { kind: 'text' };
const col = (name: string, type: ColumnType = text, more: Partial<Column> = {}): Column => ({
  name,
  type,
  native: type.kind,
  nullable: true,
  ...more,
});
const make = (
  name: string,
  columns: readonly Column[],
  key: readonly string[] = [],
  more: Partial<Table> = {},
): Table => {
  const [schema, bare] = name.includes('.') ? name.split('.') : [undefined, name];
  return {
    ...(schema === undefined ? {} : { schema }),
    name: bare!,
    kind: 'table',
    columns,
    uniques: key.length === 0 ? [] : [{ name: 'pk', columns: key, total: true, primary: true }],
    foreignKeys: [],
    triggers: [],
    indexes: [],
    ...more,
  };
};
const names = { source: 'billing', target: 'crm' };
const aligned = (s: Table, t: Table, o: PairOptions = {}) => align(s, t, o, names);
const fails = (code: string, message: RegExp) => (e: unknown) =>
  e instanceof LockstepError && e.code === code && message.test(`${e.message} ${e.hint ?? ''}`);

const schema = (...tables: Table[]): Schema => ({ tables, defaultSchema: 'public' });
const one = [col('id', int)];

test('a table is found by its full name, its name, and its name without regard to case', () => {
  const s = schema(
    make('public.orders', one),
    make('sales.orders', one),
    make('sales.Items', one),
    make('sales.refunds', one),
  );
  assert.equal(findTable(s, 'sales.orders', 'a').schema, 'sales');
  assert.equal(findTable(s, 'orders', 'a').schema, 'public');
  assert.equal(findTable(s, 'refunds', 'a').schema, 'sales');
  assert.equal(findTable(s, 'ITEMS', 'a').name, 'Items');
  assert.equal(findTable(s, 'SALES.ORDERS', 'a').schema, 'sales');
});

test('a table that is not there, or not one, is an error with candidates', () => {
  const s = schema(make('a.orders', one), make('b.orders', one));
  assert.throws(() => findTable(s, 'orders', 'crm'), fails('TABLE_NOT_FOUND', /a\.orders or b\.orders/));
  assert.throws(
    () => findTable(s, 'a.order', 'crm'),
    fails('TABLE_NOT_FOUND', /there is no table a\.order in crm.*Did you mean a\.orders/),
  );
});

test('whole databases are paired, each table once, and what is left over is said', () => {
  const source = schema(
    make('public.orders', one),
    make('public.users', one),
    make('public.v', one, [], { kind: 'view' }),
    make('public.extra', one),
  );
  const target: Schema = {
    tables: [make('ORDERS', one), make('users', one), make('more', one), make('v', one, [], { kind: 'view' })],
  };
  const found = pairAllTables(source, target, names);
  assert.deepEqual(
    found.pairs.map((p) => [p.source.name, p.target.name]),
    [
      ['orders', 'ORDERS'],
      ['users', 'users'],
    ],
  );
  assert.deepEqual(
    found.notCompared.map((n) => [n.what, n.reason]),
    [
      ['public.extra', 'crm has no table of this name'],
      ['more', 'only crm has this table'],
    ],
  );
});

test('two tables that differ by case are paired exactly, and never with one partner', () => {
  const both = pairAllTables(
    { tables: [make('t', one), make('T', one)] },
    { tables: [make('T', one), make('t', one)] },
    names,
  );
  assert.deepEqual(
    both.pairs.map((p) => [p.source.name, p.target.name]),
    [
      ['t', 't'],
      ['T', 'T'],
    ],
  );
  const unclear = pairAllTables({ tables: [make('aB', one), make('Ab', one)] }, { tables: [make('ab', one)] }, names);
  assert.deepEqual(unclear.pairs, []);
  assert.equal(unclear.notCompared.length, 3);
});

test('columns are matched by mapping, name, and name without regard to case; the key comes first', () => {
  const s = make('t', [col('name'), col('id', int), col('Mail'), col('state')], ['id']);
  const t = make('t', [col('ID', int), col('NAME'), col('mail'), col('status')], ['ID']);
  const pair = aligned(s, t, { map: { state: 'status' } });
  assert.deepEqual(
    pair.columns.map((c) => [c.source.name, c.target.name]),
    [
      ['id', 'ID'],
      ['name', 'NAME'],
      ['Mail', 'mail'],
      ['state', 'status'],
    ],
  );
  assert.equal(pair.keyWidth, 1);
  assert.deepEqual(pair.notCompared, []);
});

test('what only one side has, or what has no common type, is not compared unless it is excluded', () => {
  const s = make('t', [col('id', int), col('only_here'), col('raw', { kind: 'bytes' })], ['id']);
  const t = make('t', [col('id', int), col('only_there'), col('raw', int)], ['id']);
  assert.deepEqual(
    aligned(s, t).notCompared.map((n) => n.what),
    ['t.only_here', 't.raw', 't.only_there'],
  );
  assert.deepEqual(aligned(s, t, { exclude: ['only_here', 'only_there', 'raw'] }).notCompared, []);
  assert.deepEqual(aligned(s, t, { columns: ['id'] }).notCompared, []);
});

test('the key is the one both sides have: primary first, else a total unique one', () => {
  const s = make('t', [col('id', int), col('code')], ['id'], {
    uniques: [
      { name: 'pk', columns: ['id'], total: true, primary: true },
      { name: 'u', columns: ['code'], total: true, primary: false },
    ],
  });
  const t = make('t', [col('id', int), col('code')], ['code']);
  assert.deepEqual(aligned(s, t).columns[0]!.source.name, 'code');
  assert.equal(keyIsGuaranteed(aligned(s, t)), true);
  assert.equal(keyIsGuaranteed(aligned(s, t, { key: ['id'] })), false);
});

test('without a common key rows are a multiset, and the report says how to pair them', () => {
  const pair = aligned(make('t', [col('id', int)], ['id']), make('t', [col('id', int)]));
  assert.equal(pair.keyWidth, 0);
  assert.match(pair.warnings[0]!, /compared as a multiset.*--key id/);
});

test('a key that cannot be used is an error that says why', () => {
  const s = make('t', [col('id', int), col('x'), col('b', { kind: 'bytes' })], ['id']);
  const t = make('t', [col('id', int), col('b', int)], ['id']);
  assert.throws(() => aligned(s, t, { key: ['idd'] }), fails('COLUMN_NOT_FOUND', /no column idd.*Did you mean id/));
  assert.throws(() => aligned(s, t, { key: ['x'] }), fails('KEY_MISSING', /key column x/));
  assert.throws(() => aligned(s, t, { key: ['b'] }), fails('KEY_TYPES', /key b: billing bytes and crm int/));
  assert.throws(() => aligned(s, t, { key: ['id'], exclude: ['id'] }), fails('USAGE', /excluded/));
  assert.throws(() => aligned(s, t, { tolerances: { id: { numeric: '1' } } }), fails('USAGE', /key column/));
  assert.throws(() => aligned(s, t, { tolerances: { amount: { numeric: '1' } } }), fails('COLUMN_NOT_FOUND', /amount/));
  assert.throws(() => aligned(s, t, { exclude: ['nothing'] }), fails('COLUMN_NOT_FOUND', /nothing/));
});

test('a key that is read as another kind of value is not taken as unique', () => {
  const s = make('t', [col('id', { kind: 'uuid' })], ['id']);
  const t = make('t', [col('id', text)], ['id']);
  assert.equal(keyIsGuaranteed(aligned(s, t)), false);
});
