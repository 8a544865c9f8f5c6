import assert from 'node:assert/strict';
import { LockstepError } from '../../../src/model/errors.ts';
import type { KitTable } from '../harness.ts';
import { apply, type Case, failure, nativeRows, same } from '../lab.ts';
import { int64, text } from '../tables.ts';
import { mark, open, stock } from './apply.ts';

const counted = (serial: true | 'identity'): KitTable => ({
  name: 'counted',
  columns: [
    { name: 'id', type: int64, serial },
    { name: 'v', type: text, nullable: true },
  ],
  key: ['id'],
  rows: [],
});

export const lockCases: readonly Case[] = [
  {
    name: 'a second writer is refused while the lock is held, and told who holds it',
    run: async (lab) => {
      const { database, endpoint } = await open(lab, stock);
      const other = await lab.open(database, { writable: true });
      await other.writer!.prepare({ signal: lab.signal });
      const held = await endpoint.writer!.lock({ run: 'r_first', pair: 'shop.stock' }, { signal: lab.signal });
      const error = await failure(other.writer!.lock({ run: 'r_second', pair: 'shop.stock' }, { signal: lab.signal }));
      assert.ok(error instanceof LockstepError && error.code === 'LOCK_HELD', String(error));
      assert.match([error.message, error.hint, ...error.details].join(' '), /r_first/);
      await held[Symbol.asyncDispose]();
      const again = other.writer!.lock({ run: 'r_second', pair: 'shop.stock' }, { signal: lab.signal });
      await assert.doesNotReject(again, 'the lock was given back');
      await using taken = await again;
      assert.ok(taken.token > held.token, 'a later holder has a higher token');
    },
  },
  {
    name: 'a lock whose holder has died expires, and the old holder can no longer write',
    run: async (lab) => {
      const { database, endpoint, b } = await open(lab, stock);
      const other = await lab.open(database, { writable: true });
      await other.writer!.prepare({ signal: lab.signal });
      await using first = await endpoint.writer!.lock({ run: 'r_first', pair: 'stock' }, { signal: lab.signal });
      assert.equal(
        (await apply(lab, endpoint, mark(1, first.token), [b.batch(b.update(['1'], { n: '70' }))])).status,
        'done',
      );
      await database.expireLocks();
      await using second = await other.writer!.lock({ run: 'r_second', pair: 'stock' }, { signal: lab.signal });
      assert.ok(second.token > first.token);
      const before = await nativeRows(lab, database, stock);
      const late = await failure(apply(lab, endpoint, mark(2, first.token), [b.batch(b.update(['2'], { n: '70' }))]));
      assert.ok(late instanceof LockstepError && late.code === 'FENCED', String(late));
      same((await nativeRows(lab, database, stock)).rows, before.rows);
      assert.equal(await database.markers(), 1);
      assert.equal(
        (await apply(lab, other, mark(3, second.token), [b.batch(b.update(['2'], { n: '71' }))])).status,
        'done',
      );
      await first[Symbol.asyncDispose]();
      const third = await failure(endpoint.writer!.lock({ run: 'r_third', pair: 'stock' }, { signal: lab.signal }));
      assert.ok(
        third instanceof LockstepError && third.code === 'LOCK_HELD',
        'the old holder gave back a lock that was no longer its own',
      );
    },
  },
  {
    name: 'our own tables are not shown',
    run: async (lab) => {
      const { endpoint, database, b } = await open(lab, stock);
      await using _held = await endpoint.writer!.lock({ run: 'r_first', pair: 'stock' }, { signal: lab.signal });
      assert.equal((await apply(lab, endpoint, mark(1, _held.token), [b.batch(b.remove(['1']))])).status, 'done');
      const other = await lab.open(database);
      const names = (await other.inspect({ signal: lab.signal })).tables.map((t) => t.name);
      same(names, ['stock']);
    },
  },
  ...([true, 'identity'] as const).map(
    (serial): Case => ({
      name: `explicit keys of a ${serial === true ? 'serial' : 'generated identity'} column are written, and its sequence moves on, never back`,
      run: async (lab) => {
        const kit = counted(serial);
        const { endpoint, database, b } = await open(lab, kit);
        assert.equal(
          (await apply(lab, endpoint, mark(1), [b.batch(b.insert({ id: '500', v: 'given' }))])).status,
          'done',
        );
        await endpoint.writer!.advanceSequences([b.table], { signal: lab.signal });
        await database.edit('counted', { insert: [{ v: 'next' }] });
        const ids = async (): Promise<unknown[]> =>
          (await nativeRows(lab, database, kit)).rows.map((row) => row.slice(0, 2));
        same(await ids(), [
          ['500', 'given'],
          ['501', 'next'],
        ]);
        await database.edit('counted', { delete: { v: 'next' } });
        await database.edit('counted', { delete: { v: 'given' } });
        await endpoint.writer!.advanceSequences([b.table], { signal: lab.signal });
        await database.edit('counted', { insert: [{ v: 'after' }] });
        same(await ids(), [['502', 'after']]);
      },
    }),
  ),
];
