import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { LockstepError } from '../../src/model/errors.ts';
import { type Bench, bench, synced } from '../apply/bench.ts';
import { isMariadbMissing, type MariadbDatabase, mariadbDatabase } from '../servers/mariadb.ts';
import { connect } from './mysql-support.ts';

/** `pool: { max }` bounds every connection of a MySQL endpoint, too. */

const { signal } = new AbortController();
let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const open = (db: MariadbDatabase, max: number, writable: boolean): Promise<Endpoint> =>
  connect({ url: db.url, pool: { max } }, { writable });
const refused = (error: unknown): boolean => {
  const { code, message } = error as LockstepError;
  return code === 'CONFIG' && /pool: \{ max: \d \}/.test(message);
};

if (!isMariadbMissing) {
  test('no more sessions are open than the pool allows, in a run that would like many, and it ends', async () => {
    await using source = await mariadbDatabase();
    await using target = await mariadbDatabase();
    const names = ['t1', 't2', 't3'];
    for (const db of [source, target])
      for (const name of names) {
        await db.query(`create table ${name} (id int primary key, v text)`);
        await db.query(`insert into ${name} select seq, concat('v', seq) from seq_1_to_600`);
      }
    // Every written row sees how many sessions there are, without the one that sets this up.
    await target.query('create table seen (n bigint)');
    const [own] = await target.query('select connection_id() as id');
    for (const name of names) {
      await target.query(`update ${name} set v = 'old' where id % 3 = 0`);
      await target.query(
        `create trigger see_${name} after update on ${name} for each row insert into seen
           select count(*) from information_schema.processlist where db = database() and id <> ${own!['id']}`,
      );
    }
    await using left = await open(source, 2, false);
    await using right = await open(target, 3, true);
    const done = await synced(b.store, {
      source: left,
      target: right,
      pairs: names.map((name) => ({ source: name })),
      settings: { batchSize: 10, concurrency: 8 },
    });
    assert.deepEqual([done.exit, done.sync.applied.update], [0, 600]);
    assert.deepEqual(await target.query('select max(n) as most, count(*) as statements from seen'), [
      { most: '3', statements: '600' },
    ]);
  });

  test('a pool that is too small to write is refused, and a connection that does not fit, too; the others live on', async () => {
    await using db = await mariadbDatabase();
    await assert.rejects(open(db, 2, true), refused);
    await using endpoint = await open(db, 2, false);
    await using _first = await endpoint.snapshot({ signal });
    const second = await endpoint.snapshot({ signal });
    await assert.rejects(endpoint.snapshot({ signal }), refused);
    await second[Symbol.asyncDispose]();
    await using _third = await endpoint.snapshot({ signal });
  });
}
