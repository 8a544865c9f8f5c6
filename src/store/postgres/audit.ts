import type { Clock } from '../../lib/clock.ts';
import type { Audit, AuditEntry, AuditHead, AuditOutcome, NewAuditEntry } from '../../model/audit.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import { type AuditKeys, type Chained, entryHash, genesis, headHolds, headMac, mustKnow } from '../audit-chain.ts';
import type { Lock } from '../stored-values.ts';
import { auditColumns, type LastEntry, readEnds } from './audit-rows.ts';
import { verifyAudit } from './audit-verify.ts';
import type { Database, Rows } from './database.ts';
import { fromJson, fromTime, plainText, toJson, toTime } from './values.ts';

/** Entries of one transaction. */
const mostAtOnce = 500;
const timeoutMs = 30_000;

const toEntry = (row: Rows[number]): AuditEntry => ({
  seq: Number(row['seq']),
  at: fromTime(row['at'])!,
  actor: row['actor'] as string,
  action: row['action'] as string,
  object: row['object'] as string,
  before: fromJson(row['before']),
  after: fromJson(row['after']),
  outcome: row['outcome'] as AuditOutcome,
  correlation: row['correlation'] as string,
  key: row['key'] as string,
  hash: row['hash'] as string,
});

interface Waiting {
  readonly entries: readonly NewAuditEntry[];
  readonly o: Cancel;
  resolve(head: AuditHead): void;
  reject(error: unknown): void;
}

/** The audit log in the control store. `keys` is asked when a key is needed first. */
export const auditOf = (database: Database, keys: () => AuditKeys, clock: Pick<Clock, 'now'>): Audit => {
  let known: AuditKeys | undefined;
  const keysNow = (): AuditKeys => (known ??= keys());

  /** What the end should have been and is not, as an entry of its own: it stays in the chain, whatever is done after. */
  const complaint = (head: AuditHead | undefined, last: LastEntry): NewAuditEntry | undefined => {
    const { current, old } = keysNow();
    const key = [current, ...old].find((k) => k.id === head?.key);
    const same =
      head === undefined ? last.seq === 0 : head.seq === last.seq && head.hash === last.hash && head.key === last.key;
    if (same && (head === undefined || key === undefined || headHolds(key, head))) return undefined;
    return {
      actor: 'lockstep',
      action: 'audit.broken',
      object: 'audit',
      before: { signed: head === undefined ? null : head.seq, last: last.seq },
      outcome: 'failed',
      correlation: 'audit',
    };
  };

  const write = (entries: readonly NewAuditEntry[]): Promise<AuditHead> => {
    const o = { signal: AbortSignal.timeout(timeoutMs) };
    const { current } = keysNow();
    return database.lend(o, async (connection) => {
      // A process that stands still in here would keep everybody else waiting: the server ends its session.
      await connection.query(
        `begin; set local idle_in_transaction_session_timeout = 10000;
         lock table lockstep_control.audit_head in share row exclusive mode`,
        [],
        o,
      );
      const { head, last } = await readEnds(connection, o);
      mustKnow(keysNow(), head);
      const broken = complaint(head, last);
      let seq = Math.max(head?.seq ?? 0, last.seq);
      let hash: Buffer = Buffer.from(head && head.seq >= last.seq ? head.hash : last.hash, 'hex');
      const at = clock.now();
      const rows = (broken ? [broken, ...entries] : entries).map((e) => {
        seq++;
        const row: Chained = {
          seq,
          at,
          actor: plainText(e.actor),
          action: plainText(e.action),
          object: plainText(e.object),
          before: toJson(e.before),
          after: toJson(e.after),
          outcome: e.outcome,
          correlation: plainText(e.correlation),
        };
        hash = entryHash(current, hash, row);
        return { ...row, hash };
      });
      const mac = headMac(current, seq, hash);
      // that an entry stays in its place is what the chain is for
      const kept = (column: 'before' | 'after') => (lock: Lock) => rows.map((r) => lock.text(r[column], 'audit'));
      const of = (value: (row: (typeof rows)[number]) => unknown): readonly unknown[] => rows.map(value);
      await connection.query(
        `with entries as (
           insert into lockstep_control.audit (seq, at, actor, action, object, before, after, outcome, correlation, key, hash)
           select x.seq, $2::timestamptz, x.actor, x.action, x.object, x.before, x.after, x.outcome, x.correlation, $3, x.hash
           from unnest($1::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                       $11::bytea[]) as x (seq, actor, action, object, before, after, outcome, correlation, hash))
         insert into lockstep_control.audit_head (seq, hash, key, mac) values ($12, $13, $3, $14)
         on conflict (one) do update set seq = excluded.seq, hash = excluded.hash, key = excluded.key, mac = excluded.mac`,
        [
          of((r) => r.seq),
          toTime(at),
          current.id,
          of((r) => r.actor),
          of((r) => r.action),
          of((r) => r.object),
          kept('before'),
          kept('after'),
          of((r) => r.outcome),
          of((r) => r.correlation),
          of((r) => r.hash),
          seq,
          hash,
          mac,
        ],
        o,
      );
      await connection.query('commit', [], o);
      return { seq, hash: hash.toString('hex'), key: current.id, mac: mac.toString('hex') };
    });
  };

  // What comes while a transaction is under way goes into the next one: the chain is one for all, and each commit of it
  // waits for the disk.
  const waiting: Waiting[] = [];
  let writing = false;
  const flush = async (): Promise<void> => {
    if (writing) return;
    writing = true;
    while (waiting.length > 0) {
      const taken: Waiting[] = [];
      for (let n = 0; waiting[0] && (taken.length === 0 || n + waiting[0].entries.length <= mostAtOnce); ) {
        const next = waiting.shift()!;
        if (next.o.signal.aborted) next.reject(next.o.signal.reason);
        else {
          taken.push(next);
          n += next.entries.length;
        }
      }
      if (taken.length === 0) continue;
      try {
        const head = await write(taken.flatMap((w) => w.entries));
        for (const w of taken) w.resolve(head);
      } catch (cause) {
        const error =
          cause instanceof LockstepError
            ? cause
            : new LockstepError('STORE', `the audit log could not be written within ${timeoutMs / 1000} s`, { cause });
        for (const w of taken) w.reject(error);
      }
    }
    writing = false;
  };

  const head = async (o: Cancel): Promise<AuditHead> => {
    const found = (await readEnds(database, o)).head;
    if (found) return found;
    const { current } = keysNow();
    const hash = genesis.toString('hex');
    return { seq: 0, hash, key: current.id, mac: headMac(current, 0, genesis).toString('hex') };
  };

  return {
    append: (entries, o) => {
      if (entries.length === 0) return head(o);
      const { promise, resolve, reject } = Promise.withResolvers<AuditHead>();
      waiting.push({ entries, o, resolve, reject });
      void flush();
      return promise;
    },
    head,
    ready: async (o) => {
      const { head: end } = await readEnds(database, o);
      if (end !== undefined) mustKnow(keysNow(), end);
    },
    list: async (filter, o) => {
      const below = filter.object === undefined ? null : plainText(filter.object);
      const rows = await database.query(
        `select ${auditColumns} from lockstep_control.audit
         where ($1::text is null or actor = $1) and ($2::text is null or action = $2)
           and ($3::text is null or object = $3 or starts_with(object, $3 || '/'))
           and ($4::text is null or correlation = $4)
           and ($5::timestamptz is null or at >= $5) and ($6::timestamptz is null or at < $6)
           and ($7::bigint is null or seq < $7)
         order by seq desc limit $8`,
        [
          filter.actor === undefined ? null : plainText(filter.actor),
          filter.action ?? null,
          below,
          filter.correlation === undefined ? null : plainText(filter.correlation),
          toTime(filter.from),
          toTime(filter.to),
          filter.before ?? null,
          filter.limit,
        ],
        o,
      );
      return rows.map(toEntry);
    },
    verify: (checkpoints, o) => verifyAudit(database, keysNow(), checkpoints, o),
  };
};
