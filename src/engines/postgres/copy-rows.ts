import { decodeUtf8 } from '../../model/canon/utf8.ts';
import type { HashBatch, LooseBatch } from '../../model/reader.ts';
import type { Batch, Cell, Key, Row, Text } from '../../model/row.ts';
import type { RowSink } from './copy-out.ts';

/** Turns a field's text into its cell; undefined: it is the cell. */
export type Decoder = ((text: string) => Text) | undefined;

const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
const unescaped = (field: string): string => field.replace(/\\(.)/gs, (_, c: string) => escapes[c] ?? c);

/** One line of COPY's text format, without its line end. */
const splitLine = (line: string, decoders: readonly Decoder[], decodes: boolean): Cell[] => {
  const fields = line.split('\t') as (string | null)[];
  if (line.includes('\\')) {
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!;
      if (field === '\\N') fields[i] = null;
      else if (field.includes('\\')) fields[i] = unescaped(field);
    }
  }
  if (decodes) {
    for (let i = 0; i < fields.length; i++) {
      const decode = decoders[i];
      const field = fields[i]!;
      if (decode && field !== null) fields[i] = decode(field);
    }
  }
  return fields as Cell[];
};

/** Gathers rows of COPY's text format. `validUtf8`: the server vouches for its text. */
export const textRows = (decoders: readonly Decoder[], batchRows: number, validUtf8: boolean): RowSink<Batch<Row>> => {
  const decodes = decoders.some((d) => d !== undefined);
  let rows: Row[] = [];
  return {
    row: (bytes, start, end) => {
      const line = validUtf8 ? bytes.toString('utf8', start, end - 1) : decodeUtf8(bytes.subarray(start, end - 1));
      rows.push(splitLine(line, decoders, decodes));
    },
    take: (last) => {
      if (rows.length === 0 || (!last && rows.length < batchRows)) return undefined;
      const batch = rows;
      rows = [];
      return batch;
    },
  };
};

const firstHashes = 16_384;

/** A buffer of pairs that grows; `take` hands over what is filled. */
const hashHalves = (): { push(high: number, low: number): void; take(): Int32Array } => {
  let values = new Int32Array(firstHashes);
  let n = 0;
  return {
    push: (high, low) => {
      if (n === values.length) {
        const wider = new Int32Array(n * 2);
        wider.set(values);
        values = wider;
      }
      values[n++] = high;
      values[n++] = low;
    },
    take: () => {
      const taken = values.slice(0, n);
      n = 0;
      return taken;
    },
  };
};

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
export const headerBytes = 19;

/** The message that opens a binary COPY carries the file header before its first tuple. */
export const tupleStart = (bytes: Buffer, start: number, end: number): number =>
  end - start >= headerBytes &&
  bytes[start] === 0x50 &&
  bytes.compare(signature, 0, signature.length, start, start + signature.length) === 0
    ? start + headerBytes
    : start;

const noHash = (): never => {
  throw new Error('a row has no hash');
};

const outOfOrder = (): never => {
  throw new Error('the server sent keys out of order');
};

/** `(int8 key, int8 hash)` of a binary COPY. A merge of keys that are not in order would show false differences. */
export const int64Hashes = (batchRows: number): RowSink<HashBatch> => {
  const hashes = hashHalves();
  let keys = new BigInt64Array(firstHashes);
  let halves = new Int32Array(keys.buffer);
  let n = 0;
  let lastHigh = -0x8000_0000;
  let lastLow = 0;
  return {
    row: (bytes, start, end) => {
      const at = tupleStart(bytes, start, end);
      if (end - at < 26) {
        if (end - at === 0 || bytes.readInt16BE(at) === -1) return; // a header alone, or the trailer
        noHash();
      }
      if (n === keys.length) {
        const wider = new BigInt64Array(n * 2);
        wider.set(keys);
        keys = wider;
        halves = new Int32Array(keys.buffer);
      }
      const high = bytes.readInt32BE(at + 6);
      const low = bytes.readUInt32BE(at + 10);
      if (high < lastHigh || (high === lastHigh && low < lastLow)) outOfOrder();
      lastHigh = high;
      lastLow = low;
      halves[2 * n] = low;
      halves[2 * n + 1] = high;
      n++;
      hashes.push(bytes.readInt32BE(at + 18), bytes.readInt32BE(at + 22));
    },
    take: (last) => {
      if (n === 0 || (!last && n < batchRows)) return undefined;
      const values = keys.slice(0, n);
      const count = n;
      n = 0;
      return { count, keys: { kind: 'int64', values }, hashes: hashes.take() };
    },
  };
};

/** `(int8 key hash, int8 row hash)` of a binary COPY in any order: four ints a row. */
export const hashQuads = (batchRows: number): RowSink<Int32Array> => {
  let quads = new Int32Array(4 * batchRows);
  let n = 0;
  return {
    row: (bytes, start, end) => {
      const at = tupleStart(bytes, start, end);
      if (end - at < 26) {
        if (end - at === 0 || bytes.readInt16BE(at) === -1) return; // a header alone, or the trailer
        noHash();
      }
      if (n === quads.length) {
        const wider = new Int32Array(n * 2);
        wider.set(quads);
        quads = wider;
      }
      quads[n] = bytes.readInt32BE(at + 6);
      quads[n + 1] = bytes.readInt32BE(at + 10);
      quads[n + 2] = bytes.readInt32BE(at + 18);
      quads[n + 3] = bytes.readInt32BE(at + 22);
      n += 4;
    },
    take: (last) => {
      if (n === 0 || (!last && n < 4 * batchRows)) return undefined;
      const taken = quads.slice(0, n);
      n = 0;
      return taken;
    },
  };
};

/** Where the key ends that was read last. */
let keyEnd = 0;

/** The text fields of a binary COPY from `at` on, one for each decoder. */
const readKey = (bytes: Buffer, start: number, decoders: readonly Decoder[]): Key => {
  const key: Cell[] = [];
  let at = start;
  for (const decode of decoders) {
    const size = bytes.readInt32BE(at);
    at += 4;
    if (size < 0) key.push(null);
    else {
      const text = bytes.toString('utf8', at, at + size);
      key.push(decode ? decode(text) : (text as Text));
      at += size;
    }
  }
  keyEnd = at;
  return key;
};

/** `(text key …, int8 hash)` of a binary COPY. */
export const keyHashes = (decoders: readonly Decoder[], batchRows: number): RowSink<HashBatch> => {
  const hashes = hashHalves();
  let keys: Key[] = [];
  return {
    row: (bytes, start, end) => {
      let at = tupleStart(bytes, start, end);
      if (end === at || bytes.readInt16BE(at) === -1) return;
      const key = readKey(bytes, at + 2, decoders);
      at = keyEnd;
      if (bytes.readInt32BE(at) !== 8) noHash();
      hashes.push(bytes.readInt32BE(at + 4), bytes.readInt32BE(at + 8));
      keys.push(key);
    },
    take: (last) => {
      if (keys.length === 0 || (!last && keys.length < batchRows)) return undefined;
      const values = keys;
      keys = [];
      return { count: values.length, keys: { kind: 'keys', values }, hashes: hashes.take() };
    },
  };
};

const firstBytes = 65_536;

/** The same as `keyHashes`, keys left as the bytes they came in until somebody asks for one. */
export const looseHashes = (decoders: readonly Decoder[], batchRows: number): RowSink<LooseBatch> => {
  const hashes = hashHalves();
  const width = decoders.length;
  let held = Buffer.allocUnsafeSlow(firstBytes);
  let starts: number[] = [];
  let used = 0;
  return {
    row: (bytes, start, end) => {
      const from = tupleStart(bytes, start, end);
      if (end === from || bytes.readInt16BE(from) === -1) return;
      let at = from + 2;
      for (let i = 0; i < width; i++) at += 4 + Math.max(0, bytes.readInt32BE(at));
      if (bytes.readInt32BE(at) !== 8) noHash();
      hashes.push(bytes.readInt32BE(at + 4), bytes.readInt32BE(at + 8));
      const size = at - from - 2;
      if (used + size > held.length) {
        const wider = Buffer.allocUnsafeSlow(2 * (used + size));
        held.copy(wider, 0, 0, used);
        held = wider;
      }
      starts.push(used);
      used += bytes.copy(held, used, from + 2, at);
    },
    take: (last) => {
      if (starts.length === 0 || (!last && starts.length < batchRows)) return undefined;
      // as much as they need, for the whole time that they wait
      const keys = Buffer.allocUnsafeSlow(used);
      held.copy(keys, 0, 0, used);
      const places = starts;
      starts = [];
      used = 0;
      return {
        count: places.length,
        hashes: hashes.take(),
        bytes: keys.length,
        key: (i) => readKey(keys, places[i]!, decoders),
      };
    },
  };
};
