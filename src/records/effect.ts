import { LockstepError } from '../model/errors.ts';
import { RecordProblem } from './problem.ts';

const unknown: ReadonlySet<string> = new Set(['CONNECTION_LOST', 'ABORTED', 'INTERNAL']);
const refusals: ReadonlySet<string> = new Set(['CONFLICT', 'NOT_FOUND', 'FORBIDDEN', 'PRIVILEGE', 'NOT_WRITABLE']);

/** Did what failed leave nothing behind, for certain? Not when the connection broke, or nobody waited for the answer. */
export const noEffect = (error: unknown): boolean =>
  error instanceof RecordProblem || (error instanceof LockstepError && !unknown.has(error.code));

/** Was it turned down, by us or by the database, for what it is? */
export const isRefusal = (error: unknown): boolean =>
  error instanceof RecordProblem || (error instanceof LockstepError && refusals.has(error.code));
