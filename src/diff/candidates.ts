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

/** Entries of one block; the first one grows to that. */
const blockRows = 65_536;
const firstRows = 64;
/** Bytes of keys of cells in one block, unless a key is longer. */
const blockBytes = 1024 * 1024;
const firstBytes = 4096;

interface Block {
  readonly prints: Int32Array;
  readonly marks: Uint8Array;
  /** Integer keys; unused once a key of cells has come. */
  readonly integers: BigInt64Array;
}

const newBlock = (rows: number): Block => ({
  prints: new Int32Array(4 * rows),
  marks: new Uint8Array(rows),
  integers: new BigInt64Array(rows),
});

/**
 * Suspected differences in key order, packed: 18 bytes each besides the key, whatever their number, in blocks, so that
 * none is moved when there are more. Keys are kept as 64-bit integers, or as cells in latin1 or UTF-16 (which keeps the
 * lone surrogates of bytes and misfits).
 */
export class Candidates {
  #keyWidth: number;
  #count = 0;
  #blocks: Block[] = [newBlock(firstRows)];
  /** Cells of keys, one after the other; absent while all keys are integers. */
  #cells: Buffer[] | undefined;
  #used = 0;
  #bytes = 0;

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
    return 25 * ((this.#blocks.length - 1) * blockRows + this.#blocks.at(-1)!.marks.length) + this.#bytes;
  }

  /** Returns how many there are then. */
  add(key: AnyKey, sides: number, source: Print, target: Print, steady = 0, soft = false): number {
    const { prints, marks, integers } = this.#roomy();
    const n = this.#count % blockRows;
    if (typeof key === 'bigint' && this.#cells === undefined) integers[n] = key;
    else this.#addCells(key);
    prints[4 * n] = source.hi;
    prints[4 * n + 1] = source.lo;
    prints[4 * n + 2] = target.hi;
    prints[4 * n + 3] = target.lo;
    marks[n] = sides | (steady << 2) | (soft ? 128 : 0);
    return ++this.#count;
  }

  /** Marks entry `n` (counted from 0 in the order of `entries`). */
  setSoft(n: number, soft: boolean): void {
    const { marks } = this.#blocks[Math.floor(n / blockRows)]!;
    const i = n % blockRows;
    marks[i] = (marks[i]! & 127) | (soft ? 128 : 0);
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
    const at = { block: 0, offset: 0 };
    for (let row = 0; row < this.#count; row++) {
      const { prints, marks, integers } = this.#blocks[Math.floor(row / blockRows)]!;
      const n = row % blockRows;
      entry.key = this.#cells ? this.#readCells(this.#cells, at) : integers[n]!;
      entry.source.hi = prints[4 * n]!;
      entry.source.lo = prints[4 * n + 1]!;
      entry.target.hi = prints[4 * n + 2]!;
      entry.target.lo = prints[4 * n + 3]!;
      entry.sides = marks[n]! & 3;
      entry.steady = (marks[n]! >> 2) & 31;
      entry.soft = marks[n]! > 127;
      yield entry;
    }
  }

  /** The block of the next entry. */
  #roomy(): Block {
    const last = this.#blocks.at(-1)!;
    const rows = last.marks.length;
    if (this.#count < (this.#blocks.length - 1) * blockRows + rows) return last;
    const more = newBlock(Math.min(blockRows, 2 * rows));
    if (rows < blockRows) {
      more.prints.set(last.prints);
      more.marks.set(last.marks);
      more.integers.set(last.integers);
      this.#blocks.pop();
    }
    this.#blocks.push(more);
    return more;
  }

  #addCells(key: AnyKey): void {
    if (this.#cells === undefined) {
      this.#cells = [];
      for (let n = 0; n < this.#count; n++)
        this.#addCells(this.#blocks[Math.floor(n / blockRows)]!.integers[n % blockRows]!);
    }
    const cells: Key = typeof key === 'bigint' ? [String(key) as Text] : key;
    for (let c = 0; c < this.#keyWidth; c++) this.#addCell(this.#cells, cells[c]!);
  }

  #addCell(blocks: Buffer[], cell: Cell): void {
    const narrow = cell !== null && isLatin1(cell);
    const length = cell === null ? 0 : narrow ? cell.length : cell.length * 2;
    let block = blocks.at(-1);
    if (block === undefined || this.#used + 5 + length > block.length) {
      const next = Math.min(blockBytes, 2 * (block?.length ?? firstBytes / 2));
      // a block is read until a cell no longer fits, which its first byte without a tag shows
      if (block !== undefined && this.#used < block.length) block[this.#used] = endOfBlock;
      block = Buffer.allocUnsafeSlow(Math.max(next, 5 + length));
      blocks.push(block);
      this.#bytes += block.length;
      this.#used = 0;
    }
    block[this.#used] = cell === null ? 0 : narrow ? 1 : 2;
    block.writeUInt32LE(length, this.#used + 1);
    if (cell !== null) block.write(cell, this.#used + 5, narrow ? 'latin1' : 'utf16le');
    this.#used += 5 + length;
  }

  #readCells(blocks: readonly Buffer[], at: { block: number; offset: number }): Key {
    const cells: Cell[] = [];
    for (let c = 0; c < this.#keyWidth; c++) {
      let block = blocks[at.block]!;
      if (at.offset === block.length || block[at.offset] === endOfBlock) {
        block = blocks[++at.block]!;
        at.offset = 0;
      }
      const tag = block[at.offset]!;
      const length = block.readUInt32LE(at.offset + 1);
      const start = at.offset + 5;
      cells.push(tag === 0 ? null : (block.toString(tag === 1 ? 'latin1' : 'utf16le', start, start + length) as Text));
      at.offset = start + length;
    }
    return cells;
  }
}

/** Where a tag would stand: the next cell is in the next block. */
const endOfBlock = 255;
