import type { FastifyInstance } from 'fastify';
import type { Principal, Scope } from '../access/scopes.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import type { Redactor } from '../lib/redact.ts';
import type { RunDesk } from '../model/service.ts';
import type { Store } from '../model/store.ts';
import type { Endpoints } from '../service/endpoints.ts';

/** What the routes work with. */
export interface Api {
  readonly version: string;
  readonly store: Store;
  readonly desk: RunDesk;
  readonly endpoints: Endpoints;
  /** As it is now: a reload replaces it. */
  config(): Config;
  readonly clock: Clock;
  readonly redactor: Redactor;
  /** Aborted when the server shuts down. */
  readonly signal: AbortSignal;
}

/** Adds the routes of one resource: one function per file under `routes/`. */
export type Routes = (app: FastifyInstance, api: Api) => void;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller must hold; `public`: anybody. A route without one keeps the server from starting. */
    scope?: Scope | 'public';
  }
  interface FastifyRequest {
    /** Set before any handler of a route that is not public. */
    principal: Principal;
  }
}
