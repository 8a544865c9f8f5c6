import type { Clock } from '../lib/clock.ts';
import { LockstepError } from './errors.ts';

export interface RetryPolicy {
  /** Attempts in all, at least 1. */
  readonly attempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
}

export const defaultRetry: RetryPolicy = { attempts: 5, baseMs: 200, maxMs: 30_000 };

/** A random wait between nothing and the doubled base ("full jitter", Brooker 2015), so that rivals do not meet again. */
export const backoffMs = (policy: RetryPolicy, attempt: number, random: () => number): number =>
  random() * Math.min(policy.maxMs, policy.baseMs * 2 ** attempt);

/** Repeats `work` while it fails with an error that a repeat may cure. `work` gets the number of the attempt, from 0. */
export const retrying = async <T>(
  policy: RetryPolicy,
  o: { readonly clock: Clock; readonly random: () => number; readonly signal: AbortSignal },
  work: (attempt: number) => Promise<T>,
): Promise<T> => {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work(attempt);
    } catch (error) {
      const curable = error instanceof LockstepError && error.retry === 'now';
      if (!curable || attempt + 1 >= policy.attempts || o.signal.aborted) throw error;
      await o.clock.sleep(backoffMs(policy, attempt, o.random), o.signal);
    }
  }
};
