import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Plan, PlanHeader, PlanItem } from '../../model/plans.ts';
import { ChunkBuilder, keyHash, linesOf as linesFrom, pack, unpackNow } from '../chunk.ts';
import { itemLine, parseItem } from '../item-line.ts';
import { type DataKey, lockedOf } from '../stored-values.ts';
import type { Database, Rows } from './database.ts';
import { planSums, storeChunk } from './plan-chunks.ts';
import { insertPlan } from './plan-row.ts';
import type { CarriedKey, Vault } from './vault.ts';

/**
 * A plan as a file, lines of JSON in UTF-8:
 *
 *   {"lockstep_plan":1,"header":{…}}
 *   {"seq":1,"group":0,"table":0,"op":"update","key":1,"columns":[2],"cells":["new"],"before":[…]}      one per change
 *   {"items":1,"hash":"…"}            SHA-256 over the item lines and the header, each with its line end
 *
 * Where the store encrypts what it keeps, so does the file (format 2): its first line carries the wrapped data key, and
 * lines of changes are packed and locked, many at once. Header and hash are the same.
 *
 *   {"lockstep_plan":2,"header":{…},"key":{"id":"…","wrapped_by":"…","wrapped":"…"}}
 *   {"locked":"…"}
 */
const format = 1;
const lockedFormat = 2;

const lockedBegins = '{"locked":"';
const placeOf = (id: string, n: number): string => `plan file ${id} ${n}`;

export async function* exportPlan(
  id: string,
  vault: Vault,
  read: () => Promise<Rows[number]>,
  chunks: () => AsyncIterable<{ readonly items: number; readonly plain: Buffer }>,
): AsyncGenerator<Uint8Array> {
  const row = await read();
  const header = row['header'] as string;
  const hash = createHash('sha256');
  let items = 0;
  const locked = await vault.carried();
  yield Buffer.from(
    locked === undefined
      ? `{"lockstep_plan":${format},"header":${header}}\n`
      : `{"lockstep_plan":${lockedFormat},"header":${header},"key":${JSON.stringify(locked.key)}}\n`,
  );
  let n = 0;
  for await (const chunk of chunks()) {
    hash.update(chunk.plain);
    items += chunk.items;
    if (locked === undefined) yield chunk.plain;
    else {
      const bytes = locked.lock.bytes(await pack(chunk.plain), placeOf(id, n++));
      yield Buffer.from(`${lockedBegins}${bytes.toString('base64')}"}\n`);
    }
  }
  if (hash.update(`${header}\n`).digest('hex') !== row['hash'])
    throw notAPlan(`plan ${id} in the control store`, 'its hash does not fit');
  yield Buffer.from(`${JSON.stringify({ items, hash: row['hash'] })}\n`);
}

const notAPlan = (what: string, why: string): LockstepError =>
  new LockstepError('PLAN_EDITED', `${what} is not a plan as it was reviewed: ${why}`, {
    hint: 'Plans must not be edited. Make a new plan with: lockstep plan … --out FILE',
  });

const facts = z.object({ name: z.string(), engine: z.string(), version: z.string(), description: z.string() });
const count = z.int().nonnegative();
const headerShape = z.object({
  id: z.string().regex(/^[\w-]{1,100}$/),
  run: z.string().nullable(),
  sync: z.string().nullable(),
  mode: z.string(),
  source: facts,
  target: facts,
  fingerprint: z.object({ server: z.string(), database: z.string(), address: z.string() }),
  tables: z.array(
    z.object({
      pair: z.string(),
      key: z.array(z.string()),
      table: z.object({
        name: z.string(),
        columns: z.array(z.object({ name: z.string(), type: z.object({ kind: z.string() }) })),
      }),
    }),
  ),
  created: z.number(),
  expires: z.number(),
  counts: z.object({ insert: count, update: count, delete: count }),
  hash: z.object({ seed: z.string().regex(/^\d{1,20}$/), form: z.enum(['bytes', 'hex']) }).optional(),
});

async function* fileLines(file: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let rest = '';
  try {
    for await (const bytes of file) {
      const text = decoder.decode(bytes, { stream: true });
      if (!text.includes('\n')) {
        rest += text;
        continue;
      }
      const pieces = (rest + text).split('\n');
      rest = pieces.pop()!;
      yield* pieces;
    }
    rest += decoder.decode();
  } catch (cause) {
    if (cause instanceof TypeError) throw notAPlan('the file', 'it is not UTF-8');
    throw cause;
  }
  if (rest !== '') throw notAPlan('the file', 'its end is missing');
}

const parsed = (line: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(line);
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
};

const keyShape = z.strictObject({ id: z.string(), wrapped_by: z.string(), wrapped: z.string() });

interface Head {
  readonly header: PlanHeader;
  readonly text: string;
  readonly key: CarriedKey | undefined;
}

const headerOf = (line: string): Head => {
  const first = parsed(line);
  const version = first?.['lockstep_plan'];
  if (typeof version === 'number' && version > lockedFormat) {
    throw new LockstepError('PLAN_STALE', `the plan file has format ${version}, this Lockstep reads ${lockedFormat}`, {
      hint: 'Apply it with the Lockstep that made it, or a newer one.',
    });
  }
  const header = first?.['header'];
  const text = JSON.stringify(header);
  const key = version === lockedFormat ? keyShape.safeParse(first?.['key']).data : undefined;
  if ((version !== format && key === undefined) || !headerShape.safeParse(header).success)
    throw notAPlan('the file', 'line 1 is not the header of a plan');
  const end = key === undefined ? '' : `,"key":${JSON.stringify(key)}`;
  if (`{"lockstep_plan":${version},"header":${text}${end}}` !== line) throw notAPlan('the file', 'line 1 was changed');
  return { header: header as unknown as PlanHeader, text, key };
};

/** The lines of a file, those that are locked as they are in the plan. */
async function* openedLines(lines: AsyncIterable<string>, id: string, key: DataKey): AsyncGenerator<string> {
  let n = 0;
  for await (const line of lines) {
    if (!line.startsWith(lockedBegins)) {
      yield line;
      continue;
    }
    const plain = lockedOf(Buffer.from(line.slice(lockedBegins.length, -2), 'base64'))?.open(key, placeOf(id, n++));
    if (plain === undefined) throw notAPlan('the file', `line ${n + 1} was changed`);
    yield* linesFrom(unpackNow(plain as Buffer));
  }
}

/** Checks and stores a plan file in one pass and one transaction. */
export const importPlan = async (
  database: Database,
  file: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  existing: (id: string) => Promise<Plan | undefined>,
  o: Cancel,
): Promise<Plan> => {
  const inFile = fileLines(file);
  const first = await inFile.next();
  if (first.done) throw notAPlan('the file', 'it is empty');
  const { header, text, key } = headerOf(first.value);
  const lines = key === undefined ? inFile : openedLines(inFile, header.id, await database.vault.dataKey(key));
  const known = await existing(header.id);
  const there = known?.header.id === header.id ? known : undefined;
  const sums = planSums();
  const counts = { insert: 0, update: 0, delete: 0 };
  const { connection, give } = await database.take(o);
  let finished = false;
  try {
    await connection.query('begin; set local idle_in_transaction_session_timeout = 0', [], o);
    const builder = new ChunkBuilder();
    let seq = 0;
    let held: PlanItem[] = [];
    const cut = async (): Promise<void> => {
      const lines = builder.cut();
      if (lines.count === 0) return;
      sums.lines(lines.plain);
      const items = held;
      held = [];
      if (!there) sums.stored(await storeChunk(connection, header.id, lines, items, o));
    };
    let footer: Record<string, unknown> | undefined;
    for await (const line of lines) {
      if (footer) throw notAPlan('the file', `something follows its last line`);
      const item = parseItem(line);
      if (!item) {
        footer = parsed(line);
        if (footer && 'hash' in footer && 'items' in footer) continue;
        throw notAPlan('the file', `line ${seq + 2} is not a change`);
      }
      const table = header.tables[item.table];
      if (item.seq !== ++seq || !table || itemLine(item) !== line)
        throw notAPlan('the file', `line ${seq + 1} was changed`);
      counts[item.change.op]++;
      held.push(item);
      builder.add(line, keyHash(table.pair, item.change.key));
      if (builder.full) await cut();
    }
    await cut();
    const ends = sums.end(text);
    const digest = ends.hash;
    if (!footer) throw notAPlan('the file', 'its end is missing');
    if (footer['hash'] !== digest || footer['items'] !== seq)
      throw notAPlan('the file', 'its content does not give its hash');
    const { insert, update, delete: deletes } = header.counts;
    if (insert !== counts.insert || update !== counts.update || deletes !== counts.delete) {
      throw notAPlan('the file', 'its header counts other changes than it holds');
    }
    if (there) {
      if (there.hash !== digest)
        throw notAPlan(`the file of plan ${header.id}`, 'the control store has this plan with another content');
      return there;
    }
    await insertPlan(connection, header, text, ends, seq, o);
    await connection.query('commit', [], o);
    finished = true;
    return { header, hash: digest, usedBy: null, usedAt: null };
  } finally {
    give(!finished);
  }
};
