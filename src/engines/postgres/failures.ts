import { LockstepError } from '../../model/errors.ts';
import { hugeCell } from '../sql/huge-cell.ts';

/** What the server sends with an error (a `pg` DatabaseError), or the system with a broken connection. */
export interface ServerFailure extends Error {
  readonly code?: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
  readonly severity?: string;
  readonly position?: string;
}

/** The server's SQLSTATE; undefined when the failure is not the server's answer. */
export const sqlState = (error: unknown): string | undefined => {
  const code = (error as ServerFailure | undefined)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && (error as ServerFailure).severity !== undefined
    ? code
    : undefined;
};

/** The database's own word about what it refuses: the data, a constraint, a trigger. */
export const isRefusal = (error: unknown): boolean => {
  const state = sqlState(error);
  return (
    state !== undefined &&
    (/^(22|23|44|P0|38|39)/.test(state) || state === '428C9' || state === '54000' || state === '55000')
  );
};

/** What the server says of a change that it refuses; undefined: it failed in another way. */
export const refusalReason = (error: unknown): { readonly reason: string; readonly sqlState: string } | undefined => {
  if (!isRefusal(error)) return undefined;
  const e = error as ServerFailure;
  return { reason: e.detail === undefined ? e.message : `${e.message}: ${e.detail}`, sqlState: sqlState(error)! };
};

const lostCodes = new Set([
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ECONNABORTED',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ECONNREFUSED',
  'ENOTCONN',
  'ERR_STREAM_DESTROYED',
]);

const isLost = (e: ServerFailure, state: string | undefined): boolean =>
  state === undefined
    ? lostCodes.has(e.code ?? '') ||
      /Connection terminated|Client has encountered a connection error|Client was closed|not queryable|socket has been ended/i.test(
        e.message,
      )
    : state.startsWith('08') ||
      state === '57P01' ||
      state === '57P02' ||
      state === '57P03' ||
      state === '25P03' ||
      state === '57P05';

export interface FailureContext {
  /** The endpoint's name. */
  readonly side: string;
  /** What was being done, e.g. `reading public.orders`. */
  readonly doing: string;
  readonly user: string;
  readonly statementTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The statement holds a condition of the user's. */
  readonly filtered?: boolean;
  /** `schema.table`, quoted, for the GRANT. */
  readonly table?: string | undefined;
  readonly privilege?: string | undefined;
}

/** The exact statement that gives the right that was missing, as far as the error tells. */
const grant = (e: ServerFailure, at: FailureContext): string => {
  const to = `"${at.user.replaceAll('"', '""')}"`;
  const object = /permission denied for (\w+(?: \w+)?) "?([^"]+)"?$/.exec(e.message);
  const kind = object?.[1] ?? '';
  const name = object?.[2] ?? '';
  if (kind === 'schema') return `grant usage on schema "${name}" to ${to};`;
  if (kind === 'database')
    return `grant ${at.privilege === 'create' ? 'create' : 'connect'} on database "${name}" to ${to};`;
  if (kind === 'sequence') return `grant usage, select, update on sequence ${name} to ${to};`;
  if (kind === 'function') return `grant execute on function ${name} to ${to};`;
  const privilege = at.privilege ?? 'select';
  return `grant ${privilege} on ${at.table ?? `"${name}"`} to ${to};`;
};

/** Turns what a statement threw into a `LockstepError`; one is passed through. */
export const explainFailure = (error: unknown, at: FailureContext): LockstepError => {
  if (error instanceof LockstepError) return error;
  const e = (error instanceof Error ? error : new Error(String(error))) as ServerFailure;
  const make = (code: ConstructorParameters<typeof LockstepError>[0], message: string, hint?: string): LockstepError =>
    new LockstepError(code, message, { side: at.side, cause: error, ...(hint === undefined ? {} : { hint }) });
  if (at.signal?.aborted) return make('ABORTED', `${at.side}: ${at.doing} was stopped`);
  const huge = hugeCell(error, at.side, at.doing);
  if (huge) return huge;
  const state = sqlState(e);
  if (isLost(e, state)) {
    return make(
      'CONNECTION_LOST',
      `${at.side}: the connection broke while ${at.doing}: ${e.message}`,
      'Nothing of an open transaction remains; run it again.',
    );
  }
  switch (state) {
    case '40001':
    case '40P01':
    case '55P03':
      return make(
        'CONTENTION',
        `${at.side}: ${at.doing} gave way to another transaction: ${e.message}`,
        'A repeat usually cures it.',
      );
    case '57014':
      return at.statementTimeoutMs === undefined
        ? make(
            'DATABASE',
            `${at.side}: ${at.doing} was cancelled at the server: ${e.message}`,
            'Somebody cancelled it, or a statement_timeout is set for the role or database.',
          )
        : make(
            'STATEMENT_TIMEOUT',
            `${at.side}: ${at.doing} took longer than the statement time-out of ${at.statementTimeoutMs} ms`,
            'Raise limits.statement_timeout of the endpoint, or read less at a time (--where).',
          );
    case '42501':
      if (/row-level security/.test(e.message)) {
        return make(
          'PRIVILEGE',
          `${at.side}: a row-level security policy would hide rows from ${at.user} (${at.doing}), and a comparison of some of the rows would be wrong`,
          `alter role "${at.user.replaceAll('"', '""')}" bypassrls; (or use a role that has it)`,
        );
      }
      return make('PRIVILEGE', `${at.side}: ${at.user} may not do this (${at.doing}): ${e.message}`, grant(e, at));
    case '25006':
      return make(
        'NOT_WRITABLE',
        `${at.side}: ${at.doing} needs to write, and the session is read-only: ${e.message}`,
        'Is this a standby, or does the condition call something that writes?',
      );
    case '42P01':
      if (!at.filtered)
        return make(
          'TABLE_NOT_FOUND',
          `${at.side}: ${e.message} (${at.doing})`,
          'Was it renamed or dropped meanwhile?',
        );
      break;
    case '42703':
      if (!at.filtered)
        return make(
          'COLUMN_NOT_FOUND',
          `${at.side}: ${e.message} (${at.doing})`,
          'Was it renamed or dropped meanwhile?',
        );
      break;
  }
  if (at.filtered && state !== undefined && /^(42|22|21|25006)/.test(state)) {
    return make(
      'FILTER',
      `${at.side}: the condition for ${at.doing} is refused by the database: ${e.message}`,
      'Correct --where (or `where` of the pair); it is SQL of this side.',
    );
  }
  const detail = e.hint === undefined ? undefined : e.hint;
  return make(
    'DATABASE',
    `${at.side}: ${at.doing} failed: ${e.message}${state === undefined ? '' : ` (SQLSTATE ${state})`}`,
    detail,
  );
};
