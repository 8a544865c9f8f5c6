import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inProcess } from '../cli/in-process.ts';
import { isMariadbMissing } from '../servers/mariadb.ts';
import { storeDatabase } from '../servers/postgres.ts';
import { type Database, type DatabaseName, database } from './databases.ts';
import { random } from './random.ts';
import { createShop, type Dump, dumpShop, fillShop, shopTables } from './shop.ts';

type Mode = 'mirror' | 'upsert' | 'insert_only' | 'update_only';
const plans: readonly (readonly [DatabaseName, DatabaseName, readonly Mode[]])[] = [
  ['postgres', 'postgres', ['mirror', 'upsert', 'insert_only', 'update_only']],
  ['sqlite', 'postgres', ['mirror']],
  ['postgres', 'sqlite', ['mirror', 'insert_only']],
  ['sqlite', 'sqlite', ['mirror']],
  ...(isMariadbMissing
    ? []
    : ([
        ['postgres', 'mysql', ['mirror']],
        ['mysql', 'postgres', ['mirror']],
        ['mysql', 'mysql', ['mirror', 'update_only']],
      ] as const)),
];

const allowed = [
  '--yes',
  '--no-input',
  '--settle',
  '0',
  '--format',
  'json',
  '--max-changes',
  '100000',
  '--allow-deletes',
  '100000',
];

/** What a mode means, told by comparing dumps: which rows changed, and that each is the source's row or untouched. */
const changes = (before: Dump, after: Dump, shared: { source: Dump; after: Dump }) => {
  const n = { insert: 0, update: 0, delete: 0, left: 0 };
  for (const table of shopTables) {
    const keys = new Set([...before[table]!.keys(), ...after[table]!.keys(), ...shared.source[table]!.keys()]);
    for (const key of keys) {
      const [old, now] = [before[table]!.get(key), after[table]!.get(key)];
      const [want, is] = [shared.source[table]!.get(key), shared.after[table]!.get(key)];
      if (old !== now) {
        assert.equal(is, want, `${table} ${key} was changed, and not into the source's row`);
        n[old === undefined ? 'insert' : now === undefined ? 'delete' : 'update']++;
      }
      if (is !== want) n.left++;
    }
  }
  return n;
};

for (const [a, b, modes] of plans) {
  test(`sync and revert of a shop: ${a} to ${b}, ${modes.join(', ')}`, async (t) => {
    const r = random();
    t.diagnostic(`LOCKSTEP_TEST_SEED=${r.seed}`);
    await using control = await storeDatabase();
    await using source = await database(a);
    await using target = await database(b);
    for (const [db, which] of [
      [source, 'source'],
      [target, 'target'],
    ] as const) {
      await createShop(db, which);
      await fillShop(db, r, which);
    }
    await target.run(`update customer set own = 'theirs ' || id`);
    const env = { LOCKSTEP_CONTROL_URL: control.url };
    const wanted = await dumpShop(source, true);
    const before = await dumpShop(target);
    for (const mode of modes) {
      const done = await inProcess(['sync', source.url, target.url, '--exclude', 'own', '--mode', mode, ...allowed], {
        env,
      });
      assert.ok([0, 2].includes(done.code), `${mode}: exit ${done.code}: ${done.stderr}`);
      const s = JSON.parse(done.stdout);
      const after = await dumpShop(target);
      const n = changes(before, after, { source: wanted, after: await dumpShop(target, true) });
      const why = s.rejected > 0 ? (await inProcess(['show', s.run], { env })).stdout : '';
      const context = `${mode} ${why} ${JSON.stringify(s)} ${JSON.stringify(n)} ${done.stderr}`;
      assert.deepEqual(s.applied, { insert: n.insert, update: n.update, delete: n.delete }, context);
      const { insert, update, delete: gone, withheld } = s.planned;
      assert.equal(
        insert + update + gone,
        n.insert + n.update + n.delete + s.already + s.skipped.moved + s.rejected + s.conflicts + s.rolled_back,
        context,
      );
      assert.equal(n.left, withheld + s.rejected + s.skipped.moved, context);
      assert.equal(s.verified, n.insert + n.update + n.delete + s.already, context);
      assert.equal(done.code, n.left === 0 ? 0 : 2, context);
      if (mode === 'mirror') assert.equal(n.left, 0, context);
      if (mode === 'upsert') assert.equal(gone, 0);
      if (mode === 'insert_only') assert.deepEqual([update, gone], [0, 0]);
      if (mode === 'update_only') assert.deepEqual([insert, gone], [0, 0]);
      assert.ok(insert + update + gone > 20, context);
      if (mode === 'mirror' && b !== 'sqlite')
        // The sequence went on: the next order of the target's own finds a free number.
        await target.run(
          `begin; insert into orders (customer_id, qty, price) select min(id), 1, 1 from customer; rollback`,
        );

      const back = await inProcess(
        ['revert', s.run, target.url, ...allowed.filter((x) => x !== '--settle' && x !== '0')],
        { env },
      );
      assert.equal(back.code, 0, `${mode}: ${back.stdout} ${back.stderr}`);
      assert.deepEqual(await dumpShop(target), before, `${mode} reverted`);
    }
  });
}

test('an empty source deletes nothing, whatever is allowed', async () => {
  await using control = await storeDatabase();
  for (const [a, b] of [
    ['postgres', 'sqlite'],
    ['sqlite', 'postgres'],
  ] as const) {
    await using source = await database(a);
    await using target: Database = await database(b);
    await createShop(source, 'source');
    await createShop(target, 'target');
    await fillShop(target, random(), 'target');
    const before = await dumpShop(target);
    const done = await inProcess(['sync', source.url, target.url, '--exclude', 'own', ...allowed], {
      env: { LOCKSTEP_CONTROL_URL: control.url },
    });
    assert.equal(done.code, 22, done.stderr);
    assert.match(done.stderr, /Nothing was written/);
    assert.deepEqual(await dumpShop(target), before);
  }
});
