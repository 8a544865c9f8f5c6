import {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  fastify,
} from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import type { Log } from '../telemetry/log.ts';
import type { Timings } from '../telemetry/timings.ts';
import { accepted } from './accept.ts';
import type { Api, Routes } from './api.ts';
import { begunEarly } from './begun-early.ts';
import { correlationOf } from './correlation.ts';
import { addDocs } from './docs.ts';
import { addEarly } from './early.ts';
import { answerOf, HttpProblem } from './errors.ts';
import { addEtags } from './etag.ts';
import { addGuard, type KnownRoute } from './guard.ts';
import { addNotFound } from './not-found.ts';
import { documentOf } from './openapi.ts';
import { isAnswering } from './pipelined.ts';
import { addProblems } from './problems.ts';
import { clientGone, type Over, requestLog } from './request-log.ts';
import { safetyHeaders } from './safety-headers.ts';
import { addTraces, endTrace } from './traced.ts';
import { validatorCompiler } from './validate.ts';

export interface AppOptions {
  /** Hooks that find out who asks (`request.principal`) and whether they may; before them rate limits and headers. */
  readonly access: (app: FastifyInstance) => void | Promise<void>;
  readonly routes: readonly Routes[];
  readonly log?: Log;
  readonly timings?: Timings;
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Addresses of proxies whose X-Forwarded-* are believed. */
  readonly trustedProxies?: readonly string[];
}

const bodyLimit = 1024 * 1024;
const json = ['application/json'] as const;

const send = (error: unknown, api: Api, correlation: string) => {
  const { problem, headers, unforeseen } = answerOf(error, { correlation, redactor: api.redactor });
  return {
    problem,
    status: problem.status,
    unforeseen,
    text: JSON.stringify(problem),
    headers: {
      'content-type': 'application/problem+json',
      ...headers,
    },
  };
};

/** Form of the answers, errors, who may ask, and the one log line of each request. */
const addHooks = (app: FastifyInstance, api: Api, o: AppOptions, told: (over: Over) => void): void => {
  const over = (request: FastifyRequest, reply: FastifyReply, status: number): void => {
    if (request.over) return;
    request.over = true;
    endTrace(request, status);
    told({
      correlation: request.id,
      method: request.method,
      route: request.routeOptions.url ?? 'none',
      status,
      ms: reply.elapsedTime + (begunEarly(request.raw)?.ms ?? 0),
      ...(request.principal === undefined ? {} : { actor: request.principal.name }),
    });
  };
  app.decorateRequest('over', false);
  // none of these waits for anything, and a promise for each of them would cost more than it does
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    const { raw } = reply;
    raw.on('close', () => {
      if (raw.writableFinished) return;
      // it never heard the answer, or there was none; a stream that is left half-way has been answered
      if (raw.writableEnded) over(request, reply, reply.statusCode);
      else if (!raw.headersSent) over(request, reply, clientGone);
      else endTrace(request, reply.statusCode);
    });
    done();
  });
  app.addHook('preValidation', (request, _reply, done) => {
    const { accept } = request.headers;
    if (accept === undefined || accept === '*/*' || request.is404) return done();
    const offered = request.routeOptions.config.produces ?? json;
    if (accepted(accept, offered) !== undefined) return done();
    return done(
      new HttpProblem('NOT_ACCEPTABLE', `It can be given as ${offered.join(', ')}.`, {
        hint: 'Leave Accept out, or name one of these.',
      }),
    );
  });
  app.addHook('onResponse', (request, reply, done) => {
    over(request, reply, reply.statusCode);
    done();
  });
  const fail = async (error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const answer = send(error, api, request.id);
    // a client that goes away is no failure of ours, and nobody hears this answer
    if (answer.status >= 500 && !api.signal.aborted && !reply.raw.destroyed) {
      const { code, detail } = answer.problem;
      const subject = `${request.method} ${request.routeOptions.url ?? 'none'}`;
      api.failures.note({ where: 'requests', kind: code, subject, message: detail, at: api.clock.now() });
    }
    if (answer.unforeseen && !api.signal.aborted)
      o.log?.error('request failed', { correlation: request.id, route: request.routeOptions.url, error });
    return reply.code(answer.status).headers(answer.headers).send(answer.text);
  };
  app.setErrorHandler(fail);
};

/** JSON only, and the two merge types of it. */
const addParsers = (app: FastifyInstance): void => {
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser(['application/json', 'application/merge-patch+json'], { parseAs: 'string' }, parse);
};

/** The API as an app that does not listen yet, and its routes once it is ready. */
export const buildApp = async (
  api: Api,
  o: AppOptions,
): Promise<{ readonly app: FastifyInstance; readonly routes: readonly KnownRoute[] }> => {
  const correlation = correlationOf(api.clock);
  const over = requestLog(o);
  const options: FastifyServerOptions = {
    logger: false,
    bodyLimit,
    genReqId: correlation,
    requestTimeout: 30_000,
    // Of a connection on which nothing moves: more than any answer may take.
    connectionTimeout: 660_000,
    keepAliveTimeout: 65_000,
    return503OnClosing: false,
    trustProxy: o.trustedProxies && o.trustedProxies.length > 0 ? [...o.trustedProxies] : false,
    routerOptions: { maxParamLength: 1000 },
    frameworkErrors: (error, request, reply) => {
      const answer = send(error, api, request.id);
      const { raw } = reply as FastifyReply;
      const { method, id: correlation } = request;
      raw
        .writeHead(answer.status, {
          ...safetyHeaders,
          'cache-control': 'no-store',
          ...answer.headers,
          'x-request-id': correlation,
        })
        .end(answer.text);
      over({ correlation, method, route: 'none', status: answer.status, ms: 0 });
    },
    clientErrorHandler(error, socket) {
      if (error.code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) return void socket.destroy();
      const code = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'REQUEST_TIMEOUT' : 'MALFORMED';
      const large = error.code === 'HPE_HEADER_OVERFLOW';
      const id = correlation({ headers: {} } as never);
      const problem = new HttpProblem(large ? 'TOO_LARGE' : code, 'This is no HTTP request that can be read.');
      const { status, text } = send(problem, api, id);
      socket.end(
        `HTTP/1.1 ${status} Bad Request\r\ncontent-type: application/problem+json\r\nx-request-id: ${id}\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
      );
    },
  };
  const app = fastify(
    o.tls ? ({ ...options, https: { ...o.tls, minVersion: 'TLSv1.2' } } as FastifyServerOptions) : options,
  );
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  const closing = new AbortController();
  const ending = new AbortController();
  app.decorate('closing', AbortSignal.any([api.signal, closing.signal]));
  app.decorate('ending', ending.signal);
  app.addHook('preClose', async () => closing.abort(new HttpProblem('UNAVAILABLE', 'The server ends.')));
  app.addHook('onClose', async () => ending.abort(new HttpProblem('UNAVAILABLE', 'The server ended.')));
  app.decorate('lookEarly', undefined);
  app.decorate('tokenEarly', undefined);
  app.decorate('knownEarly', undefined);
  app.decorate('turnEarly', undefined);
  addParsers(app);
  if (api.tracer) addTraces(app, api.tracer);
  addHooks(app, api, o, over);
  const routes = addGuard(app);
  addProblems(app);
  const document = documentOf(app, api.version);
  await o.access(app);
  addEtags(app);
  addNotFound(app);
  addDocs(app, document, api.clock);
  for (const add of o.routes) add(app, api);
  addEarly(app, { over, ...(api.tracer ? { tracer: api.tracer } : {}), correlation });
  return { app, routes };
};

declare module 'fastify' {
  interface FastifyRequest {
    /** It has its line in the log. */
    over: boolean;
  }
}
