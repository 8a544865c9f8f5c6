import type { Clock } from '../lib/clock.ts';
import type { ServiceStore } from '../model/service-store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Timings } from '../telemetry/timings.ts';
import type { Endpoints } from './endpoints.ts';

const everyMs = 10_000;
const statements = 20;

/**
 * Writes down what this process sees of its endpoints, so that every other one can tell it, too: until the signal is
 * aborted.
 */
export const keepSamples = async (x: {
  readonly process: string;
  readonly store: Pick<ServiceStore, 'monitoring' | 'statements'>;
  readonly endpoints: Endpoints;
  readonly timings: Timings;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly everyMs?: number;
}): Promise<void> => {
  const { signal } = x;
  let away = false;
  while (!signal.aborted) {
    await x.clock.sleep(x.everyMs ?? everyMs, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      const o = { signal: AbortSignal.any([signal, AbortSignal.timeout(everyMs)]) };
      const seen = new Map(x.timings.endpoints().map((e) => [e.endpoint, e]));
      const now = x.clock.now();
      const samples = x.endpoints.health().flatMap(({ name, breaker }) => {
        const { count = 0, failed = 0, p95 = 0 } = seen.get(name) ?? {};
        return count === 0 && breaker === 'closed' ? [] : [{ endpoint: name, count, failed, p95, breaker }];
      });
      await x.store.monitoring.sample(x.process, now, samples, o);
      await x.store.statements.put(x.process, now, x.timings.statements(statements), o);
      away = false;
    } catch (error) {
      // a store that is away is told by whoever needs it
      if (!signal.aborted && !away) x.log.warn('samples are not written down', { error });
      away = true;
    }
  }
};
