import { encodeUtf8 } from './utf8.ts';

/** CHAR(n): trailing U+0020 are not part of the value. */
export const withoutPadding = (text: string): string => {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 32) end--;
  return end === text.length ? text : text.slice(0, end);
};

/** Length in characters (code points), as databases count varchar(n). */
export const characters = (text: string): number => {
  let count = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    if ((text.charCodeAt(i) & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      count--;
      i++;
    }
  }
  return count;
};

const isSurrogate = (unit: number): boolean => (unit & 0xf800) === 0xd800;

/**
 * Order of texts by their UTF-8 bytes; a lone surrogate that stands for an invalid byte sorts as that byte. JavaScript's
 * own `<` is UTF-16 order, which puts U+FFFD after U+1F600. Nothing is allocated unless bytes are invalid.
 */
export const compareTexts = (a: string, b: string): number => {
  if (a === b) return 0;
  const shared = Math.min(a.length, b.length);
  let i = 0;
  while (i < shared && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  if (i === shared) return a.length - b.length;
  // Two pairs may share their first half.
  if (i > 0 && (a.charCodeAt(i - 1) & 0xfc00) === 0xd800) i--;
  const x = a.codePointAt(i)!;
  const y = b.codePointAt(i)!;
  if (!isSurrogate(x) && !isSurrogate(y) && x !== y) return x - y;
  return Buffer.compare(encodeUtf8(a.slice(i)), encodeUtf8(b.slice(i))) || (a < b ? -1 : 1);
};
