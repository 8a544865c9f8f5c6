import type { FastifyError } from 'fastify';
import { hasZodFastifySchemaValidationErrors, isResponseSerializationError } from 'fastify-type-provider-zod';
import type { Redactor } from '../lib/redact.ts';
import { type ErrorCode, LockstepError } from '../model/errors.ts';
import { Refusal } from './refusal.ts';

interface Meaning {
  readonly status: number;
  readonly title: string;
}

/** What every error code is over HTTP. */
export const meanings: Readonly<Record<ErrorCode, Meaning>> = {
  USAGE: { status: 422, title: 'The request cannot be understood' },
  CONFIG: { status: 422, title: 'The configuration is wrong' },
  SECRET_MISSING: { status: 503, title: 'A secret of the configuration leads nowhere' },
  TABLE_NOT_FOUND: { status: 422, title: 'There is no such table' },
  COLUMN_NOT_FOUND: { status: 422, title: 'There is no such column' },
  KEY_MISSING: { status: 422, title: 'Rows cannot be paired without a key' },
  KEY_TYPES: { status: 422, title: 'The keys of the two sides cannot be compared' },
  SAME_TABLE: { status: 422, title: 'Both sides are the same table' },
  NOT_WRITABLE: { status: 409, title: 'The endpoint is read only' },
  FILTER: { status: 422, title: 'The database refused a condition' },
  NOT_FOUND: { status: 404, title: 'There is no such thing' },
  CONNECT: { status: 502, title: 'A database cannot be reached' },
  AUTH: { status: 502, title: 'A database refused the login' },
  TLS: { status: 502, title: 'The connection to a database is not safe' },
  PRIVILEGE: { status: 502, title: 'A right is missing in a database' },
  STORE: { status: 503, title: 'The control store cannot be reached' },
  STORE_NEWER: { status: 503, title: 'The control store is of a newer version' },
  GUARD: { status: 409, title: 'A guard stopped it' },
  EMPTY_SOURCE: { status: 409, title: 'The source is empty and the target is not' },
  WRONG_TARGET: { status: 409, title: 'The plan was made for another database' },
  PLAN_USED: { status: 409, title: 'The plan has been used' },
  PLAN_EXPIRED: { status: 410, title: 'The plan has expired' },
  PLAN_EDITED: { status: 409, title: 'The plan is not what was sealed' },
  CONFLICT_RESOLVED: { status: 409, title: 'Somebody else has resolved it' },
  CONFLICT_MOVED: { status: 412, title: 'It has changed since you saw it' },
  PLAN_STALE: { status: 409, title: 'The target has changed too much since the plan' },
  LOCK_HELD: { status: 409, title: 'Another run is at work on it' },
  FENCED: { status: 409, title: 'Another run took over' },
  SCHEMA_DRIFT: { status: 409, title: 'A table has changed since the plan' },
  CONTENTION: { status: 503, title: 'Others are writing the same rows' },
  CONNECTION_LOST: { status: 503, title: 'The connection to a database broke' },
  INCOMPLETE: { status: 502, title: 'A list could not be read whole' },
  TEMP_FILE: { status: 507, title: 'A temporary file could not be written' },
  STATEMENT_TIMEOUT: { status: 504, title: 'A statement took too long' },
  UNAUTHENTICATED: { status: 401, title: 'Who asks is not known' },
  FORBIDDEN: { status: 403, title: 'A scope is missing' },
  RATE_LIMITED: { status: 429, title: 'Too many requests' },
  CONFLICT: { status: 409, title: 'Its state does not allow this' },
  IDEMPOTENCY_MISMATCH: { status: 422, title: 'The idempotency key was used for another request' },
  WORKER_LOST: { status: 500, title: 'Its worker died over it' },
  AUDIT: { status: 503, title: 'The audit log is not what was written' },
  STORED_KEY: { status: 503, title: 'A key for stored values is missing' },
  STORED_VALUE: { status: 503, title: 'A stored value is not what was written' },
  BACKUP: { status: 503, title: 'A backup is not what was backed up' },
  CIRCUIT_OPEN: { status: 503, title: 'An endpoint failed too often: it is left alone for a while' },
  PRIMARY_DOWN: { status: 503, title: 'The primary is down: only reads are served' },
  ABORTED: { status: 503, title: 'The request was stopped' },
  DATABASE: { status: 502, title: 'A database refused a statement' },
  INTERNAL: { status: 500, title: 'A defect of Lockstep' },
};

/** What goes wrong between a client and this server only. */
export const requestCodes = {
  MALFORMED: { status: 400, title: 'The request is malformed' },
  PARAMETER: { status: 400, title: 'A parameter is wrong' },
  CURSOR: { status: 400, title: 'The cursor does not belong to this list' },
  IDEMPOTENCY_KEY_REQUIRED: { status: 400, title: 'An Idempotency-Key is required' },
  ROUTE_NOT_FOUND: { status: 404, title: 'There is no such path' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'The path does not take this method' },
  NOT_ACCEPTABLE: { status: 406, title: 'No accepted form of it can be given' },
  REQUEST_TIMEOUT: { status: 408, title: 'The request came too slowly' },
  GONE: { status: 410, title: 'It is no longer kept' },
  PRECONDITION_FAILED: { status: 412, title: 'It has changed since you read it' },
  TOO_LARGE: { status: 413, title: 'The request is too large' },
  MEDIA_TYPE: { status: 415, title: 'The media type of the request is not understood' },
  BODY: { status: 422, title: 'The request means nothing here' },
  PRECONDITION_REQUIRED: { status: 428, title: 'If-Match is required' },
  UNAVAILABLE: { status: 503, title: 'Not now' },
  TIMEOUT: { status: 504, title: 'It took too long' },
} as const satisfies Readonly<Record<string, Meaning>>;

export type RequestCode = keyof typeof requestCodes;

/** One thing that is wrong in what was sent. */
export interface Fault {
  /** JSON pointer into the body, or `/query/limit`, `/headers/if-match`. */
  readonly pointer: string;
  readonly detail: string;
}

/** A failure that only HTTP has. Everything else is thrown as LockstepError. */
export class HttpProblem extends Error {
  readonly code: RequestCode;
  readonly hint: string | undefined;
  readonly errors: readonly Fault[];
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    code: RequestCode,
    detail: string,
    o: { hint?: string; errors?: readonly Fault[]; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail);
    this.name = 'HttpProblem';
    this.code = code;
    this.hint = o.hint;
    this.errors = o.errors ?? [];
    this.headers = o.headers ?? {};
  }
}

/** RFC 9457, with what makes it useful: a stable `code`, what to do, and the id that is in the logs too. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly hint?: string;
  readonly details?: readonly string[];
  readonly errors?: readonly Fault[];
  readonly correlation: string;
}

/** Where a code is explained; served by this server. */
const typeOf = (code: string): string => `/docs/errors#${code}`;

/** Codes of fastify's own errors. */
const ofFramework: Readonly<Record<string, RequestCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE',
  FST_ERR_CTP_BODY_TOO_LARGE: 'TOO_LARGE',
  FST_ERR_HANDLER_TIMEOUT: 'TIMEOUT',
};

const framework = (error: FastifyError): HttpProblem | undefined => {
  const code = ofFramework[error.code];
  if (code === 'MEDIA_TYPE')
    return new HttpProblem(code, 'The body is of a media type that is not read here.', {
      hint: 'Send JSON, and say so: Content-Type: application/json.',
    });
  if (code !== undefined) return new HttpProblem(code, error.message);
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new HttpProblem('MALFORMED', error.message);
  return undefined;
};

const parts: Readonly<Record<string, string>> = { querystring: '/query', params: '/path', headers: '/headers' };

/** What the schema of a route refused. A body that is JSON and means nothing is 422, everything else 400. */
const refused = (error: FastifyError): HttpProblem => {
  const part = error.validationContext ?? 'body';
  const errors = (error.validation ?? []).map((v): Fault => {
    const at = v.instancePath === '/' ? '' : v.instancePath;
    const unknown = (v.params as { readonly keys?: readonly string[] }).keys;
    return {
      pointer: `${parts[part] ?? ''}${at}`,
      detail:
        unknown && part === 'querystring' ? `there is no parameter ${unknown.join(', ')}` : (v.message ?? 'wrong'),
    };
  });
  const detail = errors.map((e) => `${e.pointer || 'the body'}: ${e.detail}`).join('; ');
  return new HttpProblem(part === 'body' ? 'BODY' : 'PARAMETER', detail.slice(0, 2000), { errors });
};

/** Seconds after which a repeat may help; of errors that say it themselves, else of those whose cause passes. */
const retryAfter = (error: unknown, status: number): string | undefined => {
  const ms = (error as { readonly retryAfterMs?: unknown }).retryAfterMs;
  if (typeof ms === 'number') return String(Math.max(1, Math.ceil(ms / 1000)));
  return status === 503 || status === 429 ? '1' : undefined;
};

/** Any failure as an answer. What was not foreseen says nothing of itself. */
export const answerOf = (
  error: unknown,
  o: { readonly correlation: string; readonly redactor: Redactor },
): { readonly problem: Problem; readonly headers: Readonly<Record<string, string>>; readonly unforeseen: boolean } => {
  const known =
    error instanceof LockstepError || error instanceof HttpProblem
      ? error
      : hasZodFastifySchemaValidationErrors(error)
        ? refused(error as unknown as FastifyError)
        : error instanceof Error && !isResponseSerializationError(error)
          ? framework(error as FastifyError)
          : undefined;
  const code = known?.code ?? 'INTERNAL';
  const { status, title } = { ...meanings, ...requestCodes }[code];
  const text = (t: string): string => o.redactor.redact(t);
  const details = known instanceof LockstepError ? known.details : [];
  const errors = known instanceof HttpProblem ? known.errors : [];
  const after = retryAfter(error, status);
  return {
    problem: {
      type: typeOf(code),
      title,
      status,
      detail: known ? text(known.message) : 'This is a defect. The log of the server says more, under the correlation.',
      code,
      ...(known?.hint === undefined ? {} : { hint: text(known.hint) }),
      ...(details.length > 0 ? { details: details.map(text) } : {}),
      ...(errors.length > 0 ? { errors: errors.map((e) => ({ ...e, detail: text(e.detail) })) } : {}),
      correlation: o.correlation,
    },
    headers: {
      ...(known instanceof HttpProblem || known instanceof Refusal ? known.headers : {}),
      ...(after === undefined ? {} : { 'retry-after': after }),
    },
    unforeseen: known === undefined || code === 'INTERNAL',
  };
};
