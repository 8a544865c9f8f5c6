import { LockstepError } from '../../model/errors.ts';

const codes = new Set(['ERR_STRING_TOO_LONG', 'ERR_BUFFER_TOO_LARGE', 'ERR_OUT_OF_RANGE']);

/**
 * JavaScript holds no text of more than 2^29 characters; what it says of that names neither the table nor a way out.
 * Undefined: another failure.
 */
export const hugeCell = (error: unknown, side: string, doing: string): LockstepError | undefined => {
  const e = error as { readonly code?: unknown; readonly message?: unknown } | null;
  const tooLong =
    (typeof e?.code === 'string' && codes.has(e.code)) ||
    (error instanceof RangeError && /Invalid (string|array buffer|typed array) length/.test(error.message));
  if (!tooLong) return undefined;
  return new LockstepError(
    'DATABASE',
    `${side}: ${doing} met a row with a cell of more than 512 MB, which cannot be fetched`,
    {
      side,
      hint: 'Rows that are equal are compared without fetching them; this one is not, or its database cannot hash it. Leave the column out (--exclude), and compare its length or a hash of it through a view.',
      cause: error,
    },
  );
};
