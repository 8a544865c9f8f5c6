import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Column, ColumnType } from '../schema.ts';
import { commonType } from './common.ts';

const column = (type: ColumnType, loose = false): Column => ({
  name: 'c',
  type,
  native: type.kind,
  nullable: true,
  ...(loose ? { loose: true } : {}),
});
const common = (a: ColumnType, b: ColumnType, loose: 'none' | 'source' | 'target' | 'both' = 'none') =>
  commonType(column(a, loose === 'source' || loose === 'both'), column(b, loose === 'target' || loose === 'both'));
/** Both ways round. */
const is = (a: ColumnType, b: ColumnType, as: ColumnType | undefined): void => {
  assert.deepEqual(common(a, b).as, as);
  assert.deepEqual(common(b, a).as, as);
};

const int = (bits: 16 | 32 | 64): ColumnType => ({ kind: 'int', bits });
const float = (bits: 32 | 64): ColumnType => ({ kind: 'float', bits });
const numeric = (precision: number, scale: number): ColumnType => ({ kind: 'decimal', precision, scale });
const text: ColumnType = { kind: 'text' };
const char: ColumnType = { kind: 'text', maxLength: 5, padded: true };

test('two columns of one kind meet in the wider one', () => {
  is(int(16), int(64), int(64));
  is(float(32), float(64), float(64));
  is(numeric(10, 2), numeric(8, 4), numeric(12, 4));
  is(numeric(10, 2), { kind: 'decimal' }, { kind: 'decimal' });
  is({ kind: 'text', maxLength: 20 }, { kind: 'text', maxLength: 50 }, { kind: 'text', maxLength: 50 });
  is({ kind: 'timestamp', fraction: 3 }, { kind: 'timestamp', fraction: 6 }, { kind: 'timestamp', fraction: 6 });
  is({ kind: 'json', binary: false }, { kind: 'json', binary: true }, { kind: 'json', binary: true });
  is({ kind: 'uuid' }, { kind: 'uuid' }, { kind: 'uuid' });
});

test('numbers of different kinds meet as decimals, so that nothing is rounded', () => {
  is(int(64), numeric(10, 2), { kind: 'decimal' });
  is(float(64), numeric(10, 2), { kind: 'decimal', special: true });
  is(float(32), int(64), { kind: 'decimal', special: true });
  is({ kind: 'bool' }, int(16), int(16));
  is({ kind: 'bool' }, float(64), undefined);
});

test('dates and times meet in the more precise; a missing zone is said', () => {
  is({ kind: 'date' }, { kind: 'timestamp', fraction: 3 }, { kind: 'timestamp', fraction: 3 });
  const both = common({ kind: 'timestamp', fraction: 6 }, { kind: 'instant', fraction: 3 });
  assert.deepEqual(both, {
    as: { kind: 'instant', fraction: 6 },
    warning: 'times without a zone on one side are read as UTC',
  });
  assert.deepEqual(common({ kind: 'instant', fraction: 6 }, { kind: 'instant', fraction: 6 }), {
    as: { kind: 'instant', fraction: 6 },
  });
  is({ kind: 'time', fraction: 6 }, { kind: 'date' }, undefined);
});

test('text takes everything but bytes; uuid and json stay themselves', () => {
  is(text, { kind: 'date' }, text);
  is(text, int(32), text);
  is(text, { kind: 'enum', labels: ['a'] }, text);
  is(text, { kind: 'opaque', native: 'inet' }, text);
  is(text, { kind: 'uuid' }, { kind: 'uuid' });
  is(text, { kind: 'json', binary: true }, { kind: 'json', binary: true });
  is(text, { kind: 'bytes' }, undefined);
  is(char, text, text);
  is(char, char, char);
});

test('what one engine alone has meets its like, or text', () => {
  is({ kind: 'opaque', native: 'inet' }, { kind: 'opaque', native: 'inet' }, { kind: 'opaque', native: 'inet' });
  is({ kind: 'opaque', native: 'inet' }, { kind: 'opaque', native: 'cidr' }, undefined);
  is({ kind: 'enum', labels: ['a', 'b'] }, { kind: 'enum', labels: ['a', 'b'] }, { kind: 'enum', labels: ['a', 'b'] });
  is({ kind: 'enum', labels: ['a', 'b'] }, { kind: 'enum', labels: ['b', 'a'] }, text);
  is({ kind: 'enum', labels: ['a'] }, int(32), undefined);
  const none = common({ kind: 'bytes' }, int(64));
  assert.ok(none.as === undefined && none.reason.includes('c is bytes and c is int'));
});

test('a loose column carries the type of the other side', () => {
  for (const type of [
    int(32),
    numeric(10, 2),
    float(32),
    { kind: 'uuid' },
    { kind: 'bytes' },
    { kind: 'date' },
    { kind: 'bool' },
    char,
  ] as const) {
    assert.deepEqual(common(type, text, 'target').as, type);
    assert.deepEqual(common(int(64), type, 'source').as, type);
    assert.deepEqual(common({ kind: 'bytes' }, type, 'source').as, type);
  }
  assert.deepEqual(common(int(64), text, 'both').as, text);
  assert.deepEqual(common({ kind: 'date' }, { kind: 'date' }, 'both').as, { kind: 'date' });
});
