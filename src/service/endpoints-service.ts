import type { Config } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Fingerprint } from '../model/endpoint.ts';
import type { JsonValue } from '../model/json.ts';
import type { ServiceStore } from '../model/service-store.ts';
import type { Store } from '../model/store.ts';
import type { Failures } from '../telemetry/failures.ts';
import type { Log } from '../telemetry/log.ts';
import type { Timings } from '../telemetry/timings.ts';
import { connectSide, type Doors } from './connect.ts';
import type { Endpoints } from './endpoints.ts';
import type { BreakerChange } from './endpoints-breaker.ts';
import { openEndpoints } from './endpoints-open.ts';

/** How far back runs are looked through for what an endpoint was. */
const remembered = 200;

/** Which database an endpoint was when a run last connected to it. */
const knownFrom =
  (store: Pick<Store, 'runs'>) =>
  async (name: string, o: Cancel): Promise<Fingerprint | undefined> => {
    const runs = await store.runs.list({ limit: remembered }, o);
    for (const run of runs)
      for (const side of [run.source, run.target])
        if (side?.name === name && side.fingerprint !== undefined) return side.fingerprint;
    return undefined;
  };

const eventData = (name: string, process: string, c: BreakerChange): JsonValue => ({
  endpoint: name,
  process,
  state: c.state,
  failures: c.failures,
  ...(c.retryAt === undefined ? {} : { retry_at: new Date(c.retryAt).toISOString() }),
  ...(c.error === undefined ? {} : { error: { code: c.error.code, message: c.error.message } }),
});

/** The endpoints of a process that serves: what happens to their breakers is logged and told as events. */
export const serviceEndpoints = (x: {
  config(): Config;
  readonly doors: Doors;
  readonly store: Pick<ServiceStore, 'runs' | 'events'>;
  readonly log: Log;
  readonly timings: Timings;
  readonly failures: Failures;
  readonly clock: Clock;
  readonly random: () => number;
  /** e.g. `db1, process 4711`. */
  readonly process: string;
}): Endpoints => {
  let telling: Promise<unknown> = Promise.resolve();
  const tell = (name: string, change: BreakerChange): void => {
    const data = eventData(name, x.process, change);
    const message = {
      open: 'circuit breaker is open',
      half_open: 'circuit breaker is half-open',
      closed: 'circuit breaker is closed',
    };
    const { code, message: words } = change.error ?? {};
    x.log[change.state === 'open' ? 'error' : 'info'](message[change.state], {
      endpoint: name,
      failures: change.failures,
      ...(change.retryAt === undefined ? {} : { retry_at: new Date(change.retryAt).toISOString() }),
      ...(code === undefined ? {} : { code, reason: words }),
    });
    const event = {
      at: change.at,
      type: change.state === 'open' ? 'breaker.opened' : `breaker.${change.state}`,
      subject: `endpoints/${name}`,
      sync: null,
      correlation: null,
      data: redacted(data, (t) => x.doors.redactor.redact(t)),
    };
    // in order; a store that is away costs the event, not the breaker
    telling = telling.then(() =>
      x.store.events.append([event], { signal: AbortSignal.timeout(10_000) }).catch((error: unknown) => {
        x.log.warn('an event was not told', { type: event.type, endpoint: name, error });
      }),
    );
  };
  const endpoints = openEndpoints({
    config: () => x.config(),
    connect: (side, signal) => connectSide(x.doors, side, signal),
    known: knownFrom(x.store),
    changed: tell,
    failed: (name, { code, message }) =>
      x.failures.note({
        where: 'endpoints',
        kind: code,
        subject: name,
        message: x.doors.redactor.redact(message),
        at: x.clock.now(),
      }),
    timings: x.timings,
    clock: x.clock,
    random: x.random,
  });
  return {
    open: (name, o) => endpoints.open(name, o),
    shared: (name, o) => endpoints.shared(name, o),
    current: (name) => endpoints.current(name),
    probe: (name, o) => endpoints.probe(name, o),
    health: () => endpoints.health(),
    [Symbol.asyncDispose]: async () => {
      await endpoints[Symbol.asyncDispose]();
      await telling;
    },
  };
};

const redacted = (value: JsonValue, redact: (text: string) => string): JsonValue => {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map((v: JsonValue) => redacted(v, redact));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([k, v]) => [k, v === undefined ? v : redacted(v as JsonValue, redact)]),
  );
};
