import { hostname } from 'node:os';
import type { Config } from '../config/config.ts';
import { LockstepError } from '../model/errors.ts';
import type { ServiceStore } from '../model/service-store.ts';
import type { TraceSettings } from '../model/traces.ts';
import type { Endpoints } from '../service/endpoints.ts';
import { serviceEndpoints } from '../service/endpoints-service.ts';
import type { RunWorld } from '../service/run-world.ts';
import { keepSamples } from '../service/samples.ts';
import { type Failures, openFailures } from '../telemetry/failures.ts';
import { type Log, openLog } from '../telemetry/log.ts';
import { openTimings, type Timings } from '../telemetry/timings.ts';
import { openTracer, type Tracer } from '../telemetry/traces.ts';
import { configOf } from './config-of.ts';
import type { Context, Flags } from './context.ts';
import { controlUrls, openControl } from './control.ts';

/** What every process of the service has. Dispose it last. */
export interface ServiceProcess extends AsyncDisposable {
  readonly store: ServiceStore;
  readonly endpoints: Endpoints;
  readonly timings: Timings;
  readonly failures: Failures;
  readonly tracer: Tracer;
  readonly log: Log;
  /** For records: unique among the processes of a store. */
  readonly name: string;
  /** As it is now. */
  config(): Config;
  world(): RunWorld;
  /** Called after each reload. */
  onReload(then: () => void): void;
}

/** The settings of the configuration as it is now: its references are looked up once. */
const memo = (config: () => Config): (() => TraceSettings | undefined) => {
  let last: { readonly of: Config; readonly settings: TraceSettings | undefined } | undefined;
  return () => {
    const now = config();
    if (last?.of !== now) last = { of: now, settings: now.traces() };
    return last.settings;
  };
};

/** Opens the store and the endpoints of a configuration, which SIGHUP reads again. */
export const openService = async (
  context: Context,
  flags: Flags,
  part: 'serve' | 'worker',
): Promise<ServiceProcess> => {
  const found = await configOf(context, flags);
  if (found === undefined)
    throw new LockstepError('USAGE', `lockstep ${part} needs a configuration, and there is none here`, {
      hint: 'Write one with `lockstep init SOURCE TARGET`, or name it with --config.',
    });
  let config = found;
  const log = openLog({
    ...config.log,
    write: (line) => void context.err.write(line),
    clock: context.clock,
    redactor: context.redactor,
    fields: { part, pid: process.pid },
  });
  const starting = { signal: AbortSignal.any([context.stop, context.now]) };
  const store = await openControl(context, flags, config, starting.signal);
  try {
    await store.audit.ready(starting);
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
  const timings = openTimings(context.clock);
  const tracer = openTracer({
    settings: memo(() => config),
    clock: context.clock,
    random: Math.random,
    redact: (text) => context.redactor.redact(text),
    log,
    resource: {
      'service.version': context.version,
      'service.instance.id': `${hostname()} ${process.pid}`,
      'lockstep.part': part,
    },
  });
  const failures = openFailures();
  const name = `${hostname()}, process ${process.pid}`;
  const endpoints = serviceEndpoints({
    config: () => config,
    doors: context,
    store,
    log,
    timings,
    failures,
    clock: context.clock,
    random: Math.random,
    process: name,
  });
  const ending = new AbortController();
  const { signal } = ending;
  const sampling = keepSamples({ process: name, store, endpoints, timings, log, clock: context.clock, signal });
  const followers: (() => void)[] = [];
  const hangup = context.onHangup(() => {
    const reading = configOf(context, flags).then((read) => {
      // What is read later must not be found wrong only then.
      read?.server();
      read?.audit();
      read?.cache();
      read?.checkpointEveryMs();
      read?.retention();
      read?.traces();
      return read;
    });
    void reading.then(
      (read) => {
        if (read === undefined) return log.error('configuration is gone, the old one stays', { file: config.file });
        config = read;
        log.reopen();
        log.info('configuration read again', { file: read.file });
        for (const then of followers) then();
      },
      (error: unknown) => log.error('configuration is wrong, the old one stays', { error }),
    );
  });
  return {
    store,
    endpoints,
    timings,
    failures,
    tracer,
    log,
    name,
    config: () => config,
    world: () => ({
      config,
      endpoints,
      doors: context,
      clock: context.clock,
      random: Math.random,
      tracer,
      version: context.version,
      controlUrls: () => controlUrls(context, flags, config),
    }),
    onReload: (then) => void followers.push(then),
    [Symbol.asyncDispose]: async () => {
      hangup[Symbol.dispose]();
      ending.abort();
      await sampling;
      await endpoints[Symbol.asyncDispose]();
      await tracer[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      log.flush();
    },
  };
};
