import type { Clock } from '../../lib/clock.ts';

/** Holds rows back so that no more than a rate of them are delivered; shared by all readers of an endpoint. */
export interface Throttle {
  /** Resolves when `rows` more may be delivered; rejects with the signal's reason. */
  pass(rows: number, signal: AbortSignal): Promise<void>;
}

export const throttle = (rowsPerSecond: number | undefined, clock: Clock): Throttle => {
  if (rowsPerSecond === undefined) return { pass: async () => {} };
  let freeAt = clock.elapsed();
  return {
    pass: async (rows, signal) => {
      const now = clock.elapsed();
      const begin = Math.max(now, freeAt);
      freeAt = begin + (rows / rowsPerSecond) * 1000;
      const waitMs = freeAt - now;
      if (waitMs > 0) await clock.sleep(waitMs, signal);
    },
  };
};
