import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

/** The largest heap of a process through which rows stream that are held for twenty batches, in MB. */
const largestHeap = (prepare: string): number => {
  const script = `
    const heap = await import(${JSON.stringify(import.meta.resolve('./heap.ts'))});
    ${prepare}
    const held = [];
    let most = 0;
    for (let batch = 0; batch < 300; batch++) {
      held.push(Array.from({ length: 5000 }, (_, i) => [String(batch * 5000 + i), 'row ' + i, null]));
      if (held.length > 20) held.shift();
      most = Math.max(most, process.memoryUsage().heapTotal);
    }
    console.log(most / 2 ** 20);`;
  const done = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  return Number(done.stdout);
};

test('what rows leave behind that outlive a few batches does not pile up', () => {
  const kept = largestHeap('heap.keepHeapSmall(); heap.collectGarbage();');
  assert.ok(kept < 64, `${kept} MB`);
  const grown = largestHeap('heap.keepHeapSmall(); heap.letHeapGrow();');
  assert.ok(grown > kept, `${grown} MB where it may grow, ${kept} MB where it may not`);
});
