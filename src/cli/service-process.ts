import { hostname } from 'node:os';
import type { Config } from '../config/config.ts';
import { LockstepError } from '../model/errors.ts';
import type { ServiceStore } from '../model/service-store.ts';
import { connectSide } from '../service/connect.ts';
import type { Endpoints } from '../service/endpoints.ts';
import { openEndpoints } from '../service/endpoints-open.ts';
import type { RunWorld } from '../service/execute-run.ts';
import { type Log, openLog } from '../telemetry/log.ts';
import { openTimings, type Timings } from '../telemetry/timings.ts';
import { configOf } from './config-of.ts';
import type { Context, Flags } from './context.ts';
import { openControl } from './control.ts';

/** What every process of the service has. Dispose it last. */
export interface ServiceProcess extends AsyncDisposable {
  readonly store: ServiceStore;
  readonly endpoints: Endpoints;
  readonly timings: Timings;
  readonly log: Log;
  /** For records: unique among the processes of a store. */
  readonly name: string;
  /** As it is now. */
  config(): Config;
  world(): RunWorld;
  /** Called after each reload. */
  onReload(then: () => void): void;
}

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
  const store = await openControl(context, flags, config, AbortSignal.any([context.stop, context.now]));
  const timings = openTimings(context.clock);
  const endpoints = openEndpoints({
    config: () => config,
    connect: (side, signal) => connectSide(context, side, signal),
    known: async (name, o) => {
      for (const run of await store.runs.list({ limit: 100 }, o))
        for (const side of [run.source, run.target])
          if (side?.name === name && side.fingerprint !== undefined) return side.fingerprint;
      return undefined;
    },
    changed: (name, change) => {
      log[change.state === 'open' ? 'warn' : 'info'](`breaker ${change.state}`, { endpoint: name, ...change });
      const event = {
        at: change.at,
        type: `breaker.${change.state === 'open' ? 'opened' : change.state}`,
        subject: `endpoints/${name}`,
        sync: null,
        correlation: null,
        data: { endpoint: name, ...change },
      };
      store.events.append([event], { signal: AbortSignal.timeout(5000) }).catch(() => {});
    },
    timings,
    clock: context.clock,
    random: Math.random,
  });
  const followers: (() => void)[] = [];
  const hangup = context.onHangup(() => {
    void configOf(context, flags).then(
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
    log,
    name: `${hostname()}, process ${process.pid}`,
    config: () => config,
    world: () => ({
      config,
      endpoints,
      doors: context,
      clock: context.clock,
      random: Math.random,
      version: context.version,
    }),
    onReload: (then) => void followers.push(then),
    [Symbol.asyncDispose]: async () => {
      hangup[Symbol.dispose]();
      await endpoints[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      log.flush();
    },
  };
};
