import { show } from '../../model/canon/show.ts';
import type { Cell, Text } from '../../model/row.ts';

/** Blanks that look like U+0020 and are not, and marks that change nothing one can see. */
const lookalikes = /(?! )\p{Zs}|[\ufe00-\ufe0f]|\u2800/gu;
const spelledOut = (char: string): string => `\\u{${char.codePointAt(0)!.toString(16)}}`;

/** Text in which nothing acts on a terminal or hides: controls, bidi, zero-width and invalid bytes are written out. */
export const visibleText = (text: string): string => show(text as Text).replaceAll(lookalikes, spelledOut);

/** A cell for people: NULL and the empty text differ, blanks at the ends show as `·`, what a column cannot hold is said so. */
export const visibleCell = (cell: Cell): string => {
  if (cell === null) return 'NULL';
  if (cell === '') return '""';
  if (cell === 'NULL') return '"NULL"';
  return visibleText(cell).replace(/^ +| +$/g, (blanks) => '·'.repeat(blanks.length));
};

/** Two cells that differ: where they only look alike (a composed letter and a decomposed one), the marks are written out. */
export const visiblePair = (source: Cell, target: Cell): readonly [string, string] => {
  const a = visibleCell(source);
  const b = visibleCell(target);
  if (source === null || target === null || a.normalize('NFKC') !== b.normalize('NFKC')) return [a, b];
  const spelled = (text: string): string => text.replaceAll(/\p{M}|[^\u0020-\u007e]/gu, spelledOut);
  return a === b ? [a, b] : [spelled(a), spelled(b)];
};

/** The two cells cut to `width` around the first character in which they differ. */
export const cutPair = (a: string, b: string, width: number): readonly [string, string] => {
  if (a.length <= width && b.length <= width) return [a, b];
  let first = 0;
  while (first < a.length && first < b.length && a[first] === b[first]) first++;
  if (a === b) first = 0;
  const from = Math.max(0, Math.min(first - 20, Math.max(a.length, b.length) - width));
  const part = (text: string): string => {
    const start = from > 0 && text.length > width ? from : 0;
    const head = start > 0 ? '…' : '';
    const room = width - head.length;
    const rest = text.slice(start);
    return head + (rest.length > room ? `${rest.slice(0, room - 1)}…` : rest);
  };
  return [part(a), part(b)];
};
