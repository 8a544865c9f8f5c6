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
  const others = waitingFor(request.server.ending);
  reply.raw.once('close', () => {
    clearTimeout(late);
    others.delete(gone);
    // closed because it has been answered: an error for nobody would cost as much as the answer
    if (!reply.raw.writableFinished) gone.abort(new HttpProblem('UNAVAILABLE', 'The client went away.'));
  });
  others.add(gone);
  if (request.server.ending.aborted) gone.abort(request.server.ending.reason);
  return { signal: gone.signal };
};

/** Requests in hand, by what ends them all. One listener for all of them: a signal of signals for each costs more than the answer. */
const inHand = new WeakMap<AbortSignal, Set<AbortController>>();

const waitingFor = (ending: AbortSignal): Set<AbortController> => {
  const known = inHand.get(ending);
  if (known) return known;
  const made = new Set<AbortController>();
  ending.addEventListener(
    'abort',
    () => {
      for (const gone of made) gone.abort(ending.reason);
    },
    { once: true },
  );
  inHand.set(ending, made);
  return made;
};

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborted when the server must end now, whatever it is at. */
    readonly ending: AbortSignal;
    /** Aborted when the server begins to end: streams without an end stop. */
    readonly closing: AbortSignal;
  }
}
