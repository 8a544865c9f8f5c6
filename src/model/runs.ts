import type { Cancel } from './cancel.ts';
import type { Fingerprint } from './endpoint.ts';
import type { ErrorCode } from './errors.ts';
import type { JsonValue } from './json.ts';

export type RunKind = 'diff' | 'plan' | 'apply' | 'sync' | 'verify' | 'revert' | 'copy' | 'assess' | 'backup';

/** `queued` waits for a worker; `running` is also what a killed process leaves behind: see `Run.alive`. */
export type RunState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

export type EndState = Exclude<RunState, 'queued' | 'running'>;

/** One side of a run or plan, without secrets. */
export interface EndpointFacts {
  readonly name: string;
  readonly engine: string;
  /** e.g. `PostgreSQL 18.4`. */
  readonly version: string;
  /** What `Engine.describe` says. */
  readonly description: string;
  readonly fingerprint?: Fingerprint;
}

export interface Phase {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly started: number;
  readonly finished?: number;
}

export interface NewRun {
  readonly id: string;
  readonly kind: RunKind;
  /** The configured sync; null for two URLs. */
  readonly sync: string | null;
  readonly source: EndpointFacts | null;
  readonly target: EndpointFacts | null;
  /** The plan it applies; a plan it makes is set by `update`. */
  readonly plan?: string | null;
  /** The run it reverts, verifies or belongs to. */
  readonly parent?: string | null;
  /** Ties log lines, requests and runs together. */
  readonly correlation: string;
  /** Who asked for it, e.g. `me@laptop`. */
  readonly actor: string;
  /** Milliseconds since 1970. */
  readonly started: number;
}

export interface RunError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
}

/** Of a run that workers carry out: how it was asked for, and how it fares. */
export interface RunAsked {
  /** The `RunRequest`. */
  readonly request: JsonValue;
  readonly trigger: 'api' | 'schedule' | 'after' | 'cli';
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Runs of one lane wait for each other. */
  readonly lane: string;
  /** Processes that have begun it. */
  readonly attempt: number;
  /** Processes that died over it since it last made headway. */
  readonly deaths: number;
  readonly worker: string | null;
  readonly cancelledBy: string | null;
  /** It is queued and its sync is paused: it begins when that is resumed. `since`: milliseconds since 1970. */
  readonly paused?: { readonly by: string; readonly since: number };
  /** The place in a trace (W3C Trace Context) that it was asked for from. */
  readonly traceparent?: string;
}

export interface Run extends NewRun {
  readonly plan: string | null;
  readonly parent: string | null;
  readonly state: RunState;
  /** Process exit code; null while running. */
  readonly exit: number | null;
  readonly phases: readonly Phase[];
  readonly report: JsonValue;
  /** What the run needs to go on after an interruption; its own affair. */
  readonly checkpoint: JsonValue;
  readonly error: RunError | null;
  readonly finished: number | null;
  /** Is a process still at work on it? Known by a lock that ends with the process, however it ends. */
  readonly alive: boolean;
  /** Absent: begun by hand, carried out by the process that asked. */
  readonly asked?: RunAsked;
}

export interface RunFilter {
  readonly kinds?: readonly RunKind[];
  readonly states?: readonly RunState[];
  readonly sync?: string;
  /** Any of these. */
  readonly syncs?: readonly string[];
  readonly correlation?: string;
  /** Begun at or after, and before: milliseconds since 1970. */
  readonly from?: number;
  readonly until?: number;
  readonly plan?: string;
  /** Runs older than this one: the last id of the page before. */
  readonly before?: string;
  /** Default 50. */
  readonly limit?: number;
}

export interface Runs {
  /** Records the run as running and holds it for this process. */
  create(run: NewRun, o: Cancel): Promise<Run>;
  /**
   * Takes over an interrupted run. LOCK_HELD while another process is at work on it (with `left`: or this one, for a
   * worker); NOT_FOUND.
   */
  resume(id: string, o: Cancel & { readonly left?: boolean }): Promise<Run>;
  /** Replaces the members that are given. */
  update(
    id: string,
    facts: {
      readonly source?: EndpointFacts;
      readonly target?: EndpointFacts;
      readonly plan?: string;
      readonly phases?: readonly Phase[];
      readonly report?: JsonValue;
      readonly checkpoint?: JsonValue;
    },
    o: Cancel,
  ): Promise<void>;
  /**
   * Ends it and lets it go. The same end may be told again, and counts once; a run that has ended in another state is
   * not changed: FENCED. `resume` comes before another end.
   */
  finish(
    id: string,
    end: {
      readonly state: EndState;
      readonly exit: number;
      readonly finished: number;
      readonly report?: JsonValue;
      readonly error?: RunError;
    },
    o: Cancel,
  ): Promise<void>;
  /** Lets a run go: one that workers carry out is queued again, with what it has saved; another one stays interrupted. */
  putBack(id: string, o: Cancel): Promise<void>;
  /** By full id, or by the beginning of one when only one run has it; undefined when there is none. */
  get(id: string, o: Cancel): Promise<Run | undefined>;
  /** Newest first. */
  list(filter: RunFilter, o: Cancel): Promise<readonly Run[]>;
  /** Running by the record, but no process is at work on them. Newest first. */
  unfinished(o: Cancel): Promise<readonly Run[]>;
}
