import type { Cell, Key, Text } from '../model/row.ts';
import type { AnyKey, Print } from './runs.ts';

/** Which side showed the key. */
export const inSource = 1;
export const inTarget = 2;

/** One suspected difference: its key and what was read of it on each side. */
export interface Candidate {
  key: AnyKey;
  /** `inSource` | `inTarget`. */
  sides: number;
  readonly source: Print;
  readonly target: Print;
  /** How many re-reads in a row found both sides as before. */
  steady: number;
  /** Its values can only be judged one by one: the cells that are compared exactly are equal, or nobody knows yet. */
  soft: boolean;
}

const isLatin1 = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 255) return false;
  return true;
};

/**
 * Suspected differences in key order, packed: 18 bytes each besides the key, whatever their number. Keys are kept as
 * 64-bit integers, or as cells in latin1 or UTF-16 (which keeps the lone surrogates of bytes and misfits).
 */
export class Candidates {
  #keyWidth: number;
  #count = 0;
  #prints = new Int32Array(4 * 64);
  #marks = new Uint8Array(64);
  /** Integer keys; unused once a key of cells has come. */
  #integers: BigInt64Array | undefined = new BigInt64Array(64);
  #bytes = Buffer.alloc(0);
  #used = 0;

  /** Clock reading (monotonic ms) of the newest entry. */
  detectedAt = 0;

  constructor(keyWidth: number) {
    this.#keyWidth = keyWidth;
  }

  get count(): number {
    return this.#count;
  }

  /** Memory held, bytes. */
  get size(): number {
    return this.#prints.byteLength + this.#marks.byteLength + (this.#integers?.byteLength ?? 0) + this.#bytes.length;
  }

  add(key: AnyKey, sides: number, source: Print, target: Print, steady = 0, soft = false): void {
    const n = this.#count;
    if (n === this.#marks.length) this.#grow();
    if (typeof key === 'bigint' && this.#integers) this.#integers[n] = key;
    else this.#addCells(key);
    this.#prints[4 * n] = source.hi;
    this.#prints[4 * n + 1] = source.lo;
    this.#prints[4 * n + 2] = target.hi;
    this.#prints[4 * n + 3] = target.lo;
    this.#marks[n] = sides | (steady << 2) | (soft ? 128 : 0);
    this.#count = n + 1;
  }

  /** Marks entry `n` (counted from 0 in the order of `entries`). */
  setSoft(n: number, soft: boolean): void {
    this.#marks[n] = (this.#marks[n]! & 127) | (soft ? 128 : 0);
  }

  /** All entries in order. The object handed out is reused: copy what you keep. */
  *entries(): Generator<Candidate> {
    const entry: Candidate = {
      key: 0n,
      sides: 0,
      source: { hi: 0, lo: 0 },
      target: { hi: 0, lo: 0 },
      steady: 0,
      soft: false,
    };
    const at = { offset: 0 };
    for (let n = 0; n < this.#count; n++) {
      entry.key = this.#integers ? this.#integers[n]! : this.#readCells(at);
      entry.source.hi = this.#prints[4 * n]!;
      entry.source.lo = this.#prints[4 * n + 1]!;
      entry.target.hi = this.#prints[4 * n + 2]!;
      entry.target.lo = this.#prints[4 * n + 3]!;
      entry.sides = this.#marks[n]! & 3;
      entry.steady = (this.#marks[n]! >> 2) & 31;
      entry.soft = this.#marks[n]! > 127;
      yield entry;
    }
  }

  #grow(): void {
    const length = this.#marks.length * 2;
    const prints = new Int32Array(4 * length);
    prints.set(this.#prints);
    this.#prints = prints;
    const marks = new Uint8Array(length);
    marks.set(this.#marks);
    this.#marks = marks;
    if (this.#integers) {
      const integers = new BigInt64Array(length);
      integers.set(this.#integers);
      this.#integers = integers;
    }
  }

  #addCells(key: AnyKey): void {
    if (this.#integers) {
      const integers = this.#integers;
      this.#integers = undefined;
      for (let n = 0; n < this.#count; n++) this.#addCells(integers[n]!);
    }
    const cells: Key = typeof key === 'bigint' ? [String(key) as Text] : key;
    for (let c = 0; c < this.#keyWidth; c++) this.#addCell(cells[c]!);
  }

  #addCell(cell: Cell): void {
    const narrow = cell !== null && isLatin1(cell);
    const length = cell === null ? 0 : narrow ? cell.length : cell.length * 2;
    if (this.#used + 5 + length > this.#bytes.length) {
      const bytes = Buffer.allocUnsafe(Math.max(4096, this.#bytes.length * 2, this.#used + 5 + length));
      this.#bytes.copy(bytes, 0, 0, this.#used);
      this.#bytes = bytes;
    }
    this.#bytes[this.#used] = cell === null ? 0 : narrow ? 1 : 2;
    this.#bytes.writeUInt32LE(length, this.#used + 1);
    if (cell !== null) this.#bytes.write(cell, this.#used + 5, narrow ? 'latin1' : 'utf16le');
    this.#used += 5 + length;
  }

  #readCells(at: { offset: number }): Key {
    const cells: Cell[] = [];
    for (let c = 0; c < this.#keyWidth; c++) {
      const tag = this.#bytes[at.offset]!;
      const length = this.#bytes.readUInt32LE(at.offset + 1);
      const start = at.offset + 5;
      cells.push(
        tag === 0 ? null : (this.#bytes.toString(tag === 1 ? 'latin1' : 'utf16le', start, start + length) as Text),
      );
      at.offset = start + length;
    }
    return cells;
  }
}
