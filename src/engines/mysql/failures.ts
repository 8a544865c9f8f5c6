import { LockstepError } from '../../model/errors.ts';
import { hugeCell } from '../sql/huge-cell.ts';

/** What the server sends with an error, or the system with a broken connection, as the driver gives it. */
export interface ServerFailure extends Error {
  readonly errno?: number | string;
  readonly code?: string;
  readonly sqlState?: string;
  readonly fatal?: boolean;
}

/** The server's error number; undefined when the failure is not the server's answer. */
export const errorNumber = (error: unknown): number | undefined => {
  const e = error as ServerFailure | undefined;
  return typeof e?.errno === 'number' && typeof e.sqlState === 'string' ? e.errno : undefined;
};

export const errorNumbers = {
  DUPLICATE: 1062,
  REFERENCED: 1451,
  NO_REFERENCED: 1452,
  INTERRUPTED: 1317,
} as const;

/** Refusals of a value or a change whose SQLSTATE does not say so (HY000 and the like). */
const refusals = new Set([
  1048, 1062, 1118, 1138, 1264, 1265, 1292, 1364, 1366, 1367, 1406, 1411, 1416, 1442, 1451, 1452, 1467, 1526, 1558,
  1644, 1690, 1713, 1748, 1761, 3140, 3819, 4025, 4078, 4161,
]);

/** The database's own word about what it refuses: the data, a constraint, a trigger. */
export const isRefusal = (error: unknown): boolean => {
  const number = errorNumber(error);
  if (number === undefined) return false;
  return refusals.has(number) || /^(22|23|44|45)/.test((error as ServerFailure).sqlState!);
};

const lostCodes = new Set([
  'PROTOCOL_CONNECTION_LOST',
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
/** Shutdown, killed connection, idle too long, packet out of order. */
const lostNumbers = new Set([1053, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2013, 4031]);

const isLost = (e: ServerFailure, number: number | undefined): boolean =>
  number === undefined
    ? lostCodes.has(e.code ?? '') || /closed state|connection lost/i.test(e.message)
    : lostNumbers.has(number);

export interface FailureContext {
  /** The endpoint's name. */
  readonly side: string;
  /** What was being done, e.g. `reading shop.orders`. */
  readonly doing: string;
  readonly user: string;
  readonly statementTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The statement holds a condition of the user's. */
  readonly filtered?: boolean;
  /** `database`.`table`, for the GRANT. */
  readonly table?: string | undefined;
  readonly privilege?: string | undefined;
}

const account = (user: string): string => `'${user.replaceAll("'", "''")}'@'…'`;

/** Turns what a statement threw into a `LockstepError`; one is passed through. */
export const explainFailure = (error: unknown, at: FailureContext): LockstepError => {
  if (error instanceof LockstepError) return error;
  const e = (error instanceof Error ? error : new Error(String(error))) as ServerFailure;
  const make = (code: ConstructorParameters<typeof LockstepError>[0], message: string, hint?: string): LockstepError =>
    new LockstepError(code, `${at.side}: ${message}`, {
      side: at.side,
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  if (at.signal?.aborted) return make('ABORTED', `${at.doing} was stopped`);
  const huge = hugeCell(error, at.side, at.doing);
  if (huge) return huge;
  const number = errorNumber(e);
  if (isLost(e, number)) {
    return make(
      'CONNECTION_LOST',
      `the connection broke while ${at.doing}: ${e.message}`,
      'Nothing of an open transaction remains; run it again.',
    );
  }
  switch (number) {
    case 1020:
    case 1205:
    case 1213:
    case 1412:
      return make(
        'CONTENTION',
        `${at.doing} gave way to another transaction: ${e.message}`,
        'A repeat usually cures it.',
      );
    case 1317:
      return make('DATABASE', `${at.doing} was cancelled at the server: ${e.message}`, 'Somebody killed the query.');
    case 1969:
    case 3024:
      return make(
        'STATEMENT_TIMEOUT',
        at.statementTimeoutMs === undefined
          ? `${at.doing} took longer than a time-out set at the server`
          : `${at.doing} took longer than the statement time-out of ${at.statementTimeoutMs} ms`,
        'Raise limits.statement_timeout of the endpoint, or read less at a time (--where).',
      );
    case 1044:
    case 1142:
    case 1143:
    case 1227:
    case 1370:
      return make(
        'PRIVILEGE',
        `${at.user} may not do this (${at.doing}): ${e.message}`,
        at.table === undefined ? undefined : `grant ${at.privilege ?? 'select'} on ${at.table} to ${account(at.user)};`,
      );
    case 1290:
    case 1792:
    case 1836:
      return make(
        'NOT_WRITABLE',
        `${at.doing} needs to write, and the session or the server is read-only: ${e.message}`,
        'Is this a replica, or does the condition call something that writes?',
      );
    case 1146:
      if (!at.filtered)
        return make('TABLE_NOT_FOUND', `${e.message} (${at.doing})`, 'Was it renamed or dropped meanwhile?');
      break;
    case 1054:
      if (!at.filtered)
        return make('COLUMN_NOT_FOUND', `${e.message} (${at.doing})`, 'Was it renamed or dropped meanwhile?');
      break;
  }
  if (at.filtered && number !== undefined && /^(42|22|21|HY)/.test(e.sqlState!)) {
    return make(
      'FILTER',
      `the condition for ${at.doing} is refused by the database: ${e.message}`,
      'Correct --where (or `where` of the pair); it is SQL of this side.',
    );
  }
  return make(
    'DATABASE',
    `${at.doing} failed: ${e.message}${number === undefined ? '' : ` (error ${number}, SQLSTATE ${e.sqlState})`}`,
  );
};
