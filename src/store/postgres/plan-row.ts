import type { Cancel } from '../../model/cancel.ts';
import type { PlanHeader } from '../../model/plans.ts';
import type { Connection } from './database.ts';
import { plainOrNull } from './values.ts';

/** Writes a plan's row: what seals it, after its items. `text` is the header as it was hashed. */
export const insertPlan = async (
  connection: Connection,
  header: PlanHeader,
  text: string,
  sums: { readonly hash: string; readonly seal: string },
  items: number,
  o: Cancel,
): Promise<void> => {
  await connection.query(
    'insert into lockstep_control.plan (id, sync, items, hash, seal, header) values ($1, $2, $3, $4, $5, $6)',
    [header.id, plainOrNull(header.sync), items, sums.hash, sums.seal, text],
    o,
  );
};
