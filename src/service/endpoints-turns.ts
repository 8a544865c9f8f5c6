import type { Clock } from '../lib/clock.ts';
import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';

/** So many at once, the others in their order; nobody waits for ever. */
export interface Turns {
  /** Waits for a place; the answer gives it back, once. CONTENTION when none was free in time. */
  take(o: Cancel): Promise<() => void>;
}

export const openTurns = (x: {
  readonly endpoint: string;
  /** As it is now. */
  places(): number;
  readonly waitMs: number;
  readonly clock: Clock;
}): Turns => {
  let taken = 0;
  const waiting: (() => void)[] = [];
  const leave = (): (() => void) => {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      taken--;
      if (taken < x.places()) waiting.shift()?.();
    };
  };
  return {
    take: async (o) => {
      o.signal.throwIfAborted();
      if (taken < x.places() && waiting.length === 0) {
        taken++;
        return leave();
      }
      const over = new AbortController();
      const turn = new Promise<void>((resolve) => {
        const mine = (): void => {
          taken++;
          over.abort();
          resolve();
        };
        waiting.push(mine);
        over.signal.addEventListener('abort', () => {
          const at = waiting.indexOf(mine);
          if (at >= 0) waiting.splice(at, 1);
        });
      });
      const late = x.clock.sleep(x.waitMs, AbortSignal.any([o.signal, over.signal])).then(
        () => 'late' as const,
        () => 'stopped' as const,
      );
      const outcome = await Promise.race([turn, late]);
      if (outcome === undefined) return leave();
      if (over.signal.aborted) return leave();
      over.abort();
      o.signal.throwIfAborted();
      throw new LockstepError(
        'CONTENTION',
        `${x.endpoint}: no place was free within ${x.waitMs / 1000} s; ${x.places()} pieces of work are at it at once`,
        {
          side: x.endpoint,
          hint: 'Try again later, or raise `limits: { concurrency: … }` of the endpoint.',
          retryAfterMs: 1000,
        },
      );
    },
  };
};
