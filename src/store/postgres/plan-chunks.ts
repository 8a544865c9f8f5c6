import { createHash } from 'node:crypto';
import pg from 'pg';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { PlanItem, SeqRange } from '../../model/plans.ts';
import { bytesOf, type ChunkBuilder, chunkItems, linesOf, pack, unpackNow } from '../chunk.ts';
import { areColumns, columnBytes, columnHeads, columnItems } from '../item-columns.ts';
import { type ImageLines, imagesAt, itemParser } from '../item-line.ts';
import { inRanges, mergeRanges, toMultirange } from '../ranges.ts';
import type { Lock } from '../stored-values.ts';
import type { CopiedColumn } from './copied.ts';
import type { Connection, Database, Rows } from './database.ts';

export const edited = (id: string): LockstepError =>
  new LockstepError('PLAN_EDITED', `plan ${id} is not what was reviewed: its content does not give the recorded hash`, {
    hint: 'Make a new plan.',
  });

/**
 * What the items of a plan come to while they are stored. `hash` is over the lines, the same wherever the plan is;
 * `seal` is over the bytes as this store keeps them, and is checked without unpacking them.
 */
export const planSums = () => {
  const hash = createHash('sha256');
  const seal = createHash('sha256');
  return {
    lines: (plain: Uint8Array): void => void hash.update(plain),
    stored: (c: Chunk): void => sealChunk(seal, c),
    /** `header`: its text. */
    end: (header: string): { readonly hash: string; readonly seal: string } => {
      const digest = hash.update(`${header}\n`).digest('hex');
      return { hash: digest, seal: sealEnd(seal, header, digest) };
    },
  };
};

type Sum = ReturnType<typeof createHash>;

/** With what finds a chunk and its items: an edit of that would leave changes out. */
const sealChunk = (sum: Sum, c: Chunk): void => {
  sum.update(`${c.first} ${c.last} ${c.keys.length} ${c.body.length} ${c.images?.length ?? 0}\n`);
  sum.update(c.keys).update(c.body);
  if (c.images) sum.update(c.images);
};
const sealEnd = (sum: Sum, header: string, hash: string): string => sum.update(`${header}\n${hash}\n`).digest('hex');

/** A chunk as it is stored: its lines without their images, and the images, both packed. */
interface Chunk {
  /** Numbers of its first and its last item. */
  readonly first: number;
  readonly last: number;
  readonly keys: Buffer;
  readonly body: Buffer;
  readonly images: Buffer | null;
}

/** What a column of a chunk is encrypted for. */
export const chunkPlace = (plan: string, row: Rows[number], column: string): string =>
  `plan ${plan} ${Number(row['first'])} ${column}`;

/** Stores the lines gathered, which are those of `items`. */
export const storeChunk = async (
  connection: Connection,
  plan: string,
  { lines, keys }: Pick<ReturnType<ChunkBuilder['cut']>, 'lines' | 'keys'>,
  items: readonly PlanItem[],
  o: Cancel,
): Promise<Chunk> => {
  const first = items[0]!.seq;
  const last = first + lines.length - 1;
  const places = lines.map(imagesAt);
  const apart = places.some((at) => at >= 0);
  const heads = (): string[] => lines.map((line, i) => (places[i]! < 0 ? line : line.slice(0, places[i])));
  const columns = places.every((at) => at >= 0) ? columnBytes(items) : undefined;
  const body = await pack(columns ?? bytesOf(apart ? heads() : lines));
  const images = apart
    ? await pack(bytesOf(lines.map((line, i) => (places[i]! < 0 ? '' : line.slice(places[i])))))
    : null;
  const kept = (bytes: Buffer | null, column: string) => (lock: Lock) =>
    bytes && lock.bytes(bytes, chunkPlace(plan, { first }, column));
  await connection.query(
    'insert into lockstep_control.plan_chunk (plan, first, last, keys, body, images) values ($1, $2, $3, $4, $5, $6)',
    [plan, first, last, keys, kept(body, 'body'), kept(images, 'images')],
    { ...o, name: 'plan_chunk' },
  );
  return { first, last, keys, body, images };
};

export const itemsIn = ({ first, last }: Pick<Chunk, 'first' | 'last'>): number => last - first + 1;

/** What cannot be decompressed, or fails its checksum, was changed behind our back. */
const unpacked = (plan: string, packed: Buffer): Buffer => {
  try {
    return unpackNow(packed);
  } catch {
    throw edited(plan);
  }
};

const chunkOf = (row: Rows[number]): Chunk => ({
  first: Number(row['first']),
  last: Number(row['last']),
  keys: row['keys'] as Buffer,
  body: row['body'] as Buffer,
  images: row['images'] as Buffer | null,
});

/** The lines of a chunk as they are hashed and exported. */
export const wholeLines = (plan: string, chunk: Chunk): Buffer => {
  const body = unpacked(plan, chunk.body);
  if (chunk.images === null) return body;
  const ends = linesOf(unpacked(plan, chunk.images));
  const heads = areColumns(body) ? columnHeads(inColumns(plan, chunk, body, () => ends)) : linesOf(body);
  return bytesOf(heads.map((head, i) => head + (ends[i] ?? '')));
};

const inColumns = (plan: string, chunk: Chunk, body: Buffer, images: ImageLines): PlanItem[] => {
  const items = columnItems(body, { first: chunk.first, count: itemsIn(chunk) }, images);
  if (items === undefined) throw edited(plan);
  return items;
};

/** The items of a chunk; images are unpacked when one of them is asked for. */
const chunkItemsOf = (plan: string, chunk: Chunk, parse: ReturnType<typeof itemParser>): PlanItem[] => {
  let ends: readonly string[] | undefined;
  const images: ImageLines = () => {
    if (chunk.images === null) throw edited(plan);
    ends ??= linesOf(unpacked(plan, chunk.images));
    return ends;
  };
  const body = unpacked(plan, chunk.body);
  if (areColumns(body)) return inColumns(plan, chunk, body, images);
  return linesOf(body).map((head, at) => {
    const item = parse(head, images, at);
    if (!item) throw edited(plan);
    return item;
  });
};

/** The items of one chunk's row. */
export const itemsOfRow = (plan: string, row: Rows[number]): readonly PlanItem[] =>
  chunkItemsOf(plan, chunkOf(row), itemParser());

/** What is read at once: so many chunks, or as many as make so many bytes and the one that goes beyond. */
const chunksAtOnce = 64;
const bytesAtOnce = 2 ** 20;

const chunkColumns: readonly CopiedColumn[] = [
  { name: 'first', type: 'bigint' },
  { name: 'last', type: 'bigint' },
  { name: 'keys', type: 'bytea' },
  { name: 'body', type: 'bytea' },
  { name: 'images', type: 'bytea' },
];
const readColumns: readonly CopiedColumn[] = [...chunkColumns, { name: 'upto', type: 'bigint' }];

type Which = Cancel & { readonly only?: readonly SeqRange[]; readonly after?: number; readonly backwards?: boolean };

/**
 * Some chunks of a plan, in order or backwards, only those that touch `only`. Few are in memory at a time: those
 * that are worked on, and those that are read meanwhile.
 */
export async function* planChunks(database: Database, plan: string, o: Which): AsyncGenerator<Chunk> {
  const only = o.only && mergeRanges(o.only);
  if (only?.length === 0) return;
  const low = Math.max(o.after ?? 0, (only?.[0]?.[0] ?? 1) - 1) + 1;
  const wanted = only ? toMultirange(only) : null;
  let from = low - chunkItems;
  let to = only?.at(-1)?.[1] ?? Number.MAX_SAFE_INTEGER;
  const fetch = (): Promise<Rows> => {
    const picked =
      wanted === null ? '' : `and ${pg.escapeLiteral(wanted)}::int8multirange && int8range(first, last, '[]')`;
    const names = chunkColumns.map(({ name }) => name).join(', ');
    const order = `order by first ${o.backwards ? 'desc' : ''}`;
    const rows = database.copied(
      `select ${names}, upto from (
         select ${names}, size, sum(size) over (${order} rows unbounded preceding)::bigint as upto from (
           select ${names}, octet_length(body) + coalesce(octet_length(images), 0) as size from lockstep_control.plan_chunk
           where plan = ${pg.escapeLiteral(plan)} and first > ${from} and first <= ${to} and last >= ${low} ${picked}
           ${order} limit ${chunksAtOnce}) as next) as summed
       where upto - size < ${bytesAtOnce} ${order}`,
      readColumns,
      { signal: o.signal, place: (row, column) => chunkPlace(plan, row, column) },
    );
    // it is awaited later, or by nobody
    rows.catch(() => {});
    return rows;
  };
  let ahead: Promise<Rows> | undefined = fetch();
  try {
    while (ahead !== undefined) {
      const rows: Rows = await ahead;
      const last = rows.at(-1);
      if (o.backwards) to = Number(last?.['first']) - 1;
      else from = Number(last?.['first']);
      const all = rows.length < chunksAtOnce && Number(last?.['upto'] ?? 0) < bytesAtOnce;
      ahead = all ? undefined : fetch();
      for (const row of rows) yield chunkOf(row);
    }
  } finally {
    await ahead?.catch(() => {});
  }
}

/** Chunks that were read to check a plan's seal, for the reading that follows: each is given once. */
export interface SealedChunks {
  readonly plan: string;
  /** By the number of their first item. */
  readonly chunks: Map<number, Chunk>;
}

/** Most bytes of chunks that are kept from the check to the reading. */
const keptBytes = 32 * 2 ** 20;

/** The whole plan from what is kept, where nothing of it has been taken yet. */
async function* keptOr(database: Database, plan: string, o: Which, kept: SealedChunks | undefined) {
  const whole = o.backwards !== true && (o.after ?? 0) === 0 && (o.only === undefined || o.only.length === 1);
  if (!whole || kept?.plan !== plan || !kept.chunks.has(1)) {
    yield* planChunks(database, plan, o);
    return;
  }
  const [from, to] = o.only?.[0] ?? [1, Number.MAX_SAFE_INTEGER];
  for (const [first, chunk] of kept.chunks) {
    o.signal.throwIfAborted();
    kept.chunks.delete(first);
    if (chunk.last >= from && first <= to) yield chunk;
  }
}

/** Items of a plan by batch; backwards: greatest seq first. */
export async function* planItems(
  database: Database,
  plan: string,
  o: Which,
  kept?: SealedChunks,
): AsyncGenerator<readonly PlanItem[]> {
  const only = o.only && mergeRanges(o.only);
  const after = o.after ?? 0;
  const parse = itemParser();
  for await (const chunk of keptOr(database, plan, o, kept)) {
    const all = chunkItemsOf(plan, chunk, parse);
    const whole = after < chunk.first && (!only || only.some(([from, to]) => from <= chunk.first && chunk.last <= to));
    const items = whole ? all : all.filter(({ seq }) => seq > after && (!only || inRanges(only, seq)));
    if (o.backwards) items.reverse();
    if (items.length > 0) yield items;
  }
}

/** Throws PLAN_EDITED unless the stored bytes are those that were sealed. `row`: the plan's. */
export const verifySeal = async (
  database: Database,
  plan: string,
  row: Rows[number],
  o: Cancel,
): Promise<SealedChunks | undefined> => {
  const sum = createHash('sha256');
  const chunks = new Map<number, Chunk>();
  let items = 0;
  let bytes = 0;
  // All of it, whatever else of who asks is called as what picks some.
  for await (const chunk of planChunks(database, plan, { signal: o.signal })) {
    sealChunk(sum, chunk);
    items += itemsIn(chunk);
    bytes += chunk.body.length + (chunk.images?.length ?? 0);
    if (bytes <= keptBytes) chunks.set(chunk.first, chunk);
    else chunks.clear();
  }
  const seal = sealEnd(sum, row['header'] as string, row['hash'] as string);
  if (seal !== row['seal'] || String(items) !== row['items']) throw edited(plan);
  return bytes <= keptBytes ? { plan, chunks } : undefined;
};
