import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Difference } from '../../model/change.ts';
import type { DifferencePair } from '../../model/differences.ts';
import type { Row } from '../../model/row.ts';
import { jsonDifference } from './cells-jsonb.ts';

const row = (...cells: readonly (string | null)[]): Row => cells as Row;
const pair = (target = 'T'): DifferencePair => ({
  name: 's',
  target,
  columns: ['id', 'v'].map((name) => ({ source: name, target: name, as: { kind: 'text' } })),
  keyWidth: 1,
});
const different = (source: string | null, target: string | null): Difference => ({
  kind: 'different',
  key: row('1'),
  source: row('1', source),
  target: row('1', target),
  columns: [1],
});
const cells = (source: string | null, target: string | null) =>
  JSON.parse(jsonDifference(pair(), different(source, target)).cells).v;

test('cells are text, NULL is null, and the side without a row is left out', () => {
  assert.deepEqual(cells('a', null), { source: 'a', target: null });
  const added = jsonDifference(pair(), { kind: 'only_in_source', key: row('1'), source: row('1', null), target: null });
  assert.deepEqual(JSON.parse(added.key), { id: '1' });
  assert.deepEqual(JSON.parse(added.cells), { id: { source: '1' }, v: { source: null } });
});

test('a 32-bit float is the shortest decimal of its own width', () => {
  const single: DifferencePair = {
    ...pair(),
    columns: ['id', 'v'].map((name) => ({ source: name, target: name, as: { kind: 'float', bits: 32 } })),
  };
  const { cells: json } = jsonDifference(single, different('11.609999656677246', '11.5'));
  assert.deepEqual(JSON.parse(json), { v: { source: '11.61', target: '11.5' } });
});

test('what jsonb cannot hold is an object with its bytes, and never looks like another cell', () => {
  assert.deepEqual(cells('a\0b', 'a\ufffdb'), { source: { shown: 'a\\u{0}b', hex: '610062' }, target: 'a\ufffdb' });
  assert.deepEqual(cells('caf\udce9', 'caf\udce8'), {
    source: { shown: 'caf\\xe9', hex: '636166e9' },
    target: { shown: 'caf\\xe8', hex: '636166e8' },
  });
  assert.deepEqual(cells('\udc00t5', '\udc00n5'), {
    source: { shown: '‹text "5"›', hex: '35' },
    target: { shown: '‹number 5›', hex: '35' },
  });
  assert.deepEqual(cells('\udc00b00ff', null).source, { shown: '‹blob 00ff›', hex: '00ff' });
});

test('long cells are cut, and told apart by what was cut', () => {
  const long = 'x'.repeat(70_000);
  const { source, target } = cells(`${long}1`, `${long}2`);
  assert.equal(source.bytes, 70_001);
  assert.equal(source.shown, target.shown);
  assert.notEqual(source.sha256, target.sha256);
  assert.equal(cells('x'.repeat(65_536), '').source.length, 65_536);
  const many: DifferencePair = {
    ...pair(),
    columns: Array.from({ length: 700 }, (_, i) => ({ source: `c${i}`, target: `c${i}`, as: { kind: 'text' } })),
  };
  const wide = row(...Array.from({ length: 700 }, () => 'y'.repeat(60_000)));
  const { cells: json } = jsonDifference(many, { kind: 'only_in_target', key: row('1'), source: null, target: wide });
  assert.ok(json.length < 2e6, `${json.length} characters`);
});

test('the digest tells kind, key, cells, target table and copies apart, and is the same for the same', () => {
  const digest = (d: Difference, target = 'T', nth = 1): string =>
    jsonDifference(pair(target), d, nth).digest.toString('hex');
  const added: Difference = { kind: 'only_in_source', key: row('1'), source: row('1', 'a'), target: null };
  const all = [
    digest(different('a', 'b')),
    digest(different('b', 'a')),
    digest(different('a', null)),
    digest(different('a', 'null')),
    digest(added),
    digest({ ...added, kind: 'only_in_target', source: null, target: row('1', 'a') }),
    digest({ ...added, key: row('2') }),
    digest(added, 'U'),
    digest(added, 'T', 2),
  ];
  assert.equal(new Set(all).size, all.length);
  assert.equal(digest(added), all[4]);
});
