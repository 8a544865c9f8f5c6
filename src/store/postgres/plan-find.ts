import pg from 'pg';
import type { Cancel } from '../../model/cancel.ts';
import type { PlanHeader, PlanItem, SeqRange } from '../../model/plans.ts';
import type { Key } from '../../model/row.ts';
import { keyHash } from '../chunk.ts';
import type { CopiedColumn } from './copied.ts';
import type { Database } from './database.ts';
import { planItems } from './plan-chunks.ts';

const columns: readonly CopiedColumn[] = [
  { name: 'first', type: 'bigint' },
  { name: 'last', type: 'bigint' },
  { name: 'keys', type: 'bytea' },
];

/** About 2 MB of hashes. */
const chunksAtOnce = 1024;

/** Chunks that have a line with one of these hashes, as ranges of seq. */
const chunksWith = async (
  database: Database,
  plan: string,
  hashes: ReadonlySet<number>,
  o: Cancel,
): Promise<readonly SeqRange[]> => {
  const has = (keys: Buffer): boolean => {
    for (let at = 0; at + 4 <= keys.length; at += 4) if (hashes.has(keys.readUInt32BE(at))) return true;
    return false;
  };
  const found: SeqRange[] = [];
  for (let after = 0; ; ) {
    const chunks = await database.copied(
      `select first, last, keys from lockstep_control.plan_chunk
       where plan = ${pg.escapeLiteral(plan)} and first > ${after} order by first limit ${chunksAtOnce}`,
      columns,
      o,
    );
    for (const c of chunks) if (has(c['keys'] as Buffer)) found.push([c['first'] as number, c['last'] as number]);
    if (chunks.length < chunksAtOnce) return found;
    after = chunks.at(-1)!['first'] as number;
  }
};

/**
 * The items of these keys of a pair, in order. Looks through the hashes of the whole plan, whatever the number of keys:
 * ask for many at once.
 */
export const itemsOfKeys = async (
  database: Database,
  { id, tables }: Pick<PlanHeader, 'id' | 'tables'>,
  pair: string,
  keys: readonly Key[],
  o: Cancel,
): Promise<readonly PlanItem[]> => {
  const only = await chunksWith(database, id, new Set(keys.map((key) => keyHash(pair, key))), o);
  const wanted = new Set(keys.map((key) => JSON.stringify(key)));
  const found: PlanItem[] = [];
  for await (const items of planItems(database, id, { signal: o.signal, only })) {
    for (const item of items) {
      if (tables[item.table]?.pair === pair && wanted.has(JSON.stringify(item.change.key))) found.push(item);
    }
  }
  return found;
};
