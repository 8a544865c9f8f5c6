import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { Principal } from '../access/scopes.ts';
import type { Tracer } from '../telemetry/traces.ts';
import { answerText } from './answer-text.ts';
import { type Begun, beginEarly, type Turn } from './begun-early.ts';
import type { LookEarly, Ready } from './look-early.ts';
import { isBehind } from './pipelined.ts';
import { type AnswerRepeated, watchRepeats } from './repeats.ts';
import { clientGone, type Over } from './request-log.ts';
import { safetyHeaders } from './safety-headers.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Set by who serves answers that may be ready. */
    lookEarly: LookEarly | undefined;
    /** The hash of the token that a request shows, where it may be one of ours. */
    tokenEarly: ((headers: IncomingHttpHeaders) => string | undefined) | undefined;
    /** Whose token it is, where it was shown a moment ago: undefined for any other, who go the long way. */
    knownEarly: ((token: string) => Principal | undefined) | undefined;
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

/** What belongs to one request, and makes the next one of the connection another. */
const once = ['x-request-id', 'traceparent', 'expect', 'upgrade'] as const;

const safe: readonly string[] = Object.entries(safetyHeaders).flat();
const anything: ReadonlySet<string | undefined> = new Set([undefined, '*/*', 'application/json']);

/** A body as bytes or characters, one a byte where it is one already: what costs the least to send with its head. */
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

/** Would the fields of a plain request mean the same for another question on its connection? */
const isRepeatable = ({ headers }: IncomingMessage): boolean => {
  for (const name of once) if (headers[name] !== undefined) return false;
  return headers.connection === undefined || headers.connection === 'keep-alive';
};

/** Who asks, whose turn it is, and since when. */
interface Admitted {
  readonly principal: Principal;
  readonly turn: Turn;
  readonly began: number;
}

const begunBy = ({ principal, turn, began }: Admitted): Begun => ({ principal, turn, ms: performance.now() - began });

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
    correlation(request: Pick<IncomingMessage, 'headers'>): string;
  },
): void => {
  const { server } = app;
  const [toApp, ...others] = server.listeners('request') as ((q: IncomingMessage, r: ServerResponse) => void)[];
  const { lookEarly, tokenEarly, knownEarly, turnEarly } = app;
  if (toApp === undefined || others.length > 0) return;
  if (lookEarly === undefined || turnEarly === undefined) return;
  if (tokenEarly === undefined || knownEarly === undefined) return;

  const admit = (token: string): Admitted | undefined => {
    if (app.closing.aborted || o.tracer?.on()) return undefined;
    const principal = knownEarly(token);
    if (!principal?.scopes.has('records:read')) return undefined;
    const turn = turnEarly(principal);
    return turn && { principal, turn, began: performance.now() };
  };
  const over = ({ principal, began }: Admitted, route: string, status: number, correlation: string): void =>
    o.over({ correlation, method: 'GET', route, status, ms: performance.now() - began, actor: principal.name });
  const toAppWith = (request: IncomingMessage, response: ServerResponse, begun: Begun): void => {
    beginEarly(request, begun);
    toApp.call(server, request, response);
  };

  const begin = (request: IncomingMessage, response: ServerResponse, token: string): boolean => {
    if (isBehind(response)) return false;
    const admitted = admit(token);
    if (admitted === undefined) return false;
    const { principal, turn } = admitted;
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
      over(admitted, route, 200, correlation);
    };
    const tell = (route: string, ready: Ready | undefined): void => {
      if (response.destroyed) {
        over(admitted, route, clientGone, o.correlation(request));
        return;
      }
      if (ready === undefined) {
        toAppWith(request, response, begunBy(admitted));
        return;
      }
      try {
        send(route, ready);
      } catch {
        response.destroy();
      }
    };
    if (lookEarly.look({ url: request.url!, principal, exchange: { request, response } }, tell)) return true;
    turn.giveBack();
    return false;
  };

  const answerRepeated: AnswerRepeated = ({ url, token, socket, mine }, told) => {
    const admitted = admit(token);
    if (admitted === undefined) return undefined;
    const { principal, turn } = admitted;
    const answer = (route: string, ready: Ready | undefined): void => {
      const gone = !socket.writable;
      const correlation = o.correlation({ headers: {} });
      const text = gone || ready === undefined ? undefined : answerText(server, correlation, turn.headers, ready);
      told(text);
      if (gone || text !== undefined) over(admitted, route, gone ? clientGone : 200, correlation);
    };
    const tell = (route: string, ready: Ready | undefined): void => {
      if (!mine()) return;
      try {
        answer(route, ready);
      } catch {
        socket.destroy();
      }
    };
    if (lookEarly.look({ url, principal, exchange: undefined }, tell)) return () => begunBy(admitted);
    turn.giveBack();
    return undefined;
  };
  const repeats = lookEarly.keeps
    ? watchRepeats(server as Server, { answer: answerRepeated, closing: app.closing })
    : undefined;

  server.removeListener('request', toApp);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const token = isPlain(request) ? tokenEarly(request.headers) : undefined;
    const begun = repeats?.saw(request, response, isRepeatable(request) ? token : undefined);
    if (begun !== undefined) toAppWith(request, response, begun);
    else if (token === undefined || !begin(request, response, token)) toApp.call(server, request, response);
  });
};
