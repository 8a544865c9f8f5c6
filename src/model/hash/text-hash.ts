import { hash as digestOf } from 'node:crypto';
import { isMisfit, misfitContent } from '../canon/misfit.ts';
import { encodeUtf8 } from '../canon/utf8.ts';
import type { Cell, Row, Text } from '../row.ts';
import type { Kind } from '../schema.ts';
import type { SelectedColumn } from '../selected.ts';

/**
 * The text hash: what servers without the functions of `spec.ts` can compute themselves, so that a table can be digested
 * where it is and only numbers travel. Slower to make than a row hash, and nothing else rests on it: it says which parts
 * of a table are equal. Written once here; engines write it in SQL.
 *
 *   text = the seed as 16 hexadecimal digits, then `r` for the row or `k` for its key, then the fields of the columns
 *          (the key's: of the first ones), all joined by `|`
 *   row  = the first 16 hexadecimal digits of md5(text) as a number, 0 <= row < 2^64
 *   part = the first 8 hexadecimal digits of md5(text of the key) as a number, modulo `count`
 *
 *   plain kinds    one field: the canonical text; `~` for NULL. float: the 16 hexadecimal digits of the double, -0 as 0;
 *                  bool: 1 or 0. A misfit is its content: no canonical text of the kind is like it.
 *   framed kinds   two fields: the number of bytes, and the bytes themselves (as lower hexadecimal digits for `bytes`), or
 *                  md5 of the bytes where they are more than `mostWhole`; for NULL the one field -1.
 */
export const plainKinds: ReadonlySet<Kind> = new Set<Kind>([
  'int',
  'decimal',
  'float',
  'bool',
  'uuid',
  'bit',
  'date',
  'time',
  'timestamp',
  'instant',
]);

/** Bytes of a cell that are hashed as they are: with more a row could become larger than a server builds a text. */
export const mostWhole = 8192;

/** What every text begins with. */
export const textPrefix = (seed: bigint, purpose: 'row' | 'key'): string =>
  `${BigInt.asUintN(64, seed).toString(16).padStart(16, '0')}|${purpose === 'row' ? 'r' : 'k'}`;

const bits = new DataView(new ArrayBuffer(8));

const floatHex = (cell: Text): string => {
  const x = Number(cell);
  if (Number.isNaN(x)) return '7ff8000000000000';
  bits.setFloat64(0, x === 0 ? 0 : x);
  return bits.getBigUint64(0).toString(16).padStart(16, '0');
};

const plainField = (kind: Kind, cell: Cell): string => {
  if (cell === null) return '~';
  if (isMisfit(cell)) return misfitContent(cell).content;
  if (kind === 'float') return floatHex(cell);
  if (kind === 'bool') return cell === 'true' ? '1' : '0';
  return cell;
};

const framedFields = (kind: Kind, cell: Cell): readonly Uint8Array[] => {
  if (cell === null) return [Buffer.from('-1')];
  const bytes = kind === 'bytes' ? Buffer.from(cell, 'hex') : encodeUtf8(cell);
  const content =
    bytes.length > mostWhole
      ? Buffer.from(digestOf('md5', bytes, 'hex'))
      : kind === 'bytes'
        ? Buffer.from(cell)
        : bytes;
  return [Buffer.from(String(bytes.length)), content];
};

const bar = Buffer.from('|');

/** The text hash in JavaScript, from canonical cells. */
export interface TextHasher {
  /** 0 <= hash < 2^64 */
  row(row: Row): bigint;
  part(row: Row, count: number): number;
}

export const textHasher = (columns: readonly SelectedColumn[], keyWidth: number, seed: bigint): TextHasher => {
  const md5 = (row: Row, width: number, purpose: 'row' | 'key'): string => {
    const fields: Uint8Array[] = [Buffer.from(textPrefix(seed, purpose))];
    for (let i = 0; i < width; i++) {
      const { kind } = columns[i]!.as;
      const own = plainKinds.has(kind) ? [Buffer.from(plainField(kind, row[i]!))] : framedFields(kind, row[i]!);
      for (const field of own) fields.push(bar, field);
    }
    return digestOf('md5', Buffer.concat(fields), 'hex');
  };
  return {
    row: (row) => BigInt(`0x${md5(row, columns.length, 'row').slice(0, 16)}`),
    part: (row, count) => Number.parseInt(md5(row, keyWidth, 'key').slice(0, 8), 16) % count,
  };
};
