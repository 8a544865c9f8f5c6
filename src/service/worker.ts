import type { Clock } from '../lib/clock.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Job } from '../model/queue.ts';
import type { RunRequest } from '../model/service.ts';
import type { ServiceStore } from '../model/service-store.ts';
import type { Log } from '../telemetry/log.ts';
import { newBell, ringFor } from './bell.ts';
import { carryOut, type Left, type Work } from './carry-out.ts';
import { endpointsOf } from './execute-run.ts';
import type { RunWorld } from './run-world.ts';
import { type Slots, takeSlots } from './slots.ts';

export interface WorkerOptions {
  readonly store: ServiceStore;
  /** As it is now: a reload replaces it; a run keeps the one that it began with. */
  world(): RunWorld;
  readonly log: Log;
  readonly clock: Clock;
  /** e.g. `db1, process 4711`. */
  readonly name: string;
  /** Most runs at once. */
  readonly concurrency: number;
}

/** Takes runs from the queue and carries them out until it is stopped. */
export interface Worker {
  /** How many runs are at work here. */
  busy(): number;
  /**
   * Takes no more runs. Those that write finish the batch in hand, others have `drainMs` to end; what is left goes on in
   * another worker.
   */
  stop(drainMs: number): Promise<void>;
}

const pollMs = 1000;
const beatMs = 1000;
/** A lane whose run could not begin is left alone so long. */
const restMs = 250;
const endMs = 5000;

export const startWorker = (o: WorkerOptions): Worker => {
  const { store, log, clock } = o;
  const ending = new AbortController();
  const quitting = new AbortController();
  const all: Cancel = { signal: quitting.signal };
  const bell = newBell();
  const stops = newBell();
  const works = new Set<Work>();
  const beginning = new Set<Promise<void>>();
  const resting = new Map<string, number>();
  const waiting = new Map<string, number>();

  const rest = (lane: string, ms = restMs): void => {
    resting.set(lane, clock.elapsed() + ms);
    setTimeout(() => bell.ring(), ms).unref();
  };
  const restingLanes = (): readonly string[] => {
    for (const [lane, until] of resting) if (until <= clock.elapsed()) resting.delete(lane);
    return [...resting.keys()];
  };

  /** Leaves the job to others, or to this worker in a moment. */
  const notNow = async (job: Job, ms?: number): Promise<void> => {
    rest(job.lane, ms);
    await store.queue.putBack('run', job, { ...all, tell: false });
  };

  const slotsFor = async (world: RunWorld, request: RunRequest): Promise<Slots | undefined> => {
    // A request that names what is not there fails when it is carried out.
    const endpoints = await endpointsOf(world.config, store, request, all).catch(() => []);
    const limits = [...new Set(endpoints.map((e) => e.name))].flatMap((endpoint) => {
      const most = world.config.endpoints[endpoint]?.concurrency;
      return most === undefined ? [] : [{ endpoint, most }];
    });
    return takeSlots(store.claims, limits, all);
  };

  const settleJob = async (job: Job, left: Left): Promise<void> => {
    if (left === 'ended') await store.queue.done('run', job, all);
    else if (left === 'waits') await notNow(job, 1000);
    else if (left === 'put_back') await store.queue.putBack('run', job, { ...all, tell: true });
  };

  /** Gives a run back as soon as the store answers again. */
  const letGo = async (id: string): Promise<Left> => {
    for (;;) {
      try {
        await store.runs.putBack(id, all);
        return 'put_back';
      } catch (error) {
        if (quitting.signal.aborted) throw error;
        await clock.sleep(pollMs, quitting.signal);
      }
    }
  };

  /** Begins the job's run, and sees to its end. */
  const begin = async (job: Job): Promise<void> => {
    const id = (job.data as { readonly run: string }).run;
    const lane = `lane ${job.lane}`;
    if (!(await store.claims.lock(lane, all))) return notNow(job);
    let slots: Slots | undefined;
    const leave = async (): Promise<void> => {
      await slots?.release(all);
      await store.claims.unlock(lane, all);
    };
    try {
      const known = await store.runs.get(id, all);
      if (known?.asked === undefined || (known.state !== 'queued' && known.state !== 'running'))
        return await store.queue.done('run', job, all);
      const world = o.world();
      slots = await slotsFor(world, known.asked.request as unknown as RunRequest);
      const run = slots && (await store.claims.claim(id, { ...all, worker: o.name, now: clock.now() }));
      if (run === undefined) return await notNow(job, slots === undefined ? restMs : pollMs);
      const work = carryOut({ world, store, run, log, waiting });
      works.add(work);
      // Asked to stop while it was taken.
      if (ending.signal.aborted) work.yield();
      let left: Left;
      try {
        left = await work.left;
      } catch (error) {
        // The store could not be told how it ended. What it knows of it counts.
        log.error('run not finished here', { run: id, error });
        left = await letGo(id);
      } finally {
        works.delete(work);
      }
      await settleJob(job, left);
    } finally {
      await leave();
      bell.ring();
    }
  };

  const fetchAll = async (): Promise<void> => {
    while (!ending.signal.aborted && beginning.size < o.concurrency) {
      const [job] = await store.queue.take('run', { ...all, most: 1, except: restingLanes() });
      if (job === undefined) return;
      const begun: Promise<void> = begin(job)
        .catch((error: unknown) => {
          // Its run is found by `recover`, its job with it.
          if (!quitting.signal.aborted) log.error('run not finished here', { error });
        })
        .finally(() => beginning.delete(begun));
      beginning.add(begun);
    }
  };

  const loop = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      try {
        await fetchAll();
      } catch (error) {
        if (ending.signal.aborted) return;
        log.warn('queue cannot be read', { error });
        await clock.sleep(pollMs, ending.signal).catch(() => {});
      }
      await bell.heard(pollMs);
    }
  };

  const beats = async (): Promise<void> => {
    while (!quitting.signal.aborted) {
      await stops.heard(beatMs);
      if (works.size === 0) continue;
      try {
        const heard = await store.claims.beat(
          [...works].map((w) => w.run.id),
          all,
        );
        for (const beat of heard) for (const work of works) if (work.run.id === beat.run) work.heard(beat);
      } catch (error) {
        if (!quitting.signal.aborted) log.warn('control store does not answer', { error });
      }
    }
  };

  const running = [loop(), beats(), ringFor(bell, store.queue.arrivals(ending)), ringFor(stops, store.stops(all))];
  ending.signal.addEventListener('abort', () => bell.ring(), { once: true });
  quitting.signal.addEventListener('abort', () => stops.ring(), { once: true });

  return {
    busy: () => works.size,
    stop: async (drainMs) => {
      ending.abort();
      for (const work of works) work.yield();
      const left = (): Promise<unknown> => Promise.allSettled([...beginning]);
      const after = (ms: number): Promise<void> => clock.sleep(ms, quitting.signal).catch(() => {});
      await Promise.race([left(), after(drainMs)]);
      for (const work of works) work.yieldNow();
      await Promise.race([left(), after(endMs)]);
      quitting.abort();
      await Promise.allSettled(running);
    },
  };
};
