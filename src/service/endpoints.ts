import type { Cancel, Endpoint } from '../model/endpoint.ts';

export type BreakerState = 'closed' | 'open' | 'half_open';

/** What is known of an endpoint without asking it anything. */
export interface EndpointHealth {
  readonly name: string;
  readonly engine: string;
  readonly writable: boolean;
  readonly breaker: BreakerState;
  /** When an open breaker lets the next attempt through, milliseconds since 1970. */
  readonly retryAt?: number;
  /** The connection in use is not the configured one but a replica: reads only. */
  readonly degraded?: { readonly since: number; readonly reason: string };
  readonly lastError?: { readonly at: number; readonly code: string; readonly message: string };
}

/**
 * The endpoints of the configuration, behind their breakers, limits, retries and replicas. Everything that serves for
 * long takes its connections from here; CIRCUIT_OPEN names the endpoint and when it is tried again.
 */
export interface Endpoints extends AsyncDisposable {
  /** A connection for one piece of work; dispose it after. `writable`: as the endpoint's entry says, and asked for. */
  open(name: string, o: Cancel & { readonly writable: boolean }): Promise<Endpoint>;
  /** One connected endpoint kept for many small requests; not to be disposed by who asks. */
  shared(name: string, o: Cancel): Promise<Endpoint>;
  health(): readonly EndpointHealth[];
}
