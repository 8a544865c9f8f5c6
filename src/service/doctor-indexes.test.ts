import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecordEntity } from '../config/records.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Pair } from '../model/pair.ts';
import type { ColumnType, Table } from '../model/schema.ts';
import { columnsOfFilter, examineEntity, examineIndexes } from './doctor-indexes.ts';

const type: ColumnType = { kind: 'text' } as ColumnType;
const table = (columns: readonly string[], more: Partial<Table> = {}): Table => ({
  schema: 'public',
  name: 't',
  kind: 'table',
  columns: columns.map((name) => ({ name, type, native: 'text', nullable: false })),
  uniques: [],
  foreignKeys: [],
  triggers: [],
  indexes: [],
  ...more,
});
const endpoint = (name: string, rows: unknown = {}): Endpoint => ({ name, rows }) as Endpoint;
const pairOf = (source: Table, target: Table, filter: Pair['filter'] = {}): Pair => ({
  name: 'public.t',
  source,
  target,
  columns: ['id', 'status'].map((name) => ({
    source: source.columns.find((c) => c.name === name)!,
    target: target.columns.find((c) => c.name === name)!,
    as: type,
  })) as unknown as Pair['columns'],
  keyWidth: 1,
  filter,
  notCompared: [],
  warnings: [],
});
const sides = { source: endpoint('db1'), target: endpoint('db2') };
const said = (found: ReturnType<typeof examineIndexes>) => found.map((d) => [d.message, d.fix]);

test('columns of a condition are found outside of texts, whatever their quotes', () => {
  const t = table(['status', 'Order', 'at', 'lower', 'tenant_id']);
  for (const [filter, names] of [
    [`status <> 'at' and tenant_id = 4`, ['status', 'tenant_id']],
    [`"Order" is not null and STATUS = 'it''s "at"'`, ['Order', 'status']],
    ['lower(status) = `tenant_id`', ['status', 'tenant_id']],
    ['1 = 1', []],
  ] as const)
    assert.deepEqual(columnsOfFilter(filter, t), names);
});

test('a key or a condition without an index is advised, with the statement; one with an index is not', () => {
  const bare = table(['id', 'status']);
  const good = table(['id', 'status'], {
    indexes: [['status', 'id']],
    uniques: [{ name: 't_pkey', columns: ['id'], primary: true, total: true }],
  });
  const filter = { source: "status <> 'draft'", target: "status <> 'draft'" };
  assert.deepEqual(said(examineIndexes('s', pairOf(good, bare, filter), sides)), [
    [
      'public.t: db2 has no index on the key (id); looking up rows reads the whole table',
      'create index on public.t (id);',
    ],
    [
      'public.t: db2 has no index on a column of its condition (status); finding its rows reads the whole table',
      'create index on public.t (status);',
    ],
  ]);
  assert.deepEqual(said(examineIndexes('s', pairOf(good, good, filter), sides)), []);
  const smallOne = table(['id', 'status'], { indexes: [['id']], estimatedRows: 50 });
  assert.deepEqual(said(examineIndexes('s', pairOf(smallOne, smallOne, filter), sides)), []);
});

test('an API has no indexes, and none are advised', () => {
  const bare = table(['id', 'status']);
  const api = { name: 'api' } as Endpoint;
  assert.deepEqual(examineIndexes('s', pairOf(bare, bare), { source: api, target: api }), []);
});

test('records are advised an index on their key, on parameters of aliases and on row filters', () => {
  const entity = {
    name: 'transactions',
    endpoint: 'db',
    key: ['id'],
    aliases: ['/users/{user_id}/transactions'],
    rowFilter: [{ column: 'tenant_id', op: '=', value: '4' }],
  } as unknown as RecordEntity;
  const t = table(['id', 'user_id', 'tenant_id'], { estimatedRows: 100_000 });
  assert.deepEqual(
    examineEntity(entity, t, endpoint('db')).map((d) => d.fix),
    ['create index on public.t (id);', 'create index on public.t (user_id);', 'create index on public.t (tenant_id);'],
  );
  const indexed = { ...t, indexes: [['id'], ['user_id', 'id'], ['tenant_id']] };
  assert.deepEqual(examineEntity(entity, indexed, endpoint('db')), []);
});
