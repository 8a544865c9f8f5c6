import { dateDays } from '../../model/canon/date.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import { parts, timestampParts } from '../../model/canon/timestamp.ts';
import { encodeUtf8 } from '../../model/canon/utf8.ts';
import type { Cell, Text } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';

const ofNull = Uint8Array.of(0);

/** Bytes that sort (memcmp, as SQLite sorts blobs) as `compareCells` of `model/order.ts` sorts the cells. */
export const sortKey = (type: ColumnType, cell: Cell): Uint8Array => {
  if (cell === null) return ofNull;
  if (isMisfit(cell)) return prefixed(2, encodeUtf8(cell.slice(1)));
  switch (type.kind) {
    case 'int':
    case 'decimal':
      return decimalKey(cell);
    case 'float':
      return prefixed(1, doubleBytes(Number(cell)));
    case 'date':
      return prefixed(1, doubleBytes(dateDays(cell)));
    case 'timestamp':
    case 'instant':
      return momentKey(cell);
    default:
      return prefixed(1, encodeUtf8(cell));
  }
};

const prefixed = (first: number, bytes: Uint8Array): Uint8Array => {
  const key = new Uint8Array(bytes.length + 1);
  key[0] = first;
  key.set(bytes, 1);
  return key;
};

const view = new DataView(new ArrayBuffer(8));

/** IEEE 754 with the sign turned so that the bytes sort as the numbers; NaN last. */
const doubleBytes = (x: number): Uint8Array => {
  if (Number.isNaN(x)) return new Uint8Array(8).fill(255);
  view.setFloat64(0, x === 0 ? 0 : x);
  const high = view.getInt32(0);
  if (high < 0) {
    view.setInt32(0, ~high);
    view.setInt32(4, ~view.getInt32(4));
  } else view.setInt32(0, high ^ 0x80000000);
  return new Uint8Array(view.buffer.slice(0));
};

const momentKey = (cell: Text): Uint8Array => {
  const sign = timestampParts(cell);
  const key = new Uint8Array(13);
  key[0] = 1;
  key.set(doubleBytes(sign === 0 ? parts.seconds : sign * Number.POSITIVE_INFINITY), 1);
  if (sign === 0) new DataView(key.buffer).setUint32(9, parts.micros);
  return key;
};

/** Sign, then length of the whole part, then the digits; all turned round for negative numbers. */
const decimalKey = (cell: Text): Uint8Array => {
  const special = { '-Infinity': 0, Infinity: 3, NaN: 4 }[cell as string];
  if (special !== undefined) return Uint8Array.of(1, special);
  const negative = cell.charCodeAt(0) === 45;
  const digits = negative ? cell.slice(1) : cell;
  const point = digits.indexOf('.');
  const key = new Uint8Array(digits.length + (negative ? 7 : 6));
  key[0] = 1;
  key[1] = negative ? 1 : 2;
  new DataView(key.buffer).setUint32(2, point < 0 ? digits.length : point);
  for (let i = 0; i < digits.length; i++) key[6 + i] = digits.charCodeAt(i);
  if (negative) for (let i = 2; i < key.length; i++) key[i] = ~key[i]! & 255;
  return key;
};
