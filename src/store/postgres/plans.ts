import { createHash } from 'node:crypto';
import type { ChangeOp } from '../../model/change.ts';
import type { Cancel } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Key } from '../../model/row.ts';
import type { NewPlan, Plan, PlanHeader, PlanItem, Plans, PlanWriter, SeqRange } from '../../model/store.ts';
import { ChunkBuilder, chunkItems, hashBytes, keyHash, linesOf, pack, unpackBytes } from '../chunk.ts';
import { itemLine, itemParser, parseItem } from '../item-line.ts';
import { inRanges, mergeRanges, toMultirange } from '../ranges.ts';
import type { Database, Rows } from './database.ts';
import { exportPlan, importPlan } from './plan-file.ts';
import { insertPlan } from './plan-row.ts';
import { fromJson, fromTime, plainOrNull, plainText, toTime } from './values.ts';

const edited = (id: string): LockstepError =>
  new LockstepError('PLAN_EDITED', `plan ${id} is not what was reviewed: its content does not give the recorded hash`, {
    hint: 'Make a new plan.',
  });

const toPlan = (row: Rows[number]): Plan => ({
  header: fromJson<PlanHeader>(row['header']),
  hash: row['hash'] as string,
  usedBy: row['used_by'] as string | null,
  usedAt: fromTime(row['used_at']),
});
const columns = 'id, header, hash, used_by, used_at';

/** Chunks go in one transaction with the header, so that a plan is whole or not there. */
export const planWriter = async (database: Database, plan: NewPlan, o: Cancel): Promise<PlanWriter> => {
  const { connection, give } = await database.take(o);
  const builder = new ChunkBuilder();
  const hash = createHash('sha256');
  const counts: Record<ChangeOp, number> = { insert: 0, update: 0, delete: 0 };
  let seq = 0;
  let open = true;
  const close = (spoilt: boolean): void => {
    open = false;
    give(spoilt);
  };
  const cut = async (c: Cancel): Promise<void> => {
    const { count, plain, keys } = builder.cut();
    if (count === 0) return;
    hash.update(plain);
    await connection.query(
      'insert into lockstep_control.plan_chunk (plan, first, last, keys, body) values ($1, $2, $3, $4, $5)',
      [plan.id, seq - count + 1, seq, keys, await pack(plain)],
      { ...c, name: 'plan_chunk' },
    );
  };
  const seal: PlanWriter['seal'] = async (c) => {
    await cut(c);
    const header: PlanHeader = {
      ...plan,
      settings: c.settings ?? plan.settings,
      guards: c.guards ?? plan.guards,
      counts,
      summary: c.summary ?? null,
    };
    const text = JSON.stringify(header);
    const digest = hash.update(`${text}\n`).digest('hex');
    await insertPlan(connection, header, text, digest, seq, c);
    await connection.query('commit', [], c);
    close(false);
    return { header: JSON.parse(text) as PlanHeader, hash: digest, usedBy: null, usedAt: null };
  };
  let sealing: Promise<unknown> | undefined;
  try {
    await connection.query('begin; set local idle_in_transaction_session_timeout = 0', [], o);
  } catch (error) {
    close(true);
    throw error;
  }
  return {
    add: async (items, c) => {
      for (const item of items) {
        const table = plan.tables[item.table];
        if (!table)
          throw new LockstepError('INTERNAL', `plan item ${seq + 1}: there is no table ${item.table} in the plan`);
        seq++;
        counts[item.change.op]++;
        builder.add(itemLine({ ...item, seq }), keyHash(table.pair, item.change.key));
        if (builder.full) await cut(c);
      }
    },
    seal: (c) => {
      const sealed = seal(c);
      sealing = sealed.catch(() => {});
      return sealed;
    },
    [Symbol.asyncDispose]: async () => {
      await sealing;
      if (open) close(true);
    },
  };
};

/** The bytes of a chunk; what cannot be decompressed, or fails its checksum, was changed behind our back. */
const bodyOf = (plan: string, row: Rows[number]): Promise<Buffer> =>
  unpackBytes(row['body'] as Buffer).catch(() => {
    throw edited(plan);
  });

interface Chunk {
  readonly items: number;
  readonly plain: Buffer;
}

const chunksAtOnce = 8;

/**
 * Some chunks of a plan, in order or backwards, only those that touch `only`. Few are in memory at a time: those
 * that are worked on, and those that are read meanwhile.
 */
async function* chunks(
  database: Database,
  plan: string,
  o: Cancel & { readonly only?: readonly SeqRange[]; readonly after?: number; readonly backwards?: boolean },
): AsyncGenerator<Chunk> {
  const only = o.only && mergeRanges(o.only);
  if (only?.length === 0) return;
  const low = Math.max(o.after ?? 0, (only?.[0]?.[0] ?? 1) - 1) + 1;
  const wanted = only ? toMultirange(only) : null;
  let from = low - chunkItems;
  let to = only?.at(-1)?.[1] ?? Number.MAX_SAFE_INTEGER;
  const fetch = (): Promise<Rows> => {
    const rows = database.query(
      `select first, last, body from lockstep_control.plan_chunk
       where plan = $1 and first > $2 and first <= $3 and last >= $4
         and ($5::int8multirange is null or $5 && int8range(first, last, '[]'))
       order by first ${o.backwards ? 'desc' : ''} limit ${chunksAtOnce}`,
      [plan, from, to, low, wanted],
      { ...o, name: o.backwards ? 'plan_chunks_back' : 'plan_chunks' },
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
      ahead = rows.length < chunksAtOnce ? undefined : fetch();
      const bodies = rows.map((row) => bodyOf(plan, row));
      for (const body of bodies) body.catch(() => {});
      for (const [i, row] of rows.entries())
        yield { items: Number(row['last']) - Number(row['first']) + 1, plain: await bodies[i]! };
    }
  } finally {
    await ahead?.catch(() => {});
  }
}

/** Items of a plan by batch; backwards: greatest seq first. */
export async function* planItems(
  database: Database,
  plan: string,
  o: Cancel & { readonly only?: readonly SeqRange[]; readonly after?: number; readonly backwards?: boolean },
): AsyncGenerator<readonly PlanItem[]> {
  const only = o.only && mergeRanges(o.only);
  const parse = itemParser();
  for await (const { plain } of chunks(database, plan, o)) {
    const items: PlanItem[] = [];
    for (const line of linesOf(plain)) {
      const item = parse(line);
      if (!item) throw edited(plan);
      if (item.seq > (o.after ?? 0) && (!only || inRanges(only, item.seq))) items.push(item);
    }
    if (o.backwards) items.reverse();
    if (items.length > 0) yield items;
  }
}

/** Items of one key in one plan, or (no plan) in all of them. */
export const itemsOfKey = async (
  database: Database,
  pair: string,
  key: Key,
  o: Cancel & { readonly plan?: string },
): Promise<readonly { readonly plan: Plan; readonly item: PlanItem }[]> => {
  const rows = await database.query(
    `select p.id, header, hash, used_by, used_at, body from lockstep_control.plan_chunk c join lockstep_control.plan p on p.id = c.plan
     where ($1::text is null or plan = $1) and position($2 in keys) > 0 order by p.id desc, first limit 1000`,
    [o.plan ?? null, hashBytes(keyHash(pair, key))],
    o,
  );
  const wanted = JSON.stringify(key);
  const found: { readonly plan: Plan; readonly item: PlanItem }[] = [];
  for (const row of rows) {
    const plan = toPlan(row);
    for (const line of linesOf(await bodyOf(plan.header.id, row))) {
      const item = parseItem(line);
      if (!item) throw edited(plan.header.id);
      if (plan.header.tables[item.table]?.pair === pair && JSON.stringify(item.change.key) === wanted)
        found.push({ plan, item });
    }
  }
  return found;
};

export const plansOf = (database: Database): Plans => {
  const get = async (id: string, o: Cancel): Promise<Plan | undefined> => {
    const rows = await database.query(
      `select ${columns} from lockstep_control.plan where id = $1 or starts_with(id, $1) order by id = $1 desc limit 2`,
      [plainText(id)],
      o,
    );
    return rows.length === 1 || rows[0]?.['id'] === id ? toPlan(rows[0]!) : undefined;
  };
  const mustGet = async (id: string, o: Cancel): Promise<Rows[number]> => {
    const [row] = await database.query(`select ${columns}, items from lockstep_control.plan where id = $1`, [id], o);
    if (row) return row;
    throw new LockstepError('NOT_FOUND', `there is no plan ${id} in this control store`, {
      hint: 'Give the plan file, or make a new plan.',
    });
  };
  const plans: Plans = {
    create: (plan, o) => planWriter(database, plan, o),
    get,
    list: async (filter, o) => {
      const rows = await database.query(
        `select ${columns} from lockstep_control.plan
         where ($1::text is null or sync = $1) and ($2::text is null or id < $2) order by id desc limit $3`,
        [plainOrNull(filter.sync), filter.before ?? null, filter.limit ?? 50],
        o,
      );
      return rows.map(toPlan);
    },
    items: (id, o) => planItems(database, id, o),
    find: async (id, pair, key, o) =>
      (await itemsOfKey(database, pair, key, { ...o, plan: id })).map(({ item }) => item),
    verify: async (id, o) => {
      const row = await mustGet(id, o);
      const hash = createHash('sha256');
      let items = 0;
      for await (const chunk of chunks(database, id, o)) {
        hash.update(chunk.plain);
        items += chunk.items;
      }
      const digest = hash.update(`${row['header'] as string}\n`).digest('hex');
      if (digest !== row['hash'] || String(items) !== row['items']) throw edited(id);
    },
    claim: async (id, run, at, o) => {
      const [row] = await database.query(
        `update lockstep_control.plan set used_by = $2, used_at = coalesce(used_at, $3) where id = $1 and (used_by is null or used_by = $2)
         returning id`,
        [id, run, toTime(at)],
        o,
      );
      if (row) return;
      const { usedBy } = toPlan(await mustGet(id, o));
      throw new LockstepError('PLAN_USED', `plan ${id} has already been applied, by run ${usedBy}`, {
        hint: `See what it did with: lockstep show ${usedBy}. To apply again, make a new plan.`,
      });
    },
    release: async (id, run, o) => {
      await database.query(
        'update lockstep_control.plan set used_by = null, used_at = null where id = $1 and used_by = $2',
        [id, run],
        o,
      );
    },
    export: (id, o) =>
      exportPlan(
        id,
        () => mustGet(id, o),
        () => chunks(database, id, o),
      ),
    import: (file, o) => importPlan(database, file, (id) => get(id, o), o),
  };
  return plans;
};
