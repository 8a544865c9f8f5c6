import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Key, Text } from '../../src/model/row.ts';
import type { TwoWaySide } from '../../src/model/two-way-runs.ts';
import { openTwoWay } from '../../src/work/two-way/open.ts';
import { revertTwoWay } from '../../src/work/two-way/revert.ts';
import { syncTwoWay } from '../../src/work/two-way/sync.ts';
import { random } from '../acceptance/random.ts';
import { type Bench, bench } from '../apply/bench.ts';
import { both, type Pair, policyOf, type TwoWayAsk, twoDatabases, twoWayInput } from './bench.ts';
import { fuse, fused, Gone } from './model/fuse.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());
const { signal } = new AbortController();
const o = { signal };

type Row = Readonly<Record<string, unknown>>;
type Rows = ReadonlyMap<number, Row>;

const rowsOf = async (p: Pair): Promise<Readonly<Record<TwoWaySide, Rows>>> => {
  const sql = 'select * from people order by id';
  const of = async (side: 'left' | 'right'): Promise<Rows> =>
    new Map(((await p[side].query(sql)).rows as Row[]).map((row) => [row['id'] as number, row]));
  return { source: await of('left'), target: await of('right') };
};

const taken = async (
  ask: TwoWayAsk,
  id: string,
  more: { pin?: boolean; only?: { readonly key: Key }; confirm?: () => Promise<boolean>; store?: typeof b.store } = {},
) => {
  const store = more.store ?? b.store;
  const { confirm: _, ...input } = twoWayInput(store, ask);
  return await revertTwoWay({
    ...input,
    sync: ask.sync!,
    run: (await store.runs.get(id, o))!,
    two: await openTwoWay(input),
    ...(more.pin === undefined ? {} : { pin: more.pin }),
    ...(more.only === undefined ? {} : { only: more.only }),
    ...(more.confirm === undefined ? {} : { confirm: more.confirm }),
  });
};

const cells = ['name', 'phone', 'city'] as const;
const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1_000_000);

/** What should stand after a revert: what the run wrote goes back where it still stands, the rest stays. */
const expected = (old: Rows, written: Rows, now: Rows): Rows => {
  const result = new Map<number, Row>();
  for (const id of new Set([...old.keys(), ...written.keys(), ...now.keys()])) {
    const [a, w, n] = [old.get(id), written.get(id), now.get(id)];
    const isOurs = JSON.stringify(w) === JSON.stringify(n);
    if (a === undefined || w === undefined || n === undefined) {
      const kept = JSON.stringify(a) === JSON.stringify(w) || !isOurs ? n : a;
      if (kept !== undefined) result.set(id, kept);
      continue;
    }
    result.set(id, Object.fromEntries(Object.entries(n).map(([c, v]) => [c, a[c] !== w[c] && v === w[c] ? a[c] : v])));
  }
  return new Map([...result].sort(([x], [y]) => x - y));
};

test('revert after random edits of others takes back exactly the cells that still hold what was written', async (t) => {
  t.diagnostic(`LOCKSTEP_TEST_SEED=${seed}`);
  const { int, pick, chance } = random(seed);
  await using p = await twoDatabases(`create table people (id int primary key, name text, phone text, city text);
    insert into people select i, 'n' || i, 'p' || i, 'c' || i from generate_series(1, 20) i`);
  const ask = { ...p, sync: 'random' };
  await both(b.store, ask);
  let step = 0;
  /** Each cell is written on one side only: nothing is in dispute. */
  const edits = async (
    ids: number,
    may: (side: 'left' | 'right', id: number, cell: string) => boolean,
  ): Promise<string[]> => {
    const done: string[] = [];
    for (let i = 0; i < ids; i++) {
      const side = pick(['left', 'right'] as const);
      const [id, cell, value] = [1 + int(20), pick(cells), `e${++step}`];
      if (!may(side, id, cell)) continue;
      await p[side].query(`update people set ${cell} = '${value}' where id = ${id}`);
      done.push(`${id}.${cell}`);
    }
    return done;
  };
  const owner = (id: number, cell: string): 'left' | 'right' => ((id * 7 + cell.length) % 2 === 0 ? 'left' : 'right');
  await edits(50, (side, id, cell) => owner(id, cell) === side && id > 4);
  await p.left.query(
    `delete from people where id = 1; insert into people values (21, 'x', 'y', 'z'), (22, 'x', 'y', 'z')`,
  );
  await p.right.query(`delete from people where id in (2, 3); insert into people values (23, 'x', 'y', 'z')`);
  const old = await rowsOf(p);
  const run = await both(b.store, ask);
  assert.equal(run.exit, 0);
  const written = await rowsOf(p);
  assert.deepEqual([...written.source.values()], [...written.target.values()]);
  const foreign = await edits(20, (_, id) => id > 4 && chance(0.8));
  await p.right.query(
    `update people set name = 'kept' where id = 21; insert into people values (1, 'again', null, null)`,
  );
  const now = await rowsOf(p);
  await taken(ask, run.run);
  const back = await rowsOf(p);
  for (const side of ['source', 'target'] as const)
    assert.deepEqual([...back[side].values()], [...expected(old[side], written[side], now[side]).values()], side);

  // What nobody else has written since is redone; nothing that was restored is taken for an edit.
  await both(b.store, ask);
  await both(b.store, ask);
  const last = await rowsOf(p);
  const waiting = await b.store.conflicts.list({ sync: 'random', states: ['pending'], limit: 100 }, o);
  for (const [id, row] of written.source) {
    if (waiting.some((c) => c.key[0] === String(id))) continue;
    assert.deepEqual(last.source.get(id), last.target.get(id), String(id));
    for (const cell of cells)
      if (id !== 21 && !foreign.includes(`${id}.${cell}`))
        assert.equal(last.source.get(id)?.[cell], row[cell], `${id}.${cell}`);
  }
  for (const side of ['source', 'target'] as const) {
    for (const [id, row] of now[side]) {
      for (const cell of cells) {
        const edited = row[cell] !== written[side].get(id)?.[cell];
        const kept = [...last.source.values(), ...last.target.values()].some((r) => r[cell] === row[cell]);
        const recorded = waiting.some((c) => [...(c.source ?? []), ...(c.target ?? [])].includes(row[cell] as Text));
        const replaced = side === 'source' ? now.target.get(id)?.[cell] : now.source.get(id)?.[cell];
        if (edited) assert.ok(kept || recorded, `${id}.${cell} = ${row[cell]} (the other side: ${replaced})`);
      }
    }
  }
});

const counters = 'create table people (id int primary key, n int, note text); insert into people values (1, 10, null)';
const sum = policyOf({
  kind: 'rules',
  rules: [{ kind: 'take', take: 'sum', column: 'n', where: 'test' }],
  where: 'test',
});
const shows = async (p: Pair): Promise<readonly unknown[]> => {
  const { source, target } = await rowsOf(p);
  return [source.get(1)?.['n'], target.get(1)?.['n']];
};

for (const archiveValues of ['all', 'needed'] as const) {
  test(`counters are neither lost nor counted twice by a revert (values: ${archiveValues})`, async () => {
    await using p = await twoDatabases(counters);
    const ask = { ...p, sync: `counters-${archiveValues}`, policy: sum, archiveValues };
    await both(b.store, ask);
    await p.left.query('update people set n = 13');
    await p.right.query('update people set n = 15');
    const run = await both(b.store, ask);
    assert.deepEqual(await shows(p), [18, 18]);
    await taken(ask, run.run, { confirm: async () => false });
    assert.equal((await both(b.store, ask)).exit, 0);
    assert.deepEqual(await shows(p), [18, 18], 'a revert that nobody wanted changes nothing');
    await taken(ask, run.run);
    assert.deepEqual(await shows(p), [13, 15]);
    const again = await both(b.store, ask);
    assert.equal(again.exit, 0);
    assert.deepEqual(await shows(p), [18, 18], 'the next run does it again');
    // One side has moved on: it keeps what it has, and what both did is in it.
    await p.left.query('update people set n = n + 2');
    await taken(ask, again.run);
    assert.deepEqual(await shows(p), [20, 15]);
    assert.equal((await both(b.store, ask)).exit, 0);
    assert.deepEqual(await shows(p), [20, 20]);
    assert.equal((await both(b.store, ask)).exit, 0);
    assert.deepEqual(await shows(p), [20, 20]);
  });
}

test('a revert that dies on the way leads to no edit and no sum that nobody made', async () => {
  for (const place of ['before target.writer.apply', 'before store.journal.settle', 'before source.writer.lock']) {
    await using p = await twoDatabases(counters);
    const ask = { ...p, sync: place, policy: sum };
    await both(b.store, ask);
    await p.left.query('update people set n = 13');
    await p.right.query('update people set n = 15');
    const run = await both(b.store, ask);
    let gone = false;
    const f = {
      ...fuse('none', 0),
      at: (where: string) => {
        gone ||= where === place;
        if (gone) throw new Gone(where);
      },
    };
    const own = await b.again();
    const dying = { ...ask, source: fused(p.source, 'source', f), target: fused(p.target, 'target', f) };
    await assert.rejects(taken(dying, run.run, { store: fused(own, 'store', f) }), Gone);
    await own[Symbol.asyncDispose]();
    const left = await shows(p);
    const next = await both(b.store, ask);
    assert.ok(next.exit === 0 || next.exit === 26);
    assert.ok(
      next.exit === 26 || (await shows(p)).every((n) => n === 18),
      `${place}: ${left} became ${await shows(p)}`,
    );
    if (next.exit === 26) assert.deepEqual(await shows(p), left, 'it waits for a person');
  }
});

test('what was pinned is left alone, and the rest is done again', async () => {
  await using p = await twoDatabases(`create table people (id int primary key, name text);
    insert into people values (1, 'a'), (2, 'b'), (3, 'c')`);
  const ask = { ...p, sync: 'pinned' };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'left' || id`);
  const run = await both(b.store, ask);
  const wrong = taken(ask, run.run, { pin: true, only: { key: ['4' as Text] } });
  await assert.rejects(wrong, { code: 'NOT_FOUND', message: /wrote no row with the key 4:/ });
  const reverted = await taken(ask, run.run, { pin: true, only: { key: ['2' as Text] } });
  assert.deepEqual(Object.keys(reverted.sides), ['target'], 'only one side was written');
  const names = async () => [...(await rowsOf(p)).target.values()].map((r) => r['name']);
  assert.deepEqual(await names(), ['left1', 'b', 'left3']);
  for (let i = 0; i < 2; i++) {
    const next = await both(b.store, ask);
    assert.equal(next.exit, 26);
    assert.deepEqual(await names(), ['left1', 'b', 'left3']);
  }
  await taken(ask, run.run);
  assert.deepEqual(await names(), ['a', 'b', 'c']);
  assert.deepEqual(
    [...(await rowsOf(p)).source.values()].map((r) => r['name']),
    ['left1', 'left2', 'left3'],
  );
  await both(b.store, ask);
  assert.deepEqual(await names(), ['left1', 'b', 'left3']);
  const [pin] = await b.store.conflicts.list({ sync: 'pinned', states: ['pending'] }, o);
  assert.equal(pin!.type, 'pinned');
  await b.store.conflicts.decide(pin!.id, { take: 'source', by: 'me', at: 1, why: null }, o);
  assert.equal((await both(b.store, ask)).exit, 0);
  assert.deepEqual(await names(), ['left1', 'left2', 'left3']);
});

test('a revert of inserts and deletes on both sides, and the next run', async () => {
  await using p = await twoDatabases(`create table people (id int primary key, name text);
    insert into people values (1, 'a'), (2, 'b')`);
  const ask = { ...p, sync: 'rows' };
  await both(b.store, ask);
  await p.left.query(`delete from people where id = 1; insert into people values (3, 'l')`);
  await p.right.query(`delete from people where id = 2; insert into people values (4, 'r')`);
  const old = await rowsOf(p);
  const run = await both(b.store, ask);
  await taken(ask, run.run);
  assert.deepEqual(await rowsOf(p), old);
  assert.equal((await both(b.store, ask)).exit, 0);
  const { source, target } = await rowsOf(p);
  assert.deepEqual([...source.keys()], [3, 4]);
  assert.deepEqual(source, target);
});

test('thousands of rows that were written to both sides are taken back by some queries, and settled again', async () => {
  const n = 2100;
  await using p = await twoDatabases(`create table people (id int primary key, name text, phone text);
    insert into people select i, 'n' || i, 'p' || i from generate_series(1, ${n}) i;
    create table pets as select * from people where id > ${n - 30}; alter table pets add primary key (id)`);
  const ask = { ...p, sync: 'thousands' };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'l' || id where id <> 7; update pets set name = 'l' || id`);
  await p.right.query(`update people set phone = 'r' || id where id > 100; delete from people where id = 7`);
  const old = await rowsOf(p);
  const run = await both(b.store, ask);
  const written = await rowsOf(p);
  assert.deepEqual(written.source, written.target);
  const asked: number[] = [];
  const { plans } = b.store;
  const find: typeof plans.find = (id, pair, keys, x) => {
    asked.push(keys.length);
    return plans.find(id, pair, keys, x);
  };
  const back = await taken(ask, run.run, { store: { ...b.store, plans: { ...plans, find } } });
  assert.equal(back.exit, 0);
  assert.deepEqual(await rowsOf(p), old);
  assert.ok(asked.length <= 8, `looked up ${asked.join(', ')} rows at a time`);
  assert.equal(
    asked.reduce((sum, some) => sum + some, 0),
    2 * n - 100 + 30,
  );
  assert.equal((await both(b.store, ask)).exit, 0, 'what was agreed before is known of every row');
  assert.deepEqual(await rowsOf(p), written);
});

for (const moved of ['left', 'right'] as const) {
  const other = moved === 'left' ? 'right' : 'left';
  for (const kept of [false, true]) {
    const after = kept ? `, which ${other} had forestalled` : '';
    test(`a run wrote only one side, since ${moved} had moved: nobody's edit is lost after its revert${after}`, async () => {
      await using p = await twoDatabases(`create table people (id int primary key, name text, phone text, city text);
        insert into people values (1, 'n', 'p', 'c')`);
      const ask = { ...p, sync: `moved-${moved}-${kept}` };
      await both(b.store, ask);
      await p.left.query(`update people set name = 'N'`);
      await p.right.query(`update people set phone = 'P'`);
      const run = await syncTwoWay({
        ...twoWayInput(b.store, ask),
        confirm: async () => {
          await p[moved].query(`update people set city = 'C'`);
          return true;
        },
      });
      assert.equal(run.exit, 26, 'one side was not written');
      const cell = moved === 'left' ? 'name' : 'phone';
      await taken(ask, run.run, {
        confirm: async () => {
          if (kept) await p[other].query(`update people set ${cell} = 'later'`);
          return true;
        },
      });
      assert.equal((await both(b.store, ask)).exit, 0);
      const { source, target } = await rowsOf(p);
      const edited = { id: 1, name: 'N', phone: 'P', city: 'C' };
      assert.deepEqual(source.get(1), kept ? { ...edited, [cell]: 'later' } : edited);
      assert.deepEqual(source, target);
    });
  }
}

for (const already of ['left', 'right'] as const) {
  test(`${already} already showed what a run was to write there: what the other side was written is taken back, and nobody's edit`, async () => {
    await using p = await twoDatabases(`create table people (id int primary key, name text, phone text, city text);
      insert into people values (1, 'n', 'p', 'c'), (2, 'n', 'p', 'c')`);
    const ask = { ...p, sync: `already-${already}` };
    await both(b.store, ask);
    await p.left.query(`update people set name = 'N'`);
    await p.right.query(`update people set phone = 'P'`);
    const run = await syncTwoWay({
      ...twoWayInput(b.store, ask),
      confirm: async () => {
        await p[already].query(`update people set ${already === 'left' ? `phone = 'P'` : `name = 'N'`}`);
        return true;
      },
    });
    assert.equal(run.exit, 0);
    await taken(ask, run.run, { only: { key: ['2' as Text] }, pin: true });
    const pinned = await b.store.conflicts.count({ sync: ask.sync, states: ['pending'] }, o);
    assert.equal(pinned, 1, 'pinned whichever side was written');
    await taken(ask, run.run, { only: { key: ['1' as Text] } });
    await both(b.store, ask);
    const { source, target } = await rowsOf(p);
    const edited = { id: 1, name: 'N', phone: 'P', city: 'c' };
    assert.deepEqual([source.get(1), target.get(1)], [edited, edited]);
    assert.notDeepEqual(source.get(2), target.get(2), 'left alone');
  });
}

/** A run that is stopped as soon as one of its sides is written. */
const stoppedHalfway = async (ask: TwoWayAsk) => {
  const stop = new AbortController();
  const { runs } = b.store;
  const finish: typeof runs.finish = async (...args) => {
    await runs.finish(...args);
    stop.abort();
  };
  return await syncTwoWay({
    ...twoWayInput({ ...b.store, runs: { ...runs, finish } }, ask),
    stop: stop.signal,
  });
};

test(`a run was stopped before it wrote its second side: nobody's edit is lost after its revert`, async () => {
  await using p = await twoDatabases(`create table people (id int primary key, name text, phone text, city text);
    insert into people values (1, 'n', 'p', 'c')`);
  const ask = { ...p, sync: 'stopped' };
  await both(b.store, ask);
  await p.left.query(`update people set name = 'N'`);
  await p.right.query(`update people set phone = 'P'`);
  const run = await stoppedHalfway(ask);
  const written = await rowsOf(p);
  assert.notDeepEqual(written.source, written.target, 'one side was not written');
  await taken(ask, run.run);
  assert.equal((await both(b.store, ask)).exit, 0);
  const { source, target } = await rowsOf(p);
  const edited = { id: 1, name: 'N', phone: 'P', city: 'c' };
  assert.deepEqual([source.get(1), target.get(1)], [edited, edited]);
});

for (const narrow of ['left', 'right'] as const) {
  const wide = narrow === 'left' ? 'right' : 'left';
  test(`a run wrote only ${wide}, since ${narrow} could not hold it: nobody's edit is lost after its revert`, async () => {
    await using p = await twoDatabases(`create table people (id int primary key, name varchar(9), phone text);
      insert into people values (1, 'n', 'p'), (2, 'n', 'p')`);
    await p[narrow].query('alter table people alter column name type varchar(2)');
    const ask = { ...p, sync: `narrow-${narrow}` };
    await both(b.store, ask);
    await p[wide].query(`update people set name = 'long' where id = 1`);
    await p[narrow].query(`update people set phone = 'P'`);
    const before = await rowsOf(p);
    const run = await both(b.store, ask);
    assert.equal(run.sync.does_not_fit, 1);
    await taken(ask, run.run);
    assert.deepEqual(await rowsOf(p), before);
    assert.equal((await both(b.store, ask)).exit, 26, 'somebody is asked about the one');
    const { source, target } = await rowsOf(p);
    assert.deepEqual([source.get(1), target.get(1)], [before.source.get(1), before.target.get(1)]);
    assert.deepEqual([source.get(2)?.['phone'], target.get(2)?.['phone']], ['P', 'P'], 'the other is settled');
  });
}

test(`a key that its sides spell differently is known on both, and nobody's edit is lost after a revert`, async () => {
  await using p = await twoDatabases(`create table people (id date primary key, name text, phone text);
    insert into people values ('2026-01-02', 'n', 'p')`);
  await p.right.query('alter table people alter id type timestamp');
  const ask = { ...p, sync: 'spelled' };
  assert.equal((await both(b.store, ask)).exit, 0);
  await p.left.query(`update people set name = 'N'`);
  await p.right.query(`update people set phone = 'P'`);
  const run = await stoppedHalfway(ask);
  await taken(ask, run.run);
  assert.equal((await both(b.store, ask)).exit, 0);
  for (const side of [p.left, p.right])
    assert.deepEqual((await side.query('select name, phone from people')).rows, [{ name: 'N', phone: 'P' }]);
});
