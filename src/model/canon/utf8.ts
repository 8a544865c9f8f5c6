/**
 * UTF-8 with every byte kept: a byte that is not part of valid UTF-8 becomes the lone surrogate U+DC00 + byte
 * (U+DC80..U+DCFF), as Python's surrogateescape (PEP 383) does, and back. Injective: valid UTF-8 never decodes to one.
 */
export const decodeUtf8 = (bytes: Uint8Array): string => {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString('utf8');
  // The decoder replaces what is invalid by U+FFFD, which may also have been there.
  return text.includes('\ufffd') ? decodeBytewise(bytes) : text;
};

/** The bytes of a text. A lone surrogate that stands for no byte is written as three bytes (generalised UTF-8). */
export const encodeUtf8 = (text: string): Uint8Array =>
  text.isWellFormed() ? Buffer.from(text, 'utf8') : encodeUnitwise(text);

/** Bytes of a well-formed sequence at `i` (Unicode 3.9, table 3-7), or 0 where none starts. */
const sequenceLength = (bytes: Uint8Array, i: number): number => {
  const lead = bytes[i]!;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const second = bytes[i + 1] ?? 0;
  if (lead < 0xe0) return second >= 0x80 && second <= 0xbf ? 2 : 0;
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  const length = lead < 0xf0 ? 3 : 4;
  for (let k = 2; k < length; k++) if (((bytes[i + k] ?? 0) & 0xc0) !== 0x80) return 0;
  return length;
};

const decodeBytewise = (bytes: Uint8Array): string => {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  let start = 0;
  for (let i = 0; i < bytes.length; ) {
    const length = sequenceLength(bytes, i);
    if (length === 0) {
      text += buffer.toString('utf8', start, i) + String.fromCharCode(0xdc00 + bytes[i]!);
      i++;
      start = i;
    } else i += length;
  }
  return text + buffer.toString('utf8', start);
};

const encodeUnitwise = (text: string): Uint8Array => {
  const out = Buffer.allocUnsafe(text.length * 3);
  let o = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) out[o++] = unit;
    else if (unit >= 0xdc80 && unit <= 0xdcff) out[o++] = unit - 0xdc00;
    else {
      const point = text.codePointAt(i)!;
      if (point > 0xffff) {
        out[o++] = 0xf0 | (point >> 18);
        out[o++] = 0x80 | ((point >> 12) & 63);
        out[o++] = 0x80 | ((point >> 6) & 63);
        i++;
      } else if (point > 0x7ff) {
        out[o++] = 0xe0 | (point >> 12);
        out[o++] = 0x80 | ((point >> 6) & 63);
      } else out[o++] = 0xc0 | (point >> 6);
      out[o++] = 0x80 | (point & 63);
    }
  }
  return out.subarray(0, o);
};
