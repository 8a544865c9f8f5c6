import type { Audit, NewAuditEntry } from '../model/audit.ts';
import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';

/**
 * Does something that changes state, between two entries of the audit log: what is meant, and what became of it. When
 * the first cannot be written, nothing is done. The second is written also when the caller has given up.
 */
export const audited = async <T>(
  audit: Audit,
  what: Omit<NewAuditEntry, 'outcome'>,
  o: Cancel,
  effect: () => Promise<T>,
  /** What the last entry says of the result, in place of what was meant. */
  told: (result: T) => JsonValue | undefined = () => undefined,
): Promise<T> => {
  await audit.append([{ ...what, outcome: 'intended' }], o);
  const late = { signal: new AbortController().signal };
  let result: T;
  try {
    result = await effect();
  } catch (error) {
    const code = error instanceof LockstepError ? error.code : 'INTERNAL';
    // What went wrong is told by the effect's own error, whatever becomes of this entry.
    await audit.append([{ ...what, after: { error: code }, outcome: 'failed' }], late).catch(() => {});
    throw error;
  }
  const after = told(result);
  await audit.append([{ ...what, ...(after === undefined ? {} : { after }), outcome: 'done' }], late);
  return result;
};
