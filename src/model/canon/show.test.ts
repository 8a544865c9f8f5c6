import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Text } from '../row.ts';
import { canonical } from './canonical.ts';
import { canonicalDouble } from './float.ts';
import { misfit } from './misfit.ts';
import { show, shownCell, visibleCell, visiblePair } from './show.ts';

const shown = (text: string): string => show(text as Text);

test('what acts on a terminal or a reader is spelled out', () => {
  assert.equal(shown('a\nb\tc\rd'), 'a\\nb\\tc\\rd');
  assert.equal(shown('\u001b[31mred'), '\\u{1b}[31mred');
  assert.equal(shown('\u009b31m\u007f\0'), '\\u{9b}31m\\u{7f}\\u{0}');
  assert.equal(
    shown('evil\u202etxt.exe\u2066\u200b\u00ad\ufeff\u2028'),
    'evil\\u{202e}txt.exe\\u{2066}\\u{200b}\\u{ad}\\u{feff}\\u{2028}',
  );
  assert.equal(shown('\u{e0041}\u3164'), '\\u{e0041}\\u{3164}');
});

test('bytes that are not UTF-8 and halves of pairs are shown as numbers', () => {
  assert.equal(shown('caf\udce9'), 'caf\\xe9');
  assert.equal(shown('\ud800'), '\\u{d800}');
});

test('ordinary text is itself', () => {
  for (const text of ['', 'plain', 'é€😀', 'C:\\Program', 'ünïcödé', '<b>&amp;', ' blanks  ', '你好', 'עברית'])
    assert.equal(shown(text), text);
});

test('a misfit says what was stored', () => {
  assert.equal(show(misfit('t', 'abc\n')), '‹text "abc\\n"›');
  assert.equal(show(misfit('n', '1.5')), '‹number 1.5›');
  assert.equal(show(misfit('b', '00ff')), '‹blob 00ff›');
});

test('different texts look different, and nothing that acts is left', () => {
  const piece = fc.constantFrom(
    '\\',
    '\\',
    'n',
    'u',
    'x',
    '{',
    '1b',
    '}',
    '\n',
    '\u001b',
    '\u202e',
    'e9',
    '\udce9',
    'a',
    '\ud800',
  );
  const text = fc.array(piece, { maxLength: 6 }).map((p) => p.join(''));
  fc.assert(
    fc.property(text, text, (a, b) => {
      assert.equal(shown(a) === shown(b), a === b, JSON.stringify([a, b]));
      assert.ok(!/[\p{Cc}\p{Cf}\p{Cs}]/u.test(shown(a)));
      assert.equal(JSON.parse(JSON.stringify(a)), a);
    }),
    { numRuns: 20_000 },
  );
});

test('a 32-bit float is shown as the shortest decimal of its own width, one to one', () => {
  const single = { kind: 'float', bits: 32 } as const;
  assert.equal(shownCell('11.609999656677246' as Text, single), '11.61');
  assert.equal(shownCell('-0.10000000149011612' as Text, single), '-0.1');
  for (const text of ['NaN', 'Infinity', '-Infinity', '0', '16777216'] as Text[])
    assert.equal(shownCell(text, single), text);
  assert.equal(shownCell(null, single), null);
  assert.equal(shownCell('11.609999656677246' as Text, { kind: 'float', bits: 64 }), '11.609999656677246');
  assert.equal(shownCell(misfit('t', 'abc'), single), misfit('t', 'abc'));
  fc.assert(
    fc.property(fc.float({ noNaN: true }), (f) => {
      const cell = canonicalDouble(f) as Text;
      assert.equal(canonical(single, shownCell(cell, single)!), cell);
    }),
  );
});

test('a cell says that it is NULL, empty, or ends in blanks', () => {
  assert.equal(visibleCell(null), 'NULL');
  assert.equal(visibleCell('NULL' as Text), '"NULL"');
  assert.equal(visibleCell('' as Text), '""');
  assert.equal(visibleCell('  a b ' as Text), '··a b·');
  assert.equal(visibleCell('a\u00a0' as Text), 'a\\u{a0}');
});

test('two cells that only look alike are spelled out', () => {
  assert.deepEqual(visiblePair('Luleå' as Text, 'Lulea\u030a' as Text), ['Lule\\u{e5}', 'Lulea\\u{30a}']);
  assert.deepEqual(visiblePair('å' as Text, 'b' as Text), ['å', 'b']);
});
