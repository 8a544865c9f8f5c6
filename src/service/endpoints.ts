import type { Cancel } from '../model/cancel.ts';
import type { Endpoint, ServerRole } from '../model/endpoint.ts';
import type { Timed } from '../telemetry/timings.ts';

export type BreakerState = 'closed' | 'open' | 'half_open';

/** What is known of an endpoint without asking it anything. Times are milliseconds since 1970. */
export interface EndpointHealth {
  readonly name: string;
  /** Undefined: not connected yet. */
  readonly engine: string | undefined;
  readonly writable: boolean;
  readonly breaker: BreakerState;
  /** Failures in a row. */
  readonly failures: number;
  /** When an open breaker lets the next attempt through. */
  readonly retryAt?: number;
  /** The connection in use is not the configured one but a replica: reads only. */
  readonly degraded?: { readonly since: number; readonly reason: string };
  /** A replica that was promoted is in use instead of the configured server. */
  readonly promoted?: { readonly since: number; readonly address: string };
  readonly replicas: readonly ReplicaHealth[];
  /** A secret of its entry cannot be looked up in this process. */
  readonly secretMissing: boolean;
  /** When this process was last at the configured server, or was not let in. */
  readonly lastUse?: { readonly at: number; readonly failed: boolean };
  readonly lastError?: { readonly at: number; readonly code: string; readonly message: string };
}

/** A replica as it was when last asked. */
export interface ReplicaHealth {
  /** Its place in `replicas` of the endpoint, from 0. */
  readonly index: number;
  readonly address: string | undefined;
  readonly at: number;
  readonly role?: ServerRole;
  /** Why it would not be used. */
  readonly problem?: string;
}

/** What an endpoint says when it is asked now. */
export interface EndpointProbe {
  readonly latencyMs: number;
  readonly version: string;
  readonly address: string;
  readonly role?: ServerRole;
  readonly connections?: { readonly open: number; readonly max: number };
}

/** For whoever follows one piece of work. */
export interface Traced {
  /** Told of each call and statement, and how many milliseconds it took. */
  timed?(what: Timed, ms: number): void;
  /** The place in a trace (W3C) that requests to APIs are below. */
  readonly traceparent?: string;
}

/**
 * The endpoints of the configuration, behind their breakers, limits, retries and replicas. Everything that serves for
 * long takes its connections from here; CIRCUIT_OPEN names the endpoint and when it is tried again.
 */
export interface Endpoints extends AsyncDisposable {
  /**
   * A connection for one piece of work; dispose it after. `writable`: as the endpoint's entry says, and asked for.
   * `standIn`: a replica will do while the primary is down (`Endpoint.standIn` says that it is one); not for work that
   * carries what it reads elsewhere, which could be older than what is there. Otherwise PRIMARY_DOWN.
   */
  open(
    name: string,
    o: Cancel & { readonly writable: boolean; readonly standIn?: boolean; readonly correlation?: string } & Traced,
  ): Promise<Endpoint>;
  /**
   * One connected endpoint kept for many small requests; not to be disposed by who asks. Ask for it anew for each
   * request: another one may have taken its place. While the primary is down it is a replica, without a writer.
   * `writable`: PRIMARY_DOWN rather than a replica.
   */
  shared(name: string, o: Cancel & { readonly writable?: boolean }): Promise<Endpoint>;
  /** What `shared` would give without waiting for anything; undefined: it has to look. */
  current(name: string): Endpoint | undefined;
  /** Asks it now, through its breaker. NOT_FOUND, CIRCUIT_OPEN, or what stands in the way. */
  probe(name: string, o: Cancel): Promise<EndpointProbe>;
  health(): readonly EndpointHealth[];
}
