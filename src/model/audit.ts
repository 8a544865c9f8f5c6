import type { Cancel } from './cancel.ts';
import type { JsonValue } from './json.ts';

/** `intended`: before the effect. Then one of the others, under the same correlation and object. */
export type AuditOutcome = 'intended' | 'done' | 'failed' | 'refused';

/** Who did what to what. Never a secret. */
export interface NewAuditEntry {
  /** e.g. `token:ci`, `oidc:alice`, `schedule`, `me@laptop`. */
  readonly actor: string;
  /** e.g. `plan.apply`, `sync.pause`, `token.create`, `record.update`, `quarantine.drop`. */
  readonly action: string;
  /** e.g. `plans/p_…`, `syncs/branches`, `tokens/t_…`, `records/subscriptions/17`. */
  readonly object: string;
  readonly before?: JsonValue;
  readonly after?: JsonValue;
  readonly outcome: AuditOutcome;
  /** Ties it to requests, runs and log lines. */
  readonly correlation: string;
}

export interface AuditEntry extends NewAuditEntry {
  /** 1, 2, 3, … without a gap. */
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly before: JsonValue;
  readonly after: JsonValue;
  /** Which key it is chained with; not the key. */
  readonly key: string;
  /** HMAC-SHA256 over the hash of the entry before and this entry, hexadecimal. */
  readonly hash: string;
}

/** The end of the chain at a time. Kept elsewhere it proves later that nothing up to it was changed or cut off. */
export interface AuditHead {
  /** 0 without any entry. */
  readonly seq: number;
  readonly hash: string;
  readonly key: string;
  /** Proves that the head was made with the key, hexadecimal. */
  readonly mac: string;
}

export interface AuditFilter {
  readonly actor?: string;
  readonly action?: string;
  /** This object and those below it: `records/subscriptions`. */
  readonly object?: string;
  readonly correlation?: string;
  /** Milliseconds since 1970: at or after, and before. */
  readonly from?: number;
  readonly to?: number;
  /** Entries older than this one. */
  readonly before?: number;
  readonly limit: number;
}

export interface AuditVerdict {
  /** Entries looked at. */
  readonly entries: number;
  readonly head: AuditHead;
  /** Checkpoints that were given and hold. */
  readonly checkpoints: number;
  /** What is wrong, the first entry of each kind, oldest first; empty: nothing. */
  readonly problems: readonly { readonly seq: number; readonly what: string }[];
}

/**
 * The audit log: one chain for all processes of a control store. An entry is written before the effect that it tells of;
 * when it cannot be written, the effect does not happen.
 */
export interface Audit {
  /** Resolves when the entries are safely written. Times are the clock's of this process. */
  append(entries: readonly NewAuditEntry[], o: Cancel): Promise<AuditHead>;
  head(o: Cancel): Promise<AuditHead>;
  /** CONFIG when the log goes on with a key that this process does not have: nothing could be appended. */
  ready(o: Cancel): Promise<void>;
  /** Newest first. */
  list(filter: AuditFilter, o: Cancel): Promise<readonly AuditEntry[]>;
  /** Recomputes the whole chain, and looks up heads that were kept elsewhere. */
  verify(checkpoints: readonly AuditHead[], o: Cancel): Promise<AuditVerdict>;
}
