import type { Cancel } from '../../model/cancel.ts';
import type { ChangeOp } from '../../model/change.ts';
import { LockstepError } from '../../model/errors.ts';
import type { NewPlan, Plan, PlanHeader, PlanItem, Plans, PlanWriter } from '../../model/plans.ts';
import type { Key } from '../../model/row.ts';
import { ChunkBuilder, hashBytes, keyHash } from '../chunk.ts';
import { itemLine } from '../item-line.ts';
import type { Database, Rows } from './database.ts';
import {
  chunkPlace,
  itemsIn,
  itemsOfRow,
  planChunks,
  planItems,
  planSums,
  type SealedChunks,
  storeChunk,
  verifySeal,
  wholeLines,
} from './plan-chunks.ts';
import { exportPlan, importPlan } from './plan-file.ts';
import { itemsOfKeys } from './plan-find.ts';
import { insertPlan } from './plan-row.ts';
import { fromJson, fromTime, plainOrNull, plainText, toTime } from './values.ts';

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
  const sums = planSums();
  const counts: Record<ChangeOp, number> = { insert: 0, update: 0, delete: 0 };
  let seq = 0;
  let held: PlanItem[] = [];
  let open = true;
  const close = (spoilt: boolean): void => {
    open = false;
    give(spoilt);
  };
  const cut = async (c: Cancel): Promise<void> => {
    const lines = builder.cut();
    if (lines.count === 0) return;
    sums.lines(lines.plain);
    const items = held;
    held = [];
    sums.stored(await storeChunk(connection, plan.id, lines, items, c));
  };
  const seal: PlanWriter['seal'] = async (c) => {
    await cut(c);
    const header: PlanHeader = {
      ...plan,
      settings: c.settings ?? plan.settings,
      guards: c.guards ?? plan.guards,
      counts,
      summary: (c.unquoted !== undefined && (await database.vault.carried()) ? c.unquoted : c.summary) ?? null,
    };
    const text = JSON.stringify(header);
    const ends = sums.end(text);
    await insertPlan(connection, header, text, ends, seq, c);
    await connection.query('commit', [], c);
    close(false);
    return { header: JSON.parse(text) as PlanHeader, hash: ends.hash, usedBy: null, usedAt: null };
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
        const numbered = { ...item, seq };
        held.push(numbered);
        builder.add(itemLine(numbered), keyHash(table.pair, item.change.key));
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

/** Items of one key in all plans, newest first. */
export const itemsOfKey = async (
  database: Database,
  pair: string,
  key: Key,
  o: Cancel,
): Promise<readonly { readonly plan: Plan; readonly item: PlanItem }[]> => {
  const rows = await database.query(
    `select p.id, header, hash, used_by, used_at, first, last, keys, body, images from lockstep_control.plan_chunk c join lockstep_control.plan p on p.id = c.plan
     where position($1 in keys) > 0 order by p.id desc, first limit 1000`,
    [hashBytes(keyHash(pair, key))],
    { ...o, place: (row, column) => chunkPlace(row['id'] as string, row, column) },
  );
  const wanted = JSON.stringify(key);
  const found: { readonly plan: Plan; readonly item: PlanItem }[] = [];
  for (const row of rows) {
    const plan = toPlan(row);
    for (const item of itemsOfRow(plan.header.id, row)) {
      if (plan.header.tables[item.table]?.pair === pair && JSON.stringify(item.change.key) === wanted)
        found.push({ plan, item });
    }
  }
  return found;
};

export const plansOf = (database: Database): Plans => {
  let sealed: SealedChunks | undefined;
  const get = async (id: string, o: Cancel): Promise<Plan | undefined> => {
    const rows = await database.query(
      `select ${columns} from lockstep_control.plan where id = $1 or starts_with(id, $1) order by id = $1 desc limit 2`,
      [plainText(id)],
      o,
    );
    return rows.length === 1 || rows[0]?.['id'] === id ? toPlan(rows[0]!) : undefined;
  };
  const mustGet = async (id: string, o: Cancel): Promise<Rows[number]> => {
    const [row] = await database.query(
      `select ${columns}, items, seal from lockstep_control.plan where id = $1`,
      [id],
      o,
    );
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
         where ($1::text is null or sync = $1) and ($2::text is null or id < $2)
           and ($4::text[] is null or sync = any($4)) order by id desc limit $3`,
        [plainOrNull(filter.sync), filter.before ?? null, filter.limit ?? 50, filter.syncs?.map(plainText) ?? null],
        o,
      );
      return rows.map(toPlan);
    },
    items: (id, o) => planItems(database, id, o, sealed),
    find: async (id, pair, keys, o) => {
      const plan = keys.length === 0 ? undefined : await get(id, o);
      return plan === undefined ? [] : await itemsOfKeys(database, plan.header, pair, keys, o);
    },
    verify: async (id, o) => {
      sealed = undefined;
      sealed = await verifySeal(database, id, await mustGet(id, o), o);
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
        database.vault,
        () => mustGet(id, o),
        async function* () {
          for await (const chunk of planChunks(database, id, o))
            yield { items: itemsIn(chunk), plain: wholeLines(id, chunk) };
        },
      ),
    import: (file, o) => importPlan(database, file, (id) => get(id, o), o),
  };
  return plans;
};
