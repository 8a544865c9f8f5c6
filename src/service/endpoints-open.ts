import type { Config, EndpointEntry } from '../config/config.ts';
import { defaultBreaker } from '../config/resilience.ts';
import type { Clock } from '../lib/clock.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint, Fingerprint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import { defaultRetry, type RetryPolicy, retrying } from '../model/retry.ts';
import type { Timings } from '../telemetry/timings.ts';
import type { EndpointHealth, Endpoints, Traced } from './endpoints.ts';
import { type Breaker, type BreakerChange, openBreaker, verdictOn } from './endpoints-breaker.ts';
import { type Chosen, openPlaces, type Place, type Places, type Wanted } from './endpoints-places.ts';
import { openShared, requestTimeoutMs, type SharedEndpoint } from './endpoints-shared.ts';
import { openTurns } from './endpoints-turns.ts';
import { type Watch, watched } from './endpoints-watch.ts';
import { notWritable, sideOfEntry } from './job.ts';
import type { Side } from './side.ts';

export interface EndpointsOptions {
  /** As it is now: a reload replaces it. */
  config(): Config;
  connect(side: Side, signal: AbortSignal): Promise<Endpoint>;
  /** Which database an endpoint was when a run last wrote it down: to know its replicas while it is down. */
  known?(name: string, o: Cancel): Promise<Fingerprint | undefined>;
  /** Told of each change of a breaker. */
  changed?(name: string, change: BreakerChange): void;
  /** Told of each failure that speaks of the endpoint's state. */
  failed?(name: string, error: LockstepError): void;
  readonly timings?: Timings;
  readonly clock: Clock;
  readonly random: () => number;
}

/** How long a request of the API waits for a connection that others use. */
const requestWaitMs = 10_000;
/** Requests that use one shared endpoint at once, where nothing else is said. */
const requestsAtOnce = 6;

/** What is kept of one endpoint, whatever its entry says at the moment. */
interface Kept {
  readonly breaker: Breaker;
  readonly places: Places;
  readonly shared: SharedEndpoint;
  engine: string | undefined;
  away: { readonly since: number; readonly chosen: Chosen } | undefined;
  lastUse: EndpointHealth['lastUse'];
}

const secretMissing = (entry: EndpointEntry): boolean => {
  try {
    entry.connection();
    entry.replicas();
    return false;
  } catch (error) {
    // What else is wrong with it is told when it connects.
    return error instanceof LockstepError && error.code === 'SECRET_MISSING';
  }
};

const unknownEndpoint = (name: string, config: Config): LockstepError =>
  new LockstepError('NOT_FOUND', `there is no endpoint \`${name}\` in ${config.file}`, {
    hint: `Endpoints: ${Object.keys(config.endpoints).join(', ') || 'none'}.`,
  });

/** The configured connection with the address of a replica. */
export const addressed = (entry: EndpointEntry, place: Place): EndpointEntry => {
  if (place === 'configured') return entry;
  return {
    ...entry,
    connection: () => {
      const url = entry.replicas()[place]!;
      const configured = entry.connection();
      if (typeof configured === 'string') return url;
      const { engine: _e, host: _h, port: _p, user: _u, password: _w, database: _d, ...rest } = configured;
      return { ...rest, url };
    },
  };
};

/** Told of what is recorded, as well. */
const bothTimings = (timings: Timings | undefined, timed: NonNullable<Traced['timed']>): Pick<Timings, 'record'> => ({
  record: (what, ms) => {
    timings?.record(what, ms);
    timed(what, ms);
  },
});

export const openEndpoints = (x: EndpointsOptions): Endpoints => {
  const { clock } = x;
  const kept = new Map<string, Kept>();
  const ending = new AbortController();

  const entryOf = (name: string): EndpointEntry => {
    const config = x.config();
    const entry = Object.hasOwn(config.endpoints, name) ? config.endpoints[name] : undefined;
    if (entry === undefined) throw unknownEndpoint(name, config);
    return entry;
  };

  const policyOf = (entry: EndpointEntry, most: number): RetryPolicy => {
    const policy = entry.retry ?? defaultRetry;
    return { ...policy, attempts: Math.min(policy.attempts, most) };
  };

  const used = (name: string, failed: boolean): void => {
    keep(name).lastUse = { at: clock.now(), failed };
  };

  const connect = async (name: string, place: Place, o: Omit<Wanted, 'standIn'>): Promise<Endpoint> => {
    const entry = entryOf(name);
    const plain = sideOfEntry(x.config(), addressed(entry, place), o.writable);
    const side = {
      ...plain,
      ...(o.correlation === undefined ? {} : { correlation: o.correlation }),
      ...(o.traceparent === undefined ? {} : { traceparent: o.traceparent }),
    };
    const limited =
      o.request && side.statementTimeoutMs === undefined ? { ...side, statementTimeoutMs: requestTimeoutMs } : side;
    // with somebody to fall over to, or somebody who waits for an answer, there is no point in insisting
    const patient = o.request === undefined && entry.replicas().length === 0;
    const attempts = place !== 'configured' ? 1 : patient ? Number.MAX_SAFE_INTEGER : 2;
    const began = clock.elapsed();
    let ok = false;
    try {
      const endpoint = await retrying(policyOf(entry, attempts), { ...x, signal: o.signal }, () =>
        x.connect(limited, o.signal),
      );
      ok = true;
      if (place === 'configured' && endpoint.lazy !== true) used(name, false);
      return endpoint;
    } catch (error) {
      if (place === 'configured' && error instanceof LockstepError && !o.signal.aborted) used(name, true);
      if (verdictOn(name, error) === 'down') x.failed?.(name, error as LockstepError);
      throw error;
    } finally {
      x.timings?.record({ kind: 'endpoint', endpoint: name, call: 'connect', ok }, clock.elapsed() - began);
    }
  };

  /** What is heard of the configured server counts for the breaker; a replica's troubles are its own. */
  const watchOf = (name: string, { place, endpoint }: Chosen, timed?: Traced['timed']): Watch => ({
    endpoint: name,
    clock,
    timings: timed === undefined ? x.timings : bothTimings(x.timings, timed),
    heard: (error) => {
      const at = keep(name);
      const verdict = verdictOn(name, error);
      if (place === 'configured') {
        at.breaker.heard(error);
        if (error === undefined || verdict !== 'unknown') used(name, verdict === 'down');
      }
      if (verdict !== 'down') return;
      at.shared.doubt(place);
      x.failed?.(name, error as LockstepError);
    },
    around: (_call, signal, work) =>
      // an API's client has tried again already
      retrying(policyOf(entryOf(name), endpoint.lazy ? 1 : 3), { ...x, signal: signal ?? ending.signal }, work),
  });

  const make = (name: string): Kept => {
    const entry = (): EndpointEntry | undefined => x.config().endpoints[name];
    const breaker = openBreaker({
      endpoint: name,
      rule: () => entry()?.breaker ?? defaultBreaker,
      clock,
      changed: (change) => x.changed?.(name, change),
    });
    const places = openPlaces({
      name,
      replicas: () => entryOf(name).replicas().length,
      connect: async (place, o) => {
        const endpoint = await connect(name, place, o);
        made.engine = endpoint.engine;
        return endpoint;
      },
      breaker,
      known: async (o) => x.known?.(name, o).catch(() => undefined),
      clock,
      signal: ending.signal,
    });
    const made: Kept = {
      breaker,
      places,
      shared: openShared({
        name,
        entry: () => entryOf(name),
        choose: (o) => chosenOf(made, o),
        watch: (chosen) => watchOf(name, chosen),
        breaker,
        // runs have places of their own, over all workers
        turns: openTurns({
          endpoint: name,
          places: () => entry()?.concurrency ?? requestsAtOnce,
          waitMs: requestWaitMs,
          clock,
        }),
        clock,
        signal: ending.signal,
      }),
      engine: undefined,
      away: undefined,
      lastUse: undefined,
    };
    return made;
  };
  const keep = (name: string): Kept => {
    const there = kept.get(name) ?? make(name);
    kept.set(name, there);
    return there;
  };

  /** While a replica stands in, or was promoted: who, and since when. */
  const chosenOf = async (at: Kept, o: Wanted): Promise<Chosen> => {
    const chosen = await at.places.choose(o);
    const before = at.away?.chosen;
    if (chosen.standIn === undefined && chosen.place === 'configured') at.away = undefined;
    else if (before?.place !== chosen.place || (before.standIn === undefined) !== (chosen.standIn === undefined))
      at.away = { since: clock.now(), chosen };
    return chosen;
  };

  const dressed = (endpoint: Endpoint, chosen: Chosen, dispose: () => Promise<void>): Endpoint =>
    new Proxy(endpoint, {
      get: (target, member) => {
        if (member === 'standIn') return chosen.standIn;
        if (member === Symbol.asyncDispose) return dispose;
        return Reflect.get(target, member, target) as unknown;
      },
    });

  /** Of each connection that requests share. */
  const lent = new WeakMap<Endpoint, Endpoint>();
  const lend = ({ endpoint, chosen }: { readonly endpoint: Endpoint; readonly chosen: Chosen }): Endpoint => {
    const known = lent.get(endpoint) ?? dressed(endpoint, chosen, async () => {});
    lent.set(endpoint, known);
    return known;
  };
  const shared: Endpoints['shared'] = async (name, o) => lend(await keep(entryOf(name).name).shared.get(o));

  return {
    open: async (name, o) => {
      const entry = entryOf(name);
      if (o.writable && !entry.writable) throw notWritable(x.config(), entry);
      const at = keep(name);
      const chosen = await chosenOf(at, { ...o, standIn: (o.standIn ?? false) && !o.writable });
      const { endpoint } = watched(chosen.endpoint, watchOf(name, chosen, o.timed));
      return dressed(endpoint, chosen, async () => chosen.endpoint[Symbol.asyncDispose]());
    },
    shared,
    current: (name) => {
      const found = kept.get(name)?.shared.current();
      return found && lend(found);
    },
    probe: async (name, o) => {
      const began = clock.elapsed();
      const endpoint = await shared(name, o);
      {
        await using _snapshot = await endpoint.snapshot(o);
      }
      const latencyMs = Math.round((clock.elapsed() - began) * 100) / 100;
      const role = await endpoint.role?.(o);
      const connections = endpoint.connections?.();
      return {
        latencyMs,
        version: endpoint.version,
        address: endpoint.fingerprint.address,
        ...(role === undefined ? {} : { role }),
        ...(connections === undefined ? {} : { connections }),
      };
    },
    health: () =>
      Object.values(x.config().endpoints).map((entry): EndpointHealth => {
        const at = kept.get(entry.name);
        const away = at?.away;
        const { retryAt, lastError } = at?.breaker ?? {};
        return {
          name: entry.name,
          engine: at?.engine,
          writable: entry.writable,
          breaker: at?.breaker.state ?? 'closed',
          failures: at?.breaker.failures ?? 0,
          ...(retryAt === undefined ? {} : { retryAt }),
          ...(away?.chosen.standIn === undefined
            ? {}
            : { degraded: { since: away.since, reason: away.chosen.standIn.reason } }),
          ...(away === undefined || away.chosen.standIn !== undefined
            ? {}
            : { promoted: { since: away.since, address: away.chosen.endpoint.fingerprint.address } }),
          replicas: at?.places.replicas() ?? [],
          secretMissing: secretMissing(entry),
          ...(at?.lastUse === undefined ? {} : { lastUse: at.lastUse }),
          ...(lastError === undefined ? {} : { lastError }),
        };
      }),
    [Symbol.asyncDispose]: async () => {
      ending.abort(new LockstepError('ABORTED', 'the endpoints are being closed'));
      await Promise.allSettled([...kept.values()].map((at) => at.shared[Symbol.asyncDispose]()));
    },
  };
};
