import { LockstepError } from '../../model/errors.ts';

/**
 * A list that cannot have been read whole: it ended early, repeated itself, or changed on the way. Nothing may be
 * concluded from it: not that rows agree, and not that any is missing.
 */
export const incompleteList = (side: string, path: string, what: string, hint?: string): LockstepError =>
  new LockstepError(
    'INCOMPLETE',
    `${side} ${path}: ${what}. The list is incomplete: nothing was concluded from it, and no delete.`,
    {
      side,
      hint:
        hint ??
        'If it was being written to, try again; otherwise check how its pages are declared (docs/engines/http.md).',
    },
  );
