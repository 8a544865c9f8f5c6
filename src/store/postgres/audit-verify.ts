import type { AuditHead, AuditOutcome, AuditVerdict } from '../../model/audit.ts';
import type { Cancel } from '../../model/cancel.ts';
import { type AuditKey, type AuditKeys, entryHash, genesis, headHolds, headMac } from '../audit-chain.ts';
import { auditColumns, readEnds } from './audit-rows.ts';
import type { Database, Rows } from './database.ts';

const pageSize = 2000;
/** More say no more. */
const mostProblems = 20;

const hashOf = (row: Rows[number], key: AuditKey, before: Buffer): string =>
  entryHash(key, before, {
    seq: Number(row['seq']),
    at: Number(row['ms']),
    actor: row['actor'] as string,
    action: row['action'] as string,
    object: row['object'] as string,
    before: row['before'] as string | null,
    after: row['after'] as string | null,
    outcome: row['outcome'] as AuditOutcome,
    correlation: row['correlation'] as string,
  }).toString('hex');

const entries = (from: number, to: number): string =>
  from === to ? `entry ${from} is missing` : `entries ${from} to ${to} are missing`;

/** Recomputes the chain from its first entry to the end that there is now. */
export const verifyAudit = async (
  database: Database,
  keys: AuditKeys,
  checkpoints: readonly AuditHead[],
  o: Cancel,
): Promise<AuditVerdict> => {
  const known = new Map([keys.current, ...keys.old].map((key) => [key.id, key]));
  const problems: { seq: number; what: string }[] = [];
  const wrong = (seq: number, what: string): void => {
    if (problems.length < mostProblems) problems.push({ seq, what });
  };
  const { head, last } = await readEnds(database, o);
  const wanted = new Map<number, AuditHead[]>();
  for (const c of checkpoints) wanted.set(c.seq, [...(wanted.get(c.seq) ?? []), c]);
  let held = 0;

  /** A checkpoint that was made with a key of ours, against what the log has there. */
  const checkpoint = (c: AuditHead, hash: string | undefined): void => {
    const key = known.get(c.key);
    if (key === undefined) wrong(c.seq, `the checkpoint of entry ${c.seq} was made with another key, ${c.key}`);
    else if (!headHolds(key, c)) wrong(c.seq, `the checkpoint of entry ${c.seq} is not what was written`);
    else if (hash === undefined)
      wrong(c.seq, `the log ends before entry ${c.seq} of the checkpoint: its end was cut off`);
    else if (hash !== c.hash)
      wrong(c.seq, `entry ${c.seq} is not the one of the checkpoint: the log was chained again`);
    else held++;
  };
  for (const c of wanted.get(0) ?? []) checkpoint(c, genesis.toString('hex'));

  let before: Buffer = genesis;
  let seq = 0;
  let seen = 0;
  let strange: string | undefined;
  while (seq < last.seq) {
    const rows = await database.query(
      `select ${auditColumns} from lockstep_control.audit where seq > $1 and seq <= $2 order by seq limit ${pageSize}`,
      [seq, last.seq],
      o,
    );
    if (rows.length === 0) break;
    for (const row of rows) {
      const at = Number(row['seq']);
      const gap = at !== seq + 1;
      if (gap) wrong(seq + 1, entries(seq + 1, at - 1));
      seq = at;
      seen++;
      const keyId = row['key'] as string;
      const key = known.get(keyId);
      const hash = row['hash'] as string;
      if (key === undefined) {
        if (keyId !== strange)
          wrong(seq, `entry ${seq} was written with another key, ${keyId}: what it says is not proved`);
        strange = keyId;
      } else {
        strange = undefined;
        // What its hash covers besides is gone with the entries before a gap.
        if (!gap && hashOf(row, key, before) !== hash)
          wrong(seq, `entry ${seq} is not what was written, or not where it was`);
      }
      if (row['action'] === 'audit.broken')
        wrong(seq, `entry ${seq} tells that the end of the log had been changed before it`);
      for (const c of wanted.get(seq) ?? []) checkpoint(c, hash);
      // Going on from what stands there shows where else something is wrong.
      before = Buffer.from(hash, 'hex');
    }
  }
  const end = head ?? {
    seq: 0,
    hash: genesis.toString('hex'),
    key: keys.current.id,
    mac: headMac(keys.current, 0, genesis).toString('hex'),
  };
  const endKey = known.get(end.key);
  if (end.seq > seq) wrong(seq + 1, entries(seq + 1, end.seq));
  else if (end.seq < seq) wrong(end.seq + 1, `entries after ${end.seq} are not of the signed end`);
  else if (end.hash !== before.toString('hex')) wrong(seq, `the signed end is not of entry ${seq}`);
  else if (endKey !== undefined && !headHolds(endKey, end)) wrong(seq, 'the end of the log is not what was signed');
  for (const [at, some] of wanted) if (at > seq) for (const c of some) checkpoint(c, undefined);
  return { entries: seen, head: end, checkpoints: held, problems: problems.sort((a, b) => a.seq - b.seq) };
};
