import { randomBytes } from 'node:crypto';
import type { Cancel } from '../../model/cancel.ts';
import type { Approval, Approvals } from '../../model/listings.ts';
import type { Database, Rows } from './database.ts';
import { fromTime, plainOrNull, plainText, toTime } from './values.ts';

const toApproval = (row: Rows[number]): Approval => ({
  plan: row['plan'] as string,
  hash: row['hash'] as string,
  actor: row['actor'] as string,
  at: fromTime(row['at'])!,
  comment: row['comment'] as string | null,
});

export const approvalsOf = (database: Database): Approvals => ({
  add: async (approval, o) => {
    const [row] = await database.query(
      `insert into lockstep_control.plan_approval as a (plan, actor, hash, at, comment) values ($1, $2, $3, $4, $5)
       on conflict (plan, actor) do update set actor = a.actor returning *`,
      [
        approval.plan,
        plainText(approval.actor),
        approval.hash,
        toTime(approval.at),
        plainOrNull(approval.comment ?? undefined),
      ],
      o,
    );
    return toApproval(row!);
  },
  of: async (plan, o) => {
    const rows = await database.query(
      'select * from lockstep_control.plan_approval where plan = $1 order by at, actor',
      [plainText(plan)],
      o,
    );
    return rows.map(toApproval);
  },
});

/** 32 random bytes under this name, made once and the same for every process of the store. */
export const sharedSecret = async (database: Database, name: string, o: Cancel): Promise<Uint8Array> => {
  const known = async (): Promise<Buffer | undefined> => {
    const [row] = await database.query('select value from lockstep_control.secret where name = $1', [name], o);
    return row?.['value'] as Buffer | undefined;
  };
  // once it is there nothing is written: it is asked of a replica, too
  const there = await known();
  if (there !== undefined) return there;
  await database.query(
    'insert into lockstep_control.secret (name, value) values ($1, $2) on conflict (name) do nothing',
    [name, randomBytes(32)],
    o,
  );
  return (await known())!;
};
