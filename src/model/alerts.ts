import type { Cancel } from './cancel.ts';

export type Severity = 'info' | 'warning' | 'critical';
export type AlertState = 'pending' | 'firing' | 'resolved';

/** Something that is wrong now, by a rule. */
export interface Condition {
  /** e.g. `sync_failed`. */
  readonly rule: string;
  /** `syncs/licences`, `syncs/licences/public.licences`, `endpoints/crm`, `queue`. With the rule, what it is known by. */
  readonly subject: string;
  readonly sync: string | null;
  readonly severity: Severity;
  /** How long it must last before it fires, milliseconds. */
  readonly forMs: number;
  /** When it began, where that is known; else it began now. Milliseconds since 1970. */
  readonly since?: number;
  /** One sentence. */
  readonly summary: string;
  /** More, for who looks at it. */
  readonly detail: string;
  /** What to run. */
  readonly command: string;
  readonly value: number | null;
  /** Channels; null: all. */
  readonly send: readonly string[] | null;
}

export interface Alert extends Omit<Condition, 'forMs' | 'since'> {
  readonly id: string;
  readonly state: AlertState;
  readonly since: number;
  readonly fired: number | null;
  readonly resolved: number | null;
  /** When it was last told. */
  readonly notified: number | null;
  readonly acked: { readonly by: string; readonly at: number; readonly note: string | null } | null;
}

/** While it stands, alerts that it fits are seen and not told. What is null fits all. */
export interface Silence {
  readonly id: string;
  readonly rule: string | null;
  readonly sync: string | null;
  readonly subject: string | null;
  readonly until: number;
  readonly reason: string;
  readonly by: string;
  readonly at: number;
}

/** One message to one channel. Whoever receives it knows it again by its id. */
export interface Delivery {
  readonly id: string;
  readonly channel: string;
  readonly body: DeliveryBody;
  readonly made: number;
  /** How often it was tried. */
  readonly attempts: number;
}

/** Alerts of one sync (or of none) that fired or resolved at once. */
export interface DeliveryBody {
  readonly schema_version: 1;
  readonly type: 'alerts' | 'test';
  readonly sync: string | null;
  readonly at: string;
  readonly alerts: readonly {
    readonly id: string;
    readonly rule: string;
    readonly state: 'firing' | 'resolved';
    readonly severity: Severity;
    readonly subject: string;
    readonly summary: string;
    readonly detail: string;
    readonly since: string;
    readonly resolved?: string;
    readonly command: string;
  }[];
}

export interface AlertFilter {
  readonly states?: readonly AlertState[];
  readonly sync?: string;
  /** Only of these: what belongs to no sync is not among them. */
  readonly syncs?: readonly string[];
  readonly rule?: string;
  /** Alerts older than this one: the last id of the page before. */
  readonly before?: string;
  /** Default 50. */
  readonly limit?: number;
}

/** Alerts in the control store: one truth for every process. */
export interface Alerts {
  /** This process's turn to look at the rules, as a number that grows; undefined: another one has just done so. */
  turn(process: string, everyMs: number, o: Cancel): Promise<bigint | undefined>;
  /**
   * Changes the alerts that are not resolved, all at once: `decide` is given them and the silences that stand. Undefined
   * when the turn has passed to another process meanwhile: nothing is changed. Tells `alert.*` events.
   */
  change(
    turn: bigint,
    now: number,
    decide: (
      open: readonly Alert[],
      silences: readonly Silence[],
    ) => { readonly alerts: readonly Alert[]; readonly deliveries: readonly Omit<Delivery, 'attempts'>[] },
    o: Cancel,
  ): Promise<readonly Alert[] | undefined>;
  /** Newest first. */
  list(filter: AlertFilter, o: Cancel): Promise<readonly Alert[]>;
  get(id: string, o: Cancel): Promise<Alert | undefined>;
  /** Says that somebody looks after it: no reminders. NOT_FOUND; CONFLICT when it is resolved. */
  acknowledge(
    id: string,
    ack: { readonly by: string; readonly at: number; readonly note: string | null },
    o: Cancel,
  ): Promise<Alert>;
  silence(silence: Silence, o: Cancel): Promise<void>;
  /** Those that stand at this time. */
  silences(now: number, o: Cancel): Promise<readonly Silence[]>;
  /** Ends it; false when there is none. */
  unsilence(id: string, o: Cancel): Promise<boolean>;
  /** Messages that are due, each held by this process for `holdMs`. */
  due(now: number, holdMs: number, limit: number, o: Cancel): Promise<readonly Delivery[]>;
  deliver(delivery: Omit<Delivery, 'attempts'>, o: Cancel): Promise<void>;
  /** What became of one; `next`: when it is tried again; absent: never. */
  settle(
    id: string,
    end: { readonly sent: number } | { readonly error: string; readonly next?: number },
    o: Cancel,
  ): Promise<void>;
  /** Messages by channel and state. */
  deliveries(
    o: Cancel,
  ): Promise<readonly { readonly channel: string; readonly state: string; readonly count: number }[]>;
  /** Forgets resolved alerts, sent messages and ended silences that are older. */
  forget(before: number, o: Cancel): Promise<void>;
}
