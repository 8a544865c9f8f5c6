/**
 * lookup3 by Bob Jenkins (2006, public domain, burtleburtle.net/bob/c/lookup3.c) as PostgreSQL uses it with a 64-bit
 * seed: `hash_bytes_extended` and `hash_bytes_uint32_extended` of src/common/hashfn.c on a little-endian machine.
 * The result is the 64 bits that `hashtextextended` and its relatives return.
 *
 * To hash millions of cells without allocating, functions leave their result in `hashed` and take 64-bit numbers as
 * two signed 32-bit halves. A caller reads `hashed` before the next call.
 */

/** The last result: [high half, low half]. */
export const hashed = new Int32Array(2);

/** Hashes `length` bytes of `view` from `offset`; the seed's two halves both zero is the seed 0. */
export const hashView = (view: DataView, offset: number, length: number, seedHigh: number, seedLow: number): void => {
  let a = (0x9e3779b9 + length + 3923095) | 0;
  let b = a;
  let c = a;
  if ((seedHigh | seedLow) !== 0) {
    a = (a + seedHigh) | 0;
    b = (b + seedLow) | 0;
    a = (a - c) ^ ((c << 4) | (c >>> 28)); // mix
    c = (c + b) | 0;
    b = (b - a) ^ ((a << 6) | (a >>> 26));
    a = (a + c) | 0;
    c = (c - b) ^ ((b << 8) | (b >>> 24));
    b = (b + a) | 0;
    a = (a - c) ^ ((c << 16) | (c >>> 16));
    c = (c + b) | 0;
    b = (b - a) ^ ((a << 19) | (a >>> 13));
    a = (a + c) | 0;
    c = (c - b) ^ ((b << 4) | (b >>> 28));
    b = (b + a) | 0;
  }
  let i = offset;
  let n = length;
  while (n >= 12) {
    a = (a + view.getInt32(i, true)) | 0;
    b = (b + view.getInt32(i + 4, true)) | 0;
    c = (c + view.getInt32(i + 8, true)) | 0;
    a = (a - c) ^ ((c << 4) | (c >>> 28)); // mix
    c = (c + b) | 0;
    b = (b - a) ^ ((a << 6) | (a >>> 26));
    a = (a + c) | 0;
    c = (c - b) ^ ((b << 8) | (b >>> 24));
    b = (b + a) | 0;
    a = (a - c) ^ ((c << 16) | (c >>> 16));
    c = (c + b) | 0;
    b = (b - a) ^ ((a << 19) | (a >>> 13));
    a = (a + c) | 0;
    c = (c - b) ^ ((b << 4) | (b >>> 28));
    b = (b + a) | 0;
    i += 12;
    n -= 12;
  }
  // The tail falls through; the lowest byte of c stays free for the length.
  switch (n) {
    case 11:
      c = (c + (view.getUint8(i + 10) << 24)) | 0;
    case 10:
      c = (c + (view.getUint8(i + 9) << 16)) | 0;
    case 9:
      c = (c + (view.getUint8(i + 8) << 8)) | 0;
    case 8:
      b = (b + view.getInt32(i + 4, true)) | 0;
      a = (a + view.getInt32(i, true)) | 0;
      break;
    case 7:
      b = (b + (view.getUint8(i + 6) << 16)) | 0;
    case 6:
      b = (b + (view.getUint8(i + 5) << 8)) | 0;
    case 5:
      b = (b + view.getUint8(i + 4)) | 0;
    case 4:
      a = (a + view.getInt32(i, true)) | 0;
      break;
    case 3:
      a = (a + (view.getUint8(i + 2) << 16)) | 0;
    case 2:
      a = (a + (view.getUint8(i + 1) << 8)) | 0;
    case 1:
      a = (a + view.getUint8(i)) | 0;
  }
  c = ((c ^ b) - ((b << 14) | (b >>> 18))) | 0; // final
  a = ((a ^ c) - ((c << 11) | (c >>> 21))) | 0;
  b = ((b ^ a) - ((a << 25) | (a >>> 7))) | 0;
  c = ((c ^ b) - ((b << 16) | (b >>> 16))) | 0;
  a = ((a ^ c) - ((c << 4) | (c >>> 28))) | 0;
  b = ((b ^ a) - ((a << 14) | (a >>> 18))) | 0;
  c = ((c ^ b) - ((b << 24) | (b >>> 8))) | 0;
  hashed[0] = b;
  hashed[1] = c;
};

/** At most eight bytes, given as one or two little-endian words with zeros behind the last byte: without memory. */
export const hashWords = (length: number, first: number, second: number, seedHigh: number, seedLow: number): void => {
  let a = (0x9e3779b9 + length + 3923095) | 0;
  let b = a;
  let c = a;
  if ((seedHigh | seedLow) !== 0) {
    a = (a + seedHigh) | 0;
    b = (b + seedLow) | 0;
    a = (a - c) ^ ((c << 4) | (c >>> 28)); // mix
    c = (c + b) | 0;
    b = (b - a) ^ ((a << 6) | (a >>> 26));
    a = (a + c) | 0;
    c = (c - b) ^ ((b << 8) | (b >>> 24));
    b = (b + a) | 0;
    a = (a - c) ^ ((c << 16) | (c >>> 16));
    c = (c + b) | 0;
    b = (b - a) ^ ((a << 19) | (a >>> 13));
    a = (a + c) | 0;
    c = (c - b) ^ ((b << 4) | (b >>> 28));
    b = (b + a) | 0;
  }
  a = (a + first) | 0;
  b = (b + second) | 0;
  c = ((c ^ b) - ((b << 14) | (b >>> 18))) | 0; // final
  a = ((a ^ c) - ((c << 11) | (c >>> 21))) | 0;
  b = ((b ^ a) - ((a << 25) | (a >>> 7))) | 0;
  c = ((c ^ b) - ((b << 16) | (b >>> 16))) | 0;
  a = ((a ^ c) - ((c << 4) | (c >>> 28))) | 0;
  b = ((b ^ a) - ((a << 14) | (a >>> 18))) | 0;
  c = ((c ^ b) - ((b << 24) | (b >>> 8))) | 0;
  hashed[0] = b;
  hashed[1] = c;
};

/** `hash_bytes_uint32_extended`: the four bytes of one 32-bit number. */
export const hashUint32 = (value: number, seedHigh: number, seedLow: number): void =>
  hashWords(4, value, 0, seedHigh, seedLow);

/** `hashint8extended` of high·2^32 + low: the server folds eight bytes to four before it hashes. */
export const hashInt64 = (high: number, low: number, seedHigh: number, seedLow: number): void =>
  hashUint32(low ^ (high >= 0 ? high : ~high), seedHigh, seedLow);

/** The last result as PostgreSQL's signed bigint. */
export const hashedInt64 = (): bigint => (BigInt(hashed[0]!) << 32n) | BigInt(hashed[1]! >>> 0);

/** `hashbyteaextended(bytes, seed)`, and `hashtextextended` of a text with these UTF-8 bytes; signed 64 bits. */
export const hashBytes = (bytes: Uint8Array, seed: bigint): bigint => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  hashView(view, 0, bytes.length, Number(BigInt.asIntN(32, seed >> 32n)), Number(BigInt.asIntN(32, seed)));
  return hashedInt64();
};

/** What PostgreSQL answers to `hashtextextended(text collate "C", seed)`: an engine checks its server against these. */
export const lookup3Vectors: readonly { readonly text: string; readonly seed: bigint; readonly hash: bigint }[] = [
  { text: 'abc', seed: 0n, hash: -6747756470228489321n },
  { text: '', seed: 0n, hash: -6939563903564495251n },
  { text: '', seed: 1n, hash: -150071773020461347n },
];
