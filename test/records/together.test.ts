import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { postgres } from '../../src/engines/postgres/index.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Key } from '../../src/model/row.ts';
import type { TableRows } from '../../src/model/rows.ts';
import { testDatabase } from '../servers/postgres.ts';

const database = await testDatabase();
await database.query(`
  create table items (id int primary key, tenant text not null, name text not null);
  insert into items select i, case when i % 2 = 0 then 'acme' else 'other' end, 'n' || i from generate_series(1, 100) i;
  -- statements that went out together have begun at one time
  create view begun as select id, name, tenant, transaction_timestamp()::text as began,
    case when id = 13 then 1 / (id - 13) else id end as odd from items`);
const { signal } = new AbortController();
const o = { signal };
const endpoint = await postgres.connect(
  { ...postgres.parse(database.url), poolMax: 3 } as ReturnType<typeof postgres.parse>,
  { name: 'db', writable: true, signal },
);
const other = new pg.Client({ connectionString: database.url });
await other.connect();
after(async () => {
  await other.end();
  await endpoint[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});
const schema = await endpoint.inspect(o);
const rowsOf = (name: string): Promise<TableRows> =>
  endpoint.rows!.of(schema.tables.find((t) => t.name === name)!, ['id'], o);
const keyOf = (id: number): Key => [String(id)] as unknown as Key;
const ids = Array.from({ length: 60 }, (_, i) => i + 20);

/** As many connections as there are know the statement, and what it takes. */
const warm = async (ask: () => Promise<unknown>): Promise<void> => {
  for (let i = 0; i < 4; i++) await Promise.all([ask(), ask(), ask()]);
};

test('records that are asked for at once while all connections are at work share messages, each its own row', async () => {
  const rows = await rowsOf('begun');
  const columns = ['id', 'name', 'began'];
  const get = (id: number, tenant?: string) =>
    rows.get(
      keyOf(id),
      { columns, where: tenant === undefined ? [] : [{ column: 'tenant', op: 'eq', value: tenant as never }] },
      o,
    );
  await warm(() => get(1));
  await warm(() => get(1, 'other'));
  const found = await Promise.all(ids.map((id) => get(id)));
  assert.deepEqual(
    found.map((row) => row!.cells.slice(0, 2)),
    ids.map((id) => [String(id), `n${id}`]),
  );
  const messages = new Set(found.map((row) => row!.cells[2])).size;
  assert.ok(messages < ids.length / 2, `${messages} messages`);
  // each under its own conditions: of every second row the caller may not know
  const filtered = await Promise.all(ids.map((id) => get(id, id % 4 < 2 ? 'acme' : 'other')));
  for (const [i, id] of ids.entries())
    assert.equal(filtered[i]?.cells[0], (id % 2 === 0) === id % 4 < 2 ? String(id) : undefined);
  // lists, too, and one beside the other
  const list = (from: number) =>
    rows.list(
      { columns: ['id'], where: [{ column: 'id', op: 'gte', value: String(from) as never }], order: [], limit: 2 },
      o,
    );
  await warm(() => list(1));
  const mixed = await Promise.all(ids.map((id) => (id % 3 === 0 ? list(id) : get(id).then((row) => [row!.cells]))));
  for (const [i, id] of ids.entries()) {
    const first = mixed[i]!.map((cells) => cells[0]);
    assert.deepEqual(first, id % 3 === 0 ? [String(id), String(id + 1)] : [String(id)]);
  }
});

test('a record whose reading fails keeps nobody else from theirs', async () => {
  const rows = await rowsOf('begun');
  const get = (id: number) => rows.get(keyOf(id), { columns: ['id', 'odd'], where: [] }, o);
  await warm(() => get(1));
  const asked = [...ids.slice(0, 20), 13, ...ids.slice(20)];
  const found = await Promise.allSettled(asked.map(get));
  for (const [i, id] of asked.entries()) {
    const one = found[i]!;
    if (one.status === 'fulfilled') assert.deepEqual(one.value!.cells, [String(id), String(id)]);
    else {
      assert.equal(id, 13);
      assert.ok(one.reason instanceof LockstepError && /division by zero/.test(one.reason.message), one.reason);
    }
  }
  assert.equal(found.filter((one) => one.status === 'rejected').length, 1);
});

test('who goes away is told at once, and those who asked beside them are answered', async () => {
  const rows = await rowsOf('items');
  const get = (id: number, by = signal) => rows.get(keyOf(id), { columns: ['id', 'name'], where: [] }, { signal: by });
  await warm(() => get(1));
  await other.query('begin; lock table items in access exclusive mode');
  const leaving = ids.map(() => new AbortController());
  const asked = ids.map((id, i) => get(id, leaving[i]!.signal));
  const settled = Promise.allSettled(asked);
  // each message under way waits for the lock now
  for (;;) {
    const { rows: waiting } = await other.query(
      `select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    );
    if (waiting[0].n === 3) break;
  }
  for (const [i, one] of leaving.entries()) if (i % 3 !== 0) one.abort(new Error('gone'));
  // those that wait for a connection are told at once, whatever the others wait for
  for (const [i, one] of asked.entries()) if (i % 3 !== 0 && i > 2) await assert.rejects(one);
  await other.query('rollback');
  for (const [i, one] of (await settled).entries()) {
    if (one.status === 'fulfilled') assert.deepEqual(one.value!.cells, [String(ids[i]), `n${ids[i]}`]);
    if (i % 3 === 0) assert.equal(one.status, 'fulfilled', String(i));
  }
  // several of one message, of which some stay
  await Promise.all(ids.map((id) => get(id)));
  const some = ids.map(() => new AbortController());
  const underWay = ids.map((id, i) => get(id, some[i]!.signal));
  // the first ones have gone out alone; as soon as one is answered, others are on the way together
  await Promise.any(underWay);
  for (const [i, one] of some.entries()) if (i % 2 === 0) one.abort(new Error('gone'));
  for (const [i, one] of (await Promise.allSettled(underWay)).entries()) {
    if (one.status === 'fulfilled') assert.deepEqual(one.value!.cells, [String(ids[i]), `n${ids[i]}`]);
    else assert.equal(i % 2, 0, String(one.reason));
  }
  // all of them: the server is told, and the connections are free again
  await other.query('begin; lock table items in access exclusive mode');
  const all = new AbortController();
  await Promise.allSettled([...ids.map((id) => get(id, all.signal)), Promise.resolve().then(() => all.abort())]);
  await other.query('rollback');
  assert.equal((await get(5))!.cells[1], 'n5');
});

test('who has written reads what they wrote, whatever is asked beside', async () => {
  const rows = await rowsOf('items');
  const get = (id: number) => rows.get(keyOf(id), { columns: ['id', 'name'], where: [] }, o);
  await warm(() => get(1));
  const chain = async (id: number): Promise<void> => {
    for (let i = 0; i < 8; i++) {
      const [done] = await rows.write!(
        [
          {
            op: 'update',
            key: keyOf(id),
            columns: ['name'],
            cells: [`${id} v${i}` as never],
            guard: { visible: [], allowed: [] },
          },
        ],
        { columns: ['id'], atomic: true },
        o,
      );
      assert.equal(done!.status, 'done');
      assert.equal((await get(id))!.cells[1], `${id} v${i}`);
    }
  };
  const reading = Promise.all(Array.from({ length: 400 }, (_, i) => get((i % 19) + 1)));
  await Promise.all([...ids.slice(0, 12).map(chain), reading]);
});
