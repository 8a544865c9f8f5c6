import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Change } from '../../src/model/change.ts';
import type { PlanItem } from '../../src/model/plans.ts';
import type { Store } from '../../src/model/store.ts';
import { freshStore } from './fresh-store.ts';
import { all, hostile, insert, item, newPlan, newRun, o, remove, row, table, update } from './plain.ts';

const { store, database } = await freshStore();

const seal = async (items: readonly Omit<PlanItem, 'seq'>[], plan = newPlan(), into: Store = store) => {
  await using writer = await into.plans.create(plan, o);
  await writer.add(items, o);
  return writer.seal({ ...o, summary: { withheld: 2 } });
};
const file = async (id: string): Promise<string> => {
  let text = '';
  for await (const bytes of store.plans.export(id, o)) text += Buffer.from(bytes).toString('utf8');
  return text;
};
const bytesOf = (text: string): Uint8Array[] => [Buffer.from(text)];
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

test('a plan gives back its items in order, numbered from 1, and counts them', async () => {
  const items = [
    item(insert('1', 'a', null)),
    item(update(['2', 'b', 'x'], ['2', null, 'y']), { group: 1 }),
    item(remove('3', 'c', null), { group: 2 }),
  ];
  const plan = await seal(items);
  assert.deepEqual(plan.header.counts, { insert: 1, update: 1, delete: 1 });
  assert.deepEqual(plan.header.summary, { withheld: 2 });
  assert.deepEqual(
    await all(store.plans.items(plan.header.id, o)),
    items.map((one, i) => ({ seq: i + 1, ...one })),
  );
  assert.deepEqual(await store.plans.get(plan.header.id, o), plan);
});

test('hostile values survive in images and keys', async () => {
  const items = hostile.flatMap((text) => [
    item(insert(text, text, null)),
    item(update([text, 'b', text], [text, text, null])),
    item(remove(text, null, text)),
  ]);
  const plan = await seal(items);
  assert.deepEqual(
    (await all(store.plans.items(plan.header.id, o))).map(({ change }) => change),
    items.map(({ change }) => change),
  );
  await store.plans.verify(plan.header.id, o);
  for (const text of hostile) {
    assert.equal((await store.plans.find(plan.header.id, 'public.orders', [row(text)], o)).length, 3);
  }
});

test('an image that changes outside the written columns, and a key that is not the beginning of its row, survive', async () => {
  const change: Change = { ...update(['1', 'a', 'x'], ['1', 'b', 'y']), columns: [1] } as Change;
  const other = { ...update(['1', 'a', 'x'], ['2', 'b', 'x']), key: row('9'), columns: [2, 0] } as Change;
  const partial = { ...insert('5', null, null), columns: [0] } as Change;
  const plan = await seal([item(change), item(other), item(partial)]);
  assert.deepEqual(
    (await all(store.plans.items(plan.header.id, o))).map((i) => i.change),
    [change, other, partial],
  );
});

test('items after a number and of ranges, across chunks', async () => {
  const plan = await seal(Array.from({ length: 2000 }, (_, i) => item(insert(String(i + 1), 'v', null))));
  const seqs = async (options: { after?: number; only?: readonly (readonly [number, number])[] }) =>
    (await all(store.plans.items(plan.header.id, { ...o, ...options }))).map(({ seq }) => seq);
  assert.deepEqual(await seqs({ after: 1998 }), [1999, 2000]);
  assert.deepEqual(
    await seqs({
      only: [
        [3, 4],
        [512, 513],
        [1999, 5000],
      ],
    }),
    [3, 4, 512, 513, 1999, 2000],
  );
  assert.deepEqual(
    await seqs({
      only: [
        [3, 4],
        [700, 701],
      ],
      after: 3,
    }),
    [4, 700, 701],
  );
  assert.deepEqual(await seqs({ only: [] }), []);
  assert.equal((await seqs({})).length, 2000);
  assert.deepEqual(
    (await store.plans.find(plan.header.id, 'public.orders', [row('1234')], o)).map(({ seq }) => seq),
    [1234],
  );
  const some = ['1999', '3', 'none', '512', '4', '3'].map((id) => row(id));
  const found = await store.plans.find(plan.header.id, 'public.orders', some, o);
  assert.deepEqual(
    found.map(({ seq, change }) => [seq, change.key]),
    [
      [3, row('3')],
      [4, row('4')],
      [512, row('512')],
      [1999, row('1999')],
    ],
  );
  assert.deepEqual(await store.plans.find(plan.header.id, 'public.other', [row('1234')], o), []);
  assert.deepEqual(await store.plans.find('p_none', 'public.orders', [row('1234')], o), []);
  assert.deepEqual(await store.plans.find(plan.header.id, 'public.orders', [], o), []);
});

test('chunks come whole and in order, many small ones and some that weigh much', async () => {
  // lines that make a chunk each: more than are read at once; then such as make more bytes than are read at once
  const small = Array.from({ length: 70 }, (_, i) => item(insert(String(i + 1), 'x'.repeat(2 ** 18), null)));
  const large = Array.from({ length: 12 }, (_, i) =>
    item(insert(String(71 + i), randomBytes(2 ** 17).toString('hex'), null)),
  );
  for (const items of [[...large, ...small], small.slice(0, 64)]) {
    const plan = await seal(items);
    const { id } = plan.header;
    await store.plans.verify(id, o);
    const count = items.length;
    const expected = items.map(({ change }, i) => [i + 1, change.key]);
    const read = async (options: { after?: number; only?: readonly (readonly [number, number])[] } = {}) =>
      (await all(store.plans.items(id, { ...o, ...options }))).map(({ seq, change }) => [seq, change.key]);
    // the first comes out of what was read to verify it where that is little
    assert.deepEqual(await read(), expected);
    assert.deepEqual(await read(), expected);
    assert.deepEqual(await read({ after: 5 }), expected.slice(5));
    assert.deepEqual(
      await read({
        only: [
          [2, 3],
          [7, count - 1],
        ],
      }),
      [...expected.slice(1, 3), ...expected.slice(6, -1)],
    );
    const run = newRun({ plan: id });
    await store.runs.create(run, o);
    await store.journal.intend({ run: run.id, step: 1, plan: id, items: [[1, count]] }, 1, o);
    await store.journal.settle(run.id, 1, { state: 'done', at: 2 }, o);
    const undone = await all(store.journal.undo(run.id, o));
    assert.deepEqual(
      undone.map(({ item: { seq, change } }) => [seq, change.key]),
      expected.toReversed(),
    );
  }
});

test('a plan that was not sealed does not exist', async () => {
  const plan = newPlan();
  {
    await using writer = await store.plans.create(plan, o);
    await writer.add(
      Array.from({ length: 1500 }, (_, i) => item(insert(String(i), 'v', null))),
      o,
    );
    assert.equal(await store.plans.get(plan.id, o), undefined);
  }
  assert.equal(await store.plans.get(plan.id, o), undefined);
  const { rows } = await database.query('select count(*)::int as n from lockstep_control.plan_chunk where plan = $1', [
    plan.id,
  ]);
  assert.equal(rows[0].n, 0);
});

test('an empty plan can be sealed and exported', async () => {
  const plan = await seal([]);
  assert.deepEqual(await all(store.plans.items(plan.header.id, o)), []);
  await store.plans.verify(plan.header.id, o);
  assert.equal((await file(plan.header.id)).split('\n').length, 3);
});

test('a change made in the store behind our back is seen by verify', async () => {
  const plan = await seal([item(insert('1', 'a', null))]);
  await database.query(`update lockstep_control.plan set header = replace(header, 'mirror', 'upsert') where id = $1`, [
    plan.header.id,
  ]);
  await assert.rejects(store.plans.verify(plan.header.id, o), code('PLAN_EDITED'));
  const lost = await seal(Array.from({ length: 1500 }, (_, i) => item(insert(String(i), 'v', null))));
  await database.query('delete from lockstep_control.plan_chunk where plan = $1 and first = 513', [lost.header.id]);
  await assert.rejects(store.plans.verify(lost.header.id, o), code('PLAN_EDITED'));
});

test('a chunk with a changed byte is not read as something else', async () => {
  const plan = await seal(Array.from({ length: 100 }, (_, i) => item(insert(String(i), `value ${i * 7919}`, null))));
  await database.query(
    `update lockstep_control.plan_chunk set body = set_byte(body, length(body) / 2, 255 - get_byte(body, length(body) / 2)) where plan = $1`,
    [plan.header.id],
  );
  await assert.rejects(store.plans.verify(plan.header.id, o), code('PLAN_EDITED'));
  await assert.rejects(all(store.plans.items(plan.header.id, o)), code('PLAN_EDITED'));
  await assert.rejects(store.plans.find(plan.header.id, 'public.orders', [row('5')], o), code('PLAN_EDITED'));
});

test('a plan is used once: by its run, again by the same run, not by another', async () => {
  const plan = await seal([]);
  await store.plans.claim(plan.header.id, 'r_a', 5, o);
  await store.plans.claim(plan.header.id, 'r_a', 6, o);
  await assert.rejects(store.plans.claim(plan.header.id, 'r_b', 7, o), code('PLAN_USED'));
  assert.deepEqual(await store.plans.get(plan.header.id, o), { ...plan, usedBy: 'r_a', usedAt: 5 });
  await store.plans.release(plan.header.id, 'r_b', o);
  await assert.rejects(store.plans.claim(plan.header.id, 'r_b', 7, o), code('PLAN_USED'));
  await store.plans.release(plan.header.id, 'r_a', o);
  await store.plans.claim(plan.header.id, 'r_b', 8, o);
  await assert.rejects(store.plans.claim('p_none', 'r_b', 8, o), code('NOT_FOUND'));
});

test('of many that claim a plan at once, one gets it', async () => {
  const plan = await seal([]);
  const claims = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => store.plans.claim(plan.header.id, `r_${i}`, 1, o)),
  );
  assert.equal(claims.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('an exported plan is taken in by another store as the same plan', async () => {
  const plan = await seal([
    ...hostile.map((text) => item(insert(text, text, null))),
    ...Array.from({ length: 1200 }, (_, i) => item(remove(String(i), null, 'x'))),
  ]);
  const text = await file(plan.header.id);
  const { store: other } = await freshStore();
  const pieces = Array.from({ length: Math.ceil(text.length / 1000) }, (_, i) =>
    Buffer.from(text.slice(i * 1000, i * 1000 + 1000)),
  );
  assert.deepEqual(await other.plans.import(pieces, o), plan);
  assert.deepEqual(await other.plans.import(bytesOf(text), o), plan);
  await other.plans.verify(plan.header.id, o);
  assert.deepEqual(await all(other.plans.items(plan.header.id, o)), await all(store.plans.items(plan.header.id, o)));
  let again = '';
  for await (const bytes of other.plans.export(plan.header.id, o)) again += Buffer.from(bytes).toString();
  assert.equal(again, text);
});

test('an edited file is refused, whatever was edited, and leaves nothing', async () => {
  const plan = await seal([
    item(insert('1', 'a', null)),
    item(update(['2', 'b', 'x'], ['2', 'c', 'x'])),
    item(remove('3', 'd', null)),
  ]);
  const text = await file(plan.header.id);
  const { store: other, database: there } = await freshStore();
  const lines = text.split('\n');
  const edits: Record<string, string> = {
    'a value': text.replace('"a"', '"z"'),
    'white space': text.replace('"seq":1', '"seq": 1'),
    'the header': text.replace('"mirror"', '"upsert"'),
    'a count': text.replace('"insert":1', '"insert":2'),
    'a line lost': [...lines.slice(0, 2), ...lines.slice(3)].join('\n'),
    'two lines exchanged': [lines[0], lines[2], lines[1], ...lines.slice(3)].join('\n'),
    'the end lost': `${lines.slice(0, -2).join('\n')}\n`,
    'the last line end lost': text.slice(0, -1),
    'something added': `${text}{}\n`,
    'the hash': text.replace(/"hash":"./, '"hash":"g'),
    'not JSON': text.replace('{"seq":2', 'seq:2'),
    'an unknown table': text.replace('"table":0', '"table":7'),
    'a number for a text': text.replace('"a"', '1'),
    'Windows line ends': text.replaceAll('\n', '\r\n'),
    'another file': 'id,name\n1,a\n',
    nothing: '',
  };
  for (const [what, edited] of Object.entries(edits)) {
    assert.notEqual(edited, text, what);
    await assert.rejects(other.plans.import(bytesOf(edited), o), code('PLAN_EDITED'), what);
  }
  const { rows } = await there.query(
    'select (select count(*)::int from lockstep_control.plan) as plans, (select count(*)::int from lockstep_control.plan_chunk) as chunks',
  );
  assert.deepEqual(rows, [{ plans: 0, chunks: 0 }]);
  await assert.rejects(
    other.plans.import(bytesOf(text.replace('"lockstep_plan":1', '"lockstep_plan":3')), o),
    code('PLAN_STALE'),
  );
});

test('a file that was edited and given a fitting hash is not the plan this store has', async () => {
  const plan = await seal([item(insert('1', 'a', null))]);
  const forged = await seal([item(insert('1', 'z', null))], newPlan());
  const text = (await file(forged.header.id)).replaceAll(forged.header.id, plan.header.id);
  await assert.rejects(store.plans.import(bytesOf(text), o), code('PLAN_EDITED'));
  assert.deepEqual(await store.plans.get(plan.header.id, o), plan);
});

test('plans are listed newest first, by sync, in pages, and found by the beginning of their id', async () => {
  const { store: fresh } = await freshStore();
  for (const id of ['p_a1', 'p_a2', 'p_b1'])
    await seal(
      [],
      newPlan({ id, sync: id === 'p_a2' ? 'crm' : null, tables: [{ pair: 't', table: table('t'), key: ['id'] }] }),
      fresh,
    );
  const ids = async (filter: Parameters<Store['plans']['list']>[0]) =>
    (await fresh.plans.list(filter, o)).map(({ header }) => header.id);
  assert.deepEqual(await ids({}), ['p_b1', 'p_a2', 'p_a1']);
  assert.deepEqual(await ids({ sync: 'crm' }), ['p_a2']);
  assert.deepEqual(await ids({ before: 'p_b1', limit: 1 }), ['p_a2']);
  assert.equal((await fresh.plans.get('p_b', o))?.header.id, 'p_b1');
  assert.equal(await fresh.plans.get('p_a', o), undefined);
  assert.equal(await fresh.plans.get('p_%', o), undefined);
});

test('the id of another plan is refused and its plan stays', async () => {
  const plan = await seal([item(insert('1', 'a', null))]);
  await assert.rejects(seal([item(insert('2', 'b', null))], newPlan({ id: plan.header.id })));
  await store.plans.verify(plan.header.id, o);
  const run = await store.runs.create(newRun({ plan: plan.header.id }), o);
  assert.equal(run.plan, plan.header.id);
});
