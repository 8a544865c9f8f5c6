/**
 * Every failure a user can meet has a stable code. `exit` is the process exit code (see the CLI reference),
 * `retry` says whether a repeat may cure it: `now` (with back-off), `never`, or `after_fix`.
 */
export const errorCodes = {
  USAGE: { exit: 20, retry: 'after_fix' },
  CONFIG: { exit: 20, retry: 'after_fix' },
  SECRET_MISSING: { exit: 20, retry: 'after_fix' },
  TABLE_NOT_FOUND: { exit: 20, retry: 'after_fix' },
  COLUMN_NOT_FOUND: { exit: 20, retry: 'after_fix' },
  KEY_MISSING: { exit: 20, retry: 'after_fix' },
  KEY_TYPES: { exit: 20, retry: 'after_fix' },
  SAME_TABLE: { exit: 20, retry: 'after_fix' },
  NOT_WRITABLE: { exit: 20, retry: 'after_fix' },
  FILTER: { exit: 20, retry: 'after_fix' },
  NOT_FOUND: { exit: 20, retry: 'after_fix' },
  CONNECT: { exit: 21, retry: 'now' },
  AUTH: { exit: 21, retry: 'after_fix' },
  TLS: { exit: 21, retry: 'after_fix' },
  PRIVILEGE: { exit: 21, retry: 'after_fix' },
  STORE: { exit: 21, retry: 'after_fix' },
  STORE_NEWER: { exit: 20, retry: 'after_fix' },
  GUARD: { exit: 22, retry: 'after_fix' },
  EMPTY_SOURCE: { exit: 22, retry: 'after_fix' },
  WRONG_TARGET: { exit: 23, retry: 'after_fix' },
  PLAN_USED: { exit: 23, retry: 'never' },
  PLAN_EXPIRED: { exit: 23, retry: 'after_fix' },
  PLAN_EDITED: { exit: 23, retry: 'never' },
  PLAN_STALE: { exit: 23, retry: 'after_fix' },
  LOCK_HELD: { exit: 24, retry: 'after_fix' },
  FENCED: { exit: 24, retry: 'never' },
  /** Another person has resolved the conflict before. */
  CONFLICT_RESOLVED: { exit: 20, retry: 'never' },
  /** The conflict has changed since it was looked at. */
  CONFLICT_MOVED: { exit: 23, retry: 'after_fix' },
  SCHEMA_DRIFT: { exit: 27, retry: 'after_fix' },
  /** Serialization failure, deadlock, lock time-out: the transaction left nothing behind. */
  CONTENTION: { exit: 1, retry: 'now' },
  /** The connection broke; whether a commit in flight happened is unknown until the marker is looked up. */
  CONNECTION_LOST: { exit: 21, retry: 'now' },
  /** Too many failures in a row: the endpoint is left alone for `retryAfterMs`. */
  CIRCUIT_OPEN: { exit: 21, retry: 'now' },
  /** A replica answers, and only reads: the server that takes writes is down. */
  PRIMARY_DOWN: { exit: 21, retry: 'now' },
  /** A list that cannot have been read whole (an API): nothing may be concluded from it. */
  INCOMPLETE: { exit: 25, retry: 'now' },
  /** The disk of the machine that compares has no room for a sort, or cannot be written. */
  TEMP_FILE: { exit: 1, retry: 'after_fix' },
  STATEMENT_TIMEOUT: { exit: 1, retry: 'after_fix' },
  /** Who asks is not known: no token, or one that is not good (any more). */
  UNAUTHENTICATED: { exit: 21, retry: 'after_fix' },
  /** Who asks is known and lacks a scope. */
  FORBIDDEN: { exit: 20, retry: 'after_fix' },
  RATE_LIMITED: { exit: 21, retry: 'now' },
  /** Something of this name is there, or has ended, or is in another state than the request needs. */
  CONFLICT: { exit: 20, retry: 'after_fix' },
  /** Another question was asked under the same idempotency key. */
  IDEMPOTENCY_MISMATCH: { exit: 20, retry: 'after_fix' },
  /** The process that carried it out died over it, again and again. */
  WORKER_LOST: { exit: 1, retry: 'after_fix' },
  /** The audit log is not what was written. */
  AUDIT: { exit: 29, retry: 'never' },
  /** What the control store keeps is encrypted with a key that is not configured here. */
  STORED_KEY: { exit: 20, retry: 'after_fix' },
  /** An encrypted value of the control store is not what was written. */
  STORED_VALUE: { exit: 29, retry: 'never' },
  /** A backup is not what was written, or does not restore to what was backed up. */
  BACKUP: { exit: 29, retry: 'never' },
  ABORTED: { exit: 130, retry: 'never' },
  DATABASE: { exit: 1, retry: 'after_fix' },
  INTERNAL: { exit: 1, retry: 'never' },
} as const satisfies Record<string, { exit: number; retry: 'now' | 'never' | 'after_fix' }>;

export type ErrorCode = keyof typeof errorCodes;

/**
 * A failure in the user's words: `message` says what happened and where, `hint` what to do. Neither holds a secret.
 * `details` are extra lines (a caret under a config line, candidates, …).
 */
export class LockstepError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: readonly string[];
  readonly side: string | undefined;
  /** When a repeat may help, in milliseconds from then; undefined: not known. */
  readonly retryAfterMs: number | undefined;
  constructor(
    code: ErrorCode,
    message: string,
    o: { hint?: string; details?: readonly string[]; side?: string; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, o.cause === undefined ? undefined : { cause: o.cause });
    this.name = 'LockstepError';
    this.code = code;
    this.hint = o.hint;
    this.details = o.details ?? [];
    this.side = o.side;
    this.retryAfterMs = o.retryAfterMs;
  }
  get exit(): number {
    return errorCodes[this.code].exit;
  }
  get retry(): 'now' | 'never' | 'after_fix' {
    return errorCodes[this.code].retry;
  }
}
