import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../lib/clock.ts';
import { openTurns } from './endpoints-turns.ts';

/** A clock whose sleepers wake when they are told. */
const held = () => {
  const sleepers = new Set<() => void>();
  const clock: Clock = {
    now: () => 0,
    elapsed: () => 0,
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        sleepers.add(resolve);
        signal.addEventListener('abort', () => {
          sleepers.delete(resolve);
          reject(signal.reason);
        });
      }),
  };
  return { clock, wake: () => [...sleepers].map((s) => s()), asleep: () => sleepers.size };
};
const o = { signal: new AbortController().signal };
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('so many at once, the others in their order, and a place is given back once', async () => {
  const { clock, asleep } = held();
  const turns = openTurns({ endpoint: 'crm', places: () => 2, waitMs: 10_000, clock });
  const order: string[] = [];
  const [a, b] = [await turns.take(o), await turns.take(o)];
  const waiting = ['c', 'd'].map(async (name) => {
    const leave = await turns.take(o);
    order.push(name);
    return leave;
  });
  await settled();
  assert.deepEqual(order, []);
  a();
  a();
  await settled();
  assert.deepEqual(order, ['c']);
  b();
  await settled();
  assert.deepEqual(order, ['c', 'd']);
  for (const leave of await Promise.all(waiting)) leave();
  assert.equal(asleep(), 0);
  (await turns.take(o))();
});

test('who waits too long is told, who gives up is not waited for, and neither keeps a place', async () => {
  const { clock, wake } = held();
  const turns = openTurns({ endpoint: 'crm', places: () => 1, waitMs: 10_000, clock });
  const first = await turns.take(o);
  const late = assert.rejects(turns.take(o), {
    code: 'CONTENTION',
    message: /^crm: no place was free within 10 s; 1 pieces of work/,
  });
  await settled();
  wake();
  await late;
  const gone = new AbortController();
  const leaving = assert.rejects(turns.take({ signal: gone.signal }), /gone/);
  await settled();
  gone.abort(new Error('gone'));
  await leaving;
  first();
  (await turns.take(o))();
});
