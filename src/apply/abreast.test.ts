import assert from 'node:assert/strict';
import { test } from 'node:test';
import { abreast } from './abreast.ts';

/** Pieces of work that end when they are told to. */
const watched = (most: number) => {
  const a = abreast(most);
  const begun: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const turn = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  return {
    ...a,
    begun,
    begin: async (name: string): Promise<void> => {
      const end = Promise.withResolvers<void>();
      ends.set(name, end);
      void a.enter((alone) => {
        begun.push(alone ? `${name} alone` : name);
        return end.promise;
      });
      await turn();
    },
    end: async (name: string): Promise<void> => {
      ends.get(name)!.resolve();
      await turn();
    },
  };
};

test('so many are under way and no more; who waits comes in the order of the calls', async () => {
  const w = watched(2);
  for (const name of ['a', 'b', 'c', 'd']) await w.begin(name);
  assert.deepEqual(w.begun, ['a', 'b']);
  await w.end('b');
  assert.deepEqual(w.begun, ['a', 'b', 'c']);
  await w.begin('e');
  await w.end('a');
  await w.end('c');
  assert.deepEqual(w.begun, ['a', 'b', 'c', 'd', 'e']);
});

test('one at a time is alone', async () => {
  const w = watched(1);
  for (const name of ['a', 'b']) await w.begin(name);
  await w.end('a');
  assert.deepEqual(w.begun, ['a alone', 'b alone']);
});

test('narrowed: those under way end first, then each is alone', async () => {
  const w = watched(2);
  for (const name of ['a', 'b', 'c', 'd']) await w.begin(name);
  w.narrow();
  await w.end('a');
  assert.deepEqual(w.begun, ['a', 'b']);
  await w.end('b');
  assert.deepEqual(w.begun, ['a', 'b', 'c alone']);
  await w.end('c');
  assert.deepEqual(w.begun, ['a', 'b', 'c alone', 'd alone']);
});

test('work that fails gives its place back', async () => {
  const a = abreast(1);
  await assert.rejects(
    a.enter(async () => {
      throw new Error('refused');
    }),
    /refused/,
  );
  assert.equal(await a.enter(async (alone) => alone), true);
});
