import { type ErrorCode, LockstepError } from '../../model/errors.ts';
import { hugeCell } from '../sql/huge-cell.ts';
import type { WireError } from './protocol.ts';

/** SQLite's result codes (sqlite.org/rescode.html) that mean something to us. */
export const resultCodes = {
  ERROR: 1,
  BUSY: 5,
  LOCKED: 6,
  READONLY: 8,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  TOOBIG: 18,
  CONSTRAINT: 19,
  MISMATCH: 20,
  AUTH: 23,
  NOTADB: 26,
} as const;

interface SqliteFailure extends Error {
  /** Extended result code. */
  readonly errcode: number;
}

export const isSqliteFailure = (error: unknown): error is SqliteFailure =>
  error instanceof Error && (error as { code?: unknown }).code === 'ERR_SQLITE_ERROR';

/** The primary result code of a failure of SQLite; undefined for other errors. */
export const resultCode = (error: unknown): number | undefined =>
  isSqliteFailure(error) ? error.errcode & 0xff : undefined;

const meaning = (error: SqliteFailure, path: string): [ErrorCode, string, string?] => {
  const words = error.message;
  switch (error.errcode & 0xff) {
    case resultCodes.BUSY:
    case resultCodes.LOCKED:
      return [
        'CONTENTION',
        `another connection has locked ${path} (${words}).`,
        'Try again when the other writer has ended.',
      ];
    case resultCodes.READONLY:
      return [
        'NOT_WRITABLE',
        `${path} cannot be written (${words}).`,
        'Check the permissions of the file and of its folder.',
      ];
    case resultCodes.CORRUPT:
      return [
        'DATABASE',
        `${path} is damaged (${words}).`,
        'Run `pragma integrity_check` and restore it from a backup.',
      ];
    case resultCodes.NOTADB:
      return [
        'CONNECT',
        `${path} is not an SQLite database, or it is encrypted.`,
        'Encrypted SQLite databases cannot be read.',
      ];
    case resultCodes.CANTOPEN:
      return [
        'CONNECT',
        `${path} cannot be opened (${words}).`,
        'Check the permissions of the file and its folder: a database in WAL mode needs its -shm and -wal files, or `?immutable=1` when nobody writes it.',
      ];
    case resultCodes.AUTH:
      return ['PRIVILEGE', `SQLite refused this on ${path} (${words}).`];
    case resultCodes.FULL:
      return ['DATABASE', `the disk of ${path} is full.`];
    default:
      return ['DATABASE', `SQLite failed on ${path}: ${words}.`];
  }
};

/** An error of the SQLite process as it travels to the parent, which adds the endpoint's name. */
export const toWire = (error: unknown, path: string): WireError => {
  if (error instanceof LockstepError) {
    return { code: error.code, message: error.message, hint: error.hint, details: error.details };
  }
  if (isSqliteFailure(error)) {
    const [code, message, hint] = meaning(error, path);
    return { code, message, hint, details: [] };
  }
  const huge = hugeCell(error, path, 'reading it');
  if (huge) return { code: huge.code, message: `${huge.message}.`, hint: huge.hint, details: [] };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'INTERNAL', message: 'the SQLite process met an error of its own.', details: [], stack };
};
