import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LockstepError } from '../model/errors.ts';
import type { ColumnPair } from '../model/pair.ts';
import { type ConflictPolicy, manualPolicy, type PolicyRule, type PolicyStep } from '../model/policy.ts';
import type { ColumnType } from '../model/schema.ts';
import { checkPolicy } from './check-policy.ts';

const column = (name: string, as: ColumnType): ColumnPair => ({
  source: { name, type: as, native: as.kind, nullable: true },
  target: { name: `T_${name}`, type: as, native: as.kind, nullable: true },
  as,
});
const labels = ['active', 'trialing', 'inactive'];
const columns = [
  column('ID', { kind: 'int', bits: 64 }),
  column('STATUS', { kind: 'enum', labels }),
  column('NAME', { kind: 'text' }),
  column('PRICE', { kind: 'decimal' }),
  column('UPDATED_AT', { kind: 'timestamp', fraction: 6 }),
  column('REV', { kind: 'int', bits: 64 }),
];
const hidden = { name: 'NOTES', type: { kind: 'text' }, native: 'text', nullable: true } as const;
const pair = {
  name: 'SUBS',
  keyWidth: 1,
  columns,
  source: { columns: [...columns.map((c) => c.source), hidden] },
  target: { columns: columns.map((c) => c.target) },
};
const where = 'syncs.s.conflict (l.yaml:4)';
const check = (o: Partial<ConflictPolicy>, bothWays = true): ConflictPolicy =>
  checkPolicy(pair, { ...manualPolicy(where), ...o }, { bothWays });
const newest = (source: string, o: { target?: string; skewMs?: number } = {}): readonly PolicyStep[] => [
  {
    kind: 'last_write_wins',
    newest: { source, ...(o.target === undefined ? {} : { target: o.target }) },
    skewMs: o.skewMs ?? 0,
    where,
  },
];
type RuleOf<T> = T extends unknown ? Omit<T, 'where'> : never;
const rule = (of: RuleOf<PolicyRule>): readonly PolicyStep[] => [
  { kind: 'rules', where, rules: [{ where, ...of } as PolicyRule] },
];
const refused = (o: Partial<ConflictPolicy>, code: string, message: RegExp, hint?: RegExp): void => {
  assert.throws(
    () => check(o),
    (error: LockstepError) => {
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.match(error.message, /l\.yaml:4/);
      if (hint) assert.match(error.hint ?? '', hint);
      return true;
    },
  );
};

test('columns are found as tables spell them', () => {
  const checked = check({
    steps: [
      ...newest('updated_at', { target: 't_updated_at' }),
      ...rule({ kind: 'take', take: 'sum', column: 'price' }),
    ],
    on: { insert_insert: newest('rev') },
    columns: { status: { owner: 'source', where } },
  });
  assert.deepEqual(checked.steps, [
    ...newest('UPDATED_AT', { target: 'T_UPDATED_AT' }),
    ...rule({ kind: 'take', take: 'sum', column: 'PRICE' }),
  ]);
  assert.deepEqual(checked.on, { insert_insert: newest('REV') });
  assert.deepEqual(Object.keys(checked.columns), ['STATUS']);
});

test('a column that is not there, not compared, or the key, is an error', () => {
  refused({ steps: newest('updatd_at') }, 'COLUMN_NOT_FOUND', /no column updatd_at/, /Did you mean UPDATED_AT/);
  refused({ steps: newest('rev', { target: 'REV' }) }, 'COLUMN_NOT_FOUND', /the target has no column REV/, /T_REV/);
  refused({ steps: newest('notes') }, 'COLUMN_NOT_FOUND', /not compared/, /owner: each/);
  refused({ columns: { id: { owner: 'source', where } } }, 'CONFIG', /in the key/);
});

test('newest needs a time or a number, of the same sort on both sides', () => {
  refused({ steps: newest('name') }, 'CONFIG', /NAME is text/);
  refused({ steps: newest('rev', { target: 't_updated_at' }) }, 'CONFIG', /cannot be compared: int and timestamp/);
  refused({ steps: newest('rev', { skewMs: 5 }) }, 'CONFIG', /is a number/);
});

test('rules need columns of their sort and values that can be', () => {
  refused(
    { steps: rule({ kind: 'take', take: 'sum', column: 'updated_at' }) },
    'CONFIG',
    /take: sum needs numbers$|needs numbers \(/,
  );
  refused({ steps: rule({ kind: 'take', take: 'max', column: 'name' }) }, 'CONFIG', /numbers or times/);
  assert.ok(check({ steps: rule({ kind: 'take', take: 'max', column: 'updated_at' }) }));
  refused(
    { steps: rule({ kind: 'prefer', column: 'status', values: ['active', 'inactiv'] }) },
    'CONFIG',
    /STATUS is never inactiv/,
    /inactive/,
  );
  refused(
    { steps: rule({ kind: 'prefer', column: 'price', values: ['1', 'much'] }) },
    'CONFIG',
    /never much/,
    /decimal/,
  );
  refused({ steps: rule({ kind: 'prefer', column: 'price', values: ['1', '1.0'] }) }, 'CONFIG', /1\.0 is listed twice/);
  refused(
    { steps: rule({ kind: 'transitions', column: 'status', transitions: new Map([['trialing', ['activ']]]) }) },
    'CONFIG',
    /never activ/,
  );
});

test('keep_both has to know how a key is made', () => {
  const keep = (newKey: { column?: string; add?: string }): Partial<ConflictPolicy> => ({
    steps: [{ kind: 'keep_both', newKey, where }],
  });
  refused(keep({}), 'CONFIG', /how a new ID is made/, /add: 1000000000/);
  refused(keep({ column: 'name', add: '1' }), 'CONFIG', /is not in it/);
  assert.deepEqual(check(keep({ add: '5' })).steps, [{ kind: 'keep_both', newKey: { column: 'ID', add: '5' }, where }]);
});

test('a column that cannot be written back belongs to the source, where both sides are written', () => {
  const made = {
    ...pair,
    transform: { oneWay: [{ column: 'PRICE', why: 'it is a constant' }] } as unknown as NonNullable<
      Parameters<typeof checkPolicy>[0]['transform']
    >,
  };
  const policy = manualPolicy(where);
  assert.throws(() => checkPolicy(made, policy, { bothWays: true }), /PRICE cannot be written back .*it is a constant/);
  assert.ok(checkPolicy(made, policy, { bothWays: false }));
  assert.ok(checkPolicy(made, { ...policy, columns: { price: { owner: 'source', where } } }, { bothWays: true }));
});
