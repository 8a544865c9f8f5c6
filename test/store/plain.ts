import type { Change } from '../../src/model/change.ts';
import type { NewPlan, PlanItem } from '../../src/model/plans.ts';
import type { Row, Text } from '../../src/model/row.ts';
import type { EndpointFacts, NewRun } from '../../src/model/runs.ts';
import type { Table } from '../../src/model/schema.ts';

export const o = { signal: new AbortController().signal };

export const facts = (name: string): EndpointFacts => ({
  name,
  engine: 'postgres',
  version: 'PostgreSQL 18.4',
  description: `postgres://me@db/${name}`,
  fingerprint: { server: '7', database: name, address: 'db:5432' },
});

export const table = (name: string): Table => ({
  schema: 'public',
  name,
  kind: 'table',
  columns: ['id', 'name', 'note'].map((column) => ({
    name: column,
    type: { kind: 'text' },
    native: 'text',
    nullable: column !== 'id',
  })),
  uniques: [{ name: `${name}_pkey`, columns: ['id'], total: true, primary: true }],
  foreignKeys: [],
  triggers: [],
  indexes: [['id']],
});

let ids = 0;
export const newRun = (facts_: Partial<NewRun> = {}): NewRun => ({
  id: `r_${String(++ids).padStart(6, '0')}`,
  kind: 'apply',
  sync: null,
  source: facts('billing'),
  target: facts('crm'),
  correlation: 'c1',
  actor: 'me@laptop',
  started: 1_700_000_000_000,
  ...facts_,
});

export const newPlan = (facts_: Partial<NewPlan> = {}): NewPlan => ({
  id: `p_${String(++ids).padStart(6, '0')}`,
  run: null,
  sync: null,
  mode: 'mirror',
  source: facts('billing'),
  target: facts('crm'),
  fingerprint: { server: '7', database: 'crm', address: 'db:5432' },
  tables: [{ pair: 'public.orders', table: table('orders'), key: ['id'] }],
  settings: { batch_size: 1000 },
  guards: { max_changes: 500 },
  created: 1_700_000_000_000,
  expires: 1_700_086_400_000,
  ...facts_,
});

export const row = (...cells: readonly (string | null)[]): Row => cells as readonly (Text | null)[];

export const insert = (...after_: readonly (string | null)[]): Change => ({
  op: 'insert',
  key: row(after_[0]!),
  before: null,
  after: row(...after_),
  columns: after_.map((_, i) => i),
});
export const update = (before: readonly (string | null)[], after_: readonly (string | null)[]): Change => ({
  op: 'update',
  key: row(before[0]!),
  before: row(...before),
  after: row(...after_),
  columns: after_.flatMap((cell, i) => (cell === before[i] ? [] : [i])),
});
export const remove = (...before: readonly (string | null)[]): Change => ({
  op: 'delete',
  key: row(before[0]!),
  before: row(...before),
  after: null,
});

export const item = (change: Change, facts_: Partial<PlanItem> = {}): Omit<PlanItem, 'seq'> => ({
  group: 0,
  table: 0,
  change,
  ...facts_,
});

export const all = async <T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> => {
  const list: T[] = [];
  for await (const batch of batches) list.push(...batch);
  return list;
};

/** Texts that break careless storage. */
export const hostile = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\udc00tmisfit',
  'caf\udce9',
  '\ud800',
  '\ufeffbom',
  '\u2028line',
  'line\nfeed\r\n',
  '\\N',
  '\\u0000',
  '"quotes\'',
  '{"$1":[]}',
  'null',
  '\u001b[31mred',
  '😀'.repeat(50),
  'x'.repeat(70_000),
];
