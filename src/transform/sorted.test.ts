import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { compareKeys } from '../model/order.ts';
import type { Batch, Row } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import { inSegment, sortRows } from './sorted.ts';

const types: readonly ColumnType[] = [{ kind: 'int', bits: 64 }];
const row = (...cells: (string | null)[]): Row => cells as unknown as Row;
const { signal } = new AbortController();

async function* batchesOf(rows: readonly Row[]): AsyncGenerator<Batch<Row>> {
  for (let i = 0; i < rows.length; i += 100) yield rows.slice(i, i + 100);
}
const all = async (batches: AsyncIterable<Batch<Row>>): Promise<Row[]> => {
  const rows: Row[] = [];
  for await (const batch of batches) rows.push(...batch);
  return rows;
};
const temporary = mkdtempSync(join(tmpdir(), 'lockstep-sorted-'));
after(() => rmSync(temporary, { recursive: true }));
const files = (): number => readdirSync(temporary).length;

test('rows come in key order, in memory and from files, with every character they had', async () => {
  const odd = ['\u2028\u2029\r\n', '\udc80', '\0', '😀', '"\\', '', null];
  const rows = Array.from({ length: 5000 }, (_, i) => row(String((i * 7919) % 5000), odd[i % odd.length]!));
  const expected = rows.toSorted((a, b) => compareKeys(types, a, b));
  for (const held of [Number.POSITIVE_INFINITY, 20_000]) {
    await using sorted = await sortRows(batchesOf(rows), types, { held, temporary });
    assert.equal(files(), held === 20_000 ? 1 : 0, 'files only where they are needed');
    assert.deepEqual(await all(sorted.read()), expected);
    assert.deepEqual(await all(sorted.read()), expected, 'a second time');
  }
  assert.equal(files(), 0, 'no file is left');
});

test('segments cut the sorted rows as an engine would', async () => {
  await using sorted = await sortRows(batchesOf(['10', '9', '-1', '100', '9'].map((k) => row(k, 'x'))), types);
  const keys = async (segment: Parameters<typeof inSegment>[1]): Promise<unknown> =>
    (await all(inSegment(sorted, segment, types, signal))).map((r) => r[0]);
  assert.deepEqual(await keys({ kind: 'all' }), ['-1', '9', '9', '10', '100']);
  assert.deepEqual(await keys({ kind: 'range', from: row('9'), to: row('100') }), ['9', '9', '10']);
  assert.deepEqual(await keys({ kind: 'keys', keys: [row('-1'), row('9'), row('11')] }), ['-1', '9', '9']);
});

test('a source that fails leaves no files behind', async () => {
  const failing = async function* (): AsyncGenerator<Batch<Row>> {
    for (let i = 0; i < 50; i++) yield [row(String(i), 'x'.repeat(100))];
    throw new Error('lost');
  };
  await assert.rejects(sortRows(failing(), types, { held: 1000, temporary }), /lost/);
  assert.equal(files(), 0);
});
