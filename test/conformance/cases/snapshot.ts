import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import type { Key, Row } from '../../../src/model/row.ts';
import { type Case, failure, hashes, inspected, type Lab, same, scan, selectionOf, withTable } from '../lab.ts';
import { numbered } from '../tables.ts';

const spec = { seed: 6n, form: 'hex' } as const;

/** Waits until the server is (or is no longer) busy; fails after a generous bound. */
const until = async (lab: Lab, busy: () => Promise<boolean>, wanted: boolean): Promise<void> => {
  const started = performance.now();
  while ((await busy()) !== wanted) {
    lab.signal.throwIfAborted();
    assert.ok(
      performance.now() - started < 10_000,
      wanted ? 'the slow statement never ran' : 'the slow statement still runs in the server',
    );
    await setTimeout(10);
  }
};

/** Starts `work` under a signal, aborts it when the server is busy, and sees it end here and there. */
const abortWhenBusy = async (
  lab: Lab,
  busy: () => Promise<boolean>,
  work: (signal: AbortSignal) => Promise<unknown>,
): Promise<void> => {
  const controller = new AbortController();
  const failed = failure(work(controller.signal));
  await until(lab, busy, true);
  controller.abort(new Error('the user pressed Ctrl-C'));
  await failed;
  await until(lab, busy, false);
};

export const snapshotCases: readonly Case[] = [
  {
    name: 'a reader shows one state while another connection inserts, updates and deletes',
    run: async (lab) => {
      const kit = numbered('moving', 3000);
      const { database, endpoint, reader, selection } = await withTable(lab, kit);
      const before = await scan(lab, reader, selection);
      await database.edit('moving', {
        insert: [
          { id: '-99999', v: 'new', n: '1' },
          { id: '99999', v: 'new', n: '1' },
        ],
      });
      await database.edit('moving', { update: { v: 'changed' }, where: { n: '3' } });
      await database.edit('moving', { delete: { n: '7' } });
      same(await scan(lab, reader, selection), before);
      assert.equal(await reader.count(selection, { signal: lab.signal }), 3000);
      same(await reader.keyBounds(selection, { signal: lab.signal }), { min: -3000n, max: 5997n });
      const missing = [['99999'], ['-99999']] as unknown as Key[];
      same(await scan(lab, reader, selection, { kind: 'keys', keys: missing }), []);
      const [digest] = await reader.hashing!.digest(selection, undefined, spec, { signal: lab.signal });
      assert.equal(digest?.rows, 3000);
      assert.equal((await hashes(lab, reader, selection, { kind: 'all' }, spec)).length, 3000);
      const after = await scan(lab, await lab.read(endpoint), selection);
      assert.equal(after.length, 3000 - 300 + 2);
      assert.ok(after.every((row) => row[2] !== '3' || row[1] === 'changed'));
    },
  },
  {
    name: 'a scan that has begun goes on in its snapshot',
    run: async (lab) => {
      const kit = numbered('begun', 5000);
      const { database, reader, selection } = await withTable(lab, kit);
      const rows: Row[] = [];
      for await (const batch of reader.scan(selection, { kind: 'all' }, { signal: lab.signal })) {
        if (rows.length === 0) {
          await database.edit('begun', { delete: { n: '5' } });
          await database.edit('begun', { update: { v: 'changed' }, where: { n: '6' } });
          await database.edit('begun', { insert: [{ id: '1000000', v: 'late', n: '1' }] });
        }
        rows.push(...batch);
      }
      assert.equal(rows.length, 5000);
      assert.ok(rows.every((row) => row[1] !== 'changed' && row[1] !== 'late'));
    },
  },
  {
    name: 'a snapshot begins when it is taken, not at the first read',
    run: async (lab) => {
      const kit = numbered('taken', 10);
      const { database, reader, selection } = await withTable(lab, kit);
      await database.edit('taken', { delete: { n: '1' } });
      assert.equal(await reader.count(selection, { signal: lab.signal }), 10);
    },
  },
  {
    name: "a reader that is closed twice ends nobody else's snapshot",
    run: async (lab) => {
      const { database, endpoint, reader, selection } = await withTable(lab, numbered('twice', 10));
      await reader[Symbol.asyncDispose]();
      const second = await lab.read(endpoint);
      assert.equal(await second.count(selection, { signal: lab.signal }), 10);
      await reader[Symbol.asyncDispose]();
      await database.edit('twice', { delete: { n: '1' } });
      const third = await lab.read(endpoint);
      assert.equal(await second.count(selection, { signal: lab.signal }), 10);
      assert.equal(await third.count(selection, { signal: lab.signal }), 9);
    },
  },
  {
    name: 'a scan that is left early keeps no old state in view',
    run: async (lab) => {
      const kit = numbered('left_early', 3000);
      const { database, endpoint, reader, selection } = await withTable(lab, kit);
      const scans = [
        (r: typeof reader) => r.scan(selection, { kind: 'all' }, { signal: lab.signal }),
        (r: typeof reader) => r.hashing!.hashes(selection, { kind: 'all' }, spec, { signal: lab.signal }),
      ];
      let current = reader;
      for (const [i, read] of scans.entries()) {
        for await (const _ of read(current)) break;
        assert.equal(await current.count(selection, { signal: lab.signal }), 3000 + i, 'the snapshot itself stays');
        await current[Symbol.asyncDispose]();
        await database.edit('left_early', { insert: [{ id: `10000${i}`, v: 'new', n: '1' }] });
        current = await lab.read(endpoint);
        assert.equal(await current.count(selection, { signal: lab.signal }), 3001 + i);
      }
    },
  },
  {
    name: 'reading writes nothing',
    run: async (lab) => {
      const kit = numbered('untouched', 500);
      const database = await lab.database(kit);
      const before = await database.trace();
      const endpoint = await lab.open(database);
      assert.equal(endpoint.writer, undefined, 'an endpoint that is not writable has a writer');
      const reader = await lab.read(endpoint);
      const table = await inspected(lab, endpoint, kit.name);
      const selection = selectionOf(table, kit);
      await scan(lab, reader, selection);
      await reader.count(selection, { signal: lab.signal });
      await reader.sample(selection, 20, { signal: lab.signal });
      await reader.keyBounds(selection, { signal: lab.signal });
      await reader.hashing!.digest(selection, { by: 'hash', count: 8, hash: spec }, spec, { signal: lab.signal });
      await hashes(lab, reader, selection, { kind: 'all' }, spec);
      await endpoint.examine?.({ signal: lab.signal, tables: [table], writable: false });
      await reader[Symbol.asyncDispose]();
      await endpoint[Symbol.asyncDispose]();
      assert.equal(await database.trace(), before);
    },
  },
  {
    name: 'an aborted signal stops a call before it begins',
    run: async (lab) => {
      const { reader, selection, endpoint } = await withTable(lab, numbered('early', 10));
      const signal = AbortSignal.abort(new Error('too late'));
      await failure(Array.fromAsync(reader.scan(selection, { kind: 'all' }, { signal })));
      await failure(reader.count(selection, { signal }));
      await failure(reader.hashing!.digest(selection, undefined, spec, { signal }));
      await failure(endpoint.snapshot({ signal }));
      assert.equal((await scan(lab, await lab.read(endpoint), selection)).length, 10);
    },
  },
  {
    name: 'a scan ends when it is aborted on its way, and the endpoint lives on',
    run: async (lab) => {
      const { reader, selection, endpoint } = await withTable(lab, numbered('aborted', 20_000));
      const controller = new AbortController();
      let rows = 0;
      const work = async (): Promise<void> => {
        for await (const batch of reader.scan(selection, { kind: 'all' }, { signal: controller.signal })) {
          rows += batch.length;
          controller.abort(new Error('enough'));
        }
      };
      await failure(work());
      assert.ok(rows > 0 && rows < 20_000, `${rows} rows came`);
      assert.equal((await scan(lab, await lab.read(endpoint), selection)).length, 20_000);
    },
  },
  {
    name: 'a consumer may leave a scan, and the reader reads on',
    run: async (lab) => {
      const { reader, selection } = await withTable(lab, numbered('left', 20_000));
      for await (const batch of reader.scan(selection, { kind: 'all' }, { signal: lab.signal })) {
        assert.ok(batch.length < 20_000, 'the whole table came as one batch');
        break;
      }
      for await (const batch of reader.hashing!.hashes(selection, { kind: 'all' }, spec, { signal: lab.signal })) {
        assert.ok(batch.count < 20_000);
        break;
      }
      assert.equal((await scan(lab, reader, selection)).length, 20_000);
    },
  },
  ...(['scan', 'count', 'digest', 'hashes'] as const).map(
    (what): Case => ({
      name: `aborting a ${what} ends the statement in the server`,
      when: (harness) => harness.slowFilter !== undefined,
      run: async (lab) => {
        const kit = numbered('slow', 1000);
        const { database, endpoint, table, reader } = await withTable(lab, kit);
        const selection = selectionOf(table, kit, { filter: lab.harness.slowFilter! });
        await abortWhenBusy(
          lab,
          () => database.busy!(),
          async (signal) => {
            if (what === 'scan') await Array.fromAsync(reader.scan(selection, { kind: 'all' }, { signal }));
            else if (what === 'count') await reader.count(selection, { signal });
            else if (what === 'digest') await reader.hashing!.digest(selection, undefined, spec, { signal });
            else await Array.fromAsync(reader.hashing!.hashes(selection, { kind: 'all' }, spec, { signal }));
          },
        );
        const again = await scan(lab, await lab.read(endpoint), selectionOf(table, kit));
        assert.equal(again.length, 1000);
      },
    }),
  ),
];
