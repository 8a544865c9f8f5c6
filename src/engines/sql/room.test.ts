import assert from 'node:assert/strict';
import { test } from 'node:test';
import { room } from './room.ts';

test('who waits for a connection is told when the others could not be opened, and nobody waits for ever', async () => {
  let tries = 0;
  const all = room<{ readonly broken: boolean }>({
    name: 'db',
    max: 2,
    open: async () => {
      tries++;
      await new Promise((resolve) => setImmediate(resolve));
      throw new Error('the database is down');
    },
    close: async () => {},
  });
  const { signal } = new AbortController();
  const asked = await Promise.allSettled(Array.from({ length: 20 }, () => all.lendInTurn({ signal })));
  assert.ok(asked.every((a) => a.status === 'rejected' && /is down/.test(String(a.reason))));
  assert.equal(tries, 20);
});
