import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { loadEngine } from '../../src/engines/registry.ts';
import type { LockstepError } from '../../src/model/errors.ts';
import { database } from '../acceptance/databases.ts';
import { type Bench, bench, synced } from '../apply/bench.ts';

/** Where our own tables cannot be made, SQLite is not written: without them there is no lock against a second writer. */

const { signal } = new AbortController();
let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const table = 'create table t (id integer primary key, v text);';

for (const [what, sql] of [
  ['a view has the name of one', 'create view lockstep_steps as select 1 as run;'],
  ['an index has the name of one', 'create index lockstep_locks on t (v);'],
] as const) {
  test(`SQLite: nothing is written where ${what}, and the message says why`, async () => {
    await using source = await database('sqlite');
    await using target = await database('sqlite');
    await source.run(`${table} insert into t values (1, 'a')`);
    await target.run(table + sql);
    const { connect, parse } = (await loadEngine('sqlite'))!;
    await using left = await source.connect('left');
    await using right = await connect(parse(target.url), { name: 'right', writable: true, signal });
    await assert.rejects(
      synced(b.store, { source: left, target: right, pairs: [{ source: 't' }] }),
      (error: unknown) => (error as LockstepError).code === 'PRIVILEGE' && /lockstep_/.test((error as Error).message),
    );
    assert.deepEqual(await target.rows('select * from t'), []);
  });
}
