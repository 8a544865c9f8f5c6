import type { Clock } from '../../lib/clock.ts';

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

const first = (value: string | readonly string[] | undefined): string | undefined =>
  typeof value === 'string' ? value : value?.[0];

/** What `Retry-After` asks for (RFC 9110: seconds or a date), milliseconds; undefined when it says nothing readable. */
export const retryAfterMs = (headers: Headers, nowMs: number): number | undefined => {
  const text = first(headers['retry-after'])?.trim();
  if (text === undefined) return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1000);
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
};

/** Seconds and milliseconds since 1970 are told from seconds from now by their size. */
const epochSeconds = 1_000_000_000;

/**
 * How long an API asks to pause because nothing is left of its window, milliseconds: `RateLimit` (the draft's
 * structured field, and its older three headers) and `X-RateLimit-*`, whose reset is seconds or a time.
 */
export const windowMs = (headers: Headers, nowMs: number): number | undefined => {
  const structured = /(?:^|[;,\s])r=(\d+)\b.*?(?:[;\s])t=(\d+)\b/.exec(first(headers['ratelimit']) ?? '');
  if (structured !== null) return structured[1] === '0' ? Number(structured[2]) * 1000 : undefined;
  for (const prefix of ['ratelimit', 'x-ratelimit', 'x-rate-limit']) {
    const left = first(headers[`${prefix}-remaining`])?.trim();
    const reset = Number(first(headers[`${prefix}-reset`])?.trim());
    if (left === undefined || !/^0+(\.0+)?$/.test(left) || !Number.isFinite(reset)) continue;
    const at = reset > 100 * epochSeconds ? reset : reset > epochSeconds ? reset * 1000 : nowMs + reset * 1000;
    return Math.max(0, at - nowMs);
  }
  return undefined;
};

/** Keeps to an API's limits: so many requests at once, so many per second, and pauses that it asks for. */
export interface Pace {
  /** Resolves when a request may go out; it holds a place until it is disposed. */
  enter(signal: AbortSignal): Promise<Disposable>;
  /** Nothing goes out for so long. */
  pause(ms: number): void;
}

export const pace = (o: {
  readonly concurrency: number;
  readonly perSecond: number | undefined;
  readonly clock: Clock;
}): Pace => {
  const { clock } = o;
  const waiting: (() => void)[] = [];
  let under = 0;
  let nextAt = 0;
  let pausedUntil = 0;
  const leave = (): void => {
    under--;
    waiting.shift()?.();
  };
  const place = async (signal: AbortSignal): Promise<void> => {
    while (under >= o.concurrency) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const stop = (): void => {
        const at = waiting.indexOf(resolve);
        if (at >= 0) waiting.splice(at, 1);
        reject(signal.reason);
      };
      waiting.push(resolve);
      signal.addEventListener('abort', stop, { once: true });
      try {
        await promise;
      } finally {
        signal.removeEventListener('abort', stop);
      }
    }
    under++;
  };
  return {
    enter: async (signal) => {
      signal.throwIfAborted();
      await place(signal);
      try {
        for (;;) {
          const now = clock.elapsed();
          if (pausedUntil > now) {
            await clock.sleep(pausedUntil - now, signal);
            continue;
          }
          if (o.perSecond === undefined) break;
          const at = Math.max(now, nextAt);
          nextAt = at + 1000 / o.perSecond;
          if (at > now) await clock.sleep(at - now, signal);
          break;
        }
      } catch (error) {
        leave();
        throw error;
      }
      let left = false;
      return {
        [Symbol.dispose]: () => {
          if (!left) leave();
          left = true;
        },
      };
    },
    pause: (ms) => {
      pausedUntil = Math.max(pausedUntil, clock.elapsed() + ms);
    },
  };
};
