import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOfRows } from '../../src/engines/sqlite/digest.ts';
import { digestOfFrames } from '../../src/engines/sqlite/frame-digest.ts';
import { type Helper, type HelperTask, helperFor } from '../../src/engines/sqlite/hash-helper.ts';
import type { LockstepError } from '../../src/model/errors.ts';
import type { HashSpec } from '../../src/model/hash/spec.ts';
import type { Partition } from '../../src/model/selected.ts';
import { meter, snapshotOf } from './sqlite-support.ts';

const hash: HashSpec = { seed: 0x1234_5678_9abc_def0n, form: 'bytes' };
const rows = 30_000;
const table = (name: string): string => `create table ${name} (id integer primary key, v text, n integer);
  with recursive i(x) as (select 1 union all select x + 1 from i where x < ${rows})
  insert into ${name} select x, iif(x % 7 = 0, null, 'value ' || x), x * 13 from i;`;
// Separators in texts, blobs in place of texts, texts in place of numbers: here and there, and many in a row.
const { snapshot: s, selectionOf } = snapshotOf(`${table('plain')} ${table('odd')}
  update odd set v = 'a' || char(31) || 'b' where id % 4001 = 0; update odd set v = x'ff00' where id % 5003 = 0;
  update odd set n = 'many' where id between 20000 and 20400`);

const pause = new Int32Array(new SharedArrayBuffer(4));

/** A helper that is given every chunk that it can take: this thread waits until there is room. */
const eager = (change: (task: HelperTask) => HelperTask = (task) => task) => {
  const counted = { taken: 0 };
  const beside = (task: HelperTask): Helper => {
    const helper = helperFor(change(task), 2, 1)!;
    let first = true;
    return {
      ...helper,
      hand: (blob, n, again) => {
        const take = (): boolean => helper.hand(blob, n, again);
        let took = take();
        // The first call starts the thread. One that gave up takes nothing any more.
        for (let tries = 0; !took && (first || counted.taken > 0) && n > 0 && tries < (first ? 30_000 : 20); tries++) {
          Atomics.wait(pause, 0, 0, 1);
          took = take();
        }
        first = false;
        if (took) counted.taken++;
        return took;
      },
    };
  };
  return { beside, counted };
};

const partitions: readonly (Partition | undefined)[] = [
  undefined,
  { by: 'range', origin: 1n, width: 100n, count: 300 },
  { by: 'hash', count: 1024, hash },
];

for (const [i, partition] of partitions.entries()) {
  for (const name of ['plain', 'odd']) {
    test(`two threads find the same digests as one that reads row by row: ${name}, ${partition?.by ?? 'whole'} ${i}`, () => {
      const selection = selectionOf(name);
      const { beside, counted } = eager();
      const found = digestOfFrames(s, selection, partition, hash, meter(), beside);
      assert.ok(counted.taken >= 1, 'the other thread took chunks');
      assert.deepEqual(found, digestOfRows(s, selection, partition, hash, meter()));
    });
  }
}

test('a thread that fails fails the digest, and no digest lacks rows in silence', () => {
  const selection = selectionOf('plain');
  // NULL is looked up in the token, which is not there.
  const { beside, counted } = eager((task) => ({ ...task, framed: { ...task.framed, token: null as never } }));
  assert.throws(
    () => digestOfFrames(s, selection, undefined, hash, meter(), beside),
    (error) => (error as LockstepError).code === 'INTERNAL' && /has failed/.test((error as Error).message),
  );
  assert.ok(counted.taken >= 1);
});

test('one processor has no helper', () => {
  assert.equal(helperFor({} as HelperTask, 1), undefined);
});
