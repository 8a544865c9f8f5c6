import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Cancel } from '../model/endpoint.ts';
import { HttpProblem } from './errors.ts';

/** How long an ordinary request may work, milliseconds. */
const longest = 30_000;

/** What a handler passes on: aborted when the client is gone, after `ms` (30 s; none when infinite), or when the server ends. */
export const cancelOf = (request: FastifyRequest, reply: FastifyReply, o: { readonly ms?: number } = {}): Cancel => {
  const gone = new AbortController();
  const ms = o.ms ?? longest;
  const late = Number.isFinite(ms)
    ? setTimeout(
        () => gone.abort(new HttpProblem('TIMEOUT', `It took longer than ${ms / 1000} s, and was stopped.`)),
        ms,
      )
    : undefined;
  reply.raw.once('close', () => {
    clearTimeout(late);
    gone.abort(new HttpProblem('UNAVAILABLE', 'The client went away.'));
  });
  return { signal: AbortSignal.any([gone.signal, request.server.ending]) };
};

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborted when the server must end now, whatever it is at. */
    readonly ending: AbortSignal;
    /** Aborted when the server begins to end: streams without an end stop. */
    readonly closing: AbortSignal;
  }
}
