import type { Cancel } from './cancel.ts';
import type { Generations } from './generations.ts';
import type { RunFailures, StatementSamples, StoreState } from './health.ts';
import type { Queue } from './queue.ts';
import type { EndState, Run } from './runs.ts';
import type { Segments } from './segments.ts';
import type { Asked, Events, RunDesk, RunRequest } from './service.ts';
import type { Store } from './store.ts';

/** What a worker learns of a run that it carries out, each time it says that it is alive. */
export interface Beat {
  readonly run: string;
  /** False: another process has taken it over, and nothing that this one still writes down counts. */
  readonly mine: boolean;
  /** Who wants it to end. */
  readonly cancelledBy: string | null;
  /** Who has paused its sync. */
  readonly pausedBy: string | null;
}

/** Who carries out a run: one process at a time. */
export interface Claims {
  /** Takes a queued or abandoned run over for this process; undefined when it has ended, waits for its sync to be resumed, or another process has it. */
  claim(run: string, o: Cancel & { readonly worker: string; readonly now: number }): Promise<Run | undefined>;
  /** Says that this process is at work on them. */
  beat(runs: readonly string[], o: Cancel): Promise<readonly Beat[]>;
  /**
   * Queues runs again whose process has died, or has given no sign of life for `silentMs` (its session is ended, so that
   * it has no lock any more). One that has cost `deaths` processes in a row is failed.
   */
  recover(o: Cancel & { readonly silentMs: number; readonly deaths: number; readonly now: number }): Promise<{
    readonly requeued: readonly Run[];
    readonly failed: readonly Run[];
  }>;
  /** Holds the lock for as long as this process lives and does not let it go; false: another process has it, or this one. */
  lock(name: string, o: Cancel): Promise<boolean>;
  unlock(name: string, o: Cancel): Promise<void>;
}

/** When a sync is started by itself. */
export interface ScheduleState {
  readonly sync: string;
  /** What `next` was made by; another rule makes a new `next`. */
  readonly rule: string;
  /** Milliseconds since 1970: on the rule's grid, and with its jitter. Null: it follows another sync. */
  readonly due: number | null;
  readonly next: number | null;
  readonly lastDue: number | null;
  readonly lastFired: number | null;
  readonly lastRun: string | null;
  /** The run of the other sync that it has followed last. */
  readonly lastAfter: string | null;
}

export interface Schedules {
  list(o: Cancel): Promise<readonly ScheduleState[]>;
  /** Makes the schedules these, and keeps the state of those whose rule is the same. Others are forgotten. */
  set(
    schedules: readonly Pick<ScheduleState, 'sync' | 'rule' | 'due' | 'next' | 'lastAfter'>[],
    o: Cancel,
  ): Promise<void>;
  /**
   * Moves a schedule on, and asks for its run with it, in one transaction. False when another process has done so: who
   * fires must have seen the `next` (or the `lastAfter`) that is there. `run` absent: passed over.
   */
  fire(
    seen: ScheduleState,
    to: { readonly due: number | null; readonly next: number | null; readonly after?: string; readonly now: number },
    run: { readonly request: RunRequest; readonly asked: Asked } | undefined,
    o: Cancel,
  ): Promise<boolean>;
  /** The newest run of a sync that ended as `state`, among those that compared all of it. */
  lastEnded(sync: string, state: EndState, o: Cancel): Promise<string | undefined>;
  /** Is a run of it (or one of no sync, in a lane of this name) queued or running? */
  busy(sync: string, o: Cancel): Promise<boolean>;
}

/** A sync that does not start. */
export interface Paused {
  readonly sync: string;
  readonly by: string;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** Ended runs by what is lost with them: `quiet` found nothing, `runs` wrote nothing, `changes` wrote. */
export type Forgettable = 'quiet' | 'runs' | 'changes';

export interface Forgotten {
  readonly runs: number;
  readonly plans: number;
  /** Closed conflicts: with `changes`. */
  readonly conflicts: number;
}

/** The control store with all that a service needs of it. */
export interface ServiceStore extends Store {
  readonly events: Events;
  readonly generations: Generations;
  readonly desk: RunDesk;
  readonly queue: Queue;
  readonly claims: Claims;
  readonly schedules: Schedules;
  readonly segments: Segments;
  readonly statements: StatementSamples;
  /** Runs that failed since then, by the code of their error; the kind met last comes first. */
  failures(since: number, o: Cancel): Promise<readonly RunFailures[]>;
  /** Asks the store itself. Rejects when it does not answer. */
  state(o: Cancel): Promise<StoreState>;
  paused(o: Cancel): Promise<readonly Paused[]>;
  /** One item whenever somebody has asked to stop, pause or resume something; at least once a second. */
  stops(o: Cancel): AsyncIterable<void>;
  /** Forgets old events and finished jobs; to be called now and then by whoever lives long. */
  tend(o: Cancel): Promise<void>;
  /**
   * Forgets runs of this kind that ended before then, with all that is theirs; some thousands at a time. Each sync's last
   * hundred of a kind stay, and what schedules, standings, states of pairs or quarantined rows refer to.
   */
  forget(what: Forgettable, before: number, o: Cancel): Promise<Forgotten>;
  /** Would `forget` find any? */
  forgettable(what: Forgettable, before: number, o: Cancel): Promise<boolean>;
}
