import assert from 'node:assert/strict';
import { test } from 'node:test';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { storedKeyOf } from '../../src/store/stored-values.ts';
import { storeDatabase } from '../servers/postgres.ts';
import { testAuditKeys } from './fresh-store.ts';
import { newRun, o } from './plain.ts';

test('failures are grouped by their code, also where errors are encrypted', async () => {
  await using database = await storeDatabase();
  const keys = { current: storedKeyOf('a key of a test store, long enough'), previous: [] };
  await using store = await openPostgresStore(urlConnector(database.url), {
    ...o,
    auditKeys: testAuditKeys,
    storedKeys: () => keys,
  });
  for (const [i, code] of (['CONNECT', 'AUTH', 'CONNECT'] as const).entries()) {
    const run = await store.runs.create(newRun({ kind: 'sync', sync: `s${i}` }), o);
    const error = { code, message: `failure ${i}` };
    await store.runs.finish(run.id, { state: 'failed', exit: 21, finished: 1000 + i, error }, o);
  }
  const [{ error }] = (await database.query(`select error from lockstep_control.run limit 1`)).rows;
  assert.match(error, /^locked:/);
  assert.deepEqual(
    (await store.failures(0, o)).map((f) => [f.code, f.count, f.example.sync, f.example.message]),
    [
      ['CONNECT', 2, 's2', 'failure 2'],
      ['AUTH', 1, 's1', 'failure 1'],
    ],
  );
});
