import type { Slo } from '../config/alerts.ts';
import type { Config, Sync } from '../config/config.ts';
import type { PlanWait, Waits } from '../model/approval.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Conflicts } from '../model/conflicts.ts';
import type { EndpointSample, Monitoring, PairState, QueueState, RunFact } from '../model/monitoring.ts';
import { type ServiceLevel, serviceLevels } from '../telemetry/service-level.ts';
import { rhythmOf } from './rhythm.ts';

/** What the rules look at: the whole installation at one moment. */
export interface Facts {
  readonly now: number;
  readonly syncs: readonly Pick<Sync, 'name' | 'slo' | 'target'>[];
  /** Of syncs that start by themselves: how long they may go without a proof. */
  readonly rhythms: ReadonlyMap<string, number>;
  readonly pairs: readonly PairState[];
  /** Newest first. */
  readonly runs: readonly RunFact[];
  readonly running: readonly {
    readonly run: string;
    readonly sync: string | null;
    readonly kind: string;
    readonly started: number;
  }[];
  readonly queue: QueueState;
  readonly endpoints: readonly EndpointSample[];
  readonly levels: readonly ServiceLevel[];
  /** Plans that wait for people. */
  readonly waits: readonly PlanWait[];
  /** Conflicts that wait for people, by sync; the oldest was found then. */
  readonly conflicts: readonly { readonly sync: string; readonly pending: number; readonly oldest: number }[];
  /** Backups that were found damaged: when each was made. Absent: nobody has looked. */
  readonly damaged?: readonly number[];
}

/** Runs of a sync and kind that are looked back on. */
const history = 40;
/** Processes that have been silent for longer are gone. */
const silentMs = 60_000;

/** Is the pair, as a run named it, still one of the sync's? */
const configured = (sync: Sync, pair: string): boolean =>
  sync.pairs === undefined ||
  sync.pairs.some(({ source }) =>
    [pair, pair.split('.').at(-1)!].some((name) => name.toLowerCase() === source.toLowerCase()),
  );

export const gatherFacts = async (
  {
    monitoring,
    waits,
    conflicts,
  }: {
    readonly monitoring: Monitoring;
    readonly waits: Pick<Waits, 'waiting'>;
    readonly conflicts: Pick<Conflicts, 'waitingBySync'>;
  },
  config: Config,
  now: number,
  o: Cancel,
): Promise<Facts> => {
  const syncs = Object.values(config.syncs);
  const slos = new Map<string, Slo>(syncs.flatMap((s) => (s.slo === undefined ? [] : [[s.name, s.slo] as const])));
  const longest = Math.max(0, ...[...slos.values()].map((s) => s.windowMs));
  const [pairs, runs, running, queue, endpoints, proofs, waiting, open] = await Promise.all([
    monitoring.pairs(o),
    monitoring.lastRuns(history, o),
    monitoring.running(o),
    monitoring.queue(o),
    monitoring.samples(now - silentMs, o),
    longest === 0 ? [] : monitoring.proofs(now - longest, o),
    waits.waiting(o),
    conflicts.waitingBySync(o),
  ]);
  const known = (sync: string, pair: string): boolean =>
    Object.hasOwn(config.syncs, sync) && configured(config.syncs[sync]!, pair);
  return {
    now,
    syncs,
    rhythms: new Map(
      syncs.flatMap(({ name }) => {
        const rhythm = rhythmOf(config.syncs, name, now);
        return rhythm === undefined ? [] : [[name, rhythm] as const];
      }),
    ),
    pairs: pairs.filter((p) => known(p.sync, p.pair)),
    runs: runs.filter((r) => r.sync === null || Object.hasOwn(config.syncs, r.sync)),
    running,
    queue,
    endpoints: endpoints.filter((e) => Object.hasOwn(config.endpoints, e.endpoint)),
    waits: waiting.filter((w) => Object.hasOwn(config.syncs, w.sync)),
    conflicts: open.filter((c) => Object.hasOwn(config.syncs, c.sync)),
    levels: serviceLevels(
      proofs.filter((p) => known(p.sync, p.pair)),
      (sync) => slos.get(sync),
      now,
    ),
  };
};
