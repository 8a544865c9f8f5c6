import type { Change } from '../model/change.ts';
import { LockstepError } from '../model/errors.ts';
import type { PlanItem } from '../model/plans.ts';
import type { Cell, Key, Row } from '../model/row.ts';
import { type Cells, changedCells, longKey, patched, type ShortKey, shortKey } from './lines.ts';

/**
 * The one line of JSON of a plan item; the same item always gives the same line.
 *
 * An update keeps `before` whole, and of `after` only what is not the same. A key that is the beginning of its row is
 * only its width, unless the change has hashes: then what a batch is written with stands in front, and the images at
 * the end are read only when somebody asks for them.
 */
interface ItemLine {
  readonly seq: number;
  readonly group: number;
  readonly table: number;
  readonly op: Change['op'];
  readonly key: ShortKey;
  readonly hashes?: readonly number[];
  /** Insert: the row. */
  readonly after?: Row;
  /** Insert: absent when all columns are written. */
  readonly columns?: readonly number[];
  /** Update: the written cells, in the order of `columns`. */
  readonly cells?: readonly Cell[];
  readonly before?: Row;
  /** Update: cells that change without being written. */
  readonly also?: Cells;
}

const isEvery = (columns: readonly number[], width: number): boolean =>
  columns.length === width && columns.every((column, i) => column === i);

export const itemLine = (item: PlanItem): string => {
  const { change, seq, group, table } = item;
  const { hashes } = change;
  const start = (row: Row) => ({
    seq,
    group,
    table,
    op: change.op,
    ...(hashes === undefined ? { key: shortKey(change.key, row) } : { key: change.key, hashes }),
  });
  let line: ItemLine;
  switch (change.op) {
    case 'insert': {
      const { after } = change;
      const columns = isEvery(change.columns, after.length) ? {} : { columns: change.columns };
      line = { ...start(after), after, ...columns };
      break;
    }
    case 'update': {
      const { before, after, columns } = change;
      if (after.length !== before.length) {
        throw new LockstepError(
          'INTERNAL',
          `plan item ${seq}: the images have ${before.length} and ${after.length} cells`,
        );
      }
      const also = changedCells(before, after, columns);
      const cells = columns.map((i) => after[i] ?? null);
      line = { ...start(before), columns, cells, before, ...(also.length > 0 ? { also } : {}) };
      break;
    }
    case 'delete':
      line = { ...start(change.before), before: change.before };
  }
  return JSON.stringify(line);
};

const isCell = (value: unknown): boolean => value === null || typeof value === 'string';
const isIndex = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isRow = (value: unknown): boolean => Array.isArray(value) && value.every(isCell);
const isIndexes = (value: unknown): boolean => Array.isArray(value) && value.every(isIndex);
const isCells = (value: unknown): boolean =>
  Array.isArray(value) && value.every((c) => Array.isArray(c) && c.length === 2 && isIndex(c[0]) && isCell(c[1]));
const isHashes = (value: unknown, count: number): boolean =>
  Array.isArray(value) && value.length === count && value.every((x) => (x | 0) === x);

/** What stands in front of the images. */
const isHead = (line: ItemLine): boolean =>
  line !== null &&
  typeof line === 'object' &&
  isIndex(line.seq) &&
  isIndex(line.group) &&
  isIndex(line.table) &&
  (isIndex(line.key) || isRow(line.key)) &&
  (line.hashes === undefined || isHashes(line.hashes, line.op === 'update' ? 4 : 2)) &&
  (line.op === 'insert'
    ? isRow(line.after) && (line.columns === undefined || isIndexes(line.columns))
    : line.op === 'update'
      ? isIndexes(line.columns) && isRow(line.cells) && line.cells!.length === line.columns!.length
      : line.op === 'delete');

const hasImages = (line: Images): boolean => isRow(line.before) && (line.also === undefined || isCells(line.also));

type Images = Pick<ItemLine, 'before' | 'also'>;

const afterOf = (before: Row, columns: readonly number[], cells: readonly Cell[], also: Cells | undefined): Row => {
  const after = patched(before, also) as Cell[];
  for (let i = 0; i < columns.length; i++) after[columns[i]!] = cells[i]!;
  return after;
};

/** No string of JSON can hold this: its quotes would be escaped. */
const imagesBegin = ',"before":[';
const hashesBegin = ',"hashes":[';

/**
 * Where the images of a line begin; -1: it is read as a whole. What stands before is JSON but for its last brace, and
 * never ends in one.
 */
export const imagesAt = (line: string): number => {
  const at = line.indexOf(imagesBegin);
  return at >= 0 && line.lastIndexOf(hashesBegin, at) >= 0 ? at : -1;
};

/** The ends of a chunk's lines, read when they are asked for. */
export type ImageLines = () => readonly string[];

/** The images in the end of a line, from where they begin. */
export const imagesOf = (end: string) => {
  const images = JSON.parse(`{${end.slice(1)}`) as Images;
  if (!hasImages(images)) throw new LockstepError('INTERNAL', 'a plan item has no images');
  return {
    before: images.before!,
    after: (columns: readonly number[], cells: readonly Cell[]): Row =>
      afterOf(images.before!, columns, cells, images.also),
  };
};

/** The images of a line, read once. */
class LazyImages {
  readonly #lines: ImageLines;
  readonly #at: number;
  #read: ReturnType<typeof imagesOf> | undefined;

  constructor(lines: ImageLines, at: number) {
    this.#lines = lines;
    this.#at = at;
  }

  read(): ReturnType<typeof imagesOf> {
    this.#read ??= imagesOf(this.#lines()[this.#at]!);
    return this.#read;
  }
}

class LazyDelete {
  readonly op = 'delete';
  readonly after = null;
  readonly key: Key;
  readonly hashes: readonly number[];
  readonly #images: LazyImages;

  constructor(head: ItemLine, images: LazyImages) {
    this.key = head.key as Key;
    this.hashes = head.hashes!;
    this.#images = images;
  }
  get before(): Row {
    return this.#images.read().before;
  }
}

class LazyUpdate {
  readonly op = 'update';
  readonly key: Key;
  readonly hashes: readonly number[];
  readonly columns: readonly number[];
  readonly cells: readonly Cell[];
  readonly #images: LazyImages;
  #after: Row | undefined;

  constructor(head: ItemLine, columns: readonly number[], images: LazyImages) {
    this.key = head.key as Key;
    this.hashes = head.hashes!;
    this.columns = columns;
    this.cells = head.cells!;
    this.#images = images;
  }
  get before(): Row {
    return this.#images.read().before;
  }
  get after(): Row {
    this.#after ??= this.#images.read().after(this.columns, this.cells);
    return this.#after;
  }
}

const everyColumn = (width: number): readonly number[] => [...Array(width).keys()];

const wholeChange = (line: ItemLine, every = everyColumn): Change => {
  const hashes = line.hashes === undefined ? {} : { hashes: line.hashes };
  if (line.op === 'insert') {
    const after = line.after!;
    const columns = line.columns ?? every(after.length);
    return { op: 'insert', key: longKey(line.key, after), ...hashes, before: null, after, columns };
  }
  const before = line.before!;
  const key = longKey(line.key, before);
  if (line.op === 'delete') return { op: 'delete', key, ...hashes, before, after: null };
  const columns = line.columns!;
  const cells = line.cells!;
  return { op: 'update', key, ...hashes, before, after: afterOf(before, columns, cells, line.also), columns };
};

const parsed = (text: string): ItemLine | undefined => {
  try {
    const line = JSON.parse(text) as ItemLine;
    return isHead(line) ? line : undefined;
  } catch {
    return undefined;
  }
};

/** Reads an item's line to its end; undefined when it is not one. `every`: all columns of a row of that width. */
export const parseItem = (text: string, every?: (width: number) => readonly number[]): PlanItem | undefined => {
  const line = parsed(text);
  if (line === undefined || (line.op !== 'insert' && !hasImages(line))) return undefined;
  return { seq: line.seq, group: line.group, table: line.table, change: wholeChange(line, every) };
};

const listsMost = 1000;

/**
 * Reads many lines whose bytes are known to be those that were written, without their images: `at` is the line's place
 * among those of its chunk. Lists of columns that are the same are one list.
 */
export const itemParser = (): ((head: string, images: ImageLines, at: number) => PlanItem | undefined) => {
  const lists = new Map<string, readonly number[]>();
  const shared = (list: readonly number[]): readonly number[] => {
    const name = list.join();
    const known = lists.get(name);
    if (known !== undefined) return known;
    if (lists.size >= listsMost) lists.clear();
    lists.set(name, list);
    return list;
  };
  const everyOf = new Map<number, readonly number[]>();
  const every = (width: number): readonly number[] => {
    let list = everyOf.get(width);
    if (list === undefined) {
      list = everyColumn(width);
      everyOf.set(width, list);
    }
    return list;
  };
  return (text, lines, at) => {
    if (text.endsWith('}')) return parseItem(text, every);
    const head = parsed(`${text}}`);
    if (head?.hashes === undefined || head.op === 'insert' || typeof head.key === 'number') return undefined;
    const images = new LazyImages(lines, at);
    const change =
      head.op === 'delete' ? new LazyDelete(head, images) : new LazyUpdate(head, shared(head.columns!), images);
    return { seq: head.seq, group: head.group, table: head.table, change };
  };
};
