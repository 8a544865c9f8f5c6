import type { FastifyInstance } from 'fastify';
import { parseTraceparent, traceparentOf } from '../telemetry/traceparent.ts';
import type { Span, Tracer } from '../telemetry/traces.ts';

/** A span for each request, below the one that the caller names in `traceparent`. For the root of the app. */
export const addTraces = (app: FastifyInstance, tracer: Tracer): void => {
  app.decorateRequest('span', undefined);
  app.addHook('onRequest', (request, _reply, done) => {
    if (!tracer.on()) return done();
    const route = request.routeOptions.url ?? 'none';
    request.span = tracer.begin(`${request.method} ${route}`, {
      kind: 'server',
      parent: parseTraceparent(request.headers['traceparent']),
      attributes: { 'http.request.method': request.method, 'http.route': route, 'lockstep.correlation': request.id },
    });
    done();
  });
};

/** The request is over. */
export const endTrace = ({ span }: { readonly span?: Span | undefined }, status: number): void =>
  span?.end({
    attributes: { 'http.response.status_code': status },
    ...(status >= 500 ? { failed: `answered ${status}` } : {}),
  });

/** Of the request, for what it starts; undefined: it is not traced. */
export const traceOf = (request: { readonly span?: Span | undefined }): { readonly traceparent?: string } =>
  request.span === undefined ? {} : { traceparent: traceparentOf(request.span.context) };

declare module 'fastify' {
  interface FastifyRequest {
    span?: Span | undefined;
  }
}
