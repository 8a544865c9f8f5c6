import { createHash } from 'node:crypto';
import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { RecordRequest, RecordRequests } from '../model/record-requests.ts';
import { noEffect } from './effect.ts';

/** After which a request that has not ended is taken for one whose process died, milliseconds. No request works longer. */
export const lease = 60_000;

/** What the same request is known by: its text. */
export const requestHash = (...parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex');

/** For writing down what came of it. Counts from then: what `work` took is not taken off. */
const late = (): Cancel => ({ signal: AbortSignal.timeout(lease / 2) });

/**
 * Carries out `work` once for a key: a repeat gets the answer of the first time. When the first time was cut short, and
 * nobody knows whether it wrote, `found` looks; where that cannot tell, CONFLICT: better none than two.
 */
export const once = async (
  requests: RecordRequests,
  request: RecordRequest,
  x: {
    work(): Promise<JsonValue>;
    /** The answer of the first time, from what it left; undefined: nobody can tell. */
    found(): Promise<JsonValue | undefined>;
  },
  o: Cancel,
): Promise<{ readonly answer: JsonValue; readonly repeated: boolean }> => {
  const claim = await requests.claim(request, o);
  if (claim.state === 'done') return { answer: JSON.parse(claim.answer) as JsonValue, repeated: true };
  if (claim.state === 'mismatch')
    throw new LockstepError('IDEMPOTENCY_MISMATCH', 'this Idempotency-Key was used for another request', {
      hint: 'A new request takes a new key.',
    });
  if (claim.state === 'begun') {
    if (claim.agoMs < lease || !(await requests.takeOver(request, lease, o)))
      throw new LockstepError('CONFLICT', 'a request with this Idempotency-Key is being carried out', {
        hint: 'Repeat it in a moment for its answer.',
      });
    const answer = await x.found();
    if (answer === undefined)
      throw new LockstepError(
        'CONFLICT',
        'an earlier request with this Idempotency-Key was cut short, and nobody knows whether it wrote',
        {
          hint: 'Look for the record; repeat the request with a new key if it is not there.',
        },
      );
    await requests.settle(request, JSON.stringify(answer), late());
    return { answer, repeated: true };
  }
  let answer: JsonValue;
  try {
    answer = await x.work();
  } catch (error) {
    if (noEffect(error)) await requests.forget(request, late()).catch(() => {});
    throw error;
  }
  await requests.settle(request, JSON.stringify(answer), late());
  return { answer, repeated: false };
};
