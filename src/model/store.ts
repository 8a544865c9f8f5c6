import type { Alerts } from './alerts.ts';
import type { Waits } from './approval.ts';
import type { Archives } from './archive.ts';
import type { Audit } from './audit.ts';
import type { Change, ChangeOp, Difference, DifferenceKind } from './change.ts';
import type { Conflicts } from './conflicts.ts';
import type { Cancel, Fingerprint } from './endpoint.ts';
import type { ErrorCode } from './errors.ts';
import type { HashSpec } from './hash/spec.ts';
import type { Standing } from './incremental.ts';
import type { JsonValue } from './json.ts';
import type { Approvals, Listings } from './listings.ts';
import type { Monitoring } from './monitoring.ts';
import type { PublishedDifferences } from './published.ts';
import type { Quarantine } from './quarantine.ts';
import type { RecordRequests } from './record-requests.ts';
import type { Batch, Key, Row } from './row.ts';
import type { ColumnType, Table } from './schema.ts';
import type { StoredKeysPort } from './stored-keys.ts';
import type { Tokens } from './tokens.ts';
import type { TwoWayRuns } from './two-way-runs.ts';

/** Anything JSON can carry. `undefined` members are left out; texts keep NUL and lone surrogates. */
export type Json = JsonValue;

/** Where a store is kept, and the ports to it. Disposing it leaves the store; an embedded server ends with its last user. */
export interface Store extends AsyncDisposable {
  /** For people, no secrets: `embedded, /home/me/shop/.lockstep` or `postgres://me@db:5432/ops`. */
  readonly description: string;
  readonly runs: Runs;
  readonly plans: Plans;
  readonly journal: Journal;
  readonly differences: Differences;
  readonly published: PublishedDifferences;
  readonly standings: Standings;
  readonly quarantine: Quarantine;
  readonly twoWayRuns: TwoWayRuns;
  readonly conflicts: Conflicts;
  readonly archives: Archives;
  readonly recordRequests: RecordRequests;
  readonly monitoring: Monitoring;
  readonly alerts: Alerts;
  readonly listings: Listings;
  readonly approvals: Approvals;
  /** Plans that are applied as soon as enough have agreed. */
  readonly waits: Waits;
  /** 32 random bytes under this name, made once: what one process of the store signs the others know. */
  sharedSecret(name: string, o: Cancel): Promise<Uint8Array>;
  readonly tokens: Tokens;
  readonly audit: Audit;
  readonly storedKeys: StoredKeysPort;
  /** Everything known of one key, newest first. `key` as canonical cells, as the pair or the target's native key renders it. */
  trace(pair: string, key: Key, o: Cancel): Promise<Trace>;
}

// ---------------------------------------------------------------------------------------------------------- runs

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
  readonly request: Json;
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
  readonly report: Json;
  /** What the run needs to go on after an interruption; its own affair. */
  readonly checkpoint: Json;
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
      readonly report?: Json;
      readonly checkpoint?: Json;
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
      readonly report?: Json;
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

// --------------------------------------------------------------------------------------------------------- plans

/** A table of a plan. Rows of its changes are native rows in the order of `nativeSelection(table, key)`. */
export interface PlanTable {
  /** Name of the pair it was compared as. */
  readonly pair: string;
  readonly table: Table;
  readonly key: readonly string[];
  /** Columns of the table whose values are not shown. */
  readonly concealed?: readonly string[];
}

export interface PlanItem {
  /** 1, 2, 3, … in the order of application. */
  readonly seq: number;
  /** Items of one group may share a transaction; groups are applied in order. */
  readonly group: number;
  /** Index into `PlanHeader.tables`. */
  readonly table: number;
  readonly change: Change;
}

/** What is known when a plan is begun. */
export interface NewPlan {
  readonly id: string;
  /** The run that made it. */
  readonly run: string | null;
  readonly sync: string | null;
  readonly mode: string;
  readonly source: EndpointFacts;
  readonly target: EndpointFacts;
  /** The database it was made for; apply refuses another one. */
  readonly fingerprint: Fingerprint;
  readonly tables: readonly PlanTable[];
  /** As configured: batch size, atomicity, tolerances, filters, … */
  readonly settings: Json;
  readonly guards: Json;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly expires: number;
  /** The run this plan undoes. */
  readonly reverts?: string;
  /** Decided by what both sides had agreed on: applied only as that is brought up to date, with the plan of the other side. */
  readonly archive?: true;
  /** What the hashes of its changes are made with: the seed as a decimal. Absent: they have none. */
  readonly hash?: { readonly seed: string; readonly form: HashSpec['form'] };
}

/** The reviewed facts of a sealed plan; with the items they make its hash. */
export interface PlanHeader extends NewPlan {
  readonly counts: Readonly<Record<ChangeOp, number>>;
  /** What is told with the plan: withheld, rows that do not fit, warnings, row counts, … */
  readonly summary: Json;
}

export interface Plan {
  readonly header: PlanHeader;
  /** SHA-256 in hex over the canonical bytes of every item in order and the header. */
  readonly hash: string;
  /** The apply run that has claimed it; null: not used yet. */
  readonly usedBy: string | null;
  readonly usedAt: number | null;
}

/** Streams a plan in. Disposing it before `seal` discards the plan. Calls must not overlap. */
export interface PlanWriter extends AsyncDisposable {
  /** Items in the order of application; resolves when there is room for more. Numbers follow from 1. */
  add(items: Batch<Omit<PlanItem, 'seq'>>, o: Cancel): Promise<void>;
  /** Makes it durable, immutable and visible. Facts known only at the end may replace those given at the start. */
  seal(
    o: Cancel & {
      readonly summary?: Json;
      /** The summary without any value of a row, where values are encrypted: plans are found by what stands in clear. */
      readonly unquoted?: Json;
      readonly settings?: Json;
      readonly guards?: Json;
    },
  ): Promise<Plan>;
}

/** Sealed plans. A plan that is not sealed does not exist for anybody. */
export interface Plans {
  create(plan: NewPlan, o: Cancel): Promise<PlanWriter>;
  /** By full id, or by the beginning of one when only one plan has it; undefined when there is none. */
  get(id: string, o: Cancel): Promise<Plan | undefined>;
  /** Newest first. */
  list(
    filter: {
      readonly sync?: string;
      /** Any of these. */
      readonly syncs?: readonly string[];
      readonly before?: string;
      readonly limit?: number;
    },
    o: Cancel,
  ): Promise<readonly Plan[]>;
  /** In order, flat in memory. `after`: seq to go on from, `only`: inclusive ranges of seq, ascending. */
  items(
    id: string,
    o: Cancel & { readonly after?: number; readonly only?: readonly SeqRange[] },
  ): AsyncIterable<Batch<PlanItem>>;
  /** The items of one key, in order. */
  find(id: string, pair: string, key: Key, o: Cancel): Promise<readonly PlanItem[]>;
  /** Reads the whole plan and throws PLAN_EDITED unless its hash is the recorded one. */
  verify(id: string, o: Cancel): Promise<void>;
  /** Marks it as used by this run. PLAN_USED when another run has it; again by the same run is fine. */
  claim(id: string, run: string, at: number, o: Cancel): Promise<void>;
  /** Gives a claim back: only when this run has written nothing. */
  release(id: string, run: string, o: Cancel): Promise<void>;
  /** JSONL: the header, the items, the hash. Byte for byte the same each time, where the store does not encrypt. */
  export(id: string, o: Cancel): AsyncIterable<Uint8Array>;
  /** Takes in an exported plan, from any store. PLAN_EDITED when a byte of it was changed; the same plan twice is one. */
  import(file: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, o: Cancel): Promise<Plan>;
}

// ------------------------------------------------------------------------------------------------------- journal

/** Inclusive at both ends. */
export type SeqRange = readonly [first: number, last: number];

/**
 * What became of one planned change.
 * `applied`: written by this run · `already`: the row showed the after-image · `moved`: it no longer showed `before` ·
 * `rejected`: refused by the database · `conflict`: waits for a person · `skipped`: left out (see `reason`).
 */
export type OutcomeStatus = 'applied' | 'already' | 'moved' | 'rejected' | 'conflict' | 'skipped';

export interface Outcome {
  readonly seq: number;
  readonly status: OutcomeStatus;
  /** The row as read back in the transaction; absent: it is the planned after-image. */
  readonly stored?: Row | null;
  /** `moved`: the row as it was found. */
  readonly found?: Row | null;
  readonly reason?: string;
  readonly sqlState?: string;
}

/** One transaction of a run in the target. */
export interface Step {
  readonly run: string;
  /** Unique in the run; the number in the target's marker. */
  readonly step: number;
  readonly plan: string;
  /** Items it writes, ascending. */
  readonly items: readonly SeqRange[];
}

/** `intended` is written before the transaction, `done` or `rolled_back` after it. */
export type StepState = 'intended' | 'done' | 'rolled_back';

export interface StepRecord extends Step {
  readonly state: StepState;
  /** The items whose outcome is final: all of a done step, those named when it was rolled back. */
  readonly final: readonly SeqRange[];
  readonly counts: Readonly<Record<string, number>>;
}

/** A change whose outcome is final. */
export interface Settled {
  readonly step: number;
  readonly item: PlanItem;
  readonly outcome: Outcome;
}

/** Intent before, result after; the images are the plan's. Steps of one run may overlap in time. */
export interface Journal {
  /** Durable when it resolves. The same open step again starts it afresh: what was noted is forgotten. */
  intend(step: Step, at: number, o: Cancel): Promise<void>;
  /**
   * Outcomes known before the transaction ends (rows read back): they survive a lost reply. Optional, any number of
   * times; only what is not plain `applied` with the planned after-image needs to be told.
   */
  note(run: string, step: number, outcomes: Batch<Outcome>, o: Cancel): Promise<void>;
  /**
   * `done`: items that neither `note` nor `outcomes` names are plain `applied`. `rolled_back`: what was noted is
   * forgotten, only `outcomes` are final, the other items are free for another step. `counts` are the caller's own words; `tally`
   * adds them up. Settling a settled step again with the same state changes nothing; with another state it throws.
   */
  settle(
    run: string,
    step: number,
    end: {
      readonly state: 'done' | 'rolled_back';
      readonly at: number;
      readonly outcomes?: Batch<Outcome>;
      readonly counts?: Readonly<Record<string, number>>;
    },
    o: Cancel,
  ): Promise<void>;
  /** Steps of a run that are still `intended`, ascending: to be settled (by the marker) before anything else. */
  open(run: string, o: Cancel): Promise<readonly StepRecord[]>;
  /** Ascending. */
  steps(run: string, o: Cancel): AsyncIterable<Batch<StepRecord>>;
  /** Greatest step number of a run; 0 without steps. */
  last(run: string, o: Cancel): Promise<number>;
  /** Items of a run whose outcome is final, merged and ascending. */
  final(run: string, o: Cancel): Promise<readonly SeqRange[]>;
  tally(run: string, o: Cancel): Promise<Readonly<Record<string, number>>>;
  /** Final outcomes in the order of the steps. `statuses`: only these (cheap when it leaves out `applied`). */
  outcomes(
    run: string,
    o: Cancel & {
      readonly statuses?: readonly OutcomeStatus[];
      /** The last one of the page before. */
      readonly after?: { readonly step: number; readonly seq: number };
    },
  ): AsyncIterable<Batch<Settled>>;
  /**
   * What a run really wrote (`applied`), last first: later steps first, greater seq first. `stored` is the row as the
   * run left it, null where deleted.
   */
  undo(run: string, o: Cancel): AsyncIterable<Batch<{ readonly item: PlanItem; readonly stored: Row | null }>>;
}

// --------------------------------------------------------------------------------------------------- differences

/** How the rows of a pair's differences read: enough to show them without the databases. */
export interface DifferencePair {
  readonly name: string;
  /** Target's label. */
  readonly target: string;
  readonly columns: readonly { readonly source: string; readonly target: string; readonly as: ColumnType }[];
  readonly keyWidth: number;
}

export interface StoredDifference {
  /** Ascending in the order they were added; a cursor. */
  readonly seq: number;
  readonly pair: string;
  readonly difference: Difference;
}

export interface DifferenceFilter {
  readonly pair?: string;
  readonly kinds?: readonly DifferenceKind[];
  /** Source column that differs. */
  readonly column?: string;
  /** seq to go on from. */
  readonly after?: number;
}

/** Calls must not overlap. Disposing flushes nothing: what was not flushed is lost. */
export interface DifferenceWriter extends AsyncDisposable {
  add(pair: string, differences: Batch<Difference>, o: Cancel): Promise<void>;
  /** Makes everything added so far durable and visible. */
  flush(o: Cancel): Promise<void>;
}

export interface Differences {
  /** Opens a run's differences for adding; goes on after those that are there. */
  writer(run: string, pairs: readonly DifferencePair[], o: Cancel): Promise<DifferenceWriter>;
  pairs(run: string, o: Cancel): Promise<readonly DifferencePair[]>;
  /** In order of seq, flat in memory; stop reading when you have enough. */
  list(run: string, filter: DifferenceFilter, o: Cancel): AsyncIterable<Batch<StoredDifference>>;
  /** Forgets those of a run, or of one of its pairs (to compare it again after an interruption). */
  clear(run: string, o: Cancel & { readonly pair?: string }): Promise<void>;
}

// ----------------------------------------------------------------------------------------------------- standings

/** Where incremental comparison stands: one per sync, pair and settings. A standing replaces the one before it. */
export interface Standings {
  get(sync: string, pair: string, settings: string, o: Cancel): Promise<Standing | undefined>;
  /** All or none. */
  put(sync: string, standings: readonly (Standing & { readonly pair: string })[], o: Cancel): Promise<void>;
}

// --------------------------------------------------------------------------------------------------------- trace

export interface Trace {
  readonly differences: readonly {
    readonly run: Run;
    readonly stored: StoredDifference;
    readonly pair: DifferencePair;
  }[];
  readonly planned: readonly { readonly plan: Plan; readonly item: PlanItem }[];
  /** `outcome` undefined: intended, not settled (or rolled back and not tried again). */
  readonly written: readonly {
    readonly run: Run;
    readonly plan: Plan;
    readonly step: StepRecord;
    readonly item: PlanItem;
    readonly outcome: Outcome | undefined;
  }[];
}
