import type { RowOutcome, RowWrite } from '../../model/rows.ts';
import type { Table } from '../../model/schema.ts';
import { type ServerFailure, sqlState } from './failures.ts';

const constraintKinds: Readonly<Record<string, Extract<RowOutcome, { status: 'refused' }>['kind']>> = {
  '23505': 'unique',
  '23P01': 'unique',
  '23514': 'check',
  '23502': 'not_null',
};

/** What the server refuses, without its detail: that shows rows. */
export const refusalOf = (error: unknown, table: Table, op: RowWrite['op']): RowOutcome => {
  const e = error as ServerFailure;
  const state = sqlState(error)!;
  const kind =
    constraintKinds[state] ??
    (state === '23503' || state === '23001'
      ? // the words are in the server's language
        op === 'delete' || !table.foreignKeys.some((k) => k.name === e.constraint)
        ? 'referenced'
        : 'foreign_key'
      : state.startsWith('22')
        ? 'value'
        : 'other');
  return {
    status: 'refused',
    kind,
    ...(e.constraint === undefined ? {} : { constraint: e.constraint }),
    ...(e.column === undefined ? {} : { column: e.column }),
    ...(state.startsWith('P0') ? { words: e.message } : {}),
  };
};

/** The table is not what it was when its facts were read. */
export const altered = (error: unknown): boolean => {
  const state = sqlState(error);
  return (
    state === '42703' ||
    state === '42P01' ||
    state === '42804' ||
    state === '42883' ||
    (state === '0A000' && /cached plan/.test((error as Error).message))
  );
};
