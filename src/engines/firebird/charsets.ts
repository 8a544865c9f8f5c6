import { decodeUtf8, encodeUtf8 } from '../../model/canon/utf8.ts';
import type { BytesReader } from './decode.ts';

/** How the bytes of a character set are text; both directions without loss. */
export interface Codec {
  readonly decode: BytesReader;
  /** Undefined: the text cannot be written in this character set. */
  encode(text: string): Buffer | undefined;
}

const utf8: Codec = {
  decode: decodeUtf8,
  encode: (text) => {
    const bytes = encodeUtf8(text);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  },
};

/** Firebird's names of single-byte character sets, as the Encoding Standard calls them. */
const labels: Readonly<Record<string, string>> = {
  ISO8859_2: 'iso-8859-2',
  ISO8859_3: 'iso-8859-3',
  ISO8859_4: 'iso-8859-4',
  ISO8859_5: 'iso-8859-5',
  ISO8859_6: 'iso-8859-6',
  ISO8859_7: 'iso-8859-7',
  ISO8859_8: 'iso-8859-8',
  ISO8859_13: 'iso-8859-13',
  WIN1250: 'windows-1250',
  WIN1251: 'windows-1251',
  WIN1252: 'windows-1252',
  WIN1253: 'windows-1253',
  WIN1254: 'windows-1254',
  WIN1255: 'windows-1255',
  WIN1256: 'windows-1256',
  WIN1257: 'windows-1257',
  WIN1258: 'windows-1258',
  KOI8R: 'koi8-r',
  KOI8U: 'koi8-u',
  DOS866: 'ibm866',
};

/** A byte without a character keeps its place among the lone surrogates, as in `canon/utf8.ts`. */
const kept = (byte: number): string => String.fromCharCode(0xdc00 + byte);

/** Characters of the 256 bytes. */
const table = (name: string): string[] | undefined => {
  if (name === 'ASCII') return Array.from({ length: 256 }, (_, b) => (b < 128 ? String.fromCharCode(b) : kept(b)));
  if (name === 'ISO8859_1') return Array.from({ length: 256 }, (_, b) => String.fromCharCode(b));
  if (name === 'ISO8859_9') {
    // Latin-5 is Latin-1 with six Turkish letters.
    const turkish: Readonly<Record<number, string>> = { 208: 'Ğ', 221: 'İ', 222: 'Ş', 240: 'ğ', 253: 'ı', 254: 'ş' };
    return Array.from({ length: 256 }, (_, b) => turkish[b] ?? String.fromCharCode(b));
  }
  const label = labels[name];
  if (label === undefined) return undefined;
  const decoder = new TextDecoder(label);
  return Array.from({ length: 256 }, (_, b) => {
    if (b < 128) return String.fromCharCode(b);
    const char = decoder.decode(Uint8Array.of(b));
    // The Encoding Standard reads an unused byte as a control character; in the database it is no character.
    return char === '\ufffd' || (b >= 0x80 && char.charCodeAt(0) === b && b < 0xa0) ? kept(b) : char;
  });
};

const singleByte = (chars: readonly string[]): Codec => {
  const bytes = new Map(chars.map((char, byte) => [char, byte]));
  return {
    decode: (data) => {
      let text = '';
      for (let i = 0; i < data.length; i++) text += chars[data[i]!];
      return text;
    },
    encode: (text) => {
      const out = Buffer.allocUnsafe(text.length);
      for (let i = 0; i < text.length; i++) {
        const byte = bytes.get(text[i]!);
        if (byte === undefined) return undefined;
        out[i] = byte;
      }
      return out;
    },
  };
};

const known = new Map<string, Codec | undefined>();

/** How we read a character set by ourselves; undefined for one that only the server can (two bytes a character). */
export const codecOf = (name: string): Codec | undefined => {
  if (name === 'UTF8' || name === 'UNICODE_FSS') return utf8;
  if (!known.has(name)) {
    const chars = table(name);
    known.set(name, chars && singleByte(chars));
  }
  return known.get(name);
};

/** Is the server's own text of this character set UTF-8 already? */
export const isUtf8 = (name: string): boolean => name === 'UTF8' || name === 'UNICODE_FSS';
