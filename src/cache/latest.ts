import type { Clock } from '../lib/clock.ts';
import { orStopped } from '../lib/or-stopped.ts';
import type { Cancel } from '../model/cancel.ts';

/** A store that does not answer is waited for this long, and then not asked for a while. */
const patienceMs = 1000;
const pauseMs = 1000;

/**
 * Asks what holds now, for all who want to know at once: whoever comes while a question is under way waits for the next
 * one, since the answer to the first may be older than they are. Undefined when it cannot be told.
 */
export const latest = <T>(
  ask: (o: Cancel) => Promise<T | undefined>,
  o: { readonly clock: Pick<Clock, 'elapsed'>; readonly signal: AbortSignal },
): (() => Promise<T | undefined>) => {
  let running: Promise<T | undefined> | undefined;
  let next: Promise<T | undefined> | undefined;
  let pausedUntil = Number.NEGATIVE_INFINITY;

  const begin = (): Promise<T | undefined> => {
    if (o.clock.elapsed() < pausedUntil) return Promise.resolve(undefined);
    // not `AbortSignal.timeout`: each would ring, long after it has been answered
    const late = new AbortController();
    const { signal } = late;
    const stop = (): void => late.abort(o.signal.reason);
    if (o.signal.aborted) stop();
    o.signal.addEventListener('abort', stop, { once: true });
    const timer = setTimeout(() => late.abort(new Error(`no answer within ${patienceMs} ms`)), patienceMs);
    const asked: Promise<T | undefined> = orStopped(ask({ signal }), { signal })
      .catch(() => {
        pausedUntil = o.clock.elapsed() + pauseMs;
        return undefined;
      })
      .finally(() => {
        clearTimeout(timer);
        o.signal.removeEventListener('abort', stop);
        if (running === asked) running = undefined;
      });
    running = asked;
    return asked;
  };
  return () => {
    if (running === undefined) return begin();
    next ??= running.then(() => {
      next = undefined;
      return begin();
    });
    return next;
  };
};
