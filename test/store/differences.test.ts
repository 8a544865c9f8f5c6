import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Difference } from '../../src/model/change.ts';
import type { DifferencePair } from '../../src/model/differences.ts';
import { freshStore } from './fresh-store.ts';
import { all, hostile, newRun, o, row } from './plain.ts';

const { store } = await freshStore();
const { differences } = store;

const pair = (name: string): DifferencePair => ({
  name,
  target: name.toUpperCase(),
  columns: ['id', 'name', 'note'].map((column) => ({
    source: column,
    target: column.toUpperCase(),
    as: { kind: 'text' },
  })),
  keyWidth: 1,
});
const different = (id: string, columns: readonly number[] = [1]): Difference => ({
  kind: 'different',
  key: row(id),
  source: row(id, 'a', 'x'),
  target: row(id, ...['a', 'x'].map((c, i) => (columns.includes(i + 1) ? `${c}!` : c))),
  columns,
});
const missing = (id: string): Difference => ({
  kind: 'only_in_source',
  key: row(id),
  source: row(id, 'a', null),
  target: null,
});
const extra = (id: string): Difference => ({
  kind: 'only_in_target',
  key: row(id),
  source: null,
  target: row(id, null, 'x'),
});
const keys = (list: readonly { readonly difference: Difference }[]) => list.map(({ difference }) => difference.key[0]);

test('differences come back as they were, numbered, by pair, kind, column and cursor', async () => {
  const { id: run } = await store.runs.create(newRun({ kind: 'diff' }), o);
  const added = [different('1'), missing('2'), extra('3'), different('4', [2]), different('5', [1, 2])];
  {
    await using writer = await differences.writer(run, [pair('a'), pair('b')], o);
    await writer.add('a', added, o);
    await writer.add('b', [missing('9')], o);
    await writer.flush(o);
  }
  const stored = await all(differences.list(run, {}, o));
  assert.deepEqual(
    stored.slice(0, 5),
    added.map((difference, i) => ({ seq: i + 1, pair: 'a', difference })),
  );
  const list = async (filter: Parameters<typeof differences.list>[1]) =>
    keys(await all(differences.list(run, filter, o)));
  assert.deepEqual(await list({ pair: 'b' }), ['9']);
  assert.deepEqual(await list({ pair: 'none' }), []);
  assert.deepEqual(await list({ kinds: ['only_in_source'] }), ['2', '9']);
  assert.deepEqual(await list({ kinds: ['only_in_target', 'different'] }), ['1', '3', '4', '5']);
  assert.deepEqual(await list({ column: 'note' }), ['4', '5']);
  assert.deepEqual(await list({ column: 'note', kinds: ['only_in_source'] }), []);
  assert.deepEqual(await list({ column: 'nothing' }), []);
  assert.deepEqual(await list({ after: 4 }), ['5', '9']);
  assert.deepEqual(await differences.pairs(run, o), [pair('a'), pair('b')]);
  assert.deepEqual(await all(differences.list('r_none', {}, o)), []);
});

test('hostile values and cells that differ without counting survive', async () => {
  const { id: run } = await store.runs.create(newRun({ kind: 'diff' }), o);
  const added = hostile.flatMap((text): Difference[] => [
    {
      kind: 'different',
      key: row(text),
      source: row(text, text, null),
      target: row(text, null, `${text}?`),
      columns: [1],
    },
    { kind: 'only_in_target', key: row('k', text), source: null, target: row(text, text, text) },
  ]);
  await using writer = await differences.writer(run, [pair('a')], o);
  await writer.add('a', added, o);
  await writer.flush(o);
  assert.deepEqual(
    (await all(differences.list(run, {}, o))).map(({ difference }) => difference),
    added,
  );
});

test('what was not flushed is lost, and only that', async () => {
  const { id: run } = await store.runs.create(newRun({ kind: 'diff' }), o);
  {
    await using writer = await differences.writer(run, [pair('a')], o);
    await writer.add(
      'a',
      Array.from({ length: 1000 }, (_, i) => missing(String(i))),
      o,
    );
    await writer.flush(o);
    await writer.add(
      'a',
      Array.from({ length: 1500 }, (_, i) => extra(String(i))),
      o,
    );
  }
  const stored = await all(differences.list(run, {}, o));
  assert.equal(stored.length, 1000);
  await using writer = await differences.writer(run, [pair('a'), pair('z')], o);
  await writer.add('z', [missing('more')], o);
  await writer.flush(o);
  const after = await all(differences.list(run, {}, o));
  assert.deepEqual(
    after.map(({ seq }) => seq),
    Array.from({ length: 1001 }, (_, i) => i + 1),
  );
  assert.equal(after.at(-1)?.pair, 'z');
  await differences.clear(run, { ...o, pair: 'a' });
  assert.deepEqual(keys(await all(differences.list(run, {}, o))), ['more']);
  await differences.clear(run, { ...o, pair: 'none' });
  assert.equal((await all(differences.list(run, {}, o))).length, 1);
  await differences.clear(run, o);
  assert.deepEqual(await all(differences.list(run, {}, o)), []);
});

test('reading may stop early and go on', async () => {
  const { id: run } = await store.runs.create(newRun({ kind: 'diff' }), o);
  {
    await using writer = await differences.writer(run, [pair('a'), pair('b')], o);
    for (let i = 0; i < 2000; i += 100) {
      await writer.add(
        'a',
        Array.from({ length: 100 }, (_, j) => different(`a${i + j}`)),
        o,
      );
      await writer.add(
        'b',
        Array.from({ length: 100 }, (_, j) => different(`b${i + j}`)),
        o,
      );
    }
    await writer.flush(o);
  }
  const seen = new Set<string>();
  let after = 0;
  for (;;) {
    const page = [];
    for await (const batch of differences.list(run, { after }, o)) {
      page.push(...batch);
      if (page.length >= 300) break;
    }
    if (page.length === 0) break;
    for (const { difference } of page.slice(0, 300)) seen.add(difference.key[0]!);
    after = page.slice(0, 300).at(-1)!.seq;
  }
  assert.equal(seen.size, 4000);
});
