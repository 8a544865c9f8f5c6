import type { Clock } from '../lib/clock.ts';
import { randomSeed } from '../lib/ids.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Job } from '../model/queue.ts';
import type { RunRequest } from '../model/service.ts';
import type { ServiceStore } from '../model/service-store.ts';
import type { Log } from '../telemetry/log.ts';
import { alignAll } from '../work/compare.ts';
import { comparesSync, endpointsOf, jobOfRequest } from './execute-run.ts';
import { scopeOf } from './job.ts';
import { type RunWorld, syncNamed } from './run-world.ts';
import { usuallySilentMs, workOnSegments } from './segment-work.ts';
import { laneOf, type SegmentJob, whatIsCompared } from './segments.ts';
import { takeSlots } from './slots.ts';

export interface HelperOptions {
  readonly store: ServiceStore;
  /** As it is now: a reload replaces it. */
  world(): RunWorld;
  readonly log: Log;
  readonly clock: Clock;
  /** The worker's name, unique among those that are alive. */
  readonly name: string;
}

/** Takes part in the comparisons of other workers until it is stopped. */
export interface Helper {
  /** Gives back what it has in hand. */
  stop(): Promise<void>;
}

/** A store that failed is left alone so long, milliseconds. */
const restMs = 1000;

/** Helps with one comparison at a time: what it takes part in is read and counted in the databases, not here. */
export const startHelper = (o: HelperOptions): Helper => {
  const ending = new AbortController();
  const all: Cancel = { signal: ending.signal };
  const { queue } = o.store;
  const takeAll = async (): Promise<void> => {
    for (;;) {
      const [job] = await queue.take('segment', { ...all, most: 1, except: [laneOf(o.name)] });
      if (job === undefined) return;
      try {
        if (await helpWith(o, job, all)) continue;
        // Its endpoints have no place free. Who looks next, in a second, may find one.
        await queue.putBack('segment', job, { ...all, tell: false });
        return;
      } catch (error) {
        if (ending.signal.aborted) return;
        // Whoever called for help does it without.
        o.log.warn('could not help with a comparison', { error });
        await queue.done('segment', job, all);
      }
    }
  };
  const running = (async () => {
    while (!ending.signal.aborted) {
      try {
        await o.store.segments.join(all);
        for await (const _ of queue.arrivals(all)) await takeAll();
      } catch (error) {
        if (ending.signal.aborted) return;
        o.log.warn('queue of segments cannot be read', { error });
        await o.clock.sleep(restMs, ending.signal).catch(() => {});
      }
    }
  })();
  return {
    stop: async () => {
      ending.abort();
      await running;
    },
  };
};

/**
 * Takes segments of one pair until none is free. Does nothing where help is not needed any more, or what is compared
 * there is not what this worker's configuration says. False: a limit of an endpoint stands in the way now.
 */
const helpWith = async ({ store, world, clock, name, log }: HelperOptions, told: Job, o: Cancel): Promise<boolean> => {
  const { signal } = o;
  const { run: id, pair: wanted } = told.data as unknown as SegmentJob;
  const { config, endpoints } = world();
  const set = await store.segments.find(id, wanted, o);
  const counts = set && (await store.segments.counts(set, { signal, silentMs: usuallySilentMs }));
  const run = await store.runs.get(id, o);
  const request = run?.asked?.request as RunRequest | undefined;
  if (set === undefined || !counts?.free || request === undefined || !comparesSync(request)) {
    await store.queue.done('segment', told, o);
    return true;
  }
  const places = await endpointsOf(config, store, request, o);
  const limits = places.flatMap((e) => {
    const most = config.endpoints[e.name]?.concurrency;
    return most === undefined ? [] : [{ endpoint: e.name, most }];
  });
  const slots = await takeSlots(store.claims, limits, o);
  if (slots === undefined) return false;
  try {
    // What is told is done with now: the segments themselves are in the store, whatever becomes of this process.
    await store.queue.done('segment', told, o);
    const job = jobOfRequest(config, request);
    const sync = syncNamed(config, request.sync);
    const reading = { signal, writable: false, ...(run === undefined ? {} : { correlation: run.correlation }) };
    await using source = await endpoints.open(sync.source, reading);
    await using target = await endpoints.open(sync.target, reading);
    const { pairs } = await alignAll({ source, target, ...scopeOf(job), signal });
    const pair = pairs.find((p) => p.name === wanted);
    const options = pair && {
      pair,
      endpoints: { source, target },
      clock,
      signal,
      settleMs: job.settleMs,
      seed: randomSeed(),
      // each segment has a sink of its own
      sink: { wanted: () => 0, write: async () => {} },
    };
    const facts = { run: id, correlation: run!.correlation, pair: wanted };
    if (options === undefined || whatIsCompared(options) !== set.what) {
      log.warn('no part in a comparison: this configuration, or what it sees, says something else', facts);
      return true;
    }
    log.info('takes part in a comparison', facts);
    await workOnSegments({ worker: name, segments: store.segments, set, options });
    return true;
  } finally {
    await slots.release({ signal: AbortSignal.timeout(restMs) });
  }
};
