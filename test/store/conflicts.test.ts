import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Conflict, ConflictFilter, NewConflict } from '../../src/model/conflicts.ts';
import type { Key } from '../../src/model/row.ts';
import type { Event } from '../../src/model/service.ts';
import { freshStore } from './fresh-store.ts';
import { all, hostile, o, row } from './plain.ts';

const { store } = await freshStore();

const met = (sync: string, id: string, more: Partial<NewConflict> = {}): NewConflict => ({
  sync,
  pair: 'public.people',
  run: 'r_1',
  key: row(id) as Key,
  type: 'update_update',
  columns: [
    { column: 'id', target: 'id', disputed: false, as: { kind: 'text' } },
    { column: 'name', target: 'label', disputed: true, as: { kind: 'text' }, tolerance: { trim: true } },
  ],
  keyWidth: 1,
  base: row(id, 'was'),
  source: row(id, 'left'),
  target: row(id, 'right'),
  state: 'pending',
  reason: 'both sides changed name',
  ...more,
});
const ruled = (sync: string, id: string, more: Partial<NewConflict> = {}): NewConflict =>
  met(sync, id, { state: 'ruled', result: row(id, 'left'), policy: 'prefer source', reason: 'said so', ...more });
const one = async (c: NewConflict, at = 1000): Promise<Conflict> => (await store.conflicts.record([c], at, o))[0]!;
const list = (filter: ConflictFilter): Promise<readonly Conflict[]> => store.conflicts.list(filter, o);
const eventsOf = async (sync: string): Promise<readonly Event[]> =>
  store.events
    .after('0', { sync, limit: 1000 }, o)
    .then((found) => found.filter((e) => e.type.startsWith('conflict.')));
const by = (who: string, at = 5000) => ({ by: who, at, why: null });

test('every cell comes back as it was, whatever it is', async () => {
  const given = hostile.map((text, i) =>
    met('hostile', `${i}${text}`, { source: row(text, null), target: null, base: row(null, text), reason: text }),
  );
  const kept = await store.conflicts.record(given, 1000, o);
  for (const [i, c] of kept.entries()) {
    const got = await store.conflicts.get(c.id, o);
    assert.deepEqual(got, c);
    const { reason: _, ...want } = given[i]!;
    const { reason, id, version, found, seen, closed, closedBy, resolution, ...cells } = got!;
    assert.deepEqual(cells, want);
    assert.deepEqual([version, found, seen, closed, closedBy, resolution], [1, 1000, 1000, null, null, null]);
    assert.equal(reason, hostile[i]!.toWellFormed().replaceAll('\0', '\ufffd'));
  }
  const keys = given.map((c) => c.key);
  assert.equal((await store.conflicts.list({ sync: 'hostile', keys, limit: 100 }, o)).length, hostile.length);
  const unagreed = await one(met('hostile', 'x', { base: [{ hash: 'ab' }, null] }));
  assert.deepEqual((await store.conflicts.get(unagreed.id, o))!.base, [{ hash: 'ab' }, null]);
});

test('the same rows are the same conflict, other rows another one', async () => {
  const first = await one(met('same', '1'));
  const again = await one(met('same', '1', { run: 'r_2', reason: 'said otherwise' }), 2000);
  assert.deepEqual(again, { ...first, seen: 2000 }, 'only seen again: who looks at it can still decide');
  const moved = await one(met('same', '1', { run: 'r_3', target: row('1', 'righter') }), 3000);
  assert.notEqual(moved.id, first.id);
  const gone = (await store.conflicts.get(first.id, o))!;
  assert.deepEqual([gone.state, gone.closed, gone.closedBy, gone.version], ['gone', 3000, 'r_3', 2]);
  const other = await one(met('same', '1', { pair: 'public.others' }));
  assert.deepEqual(
    (await list({ sync: 'same', states: ['pending'] })).map((c) => c.id).sort(),
    [moved.id, other.id].sort(),
  );
  assert.equal(
    (await one(met('same', '1', { run: 'r_4', target: row('1', 'righter'), type: 'flapping' }))).type,
    'flapping',
  );
});

test('what was ruled stands for itself, once per run', async () => {
  const waits = await one(met('ruled', '1'));
  const first = await one(ruled('ruled', '1'));
  assert.deepEqual(first.result, row('1', 'left'));
  assert.deepEqual([first.closed, first.closedBy], [1000, 'r_1']);
  assert.equal((await one(ruled('ruled', '1'), 2000)).id, first.id, 'told again after an interruption');
  const next = await one(ruled('ruled', '1', { run: 'r_2', result: null }), 3000);
  assert.notEqual(next.id, first.id);
  assert.equal((await store.conflicts.get(next.id, o))!.result, null);
  assert.equal((await store.conflicts.get(waits.id, o))!.state, 'pending');
  await assert.rejects(store.conflicts.decide(first.id, { take: 'source', ...by('me') }, o), {
    code: 'CONFLICT_RESOLVED',
  });
});

test('exactly one of two people wins, and the other one is told who, what and when', async () => {
  const c = await one(met('two', '1'));
  const choices = (['source', 'target'] as const).map((take, i) =>
    store.conflicts.decide(c.id, { take, ...by(`person ${i}`, 60_000) }, { ...o, version: c.version }),
  );
  const ends = await Promise.allSettled(choices);
  const won = ends.findIndex((e) => e.status === 'fulfilled');
  assert.equal(ends.filter((e) => e.status === 'fulfilled').length, 1);
  const take = ['source', 'target'][won]!;
  const lost = ends[1 - won] as PromiseRejectedResult;
  assert.equal(lost.reason.code, 'CONFLICT_RESOLVED');
  assert.equal(
    lost.reason.message,
    `person ${won} resolved ${c.id} as "${take}" at 1970-01-01T00:01:00.000Z. Your choice "${['source', 'target'][1 - won]}" was not applied.`,
  );
  const now = (await store.conflicts.get(c.id, o))!;
  assert.deepEqual(now.resolution, { take, by: `person ${won}`, at: 60_000, why: null });
  assert.deepEqual([now.state, now.version], ['decided', 2]);
});

test('a repeated choice by the same person is the same choice; another one is refused', async () => {
  const c = await one(met('again', '1'));
  const choice = { take: 'source', cells: { name: 'by \0hand' }, ...by('me') } as const;
  const decided = await store.conflicts.decide(c.id, { ...choice, why: 'the call' }, { ...o, version: 1 });
  assert.deepEqual(decided.resolution, { ...choice, why: 'the call' });
  assert.deepEqual(await store.conflicts.decide(c.id, { ...choice, at: 9000 }, { ...o, version: 1 }), decided);
  await assert.rejects(store.conflicts.decide(c.id, { take: 'source', ...by('me') }, o), { code: 'CONFLICT_RESOLVED' });
  await assert.rejects(store.conflicts.decide(c.id, { ...choice, by: 'you' }, o), { code: 'CONFLICT_RESOLVED' });
  assert.equal((await eventsOf('again')).filter((e) => e.type === 'conflict.decided').length, 1);
});

test('a choice about rows that have moved is refused, and a choice may be taken back by a run', async () => {
  const c = await one(met('moved', '1'));
  await store.conflicts.decide(c.id, { take: 'target', ...by('me') }, o);
  const now = { source: null, target: row('1', 'newer'), reason: 'it moved', run: 'r_2' };
  await store.conflicts.reopen(c.id, now, 7000, o);
  const waits = (await store.conflicts.get(c.id, o))!;
  assert.equal(waits.type, 'delete_update', 'what both sides did is another thing now');
  assert.deepEqual(await list({ sync: 'moved', column: 'name' }), [], 'the row is in dispute, no column of it');
  assert.deepEqual(
    [waits.state, waits.version, waits.resolution, waits.source, waits.target, waits.reason],
    ['pending', 3, null, null, now.target, 'it moved'],
  );
  await assert.rejects(store.conflicts.decide(c.id, { take: 'target', ...by('me') }, { ...o, version: 1 }), {
    code: 'CONFLICT_MOVED',
  });
  await store.conflicts.decide(c.id, { take: 'target', ...by('me') }, { ...o, version: 3 });
  await store.conflicts.close([c.id], { state: 'resolved', run: 'r_3', at: 8000 }, o);
  await store.conflicts.close([c.id], { state: 'gone', run: 'r_4', at: 9000 }, o);
  await store.conflicts.reopen(c.id, now, 9000, o);
  const closed = (await store.conflicts.get(c.id, o))!;
  assert.deepEqual([closed.state, closed.closedBy, closed.closed], ['resolved', 'r_3', 8000], 'closed once');
  assert.deepEqual(
    (await eventsOf('moved')).map((e) => e.type),
    ['conflict.opened', 'conflict.decided', 'conflict.opened', 'conflict.decided', 'conflict.resolved'],
  );
  await assert.rejects(store.conflicts.decide('c_none', { take: 'source', ...by('me') }, o), { code: 'NOT_FOUND' });
});

test('many are decided at once, but for those that were decided or have moved', async () => {
  const [a, b, c] = await store.conflicts.record([met('many', '1'), met('many', '2'), met('many', '3')], 1000, o);
  await store.conflicts.decide(b!.id, { take: 'target', ...by('you') }, o);
  const now = { source: row('3', 'l'), target: row('3', 'r'), reason: 'it moved', run: 'r_2' };
  await store.conflicts.reopen(c!.id, now, 2000, o);
  const done = await store.conflicts.decideEach([a!, b!, c!], { take: 'source', ...by('me') }, o);
  assert.deepEqual(
    done.map((d) => [d.id, d.state, d.resolution?.by]),
    [[a!.id, 'decided', 'me']],
  );
  assert.equal((await store.conflicts.get(b!.id, o))!.resolution!.by, 'you');
  assert.equal((await store.conflicts.get(c!.id, o))!.state, 'pending');
});

test('they are found by sync, pair, key, type, state, disputed column and run, newest first', async () => {
  const quiet = met('find', '2', { pair: 'q', type: 'delete_update', source: null, columns: [] });
  const [a, b] = await store.conflicts.record([met('find', '1'), quiet], 1000, o);
  const c = await one(ruled('find', '1', { run: 'r_9' }), 2000);
  const ids = async (filter: ConflictFilter): Promise<string[]> =>
    (await list({ sync: 'find', ...filter })).map((x) => x.id).toSorted();
  const expected: readonly (readonly [ConflictFilter, readonly Conflict[]])[] = [
    [{}, [a!, b!, c]],
    [{ syncs: ['other'] }, []],
    [{ pair: 'q' }, [b!]],
    [{ keys: [row('1') as Key] }, [a!, c]],
    [{ types: ['delete_update', 'unique'] }, [b!]],
    [{ states: ['ruled'] }, [c]],
    [{ column: 'name' }, [a!, c]],
    [{ column: 'id' }, []],
    [{ run: 'r_9' }, [c]],
  ];
  for (const [filter, want] of expected) {
    assert.deepEqual(await ids(filter), want.map((x) => x.id).toSorted(), JSON.stringify(filter));
    assert.equal(await store.conflicts.count({ sync: 'find', ...filter }, o), want.length);
  }
  const newest = await list({ sync: 'find' });
  assert.equal(newest[0]!.id, c.id);
  const paged: string[] = [];
  for (let before: string | undefined; ; ) {
    const [next] = await store.conflicts.list({ sync: 'find', limit: 1, ...(before ? { before } : {}) }, o);
    if (next === undefined) break;
    before = next.id;
    paged.push(before);
  }
  assert.deepEqual(
    paged,
    newest.map((x) => x.id),
  );
});

test('what waits is told to the next run, counted and dated', async () => {
  const { conflicts } = store;
  const rows = Array.from({ length: 1201 }, (_, i) => met('waits', String(i)));
  const kept = await conflicts.record(rows, 3000, o);
  await one(met('waits', 'early'), 2000);
  await conflicts.decide(kept[0]!.id, { take: 'source', ...by('me') }, o);
  await conflicts.close([kept[1]!.id], { state: 'gone', run: 'r_2', at: 4000 }, o);
  const waiting = await all(conflicts.waiting('waits', 'public.people', o));
  assert.equal(new Set(waiting.map((c) => c.id)).size, 1201);
  assert.ok(waiting.some((c) => c.state === 'decided'));
  assert.deepEqual(
    (await conflicts.waitingBySync(o)).find((w) => w.sync === 'waits'),
    {
      sync: 'waits',
      pending: 1200,
      oldest: 2000,
    },
  );
  assert.deepEqual(
    (await conflicts.tally(2500, o)).find((t) => t.sync === 'waits'),
    {
      sync: 'waits',
      found: 1201,
      settled: 1,
    },
  );
  const opened = (await eventsOf('waits')).filter((e) => e.type === 'conflict.opened');
  assert.deepEqual(opened[0]!.data, { pair: 'public.people', conflicts: 500 }, 'one event for many');
  assert.equal(opened[0]!.subject, 'syncs/waits');
  assert.equal(opened.length, 4);
});
