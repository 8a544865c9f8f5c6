import assert from 'node:assert/strict';
import type { Endpoint } from '../../../src/model/endpoint.ts';
import type { Row } from '../../../src/model/row.ts';
import type { Applied, StepMark } from '../../../src/model/writer.ts';
import type { KitDatabase, KitTable } from '../harness.ts';
import { apply, type Bench, bench, type Case, failure, fitted, inverse, type Lab, nativeRows, same } from '../lab.ts';
import { int32, int64, mixed, text } from '../tables.ts';

/** Rows 1..20; the unique `code` can be exchanged, `n` must not be negative, `twice` is computed. */
export const stock: KitTable = {
  name: 'stock',
  columns: [
    { name: 'id', type: int64 },
    { name: 'code', type: text },
    { name: 'n', type: int32 },
    { name: 'note', type: text, nullable: true },
    {
      name: 'twice',
      type: int32,
      nullable: true,
      generated: { sql: 'n * 2', of: (row) => String(Number(row['n']) * 2) },
    },
  ],
  key: ['id'],
  unique: [['code']],
  check: { sql: 'n >= 0', refuses: (row) => Number(row['n']) < 0 },
  rows: Array.from({ length: 20 }, (_, i) => [
    String(i + 1),
    `code ${i + 1}`,
    String(i),
    i % 2 ? null : `note ${i}`,
    String(i * 2),
  ]),
};

interface Shop {
  readonly database: KitDatabase;
  readonly endpoint: Endpoint;
  readonly b: Bench;
}

export const open = async (lab: Lab, kit: KitTable): Promise<Shop> => {
  const database = await lab.database(kit);
  const endpoint = await lab.open(database, { writable: true });
  assert.ok(endpoint.writer, 'a writable endpoint has a writer');
  assert.equal(await endpoint.writer.prepare({ signal: lab.signal }), 'marker');
  return { database, endpoint, b: await bench(lab, database, kit) };
};

export const mark = (step: number, token = 0n): StepMark => ({ run: 'r_conformance', step, token });

const rowsOf = async (lab: Lab, database: KitDatabase, kit: KitTable): Promise<readonly Row[]> =>
  (await nativeRows(lab, database, kit)).rows;

/** Applies something that must not succeed, and sees that table and markers are as before. */
const leavesNoTrace = async (lab: Lab, shop: Shop, kit: KitTable, work: () => Promise<Applied>): Promise<Applied> => {
  const rows = await rowsOf(lab, shop.database, kit);
  const markers = await shop.database.markers();
  const applied = await work();
  same(await rowsOf(lab, shop.database, kit), rows);
  assert.equal(await shop.database.markers(), markers);
  assert.equal(await shop.endpoint.writer!.applied(mark(1), { signal: lab.signal }), false);
  return applied;
};

export const applyCases: readonly Case[] = [
  {
    name: 'inserts, updates and deletes of several batches are applied, and read back as stored',
    run: async (lab) => {
      const { database, endpoint, b } = await open(lab, stock);
      const batches = [
        b.batch(b.remove(['3']), b.remove(['4'])),
        b.batch(b.update(['1'], { note: null, n: '50' }), b.update(['2'], { note: 'now there', n: '51' })),
        b.batch(b.insert({ id: '100', code: 'code 3', n: '7' }), b.insert({ id: '-5', code: '\u{1f600}', n: '0' })),
      ];
      const { written, ...applied } = await apply(lab, endpoint, mark(1), batches);
      same(applied, { status: 'done' });
      same(
        written.map((w) => w.batch),
        batches,
      );
      same(written[0]!.stored, [null, null]);
      const rows = await rowsOf(lab, database, stock);
      const row = (id: string): Row | undefined => rows.find((r) => r[0] === id);
      assert.equal(rows.length, 20);
      same(row('1'), ['1', 'code 1', '50', null, '100']);
      same(row('2'), ['2', 'code 2', '51', 'now there', '102']);
      same(row('100'), ['100', 'code 3', '7', null, '14']);
      same(row('-5'), ['-5', '\u{1f600}', '0', null, '0']);
      assert.equal(row('3'), undefined);
      same(written[1]!.stored, [row('1'), row('2')]);
      same(written[2]!.stored, [row('100'), row('-5')]);
      const before = new Map(b.rows.map((r) => [r[0], r]));
      for (const r of rows) if (!['1', '2', '100', '-5'].includes(r[0]!)) same(r, before.get(r[0]!));
      assert.equal(await endpoint.writer!.applied(mark(1), { signal: lab.signal }), true);
      assert.equal(await endpoint.writer!.applied(mark(2), { signal: lab.signal }), false);
      // whoever asks, it is there; under whose lock it was set is told only when asked for
      const { token, ...first } = mark(1);
      const later = { ...mark(1), token: token + 1n };
      assert.equal(await endpoint.writer!.applied(later, { signal: lab.signal }), true);
      assert.equal(await endpoint.writer!.applied({ ...first, by: token }, { signal: lab.signal }), true);
      assert.equal(await endpoint.writer!.applied({ ...first, by: token + 1n }, { signal: lab.signal }), false);
      assert.equal(await database.markers(), 1);
    },
  },
  {
    name: 'a step that is repeated is recognised and writes nothing',
    run: async (lab) => {
      const { database, endpoint, b } = await open(lab, stock);
      const batches = [b.batch(b.update(['1'], { n: '99' })), b.batch(b.insert({ id: '21', code: 'new', n: '1' }))];
      assert.equal((await apply(lab, endpoint, mark(1), batches)).status, 'done');
      const once = await rowsOf(lab, database, stock);
      const again = await apply(lab, endpoint, mark(1), batches);
      same(again, { status: 'already', written: [] });
      // Taken back by another connection: a writer that only looks at rows would write again.
      await database.edit('stock', { update: { n: '0' }, where: { id: '1' } });
      await database.edit('stock', { delete: { id: '21' } });
      const moved = await rowsOf(lab, database, stock);
      assert.notDeepEqual(moved, once);
      const other = await lab.open(database, { writable: true });
      assert.equal((await apply(lab, other, mark(1), batches)).status, 'already');
      same(await rowsOf(lab, database, stock), moved);
      assert.equal(await database.markers(), 1);
    },
  },
  {
    name: 'a moved row stops the whole step, leaves no trace and is reported as it is now',
    run: async (lab) => {
      const shop = await open(lab, stock);
      const { database, endpoint, b } = shop;
      await database.edit('stock', { update: { note: 'moved' }, where: { id: '7' } });
      await database.edit('stock', { delete: { id: '8' } });
      const batches = [
        b.batch(b.insert({ id: '30', code: 'thirty', n: '1' })),
        b.batch(
          b.update(['6'], { n: '1' }),
          b.update(['7'], { n: '1' }),
          b.update(['8'], { n: '1' }),
          b.update(['9'], { n: '1' }),
        ),
      ];
      const applied = await leavesNoTrace(lab, shop, stock, () => apply(lab, endpoint, mark(1), batches));
      assert.equal(applied.status, 'stale');
      if (applied.status !== 'stale') return;
      const found = new Map<string | null | undefined, Row | null>(applied.rows.map((r) => [r.change.key[0], r.found]));
      same([...found.keys()].sort(), ['7', '8']);
      same(found.get('7'), ['7', 'code 7', '6', 'moved', '12']);
      assert.equal(found.get('8'), null);
      assert.ok(applied.rows.every((r) => r.table.name === 'stock'));
      assert.equal((await apply(lab, endpoint, mark(1), [b.batch(b.update(['6'], { n: '1' }))])).status, 'done');
    },
  },
  {
    name: 'a change outside the written columns is a moved row too',
    run: async (lab) => {
      const shop = await open(lab, stock);
      const { database, endpoint, b } = shop;
      for (const change of [b.update(['2'], { n: '5' }), b.remove(['2'])]) {
        await database.edit('stock', { update: { note: 'a stranger' }, where: { id: '2' } });
        const applied = await leavesNoTrace(lab, shop, stock, () => apply(lab, endpoint, mark(1), [b.batch(change)]));
        assert.equal(applied.status, 'stale', change.op);
        await database.edit('stock', { update: { note: null }, where: { id: '2' } });
      }
    },
  },
  {
    name: 'NULL and the empty text are different to the guard',
    run: async (lab) => {
      const shop = await open(lab, stock);
      await shop.database.edit('stock', { update: { note: '' }, where: { id: '2' } });
      const change = shop.b.update(['2'], { n: '5' });
      const applied = await leavesNoTrace(lab, shop, stock, () =>
        apply(lab, shop.endpoint, mark(1), [shop.b.batch(change)]),
      );
      assert.equal(applied.status, 'stale');
    },
  },
  {
    name: 'an insert never writes over a row that exists',
    run: async (lab) => {
      const shop = await open(lab, stock);
      const { endpoint, b } = shop;
      const batch = b.batch(b.insert({ id: '40', code: 'forty', n: '1' }), b.insert({ id: '5', code: 'five', n: '1' }));
      const applied = await leavesNoTrace(lab, shop, stock, () => apply(lab, endpoint, mark(1), [batch]));
      assert.equal(applied.status, 'stale');
      if (applied.status !== 'stale') return;
      same(
        applied.rows.map((r) => [r.change.key, r.found]),
        [[['5'], b.rows.find((r) => r[0] === '5')]],
      );
    },
  },
  {
    name: 'what the database refuses leaves no trace and comes in its own words',
    run: async (lab) => {
      const shop = await open(lab, stock);
      const { endpoint, b } = shop;
      const good = b.batch(b.update(['1'], { n: '77' }));
      for (const bad of [
        b.batch(b.update(['2'], { n: '-1' })),
        b.batch(b.insert({ id: '50', code: 'code 1', n: '1' })),
        b.batch(b.insert({ id: '51', n: '1' })),
        b.batch(b.update(['3'], { n: '3' }), b.update(['2'], { code: 'code 9' })),
      ]) {
        const applied = await leavesNoTrace(lab, shop, stock, () => apply(lab, endpoint, mark(1), [good, bad]));
        assert.equal(applied.status, 'rejected', JSON.stringify(bad.changes));
        if (applied.status !== 'rejected') continue;
        assert.match(applied.reason, /constraint|null|duplicate|unique|check|default value/i);
        assert.equal(applied.table.name, 'stock');
        if (applied.change) assert.ok(bad.changes.includes(applied.change), 'blames a change of another batch');
      }
      assert.equal((await apply(lab, endpoint, mark(1), [good])).status, 'done');
    },
  },
  {
    name: 'unique values can be exchanged between rows of one batch',
    run: async (lab) => {
      const { database, endpoint, b } = await open(lab, stock);
      const batch = b.batch(
        b.update(['1'], { code: 'code 2' }),
        b.update(['2'], { code: 'code 3' }),
        b.update(['3'], { code: 'code 1' }),
      );
      const { written, ...applied } = await apply(lab, endpoint, mark(1), [batch]);
      same(applied, { status: 'done' });
      const rows = await rowsOf(lab, database, stock);
      same(
        rows.slice(0, 3).map((r) => r[1]),
        ['code 2', 'code 3', 'code 1'],
      );
      same(written[0]!.stored, rows.slice(0, 3));
    },
  },
  {
    name: 'the inverse of a step restores every row exactly',
    run: async (lab) => {
      for (const kit of [stock, fitted(lab.harness, mixed)]) {
        const { database, endpoint, b } = await open(lab, kit);
        const [first, second, third] = b.rows.map((r) => [r[0]!]);
        const set =
          kit === stock ? { note: 'x', n: '9' } : { name: null, amount: '1.25', ratio: '0.3', flag: null, raw: 'ff00' };
        const added = kit === stock ? { id: '60', code: 'sixty', n: '1' } : { id: '60', name: 'sixty' };
        const changes = [
          b.batch(b.remove(first!)),
          b.batch(b.update(second!, set), b.update(third!, set)),
          b.batch(b.insert(added)),
        ];
        const done = await apply(lab, endpoint, mark(1), changes);
        assert.equal(done.status, 'done');
        assert.notDeepEqual(await rowsOf(lab, database, kit), b.rows);
        const back = done.written.map((w) =>
          b.batch(
            ...w.batch.changes.map((c, i) =>
              inverse(c, w.stored[i]!, (x) => x.generated !== 'always', b.table, b.names),
            ),
          ),
        );
        assert.equal((await apply(lab, endpoint, mark(2), back.reverse())).status, 'done');
        same(await rowsOf(lab, database, kit), b.rows);
      }
    },
  },
  {
    name: 'every kind of value is written as it was read',
    run: async (lab) => {
      const { rows } = fitted(lab.harness, mixed);
      const empty = { ...mixed, rows: [] };
      const { database, endpoint, b } = await open(lab, empty);
      const names = mixed.columns.map((c) => c.name);
      const changes = rows.map((row) => b.insert(Object.fromEntries(row.map((cell, i) => [names[i]!, cell]))));
      const { written, ...applied } = await apply(lab, endpoint, mark(1), [b.batch(...changes)]);
      same(applied, { status: 'done' });
      same(await rowsOf(lab, database, empty), rows);
      same(written[0]!.stored, rows);
    },
  },
  {
    name: 'batches may come one by one, and a source that fails leaves no trace',
    run: async (lab) => {
      const shop = await open(lab, stock);
      const { endpoint, b } = shop;
      async function* broken() {
        yield b.batch(b.update(['1'], { n: '70' }));
        yield b.batch(b.remove(['2']));
        throw new Error('the plan cannot be read');
      }
      await leavesNoTrace(lab, shop, stock, async () => {
        const error = await failure(endpoint.writer!.apply(mark(1), broken(), { signal: lab.signal }));
        assert.match(error.message, /the plan cannot be read/);
        return { status: 'done' };
      });
    },
  },
  {
    name: 'aborting between two batches, or while one is reported, leaves no trace',
    run: async (lab) => {
      const shop = await open(lab, stock);
      const { endpoint, b } = shop;
      const batches = [b.batch(b.update(['1'], { n: '70' })), b.batch(b.update(['2'], { n: '70' }))];
      for (const stopAt of [1, 2]) {
        const controller = new AbortController();
        let reported = 0;
        const written = (): void => {
          if (++reported === stopAt) controller.abort(new Error('the user pressed Ctrl-C'));
        };
        await leavesNoTrace(lab, shop, stock, async () => {
          await failure(endpoint.writer!.apply(mark(1), batches, { signal: controller.signal, written }));
          return { status: 'done' };
        });
      }
      assert.equal((await apply(lab, endpoint, mark(1), batches)).status, 'done');
    },
  },
  {
    name: 'a failure of the one who is told what was written leaves no trace',
    run: async (lab) => {
      const shop = await open(lab, stock);
      const { endpoint, b } = shop;
      const written = async (): Promise<void> => {
        throw new Error('the journal is full');
      };
      await leavesNoTrace(lab, shop, stock, async () => {
        const error = await failure(
          endpoint.writer!.apply(mark(1), [b.batch(b.remove(['1']))], { signal: lab.signal, written }),
        );
        assert.match(error.message, /the journal is full/);
        return { status: 'done' };
      });
    },
  },
  {
    name: 'a step of thousands of changes is applied whole',
    run: async (lab) => {
      const rows = Array.from({ length: 3000 }, (_, i) => [String(i), `c${i}`, '0', null, '0']);
      const kit = { ...stock, rows };
      const { database, endpoint, b } = await open(lab, kit);
      const changes = rows.map(([id]) => b.update([id!], { n: String(Number(id) + 1), note: `\u00e9 ${id}` }));
      const batches = [0, 1000, 2000].map((from) => b.batch(...changes.slice(from, from + 1000)));
      const { written, ...applied } = await apply(lab, endpoint, mark(1), batches);
      same(applied, { status: 'done' });
      const now = await rowsOf(lab, database, kit);
      same(
        now,
        rows.map(([id, code]) => [id, code, String(Number(id) + 1), `\u00e9 ${id}`, String(2 * (Number(id) + 1))]),
      );
      same(
        written.flatMap((w) => w.stored),
        now,
      );
    },
  },
  {
    name: 'an empty step leaves its marker',
    run: async (lab) => {
      const { database, endpoint } = await open(lab, stock);
      assert.equal((await apply(lab, endpoint, mark(1), [])).status, 'done');
      assert.equal(await endpoint.writer!.applied(mark(1), { signal: lab.signal }), true);
      assert.equal((await apply(lab, endpoint, mark(1), [])).status, 'already');
      assert.equal(await database.markers(), 1);
    },
  },
];
