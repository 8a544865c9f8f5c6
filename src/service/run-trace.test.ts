import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Run } from '../model/runs.ts';
import type { Attributes, Tracer } from '../telemetry/traces.ts';
import { traceRun } from './run-trace.ts';

test('a statement is traced without its values: some engines are told keys and cells as literals', () => {
  const told: Attributes[] = [];
  const tracer: Tracer = {
    on: () => true,
    begin: () => undefined,
    ended: (_name, _ms, x) => void told.push(x.attributes ?? {}),
    [Symbol.asyncDispose]: async () => {},
  };
  const run = { id: 'r_1', kind: 'diff', correlation: 'c', sync: null } as unknown as Run;
  const sql =
    "select `id`, `email` from `users` where `email` in ('ann@example.com', 'bob@example.com') and `pin` = 4711";
  traceRun(tracer, run).timed({ kind: 'statement', endpoint: 'crm', sql, rows: 2 }, 1);
  assert.deepEqual(
    told.map((a) => a['db.query.text']),
    ['select `id`, `email` from `users` where `email` in (?, …) and `pin` = ?'],
  );
});
