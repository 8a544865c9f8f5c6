import type { WrittenBreaker } from './resilience-schema.ts';

/** When an endpoint is left alone. */
export interface BreakerRule {
  /** Failures in a row that open the breaker, at least 1. */
  readonly failures: number;
  /** Milliseconds until one attempt is let through. */
  readonly resetAfterMs: number;
}

export const defaultBreaker: BreakerRule = { failures: 5, resetAfterMs: 60_000 };

/** What is written, with its defaults. */
export const breakerOf = (
  written: WrittenBreaker | undefined,
  read: {
    number(value: number | string, key: 'failures'): number;
    duration(value: string | 0, key: 'reset_after'): number;
  },
): BreakerRule => ({
  failures: written?.failures === undefined ? defaultBreaker.failures : read.number(written.failures, 'failures'),
  resetAfterMs:
    written?.reset_after === undefined
      ? defaultBreaker.resetAfterMs
      : read.duration(written.reset_after, 'reset_after'),
});
