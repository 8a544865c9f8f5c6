import type { Config, Sync } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Progress } from '../model/report.ts';
import type { EndpointFacts, Run } from '../model/runs.ts';
import type { RunRequest } from '../model/service.ts';
import type { ServiceStore } from '../model/service-store.ts';
import type { Store } from '../model/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Tracer } from '../telemetry/traces.ts';
import { factsOf } from '../work/recorded.ts';
import { type Doors, describeSide } from './connect.ts';
import type { Endpoints } from './endpoints.ts';
import { sideOfEntry } from './job.ts';
import type { RunTrace } from './run-trace.ts';

/** What carrying out runs needs. */
export interface RunWorld {
  readonly config: Config;
  readonly endpoints: Endpoints;
  readonly doors: Doors;
  readonly clock: Clock;
  /** 0 <= x < 1 */
  readonly random: () => number;
  /** The version of Lockstep. */
  readonly version: string;
  /** Absent: runs are not traced. */
  readonly tracer?: Tracer;
  /** Addresses of the control store's server; absent: it is not backed up from here. */
  controlUrls?(): Promise<readonly string[]>;
}

/** What is asked for, of one kind. */
export type Kind<K extends RunRequest['kind']> = Extract<RunRequest, { readonly kind: K }>;

/** One run to be carried out, claimed by this process. */
export interface RunWork extends Cancel {
  readonly run: Run;
  readonly store: Store & Pick<ServiceStore, 'segments' | 'queue'>;
  /** Aborted: finish the batch in hand, save, end. */
  readonly stop: AbortSignal;
  onProgress(progress: Progress): void;
  readonly log?: Pick<Log, 'info'>;
  readonly trace?: Pick<RunTrace, 'traceparent' | 'timed'>;
}

export const missing = (what: string, known: readonly string[], config: Config): LockstepError =>
  new LockstepError('NOT_FOUND', `${config.file} has no ${what}`, {
    hint: `There are: ${known.join(', ') || 'none'}.`,
  });

export const syncNamed = (config: Config, name: string): Sync => {
  const sync = Object.hasOwn(config.syncs, name) ? config.syncs[name] : undefined;
  if (sync) return sync;
  throw missing(`sync \`${name}\``, Object.keys(config.syncs), config);
};

/** Connected, and described for the record. `standIn`: nothing that is read is carried elsewhere. */
export const opened = async (
  w: RunWorld,
  name: string,
  writable: boolean,
  o: Pick<RunWork, 'signal' | 'run' | 'trace'>,
  standIn = false,
): Promise<[Endpoint, EndpointFacts]> => {
  const entry = w.config.endpoints[name];
  if (!entry) throw missing(`endpoint \`${name}\``, Object.keys(w.config.endpoints), w.config);
  const description = await describeSide(w.doors, sideOfEntry(w.config, entry, writable));
  const endpoint = await w.endpoints.open(name, {
    signal: o.signal,
    writable,
    standIn,
    correlation: o.run.correlation,
    ...(o.trace === undefined ? {} : { timed: o.trace.timed }),
    ...(o.trace?.traceparent === undefined ? {} : { traceparent: o.trace.traceparent }),
  });
  return [endpoint, factsOf(endpoint, description)];
};

/** What every use case is told. */
export const basics = (w: RunWorld, x: RunWork) => ({
  actor: x.run.actor,
  correlation: x.run.correlation,
  asRun: x.run.id,
  store: x.store,
  clock: w.clock,
  signal: x.signal,
  onProgress: (p: Progress) => x.onProgress(p),
});

export const measuresOf = (w: RunWorld) => (w.config.measures.length === 0 ? {} : { measures: w.config.measures });
