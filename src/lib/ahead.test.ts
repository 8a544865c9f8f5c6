import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ahead } from './ahead.ts';

const numbers = async function* (n: number, log: string[]): AsyncGenerator<number> {
  try {
    for (let i = 0; i < n; i++) {
      log.push(`asked ${i}`);
      yield i;
    }
  } finally {
    log.push('ended');
  }
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('items come in order, no more are asked for than may wait, and the end is the end', async () => {
  const log: string[] = [];
  const seen: number[] = [];
  for await (const i of ahead(numbers(10, log), 3)) {
    await turn();
    seen.push(i);
    assert.ok(log.filter((l) => l.startsWith('asked')).length <= i + 5, log.join(' '));
    if (i === 4) assert.ok(log.includes('asked 6'), 'nothing was asked for ahead');
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(log.at(-1), 'ended');
});

test('who stops early ends the source', async () => {
  const log: string[] = [];
  for await (const i of ahead(numbers(10, log), 2)) if (i === 1) break;
  assert.equal(log.at(-1), 'ended');
  assert.ok(!log.includes('asked 6'));
});

test('a failure comes after what came before it', async () => {
  const failing = async function* (): AsyncGenerator<number> {
    yield 1;
    yield 2;
    throw new Error('broken');
  };
  const seen: number[] = [];
  await assert.rejects(
    async () => {
      for await (const i of ahead(failing(), 5)) {
        await turn();
        seen.push(i);
      }
    },
    { message: 'broken' },
  );
  assert.deepEqual(seen, [1, 2]);
});
