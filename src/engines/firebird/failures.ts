import { LockstepError } from '../../model/errors.ts';
import { type StatusItem, statusOf } from './driver.ts';

/** What the server answered: its words, and every code of them, outermost first. */
export class ServerFailure extends Error {
  readonly codes: readonly number[];
  constructor(message: string, status: readonly StatusItem[], cause: unknown) {
    super(message, { cause });
    this.codes = status.map((s) => s.gdscode);
  }
  has(...codes: readonly number[]): boolean {
    return codes.some((code) => this.codes.includes(code));
  }
}

/** What a callback of the driver was told, as one of our errors where the server spoke. */
export const failureOf = (error: unknown): Error => {
  const status = statusOf(error);
  if (status.length > 0) return new ServerFailure((error as Error).message, status, error);
  return error instanceof Error ? error : new Error(String((error as { message?: string })?.message ?? error));
};

/** Codes of ibase.h that mean something to us. */
export const gds = {
  arith_except: 335544321,
  convert_error: 335544334,
  deadlock: 335544336,
  io_error: 335544344,
  lock_conflict: 335544345,
  no_dup: 335544349,
  not_valid: 335544347,
  no_priv: 335544352,
  read_only_trans: 335544361,
  update_conflict: 335544451,
  foreign_key: 335544466,
  login: 335544472,
  lock_timeout: 335544510,
  except: 335544517,
  shutdown: 335544528,
  check_constraint: 335544558,
  dsql_field_err: 335544578,
  dsql_relation_err: 335544580,
  transliteration_failed: 335544565,
  unique_key_violation: 335544665,
  net_read_err: 335544726,
  net_write_err: 335544727,
  network_error: 335544721,
  read_only_database: 335544765,
  cancelled: 335544794,
  malformed_string: 335544849,
  att_shutdown: 335544856,
  read_only_field: 335544359,
  concurrent_transaction: 335544878,
  string_truncation: 335544914,
  foreign_key_target_doesnt_exist: 335544838,
  foreign_key_references_present: 335544839,
  sqlerr: 335544436,
  dsql_error: 335544569,
  exception_integer_overflow: 335544779,
  numeric_out_of_range: 335544916,
  imp_exc: 335544381,
  key_too_big: 335544434,
} as const;

const contention = [gds.deadlock, gds.lock_conflict, gds.update_conflict, gds.lock_timeout, gds.concurrent_transaction];
const uniqueness = [gds.unique_key_violation, gds.no_dup];
const refusals = [
  ...uniqueness,
  gds.foreign_key,
  gds.foreign_key_target_doesnt_exist,
  gds.foreign_key_references_present,
  gds.check_constraint,
  gds.not_valid,
  gds.arith_except,
  gds.convert_error,
  gds.string_truncation,
  gds.transliteration_failed,
  gds.malformed_string,
  gds.except,
  gds.read_only_field,
  gds.numeric_out_of_range,
  gds.exception_integer_overflow,
  gds.key_too_big,
];

export const isContention = (e: unknown): boolean => e instanceof ServerFailure && e.has(...contention);
export const isUniqueFailure = (e: unknown): boolean => e instanceof ServerFailure && e.has(...uniqueness);
/** The database's own word about data that it will not take. */
export const isRefusal = (e: unknown): e is ServerFailure =>
  e instanceof ServerFailure && !isContention(e) && e.has(...refusals);

const lostWords =
  /Connection to Firebird server was lost|Connection is closed|ECONNRESET|EPIPE|ECONNABORTED|ETIMEDOUT|socket/i;

export interface FailureContext {
  readonly side: string;
  /** What was being done, e.g. `reading ORDERS`. */
  readonly doing: string;
  readonly user: string;
  readonly signal?: AbortSignal | undefined;
  readonly timedOutMs?: number | undefined;
  /** The statement holds a condition of the user's. */
  readonly filtered?: boolean;
  readonly privilege?: string | undefined;
  readonly table?: string | undefined;
}

const plainWords = (message: string): string => message.replaceAll(/\s*\n\s*/g, ' ').trim();

/** Turns what a statement threw into a `LockstepError`; one is passed through. */
export const explainFailure = (error: unknown, at: FailureContext): LockstepError => {
  if (error instanceof LockstepError) return error;
  const e = error instanceof Error ? error : new Error(String(error));
  const words = plainWords(e.message);
  const make = (code: ConstructorParameters<typeof LockstepError>[0], message: string, hint?: string): LockstepError =>
    new LockstepError(code, `${at.side}: ${message}`, {
      side: at.side,
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  if (at.signal?.aborted) return make('ABORTED', `${at.doing} was stopped`);
  if (at.timedOutMs !== undefined)
    return make(
      'STATEMENT_TIMEOUT',
      `${at.doing} took longer than the statement time-out of ${at.timedOutMs} ms`,
      'Raise limits.statement_timeout of the endpoint, or read less at a time (--where).',
    );
  const server = e instanceof ServerFailure ? e : undefined;
  if (!server && lostWords.test(`${words} ${(e as { code?: string }).code ?? ''}`))
    return make(
      'CONNECTION_LOST',
      `the connection broke while ${at.doing}: ${words}`,
      'Nothing of an open transaction remains; run it again.',
    );
  if (!server) return make('DATABASE', `${at.doing} failed: ${words}`);
  if (server.has(gds.shutdown, gds.att_shutdown, gds.net_read_err, gds.net_write_err, gds.network_error))
    return make(
      'CONNECTION_LOST',
      `the server ended the connection while ${at.doing}: ${words}`,
      'Nothing of an open transaction remains; run it again.',
    );
  if (isContention(server))
    return make('CONTENTION', `${at.doing} gave way to another transaction: ${words}`, 'A repeat usually cures it.');
  if (server.has(gds.cancelled))
    return make('DATABASE', `${at.doing} was cancelled at the server: ${words}`, 'Somebody else cancelled it.');
  if (server.has(gds.no_priv))
    return make(
      'PRIVILEGE',
      `${at.user} may not do this (${at.doing}): ${words}`,
      at.table === undefined ? undefined : `grant ${at.privilege ?? 'select'} on ${at.table} to ${at.user};`,
    );
  if (server.has(gds.read_only_trans, gds.read_only_database))
    return make(
      'NOT_WRITABLE',
      `${at.doing} needs to write, and this is read-only: ${words}`,
      'Is the database read-only (gfix -mode read_write), or does the condition call something that writes?',
    );
  if (at.filtered && !server.has(gds.imp_exc))
    return make(
      'FILTER',
      `the condition for ${at.doing} is refused by the database: ${words}`,
      'Correct --where (or `where` of the pair); it is SQL of this side. Names that are not all in capitals are quoted.',
    );
  if (server.has(gds.dsql_relation_err))
    return make('TABLE_NOT_FOUND', `${words} (${at.doing})`, 'Was it renamed or dropped meanwhile?');
  if (server.has(gds.dsql_field_err))
    return make('COLUMN_NOT_FOUND', `${words} (${at.doing})`, 'Was it renamed or dropped meanwhile?');
  return make('DATABASE', `${at.doing} failed: ${words}`);
};

/** A refusal for people: the database's words on one line. */
export const refusalReason = (e: ServerFailure): { readonly reason: string; readonly sqlState: string } => ({
  reason: plainWords(e.message),
  sqlState: String(e.codes.find((code) => code !== gds.sqlerr && code !== gds.dsql_error) ?? e.codes[0]),
});

/** Rows that come in another order than that of their keys cannot be merged. */
export const outOfOrder = (side: string, table: string): LockstepError =>
  new LockstepError(
    'KEY_TYPES',
    `${side}: the database does not give the rows of ${table} in the order of their keys`,
    {
      side,
      hint: 'Texts that are not valid in their character set have no order there; choose another key (--key), or say what NONE columns hold (none_charset).',
    },
  );
