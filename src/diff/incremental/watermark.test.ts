import assert from 'node:assert/strict';
import { test } from 'node:test';
import { misfit } from '../../model/canon/misfit.ts';
import type { Text } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';
import { boundOf, isWatermark, markOf } from './watermark.ts';

const instant: ColumnType = { kind: 'instant', fraction: 6 };
const timestamp: ColumnType = { kind: 'timestamp', fraction: 6 };
const date: ColumnType = { kind: 'date' };
const int: ColumnType = { kind: 'int', bits: 64 };
const text = (value: string): Text => value as Text;
const now = text('2024-05-01 12:00:00');

test('the bound lies the overlap before the mark, exactly', () => {
  const bound = (type: ColumnType, mark: string, ms: number, count = 0) => boundOf(type, text(mark), { ms, count });
  assert.equal(bound(instant, '2024-03-01 00:00:00', 1), '2024-02-29 23:59:59.999');
  assert.equal(bound(instant, '2024-03-01 00:00:00.000001', 1), '2024-02-29 23:59:59.999001');
  assert.equal(bound(timestamp, '2024-01-01 00:01:00.5', 120_000), '2023-12-31 23:59:00.5');
  assert.equal(bound(timestamp, '2024-01-01 00:01:00.25', 1500), '2024-01-01 00:00:58.75');
  assert.equal(bound(timestamp, '2024-01-01 00:01:00', 0), '2024-01-01 00:01:00');
  assert.equal(bound(date, '2024-03-01', 120_000), '2024-02-29', 'a part of a day is a day');
  assert.equal(bound(date, '2024-03-01', 0), '2024-03-01');
  assert.equal(bound(date, '2024-03-01', 2 * 86_400_000), '2024-02-28');
  assert.equal(bound(int, '9223372036854775807', 0, 10_000), '9223372036854765807');
  assert.equal(bound(int, '-5', 0, 10), '-15');
});

test('what has no place in time is not counted back from', () => {
  for (const mark of ['infinity', '-infinity', '0044-03-15 12:00:00 BC', '12024-01-01 00:00:00'])
    assert.equal(boundOf(timestamp, text(mark), { ms: 1, count: 0 }), undefined, mark);
  assert.equal(boundOf(date, text('0044-03-15 BC'), { ms: 1, count: 0 }), undefined);
  assert.equal(boundOf(timestamp, text('0001-01-01 00:00:00'), { ms: 1000, count: 0 }), undefined, 'before our era');
});

test('a mark is never of the future, and never of what cannot be read', () => {
  assert.equal(markOf(instant, text('2024-05-01 11:59:59.999999'), now), '2024-05-01 11:59:59.999999');
  assert.equal(markOf(instant, text('2099-01-01 00:00:00'), now), now);
  assert.equal(markOf(instant, text('infinity'), now), now);
  assert.equal(markOf(date, text('2024-05-01'), now), '2024-05-01', 'today is not the future');
  assert.equal(markOf(date, text('2024-05-02'), now), '2024-05-01');
  assert.equal(markOf(int, text('99'), now), '99');
  assert.equal(markOf(instant, null, now), undefined);
  assert.equal(markOf(instant, misfit('t', 'tomorrow'), now), undefined);
});

test('only times and whole numbers tell what came later', () => {
  assert.deepEqual(
    (
      [
        int,
        date,
        timestamp,
        instant,
        { kind: 'text' },
        { kind: 'decimal' },
        { kind: 'time', fraction: 0 },
      ] as ColumnType[]
    ).map(isWatermark),
    [true, true, true, true, false, false, false],
  );
});
