import type { Retention } from '../config/retention.ts';
import type { Clock } from '../lib/clock.ts';
import type { ServiceStore } from '../model/service-store.ts';
import type { Log } from '../telemetry/log.ts';
import { forgetOld } from './retention.ts';

const everyMs = 1000;
const tendEveryMs = 600_000;
/** A process that has given no sign of life for so long is taken for dead. */
export const silentMsUsual = 20_000;
const deathsMost = 3;

/** Sees to it that no run is left lying: in every process of the service, until the signal is aborted. */
export const supervise = async (o: {
  readonly store: ServiceStore;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly silentMs?: number;
  /** How long ended runs are kept; asked each time. */
  readonly retention: () => Retention;
}): Promise<void> => {
  const { store, log, clock, signal } = o;
  let tended = clock.elapsed();
  while (!signal.aborted) {
    try {
      const now = clock.now();
      const silentMs = o.silentMs ?? silentMsUsual;
      const { requeued, failed } = await store.claims.recover({ signal, silentMs, deaths: deathsMost, now });
      for (const run of requeued)
        log.warn('run taken from a dead process', { run: run.id, sync: run.sync, deaths: run.asked?.deaths });
      for (const run of failed) log.error('run given up', { run: run.id, sync: run.sync, error: run.error?.message });
      await store.events.append(
        requeued.map((run) => ({
          at: now,
          type: 'run.requeued',
          subject: `runs/${run.id}`,
          sync: run.sync,
          correlation: run.correlation,
          data: { run: run.id, kind: run.kind, deaths: run.asked?.deaths ?? 0 },
        })),
        { signal },
      );
      if (clock.elapsed() - tended > tendEveryMs) {
        tended = clock.elapsed();
        await store.tend({ signal });
        await forgetOld({ ...o, retention: o.retention() });
      }
    } catch (error) {
      if (!signal.aborted) log.warn('control store does not answer', { error });
    }
    await clock.sleep(everyMs, signal).catch(() => {});
  }
};
