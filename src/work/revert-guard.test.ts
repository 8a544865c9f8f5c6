import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RevertPlan } from './revert.ts';
import { guardRevert, inRequest, type RevertLimits } from './revert-guard.ts';

const guarded = (
  counts: { readonly insert: number; readonly update: number; readonly delete: number },
  limits: RevertLimits = {},
  done: readonly string[] = [],
): void => {
  const plan = { header: { counts, target: { name: 'crm' } } } as unknown as RevertPlan['plan'];
  guardRevert({ plan }, limits, inRequest, done);
};

test('a revert changes up to 500 rows and deletes none, unless somebody says so', () => {
  guarded({ insert: 200, update: 300, delete: 0 });
  assert.throws(() => guarded({ insert: 200, update: 301, delete: 0 }), {
    code: 'GUARD',
    message: 'The revert has 501 changes, max_changes is 500. Nothing was written.',
    hint: 'To allow it: "max_changes": 501',
  });
  assert.throws(() => guarded({ insert: 0, update: 1, delete: 0 }, { maxChanges: 0 }), {
    message: 'The revert has 1 change, max_changes is 0. Nothing was written.',
  });
  guarded({ insert: 200, update: 301, delete: 0 }, { maxChanges: 501 });
  assert.throws(() => guarded({ insert: 0, update: 0, delete: 1 }), {
    message: 'The revert would delete 1 row, max_deletes is 0. Nothing was written.',
    hint: 'These are rows that the run inserted. To allow it: "allow_deletes": 1',
  });
  guarded({ insert: 0, update: 0, delete: 2 }, { allowDeletes: 2 });
  assert.throws(() => guarded({ insert: 0, update: 0, delete: 3 }, { allowDeletes: 2 }), { code: 'GUARD' });
});

test('what was written to the other side before is not denied', () => {
  assert.throws(() => guarded({ insert: 0, update: 0, delete: 1 }, {}, ['billing']), {
    message:
      'The revert would delete 1 row, max_deletes is 0. Nothing was written to crm; billing is reverted already, and a repeat goes on.',
  });
});
