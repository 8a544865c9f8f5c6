import type { Text } from '../row.ts';
import { isMisfit, misfitContent } from './misfit.ts';

/**
 * Characters that do something to a terminal, a page or a reader instead of being seen: controls (C0, DEL, C1), line
 * separators, bidirectional marks and overrides, zero-width and filler characters, tags, non-characters, and halves of
 * surrogate pairs.
 */
const unseen =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: single code points, by number
  /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufdd0-\ufdef\ufff0-\ufffb\ufffe\uffff\u{e0000}-\u{e0fff}]|\\/gu;

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
  if (stored === 't') return `‹text "${visible(content)}"›`;
  return `‹${stored === 'n' ? 'number' : 'blob'} ${visible(content)}›`;
};
