import { randomBytes } from 'node:crypto';
import type { Column } from '../../model/schema.ts';
import type { Bind } from './database.ts';

/** A value for a unique column that no row has: NULL where it may be, else something random of the column's kind. */
export const spareValue = (column: Column, index: number): Bind => {
  if (column.nullable) return null;
  const random = randomBytes(8);
  switch (column.type.kind) {
    case 'int':
    case 'decimal':
    case 'bool':
      return random.readBigInt64LE() >> 2n;
    case 'float':
      return random.readInt32LE() + index / 1024;
    case 'bytes':
      return random;
    default:
      return `lockstep ${random.toString('hex')}`;
  }
};
