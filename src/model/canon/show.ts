import type { Cell, Text } from '../row.ts';
import type { ColumnType } from '../schema.ts';
import { floatAsText } from './float.ts';
import { isMisfit, misfitContent } from './misfit.ts';

/**
 * Characters that do something to a terminal, a page or a reader instead of being seen: controls (C0, DEL, C1), line
 * separators, bidirectional marks and overrides, zero-width and filler characters, tags, non-characters, halves of
 * surrogate pairs, blanks that look like U+0020 and are not, and variation selectors.
 */
const unseen =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: single code points, by number
  /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufdd0-\ufdef\ufff0-\ufffb\ufffe\uffff\u{e0000}-\u{e0fff}\ufe00-\ufe0f\u2800]|(?! )\p{Zs}|\\/gu;

const escapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const visible = (text: string): string =>
  text.replace(unseen, (c, at: number) => {
    if (c === '\\') {
      // A backslash is doubled only where it could be taken for the start of one of our escapes.
      const next = text.slice(at + 1, at + 3);
      unseenStart.lastIndex = 0;
      return unseenStart.test(next) ? '\\\\' : c;
    }
    const known = escapes[c];
    if (known !== undefined) return known;
    const point = c.codePointAt(0)!;
    if (point >= 0xdc80 && point <= 0xdcff) return `\\x${(point - 0xdc00).toString(16)}`;
    return `\\u{${point.toString(16)}}`;
  });

const unseenStart = new RegExp(`^(?:[nrtxu]|${unseen.source})`, 'u');

/**
 * A cell as people may see it on a terminal, a page or in a log: one line, nothing in it acts. An invalid byte is
 * `\xNN`, a control or invisible character `\n`, `\t` or `\u{…}`, a misfit `‹text "abc"›`. Different cells of a column
 * look different, blanks apart. HTML still needs its own escaping of `<` and `&`.
 *
 * JSON output needs no neutralising: JSON.stringify escapes controls and lone surrogates, so the cell comes back whole.
 */
export const show = (cell: Text): string => {
  if (!isMisfit(cell)) return visible(cell);
  const { stored, content } = misfitContent(cell);
  if (stored === 'c') return content;
  if (stored === 't') return `‹text "${visible(content)}"›`;
  return `‹${stored === 'n' ? 'number' : 'blob'} ${visible(content)}›`;
};

/** Any text as people may see it, as `show` does for cells: names, reasons, labels. */
export const visibleText = (text: string): string => show(text as Text);

/** A cell for people: NULL and the empty text differ, blanks at the ends show as `·`, what a column cannot hold is said so. */
export const visibleCell = (cell: Cell): string => {
  if (cell === null) return 'NULL';
  if (cell === '') return '""';
  if (cell === 'NULL') return '"NULL"';
  return show(cell).replace(/^ +| +$/g, (blanks) => '·'.repeat(blanks.length));
};

const spelledOut = (char: string): string => `\\u{${char.codePointAt(0)!.toString(16)}}`;

/** Two cells that differ: where they only look alike (a composed letter and a decomposed one), the marks are written out. */
export const visiblePair = (source: Cell, target: Cell): readonly [string, string] => {
  const a = visibleCell(source);
  const b = visibleCell(target);
  if (source === null || target === null || a.normalize('NFKC') !== b.normalize('NFKC')) return [a, b];
  const spelled = (text: string): string => text.replaceAll(/\p{M}|[^\u0020-\u007e]/gu, spelledOut);
  return a === b ? [a, b] : [spelled(a), spelled(b)];
};

/** What stands for a value that is not to be seen. */
const isConcealed = (cell: Cell): cell is Text => isMisfit(cell) && misfitContent(cell).stored === 'c';

/**
 * The cell that every output writes, for people and for programs: a 32-bit float as the shortest decimal of its own
 * width (11.61, not 11.609999656677246: one decimal per float, and it reads back as the same one), all else as it is.
 */
export const shownCell = (cell: Cell, type: ColumnType): Cell =>
  isConcealed(cell)
    ? (show(cell) as Text)
    : cell === null || type.kind !== 'float' || type.bits !== 32 || isMisfit(cell)
      ? cell
      : (floatAsText(cell, 32) as Text);
