import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import { retrying } from '../model/retry.ts';
import type { EndpointFacts, NewRun, Run, RunError, RunKind } from '../model/runs.ts';
import type { Store } from '../model/store.ts';

/** Who asks, and how it is found again. */
export interface Asked {
  /** e.g. `me@laptop`. */
  readonly actor: string;
  readonly correlation: string;
  /** The run that was recorded when this was asked for, or begun by a process that is gone; absent: a new one. */
  readonly asRun?: string;
}

/** What a use case leaves in its run's record. */
export interface Ended {
  readonly exit: number;
  readonly report: JsonValue;
  /** It was stopped on the way and can go on. */
  readonly interrupted?: LockstepError;
}

export const factsOf = (endpoint: Endpoint, description: string): EndpointFacts => ({
  name: endpoint.name,
  engine: endpoint.engine,
  version: endpoint.version,
  description,
  fingerprint: endpoint.fingerprint,
});

/** A run that begins now, of what two endpoints are asked for. */
export const newRun = (
  kind: RunKind,
  o: Asked & {
    readonly clock: Clock;
    /** The configured sync; null for two URLs. */
    readonly sync: string | null;
    readonly facts: { readonly source: EndpointFacts | null; readonly target: EndpointFacts | null };
  },
): NewRun => {
  const started = o.clock.now();
  return {
    id: newId('r', started),
    kind,
    sync: o.sync,
    source: o.facts.source,
    target: o.facts.target,
    correlation: o.correlation,
    actor: o.actor,
    started,
  };
};

/** The facts of a run that another process has recorded, as far as they are known now. */
interface Resumed {
  readonly resume: string;
  readonly facts?: { readonly source: EndpointFacts | null; readonly target: EndpointFacts | null };
}

/** The run that was asked for, else a new one. */
export const beginOf = (kind: RunKind, o: Parameters<typeof newRun>[1]): NewRun | Resumed =>
  o.asRun === undefined ? newRun(kind, o) : { resume: o.asRun, facts: o.facts };

/** Has an earlier process of this run begun to write what its plan says? */
export const hasBegun = (run: Run): boolean =>
  run.plan !== null && (run.checkpoint as { begun?: boolean } | null)?.begun === true;

const runError = (error: unknown): RunError => {
  if (error instanceof LockstepError) {
    const { code, message, hint } = error;
    return hint === undefined ? { code, message } : { code, message, hint };
  }
  return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
};

/** Runs `work` with its record kept: begun, ended or failed. An abort must not keep the record from being written. */
export const recorded = async <T extends Ended>(
  store: Pick<Store, 'runs'>,
  clock: Clock,
  begin: NewRun | Resumed,
  o: Cancel,
  work: (run: Run) => Promise<T>,
): Promise<T> => {
  const run = 'resume' in begin ? await store.runs.resume(begin.resume, o) : await store.runs.create(begin, o);
  if ('resume' in begin && begin.facts !== undefined) {
    const { source, target } = begin.facts;
    await store.runs.update(run.id, { ...(source ? { source } : {}), ...(target ? { target } : {}) }, o);
  }
  // From the end of the work on, however long that took.
  const last = (): Cancel => ({ signal: AbortSignal.timeout(10_000) });
  let ended: T;
  try {
    ended = await work(run);
  } catch (error) {
    const aborted = o.signal.aborted || (error instanceof LockstepError && error.code === 'ABORTED');
    const exit = error instanceof LockstepError ? error.exit : 1;
    const end = { state: aborted ? ('cancelled' as const) : ('failed' as const), exit, finished: clock.now() };
    // The failure itself matters more than that its record could not be kept.
    await store.runs.finish(run.id, { ...end, error: runError(error) }, last()).catch(() => {});
    throw error;
  }
  const { interrupted, exit, report } = ended;
  const end = {
    state: interrupted === undefined ? 'done' : interrupted.code === 'ABORTED' ? 'cancelled' : 'failed',
    exit,
    finished: clock.now(),
    report,
    ...(interrupted === undefined ? {} : { error: runError(interrupted) }),
  } as const;
  // The store may be away, or its answer lost: the same end is told again, never another one.
  const patience = { clock, random: () => 1, signal: AbortSignal.timeout(60_000) };
  await retrying({ attempts: 8, baseMs: 200, maxMs: 4000 }, patience, async () => {
    const o_ = last();
    await store.runs.finish(run.id, end, o_).catch((error: unknown) => {
      if (!o_.signal.aborted) throw error;
      throw new LockstepError('CONNECTION_LOST', `the control store did not take down how run ${run.id} ended`);
    });
  });
  return ended;
};
