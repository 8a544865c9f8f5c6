import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { AuditHead, AuditOutcome } from '../model/audit.ts';
import { LockstepError } from '../model/errors.ts';

/**
 * The chain of the audit log. Each entry's hash is HMAC-SHA256 over the hash before it and the entry, under a key that
 * is not in the store: whoever can write the store can neither change an entry, nor put one in between, nor exchange
 * two, and go on unseen. The end is signed too, so that a tail is not cut off by a plain delete; that somebody cuts it
 * off and puts an older signed end back only shows by an end that was kept elsewhere (`lockstep audit head`).
 */
export interface AuditKey {
  /** Names the key without telling it. */
  readonly id: string;
  readonly secret: Buffer;
}

/** The key that entries are written with, and others that older entries were. */
export interface AuditKeys {
  readonly current: AuditKey;
  readonly old: readonly AuditKey[];
  /** Ids of keys that nobody has any more: the log goes on after entries of theirs, which stay unproved. */
  readonly lost?: readonly string[];
}

/**
 * CONFIG when the log's end was signed with a key that this process has not been told of: two machines that share a
 * store and no key would each write what the other cannot prove.
 */
export const mustKnow = ({ current, old, lost = [] }: AuditKeys, head: Pick<AuditHead, 'key'> | undefined): void => {
  if (head === undefined || lost.includes(head.key) || [current, ...old].some(({ id }) => id === head.key)) return;
  throw new LockstepError(
    'CONFIG',
    `the audit log of this control store is chained with another key (${head.key}) than this process has (${current.id})`,
    {
      hint: `Whoever shares a control store shares one key: set LOCKSTEP_AUDIT_KEY here to that of the others; who has set none keeps it in .lockstep/audit.key. After a change of keys the earlier ones belong in audit: { old_keys: […] }; one that is lost for good: audit: { lost_keys: ["${head.key}"] }.`,
    },
  );
};

const shortest = 16;

/** CONFIG when it is too short to be a secret. */
export const auditKeyOf = (text: string): AuditKey => {
  if (text.trim().length < shortest)
    throw new LockstepError('CONFIG', `the audit key is shorter than ${shortest} characters`, {
      hint: 'Make one: openssl rand -base64 32',
    });
  const secret = createHash('sha256').update(`lockstep audit key 1\n${text.trim()}`).digest();
  return { id: createHmac('sha256', secret).update('lockstep audit key id 1').digest('hex').slice(0, 16), secret };
};

/** What an entry's hash covers; JSON members as the texts that are stored. */
export interface Chained {
  readonly seq: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly object: string;
  readonly before: string | null;
  readonly after: string | null;
  readonly outcome: AuditOutcome;
  readonly correlation: string;
}

export const genesis = Buffer.alloc(32);

export const entryHash = (key: AuditKey, before: Buffer, e: Chained): Buffer =>
  createHmac('sha256', key.secret)
    .update('lockstep audit entry 1\n')
    .update(before)
    // A JSON array of texts and numbers is read in one way only.
    .update(
      JSON.stringify([e.seq, e.at, e.actor, e.action, e.object, e.before, e.after, e.outcome, e.correlation, key.id]),
    )
    .digest();

export const headMac = (key: AuditKey, seq: number, hash: Buffer): Buffer =>
  createHmac('sha256', key.secret)
    .update(`lockstep audit head 1\n${seq}\n${hash.toString('hex')}`)
    .digest();

/** Was the head made with this key? */
export const headHolds = (key: AuditKey, head: AuditHead): boolean => {
  const expected = headMac(key, head.seq, Buffer.from(head.hash, 'hex'));
  const given = Buffer.from(head.mac, 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected);
};
