import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { Principal } from '../access/scopes.ts';
import type { Tracer } from '../telemetry/traces.ts';
import { beginEarly, type Turn } from './begun-early.ts';
import { isBehind } from './pipelined.ts';
import { clientGone, type Over } from './request-log.ts';
import { safetyHeaders } from './safety-headers.ts';

/** An answer 200 that is ready to be sent. */
export interface Ready {
  /** Names and values in turns, without the length. */
  readonly headers: readonly string[];
  /** JSON. */
  readonly body: Buffer | string;
}

/**
 * Looks whether the answer to a GET is ready, or can be made at once, for this caller, who has shown who they are. False:
 * it cannot be. Else `tell` is called once, with the route of the request; without an answer: it is not. It does not throw.
 */
export type LookEarly = (
  request: IncomingMessage,
  response: ServerResponse,
  principal: Principal,
  tell: (route: string, ready: Ready | undefined) => void,
) => boolean;

declare module 'fastify' {
  interface FastifyInstance {
    /** Set by who serves answers that may be ready. */
    lookEarly: LookEarly | undefined;
    /** Who has shown that they are who they are a moment ago: undefined for any other, who go the long way. */
    knownEarly: ((headers: IncomingHttpHeaders) => Principal | undefined) | undefined;
    /** Counts a request of theirs; undefined: they have had as many as they may, and are told so by the app. */
    turnEarly: ((principal: Principal) => Turn | undefined) | undefined;
  }
}

/** Whoever sends one of these may want another answer than the one that is ready, or is answered in another way. */
const special = [
  'if-none-match',
  'cache-control',
  'prefer',
  'content-length',
  'transfer-encoding',
  'range',
  'x-forwarded-proto',
] as const;

const safe: readonly string[] = Object.entries(safetyHeaders).flat();
const anything: ReadonlySet<string | undefined> = new Set([undefined, '*/*', 'application/json']);

/**
 * What is sent as one write with its head: a text one character a byte, which costs the least where it is one already.
 * `length`: in bytes.
 */
const written = (
  body: Buffer | string,
): { readonly text: string; readonly coding: 'latin1' | 'utf8'; readonly length: number } => {
  if (typeof body !== 'string') return { text: body.toString('latin1'), coding: 'latin1', length: body.length };
  const length = Buffer.byteLength(body);
  return { text: body, coding: length === body.length ? 'latin1' : 'utf8', length };
};

const isPlain = ({ method, headers, socket }: IncomingMessage): boolean => {
  if (method !== 'GET' || !anything.has(headers.accept) || 'encrypted' in socket) return false;
  for (const name of special) if (headers[name] !== undefined) return false;
  return true;
};

/**
 * Lets answers that are ready go out before anything of the app is asked, which costs more than they do: only to callers
 * who are known, for plain requests, with the headers and the traces (metrics, log line) that the app would leave. Of
 * everything else the app sees the request as it came. For an app that has its routes and does not listen yet.
 */
export const addEarly = (
  app: FastifyInstance,
  o: {
    readonly tracer?: Tracer;
    /** Told of each request that is over. */
    over(over: Over): void;
    correlation(request: IncomingMessage): string;
  },
): void => {
  const { server } = app;
  const [toApp, ...others] = server.listeners('request') as ((q: IncomingMessage, r: ServerResponse) => void)[];
  const { lookEarly, knownEarly, turnEarly } = app;
  if (toApp === undefined || others.length > 0) return;
  if (lookEarly === undefined || knownEarly === undefined || turnEarly === undefined) return;

  const begin = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (!isPlain(request) || isBehind(response) || app.closing.aborted || o.tracer?.on()) return false;
    const principal = knownEarly(request.headers);
    if (!principal?.scopes.has('records:read')) return false;
    const turn = turnEarly(principal);
    if (turn === undefined) return false;
    const began = performance.now();
    const over = (route: string, status: number, correlation: string): void =>
      o.over({ correlation, method: 'GET', route, status, ms: performance.now() - began, actor: principal.name });
    const send = (route: string, { headers, body }: Ready): void => {
      const correlation = o.correlation(request);
      const { text, coding, length } = written(body);
      response
        .writeHead(200, [
          'x-request-id',
          correlation,
          ...safe,
          ...turn.headers,
          ...headers,
          // what was in hand is answered, and nothing comes after it
          ...(app.closing.aborted ? ['connection', 'close'] : []),
          'content-length',
          String(length),
        ])
        .end(text, coding);
      over(route, 200, correlation);
    };
    const tell = (route: string, ready: Ready | undefined): void => {
      if (response.destroyed) {
        over(route, clientGone, o.correlation(request));
        return;
      }
      if (ready === undefined) {
        beginEarly(request, { principal, turn, ms: performance.now() - began });
        toApp.call(server, request, response);
        return;
      }
      try {
        send(route, ready);
      } catch {
        response.destroy();
      }
    };
    if (lookEarly(request, response, principal, tell)) return true;
    turn.giveBack();
    return false;
  };

  server.removeListener('request', toApp);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (!begin(request, response)) toApp.call(server, request, response);
  });
};
