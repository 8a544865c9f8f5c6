/** Alerts as the program uses them: defaults filled in, times in milliseconds, shares from 0 to 1. */

export type Severity = 'info' | 'warning' | 'critical';

interface Common {
  readonly forMs: number;
  readonly severity: Severity;
  /** Names of channels; undefined: all. */
  readonly send: readonly string[] | undefined;
  readonly only: readonly string[] | undefined;
}

/** A rule that is absent is turned off. */
export interface AlertRules {
  readonly sync_failed?: Common;
  readonly slow_run?: Common & { readonly spreads: number; readonly leastMs: number; readonly runs: number };
  readonly endpoint_latency?: Common & { readonly aboveMs: number };
  readonly drift?: Common & { readonly above: number };
  readonly unverified?: Common & { readonly afterMs: number | undefined };
  readonly error_budget?: Common & { readonly left: number };
  readonly queue_backlog?: Common & { readonly waiting: number; readonly olderMs: number };
  readonly conflict_spike?: Common & { readonly above: number; readonly times: number };
  readonly conflicts_waiting?: Common & { readonly olderMs: number; readonly moreThan: number | undefined };
  readonly breaker_open?: Common;
  readonly approval_waiting?: Common;
  readonly backup_failed?: Common;
  readonly backup_stale?: Common & { readonly olderMs: number };
}

/** Addresses and secrets are looked up when they are used; they throw SECRET_MISSING. */
export type Channel = { readonly name: string; readonly allowPrivate: boolean } & (
  | { readonly kind: 'webhook'; url(): string; secret(): string }
  | { readonly kind: 'slack'; url(): string }
  | {
      readonly kind: 'email';
      readonly to: readonly string[];
      readonly from: string;
      smtp(): {
        readonly host: string;
        readonly port: number;
        readonly tls: 'starttls' | 'always' | 'none';
        readonly login?: { readonly user: string; readonly password: string };
      };
    }
);

export interface AlertSettings {
  readonly everyMs: number;
  readonly repeatMs: number | undefined;
  readonly channels: Readonly<Record<string, Channel>>;
  readonly rules: AlertRules;
}

/** The service level of a sync. */
export interface Slo {
  readonly verifiedWithinMs: number;
  /** 0..1, below 1 leaves a budget. */
  readonly agree: number;
  readonly drift: number;
  readonly windowMs: number;
}

export interface LogSettings {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Absolute. */
  readonly file?: string;
}
