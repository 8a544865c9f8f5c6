import { endianness } from 'node:os';
import type { PlanItem } from '../model/plans.ts';
import type { Cell, Key, Row } from '../model/row.ts';
import { type ImageLines, imagesOf } from './item-line.ts';

/**
 * The items of a chunk that are all alike (one kind of change, one table, the same columns, with hashes), by columns
 * instead of by lines: what a batch is written with is read at once, without an object of JSON for each item. Bytes:
 *
 *   {"columns":1,"group":3,"table":0,"op":"delete","width":1}        what is the same, with `written` for an update
 *   ["17","18",…]                       cells of the keys, item by item
 *   ["new",…]                           update: the written cells, item by item
 *   hashes, two (delete) or four (update) 32-bit integers per item, little-endian
 *
 * Lines end in a line feed. A line of an item begins otherwise, so that both are told apart by their first bytes.
 */
interface Head {
  readonly columns: 1;
  readonly group: number;
  readonly table: number;
  readonly op: 'delete' | 'update';
  /** Cells of a key. */
  readonly width: number;
  /** Indexes of the written columns. */
  readonly written?: readonly number[];
}

const begin = Buffer.from('{"columns":');
const hashesOf = (op: Head['op']): number => (op === 'update' ? 4 : 2);

const sameList = (a: readonly number[], b: readonly number[]): boolean =>
  a === b || (a.length === b.length && a.every((x, i) => x === b[i]));

/** Undefined: these items are not alike, and go by lines. */
export const columnBytes = (items: readonly PlanItem[]): Buffer | undefined => {
  const first = items[0];
  if (first === undefined || first.change.op === 'insert') return undefined;
  const { group, table } = first;
  const { op, key, columns: written } = first.change as { op: Head['op']; key: Key; columns?: readonly number[] };
  const each = hashesOf(op);
  const keys: (string | null)[] = [];
  const cells: Cell[] = [];
  const hashes = Buffer.allocUnsafe(items.length * each * 4);
  let end = 0;
  for (const { change, ...at } of items) {
    if (change.op !== op || at.group !== group || at.table !== table) return undefined;
    if (change.hashes?.length !== each || change.key.length !== key.length) return undefined;
    if (change.op === 'update') {
      if (!sameList(change.columns, written!)) return undefined;
      for (const i of change.columns) cells.push(change.after[i] ?? null);
    }
    keys.push(...change.key);
    for (const half of change.hashes) end = hashes.writeInt32LE(half, end);
  }
  const head: Head = {
    columns: 1,
    group,
    table,
    op,
    width: key.length,
    ...(op === 'update' ? { written: written! } : {}),
  };
  const lines = [head, keys, ...(op === 'update' ? [cells] : [])].map((line) => `${JSON.stringify(line)}\n`);
  return Buffer.concat([Buffer.from(lines.join('')), hashes]);
};

export const areColumns = (plain: Buffer): boolean => plain.subarray(0, begin.length).equals(begin);

/** Little-endian integers: as this machine keeps them, but for their place in memory. */
const int32sOf = (bytes: Buffer): Int32Array => {
  if (endianness() === 'LE')
    return new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32LE(4 * i));
};

/**
 * A list of so many strings, as JSON; undefined: it has to be parsed. Where no string is escaped a quote is never part of
 * one, and cutting at them takes a sixth of the time, for the parser looks up whether it has seen each short string before.
 */
const stringsOf = (json: string, count: number): Key | undefined => {
  if (json.includes('\\') || !json.startsWith('["') || !json.endsWith('"]')) return undefined;
  const strings = json.slice(2, -2).split('","');
  return strings.length === count ? (strings as readonly string[] as Key) : undefined;
};

/** What the items of a chunk share. */
class Block {
  readonly head: Head;
  readonly keys: Key;
  readonly cells: readonly Cell[];
  readonly hashes: Int32Array;
  readonly images: ImageLines;

  constructor(plain: Buffer, images: ImageLines) {
    let from = 0;
    const line = (): string => {
      const end = plain.indexOf(10, from);
      const text = plain.toString('utf8', from, end);
      from = end + 1;
      return text;
    };
    this.head = JSON.parse(line()) as Head;
    const { op, width, written } = this.head;
    const keys = line();
    const cells = op === 'update' ? line() : '[]';
    this.hashes = int32sOf(plain.subarray(from));
    this.keys = stringsOf(keys, this.count * width) ?? (JSON.parse(keys) as Key);
    this.cells = stringsOf(cells, this.count * (written?.length ?? 0)) ?? (JSON.parse(cells) as Row);
    this.images = images;
  }
  get count(): number {
    return this.hashes.length / hashesOf(this.head.op);
  }
  isWhole(count: number): boolean {
    const { width, written } = this.head;
    return (
      this.count === count &&
      this.keys.length === count * width &&
      this.cells.length === count * (this.head.op === 'update' ? written!.length : 0)
    );
  }
  key(at: number): Key {
    const { width } = this.head;
    return width === 1 ? [this.keys[at]!] : this.keys.slice(at * width, (at + 1) * width);
  }
  hashesAt(at: number): readonly number[] {
    const h = this.hashes;
    return this.head.op === 'delete'
      ? [h[2 * at]!, h[2 * at + 1]!]
      : [h[4 * at]!, h[4 * at + 1]!, h[4 * at + 2]!, h[4 * at + 3]!];
  }
  imagesAt(at: number): ReturnType<typeof imagesOf> {
    return imagesOf(this.images()[at]!);
  }
  cellsAt(at: number): readonly Cell[] {
    const width = this.head.written!.length;
    return this.cells.slice(at * width, (at + 1) * width);
  }
}

/** A change of a block; its images are read when they are asked for, once. */
class BlockDelete {
  readonly op = 'delete';
  readonly after = null;
  readonly #block: Block;
  readonly #at: number;
  #before: Row | undefined;

  constructor(block: Block, at: number) {
    this.#block = block;
    this.#at = at;
  }
  get key(): Key {
    return this.#block.key(this.#at);
  }
  get hashes(): readonly number[] {
    return this.#block.hashesAt(this.#at);
  }
  get before(): Row {
    this.#before ??= this.#block.imagesAt(this.#at).before;
    return this.#before;
  }
}

class BlockUpdate {
  readonly op = 'update';
  readonly #block: Block;
  readonly #at: number;
  #images: { readonly before: Row; readonly after: Row } | undefined;

  constructor(block: Block, at: number) {
    this.#block = block;
    this.#at = at;
  }
  get key(): Key {
    return this.#block.key(this.#at);
  }
  get hashes(): readonly number[] {
    return this.#block.hashesAt(this.#at);
  }
  get columns(): readonly number[] {
    return this.#block.head.written!;
  }
  get cells(): readonly Cell[] {
    return this.#block.cellsAt(this.#at);
  }
  get before(): Row {
    return this.#both().before;
  }
  get after(): Row {
    return this.#both().after;
  }
  #both(): { readonly before: Row; readonly after: Row } {
    if (this.#images === undefined) {
      const { before, after } = this.#block.imagesAt(this.#at);
      this.#images = { before, after: after(this.columns, this.cells) };
    }
    return this.#images;
  }
}

/** The items of a chunk by columns, of which the first has the number `first`; undefined: these bytes are not that. */
export const columnItems = (
  plain: Buffer,
  { first, count }: { readonly first: number; readonly count: number },
  images: ImageLines,
): PlanItem[] | undefined => {
  let block: Block;
  try {
    block = new Block(plain, images);
    if (!block.isWhole(count)) return undefined;
  } catch {
    return undefined;
  }
  const { group, table, op } = block.head;
  const items: PlanItem[] = [];
  for (let at = 0; at < count; at++) {
    const change = op === 'delete' ? new BlockDelete(block, at) : new BlockUpdate(block, at);
    items.push({ seq: first + at, group, table, change });
  }
  return items;
};

/** The beginnings of the lines that these items have elsewhere: up to their images. */
export const columnHeads = (items: readonly PlanItem[]): string[] =>
  items.map(({ seq, group, table, change }) => {
    const { op, key, hashes } = change;
    const written = op === 'update' ? { columns: change.columns, cells: change.cells } : {};
    return JSON.stringify({ seq, group, table, op, key, hashes, ...written }).slice(0, -1);
  });
