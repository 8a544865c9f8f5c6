import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Out } from '../io.ts';
import { flowed, writeList } from './list.ts';
import { displayWidth } from './text.ts';

const listed = async (columns: number, isTTY = true): Promise<readonly string[]> => {
  let text = '';
  const out: Out = {
    isTTY,
    columns,
    color: false,
    closed: false,
    flush: async () => {},
    write: async (more) => {
      text += more;
    },
  };
  const rows = [
    ['r_1', 'sync', '', '1.5 s', 'differs in many columns of very many rows'],
    ['r_22', 'diff', '漢字漢字', '850 ms', 'agrees'],
  ];
  await writeList(out, ['RUN', 'KIND', 'WHAT', 'TOOK', 'RESULT'], rows, (i) => i === 3);
  assert.match(text, /\n$/);
  return text.slice(0, -1).split('\n');
};

test('a list is a table where there is room for it, and where nobody looks', async () => {
  const table = [
    '  RUN    KIND   WHAT         TOOK   RESULT',
    '  r_1    sync               1.5 s   differs in many columns of very many rows',
    '  r_22   diff   漢字漢字   850 ms   agrees',
  ];
  assert.deepEqual(await listed(80), table);
  assert.deepEqual(await listed(20, false), table);
});

test('a list in a narrow terminal keeps every word of it, and no line is broken by the terminal', async () => {
  for (const columns of [70, 40, 24]) {
    const lines = await listed(columns);
    assert.deepEqual(
      lines.filter((line) => displayWidth(line) > columns),
      [],
    );
    const text = lines.map((line) => line.trim()).join(' ');
    for (const word of ['r_1', 'kind sync', 'took 1.5 s', 'result differs in many columns of very many rows', 'r_22'])
      assert.ok(text.includes(word), `${columns}: ${word} in ${text}`);
    assert.doesNotMatch(text, /RESULT|what {2}/);
  }
});

test('parts share lines as long as they fit; a part longer than a line is broken at blanks', () => {
  assert.deepEqual(flowed(['one', 'two', 'three four five', 'six'], ' · ', 11), [
    'one · two',
    'three four',
    'five · six',
  ]);
  assert.deepEqual(flowed([], ' · ', 11), ['']);
});
