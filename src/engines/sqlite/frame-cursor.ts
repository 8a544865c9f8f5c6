import { storedBlob, storedInteger, storedReal, storedText } from '../../model/canon/stored.ts';
import { decodeUtf8 } from '../../model/canon/utf8.ts';
import type { Cell } from '../../model/row.ts';
import type { SelectedColumn } from '../../model/selected.ts';
import { type FrameColumn, nullMark, oddMark, separator } from './frame.ts';

/** The blob being read, and where in it. Shared by the readers of all columns, which run millions of times. */
export interface Cursor {
  bytes: Buffer;
  view: DataView;
  /** What stands for NULL in place of a text. */
  readonly token: Uint8Array;
  /** The next byte to read. */
  at: number;
  /** The cell last located: its content is `bytes[start..end)`; `start` is -1 for NULL. */
  start: number;
  end: number;
}

export const cursor = (token: Uint8Array): Cursor => {
  const bytes = Buffer.alloc(0);
  return { bytes, view: new DataView(bytes.buffer, 0, 0), token, at: 0, start: 0, end: 0 };
};

export const load = (c: Cursor, blob: Uint8Array): void => {
  c.bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
  c.view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  c.at = 0;
};

/** What a chunk that cannot be read as frames ends with: it is then read row by row. */
export class BrokenFrame extends Error {}

const separators = 0x01010101 * separator;

/** The place of the next separator at or after `from`, four bytes at a time. */
export const separatorAfter = ({ bytes, view }: Cursor, from: number): number => {
  let p = from;
  const last = bytes.length - 4;
  for (; p <= last; p += 4) {
    const x = view.getInt32(p, true) ^ separators;
    // A byte of x that is zero borrows from its high bit.
    if (((x - 0x01010101) & ~x & 0x80808080) !== 0) break;
  }
  while (bytes[p] !== separator) if (++p > bytes.length) throw new BrokenFrame();
  return p;
};

/** True where the NULL of a text column stands. */
export const isToken = ({ bytes, token }: Cursor, from: number): boolean => {
  for (let i = 0; i < token.length; i++) if (bytes[from + i] !== token[i]) return false;
  return bytes[from + token.length] === separator;
};

/** Finds the content of a sized cell: behind its length. */
export const locateSized = (c: Cursor): void => {
  const { bytes } = c;
  let p = c.at;
  let length = 0;
  let d = bytes[p]! - 48;
  if (d === 10) {
    c.start = -1;
    c.at = p + 1;
    return;
  }
  for (; d >= 0 && d <= 9; d = bytes[++p]! - 48) length = length * 10 + d;
  if (d !== 10 || p + 1 + length > bytes.length) throw new BrokenFrame();
  c.start = p + 1;
  c.end = p + 1 + length;
  c.at = c.end;
};

/** Finds the content of the cell at the cursor and moves behind it. */
export const locate = (c: Cursor, kind: FrameColumn['kind']): void => {
  if (kind === 'sized') {
    locateSized(c);
    return;
  }
  const begin = c.at;
  if (c.bytes[begin] === oddMark) throw new BrokenFrame();
  const end = separatorAfter(c, begin);
  c.at = end + 1;
  c.end = end;
  const isNull = kind === 'number' ? end === begin : c.bytes[begin] === nullMark && isToken(c, begin);
  c.start = isNull ? -1 : begin;
};

const integer = /^-?\d+$/;

/** The canonical cell last located, the slow way: for keys, and for what no fast reader knows. */
export const cellAt = ({ as, stored }: SelectedColumn, { kind, blob }: FrameColumn, c: Cursor): Cell => {
  if (c.start < 0) return null;
  if (blob) return storedBlob(as, stored, c.bytes.subarray(c.start, c.end));
  if (kind !== 'number') return storedText(as, stored, decodeUtf8(c.bytes.subarray(c.start, c.end)));
  const text = c.bytes.toString('latin1', c.start, c.end);
  if (integer.test(text)) return storedInteger(as, stored, text);
  return storedReal(as, stored, Number(text.replace('Inf', 'Infinity')));
};
