import type { Cancel } from './cancel.ts';
import type { JsonValue } from './json.ts';
import type { Run } from './runs.ts';

/** What a run is asked to do. Names are those of the configuration; ids those of the control store. */
export type RunRequest =
  | {
      readonly kind: 'diff' | 'plan' | 'sync' | 'verify';
      readonly sync: string;
      /** Source tables of the pairs that are meant; absent: all. */
      readonly tables?: readonly string[];
      /** Compare everything, however the sync is configured. */
      readonly full?: boolean;
      /** Replace the sync's guards for this run. */
      readonly maxChanges?: number;
      readonly allowDeletes?: number;
      /** `sync` of a sync that keeps an archive: only what people have chosen for conflicts is written. */
      readonly onlyDecided?: boolean;
    }
  | { readonly kind: 'apply'; readonly plan: string }
  | {
      readonly kind: 'revert';
      readonly run: string;
      /** In place of 500 changes, and of no deletes. */
      readonly maxChanges?: number;
      readonly allowDeletes?: number;
    }
  | {
      readonly kind: 'copy' | 'assess';
      readonly source: string;
      /** May be absent for `assess`. */
      readonly target?: string;
      /** The tables, names and types are those of this sync, between its endpoints. */
      readonly sync?: string;
      readonly tables?: readonly string[];
    }
  | { readonly kind: 'backup'; readonly backup: string };

/** Who asked for a run, and how a repeat of the question is known. */
export interface Asked {
  /** e.g. `token:ci`, `schedule`, `me@laptop`. */
  readonly actor: string;
  /** Ties log lines, requests, runs and statements together. */
  readonly correlation: string;
  readonly trigger: 'api' | 'schedule' | 'after' | 'cli';
  /** The place in a trace (W3C Trace Context) that it is asked for from. */
  readonly traceparent?: string;
  /** Unique per actor: the same key gives the same run, for as long as runs are kept. Another question under it is IDEMPOTENCY_MISMATCH. */
  readonly idempotencyKey?: string;
}

/** Where runs are asked for. They are carried out by workers: here, in other processes, on other machines. */
export interface RunDesk {
  /** Writes the run down as `queued` and its job with it, in one transaction. */
  request(request: RunRequest, asked: Asked, o: Cancel): Promise<{ readonly run: Run; readonly repeated: boolean }>;
  /** The run that this caller has asked for under this key; undefined: none. */
  known(actor: string, idempotencyKey: string, o: Cancel): Promise<Run | undefined>;
  /** Ends a queued run at once, and asks a running one to stop: its statements are cancelled in the databases. NOT_FOUND; CONFLICT when it has ended. */
  cancel(run: string, by: string, o: Cancel): Promise<Run>;
  /** No schedule starts this sync, and no queued run of it begins, until it is resumed. */
  pause(sync: string, by: string, o: Cancel): Promise<void>;
  resume(sync: string, by: string, o: Cancel): Promise<void>;
}

/** Something that has happened, for whoever listens: the API's event stream, alerts, metrics. */
export interface Event {
  /** Rises with time; no event appears later under a smaller one. A decimal number as text. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** e.g. `run.started`, `run.phase`, `run.finished`, `record.updated`, `breaker.opened`, `alert.firing`. */
  readonly type: string;
  /** What it is about: `runs/r_…`, `syncs/branches`, `records/subscriptions/17`. */
  readonly subject: string;
  readonly sync: string | null;
  readonly correlation: string | null;
  /** Never a secret. */
  readonly data: JsonValue;
}

export interface Events {
  append(events: readonly Omit<Event, 'id'>[], o: Cancel): Promise<void>;
  /** Events after this id, oldest first. `after`: an id, or `latest` for none of those that are there. */
  after(
    after: string,
    filter: { readonly types?: readonly string[]; readonly sync?: string; readonly limit: number },
    o: Cancel,
  ): Promise<readonly Event[]>;
  /** The greatest id there is; `0` without any. */
  latest(o: Cancel): Promise<string>;
  /** One item whenever there may be new events, from any process; ends when the signal is aborted. */
  arrivals(o: Cancel): AsyncIterable<void>;
}
