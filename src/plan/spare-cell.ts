import { createHash } from 'node:crypto';
import type { Cell, Text } from '../model/row.ts';
import type { Column } from '../model/schema.ts';

/** Printable, and in every character set. */
const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&()*+,-.:;=?@[]^_{}~';

/**
 * A value that a unique column most likely holds nowhere, for a row that is about to go: NULL where it may be, else
 * made of `seed`, the same each time. Undefined: none can be made up for this kind.
 */
export const spareCell = (column: Column, seed: string): Cell | undefined => {
  if (column.nullable) return null;
  const bytes = createHash('sha256').update(seed).digest();
  const text = (value: string): Cell => value as Text;
  const { type } = column;
  switch (type.kind) {
    case 'text': {
      const word = `lockstep ${bytes.toString('hex', 0, 8)}`;
      if (type.maxLength === undefined || type.maxLength >= word.length) return text(word);
      return text([...bytes.subarray(0, type.maxLength)].map((b) => letters[b % letters.length]).join(''));
    }
    case 'int': {
      const size = { 16: 2 ** 14, 32: 2 ** 30, 64: 2 ** 52 }[type.bits];
      return text(String(size + (bytes.readUIntBE(0, 6) % size)));
    }
    case 'uuid': {
      const hex = bytes.toString('hex');
      return text(
        [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
          '-',
        ),
      );
    }
    case 'date':
      return text(
        `0${100 + (bytes[0]! % 200)}-${String(1 + (bytes[1]! % 12)).padStart(2, '0')}-${String(1 + (bytes[2]! % 28)).padStart(2, '0')}`,
      );
    default:
      return undefined;
  }
};
