import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Text } from '../row.ts';
import { misfit } from './misfit.ts';
import { show } from './show.ts';

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
