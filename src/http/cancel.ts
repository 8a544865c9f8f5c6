import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Cancel } from '../model/endpoint.ts';
import { HttpProblem } from './errors.ts';

/** How long an ordinary request may work, milliseconds. */
const longest = 30_000;

/** What a handler passes on: aborted when the client is gone, after 30 s, or when the server ends. */
export const cancelOf = (request: FastifyRequest, reply: FastifyReply, o: { readonly ms?: number } = {}): Cancel => {
  const gone = new AbortController();
  const late = setTimeout(() => {
    gone.abort(new HttpProblem('TIMEOUT', `It took longer than ${(o.ms ?? longest) / 1000} s, and was stopped.`));
  }, o.ms ?? longest);
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
