import type { FastifyInstance } from 'fastify';
import type { Principal, Scope } from '../access/scopes.ts';
import type { AnswerCache } from '../cache/answers.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import type { Redactor } from '../lib/redact.ts';
import type { Events, RunDesk } from '../model/service.ts';
import type { ServiceStore } from '../model/service-store.ts';
import type { Endpoints } from '../service/endpoints.ts';
import type { Failures } from '../telemetry/failures.ts';
import type { Timings } from '../telemetry/timings.ts';
import type { Tracer } from '../telemetry/traces.ts';

/** What the routes work with. */
export interface Api {
  readonly version: string;
  readonly store: ServiceStore;
  readonly desk: RunDesk;
  readonly endpoints: Endpoints;
  readonly events: Events;
  /** Answers of records that are kept; absent: none are. */
  readonly cache?: AnswerCache;
  /** As it is now: a reload replaces it. */
  config(): Config;
  /** How long things took in this process. */
  readonly timings: Timings;
  /** What failed in this process. */
  readonly failures: Failures;
  /** Absent: no request is traced. */
  readonly tracer?: Tracer;
  readonly clock: Clock;
  readonly redactor: Redactor;
  /** Aborted when the server shuts down. */
  readonly signal: AbortSignal;
}

/** Adds the routes of one resource: one function per file under `routes/`. */
export type Routes = (app: FastifyInstance, api: Api) => void;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller must hold; `public`: anybody, `any`: who is known. A route without one keeps the server from starting. */
    scope?: Scope | 'public' | 'any';
    /** On a public route: a token that is sent is looked at, so that `request.principal` may be there. None is demanded. */
    caller?: 'optional';
    /**
     * `checked`: the route itself sees to it that tokens bound to some syncs or entities get nothing of others. Without
     * it such tokens are refused.
     */
    objects?: 'checked';
    /** Statuses of problems that this route answers with, besides those that every route may. */
    problems?: readonly number[];
    /** Media types that it can answer with, best first; absent: JSON. */
    produces?: readonly string[];
    /** An answer 200 of a GET carries a strong ETag of its bytes, unless the route sets one; If-None-Match is answered with 304. */
    etag?: boolean;
  }
  interface FastifyRequest {
    /** Set before any handler of a route that is not public; of those, only where `caller` says so, and somebody is known. */
    principal: Principal;
  }
}
