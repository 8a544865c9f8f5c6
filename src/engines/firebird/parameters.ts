import { type Quad, type WireParameter, wire } from './driver.ts';

/** A double, bit by bit: read from digits, the server would be off by the last bit of every seventh. */
export const doubleParameter = (x: number): WireParameter => ({
  value: x,
  calcBlr: (blr) => blr.addByte(wire.blr_double),
  encode: (data) => data.addDouble(x),
});

/** A BLOB of this transaction, by its address. */
export const blobParameter = (address: Quad): WireParameter => ({
  value: address,
  calcBlr: (blr) => {
    blr.addByte(wire.blr_quad);
    blr.addShort(0);
  },
  encode: (data) => {
    data.addInt(address.high);
    data.addInt(address.low);
  },
});
