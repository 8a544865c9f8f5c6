import type { Clock } from '../lib/clock.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Progress } from '../model/report.ts';
import type { Phase, Run } from '../model/runs.ts';
import type { Event } from '../model/service.ts';
import type { ServiceStore } from '../model/service-store.ts';
import type { Log } from '../telemetry/log.ts';

/** The phases of every run, in this order; a run that writes nothing has no `apply`. */
const names = ['collect', 'detect', 'resolve', 'apply', 'record'] as const;
type PhaseName = (typeof names)[number];

const phaseOf: Readonly<Record<Progress['phase'], PhaseName>> = {
  inspect: 'collect',
  probe: 'detect',
  digest: 'detect',
  scan: 'detect',
  confirm: 'detect',
  plan: 'resolve',
  make: 'apply',
  load: 'apply',
  apply: 'apply',
  verify: 'record',
  agree: 'record',
};

/** Shows how a run fares: in its record, as events, in the log. */
export interface RunPhases {
  tick(progress: Progress): void;
  /** Enters a phase that no progress tells of. */
  enter(name: PhaseName): void;
  /** Everything told so far is written down. */
  settled(): Promise<void>;
}

const progressEveryMs = 500;

export const runPhases = (
  o: Cancel & {
    readonly store: Pick<ServiceStore, 'runs' | 'events'>;
    readonly run: Run;
    readonly clock: Clock;
    readonly log: Log;
    /** Told of each phase that begins. */
    readonly began?: (name: string) => void;
  },
): RunPhases => {
  const { run, clock, log } = o;
  // Of an earlier process: what it had not finished ended with it.
  const before = run.phases.filter((p) => p.finished !== undefined);
  let phases: Phase[] = [...before];
  let at = -1;
  let last: Promise<unknown> = Promise.resolve();
  let saidAt = Number.NEGATIVE_INFINITY;
  let broken = false;
  const pairs = new Set<string>();

  // What cannot be told does not keep the work from being done.
  const inTurn = (work: () => Promise<unknown>): void => {
    last = last.then(work).catch((error: unknown) => {
      if (!broken && !o.signal.aborted) log.warn('progress is not recorded', { run: run.id, error });
      broken = true;
    });
  };
  const event = (type: string, data: Event['data']): Omit<Event, 'id'> => ({
    at: clock.now(),
    type,
    subject: `runs/${run.id}`,
    sync: run.sync,
    correlation: run.correlation,
    data,
  });
  /** Where in its phase the run is: tables compared, or batches written. */
  const batch = (name: PhaseName, p?: Progress): { readonly batch?: number; readonly of?: number } => {
    if (name === 'detect') return { batch: Math.max(1, pairs.size) };
    if (name !== 'apply' || p?.total === undefined || p.batchRows === undefined) return {};
    const of = Math.max(1, Math.ceil(p.total / p.batchRows));
    return { batch: Math.min(of, Math.max(1, Math.ceil(p.rows / p.batchRows))), of };
  };
  const enter = (name: PhaseName, p?: Progress): void => {
    const now = clock.now();
    phases = [...phases.map((q) => (q.finished === undefined ? { ...q, finished: now } : q)), { name, started: now }];
    at = names.indexOf(name);
    o.began?.(name);
    const kept = phases;
    const data = { run: run.id, phase: name, ...batch(name, p) };
    log.info('phase', data);
    inTurn(async () => {
      await o.store.runs.update(run.id, { phases: kept }, o);
      await o.store.events.append([event('run.phase', data)], o);
    });
  };
  return {
    enter: (name) => {
      if (names.indexOf(name) > at) enter(name);
    },
    tick: (p) => {
      const name = phaseOf[p.phase];
      if (p.pair !== '') pairs.add(p.pair);
      // Tables are confirmed while the next ones are scanned: a run does not go back.
      if (names.indexOf(name) > at) enter(name, p);
      const now = clock.elapsed();
      if (p.rows === 0 || now - saidAt < progressEveryMs) return;
      saidAt = now;
      const data = {
        run: run.id,
        phase: names[at]!,
        step: p.phase,
        pair: p.pair === '' ? null : p.pair,
        rows: p.rows,
        ...(p.total === undefined ? {} : { total: p.total }),
        ...batch(names[at]!, p),
      };
      log.debug('progress', data);
      inTurn(() => o.store.events.append([event('run.progress', data)], o));
    },
    settled: async () => {
      const now = clock.now();
      phases = phases.map((q) => (q.finished === undefined ? { ...q, finished: now } : q));
      const kept = phases;
      inTurn(() => o.store.runs.update(run.id, { phases: kept }, o));
      await last;
    },
  };
};
