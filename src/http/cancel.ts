import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Cancel } from '../model/cancel.ts';
import { HttpProblem } from './errors.ts';

/** How long an ordinary request may work, milliseconds. */
const longest = 30_000;

/** What a handler passes on: aborted when the client is gone, after `ms` (30 s; none when infinite) or within a second more, or when the server ends. */
export const cancelOf = (request: FastifyRequest, reply: FastifyReply, o: { readonly ms?: number } = {}): Cancel =>
  cancelWith(reply.raw, request.server.ending, o.ms);

/** The same for a request that the app has not seen. `ending`: of the app. */
export const cancelWith = (raw: ServerResponse, ending: AbortSignal, ms = longest): Cancel => {
  const gone = new AbortController();
  const leave = (): void => gone.abort(new HttpProblem('UNAVAILABLE', 'The client went away.'));
  if (raw.destroyed) {
    // before it was known who asks: nothing will say so again
    leave();
    return { signal: gone.signal };
  }
  const waiting = waitingFor(ending);
  raw.on('close', () => {
    waiting.delete(gone);
    // closed because it has been answered: an error for nobody would cost as much as the answer
    if (!raw.writableFinished) leave();
  });
  waiting.set(gone, { until: performance.now() + ms, ms });
  if (ending.aborted) gone.abort(ending.reason);
  return { signal: gone.signal };
};

type InHand = Map<AbortController, { readonly until: number; readonly ms: number }>;

/** Requests in hand, by what ends them all. One listener and one timer for all of them: those of each would cost more than the answer. */
const inHand = new WeakMap<AbortSignal, InHand>();

const stopLate = (waiting: InHand): void => {
  const now = performance.now();
  for (const [gone, { until, ms }] of waiting)
    if (until <= now) {
      waiting.delete(gone);
      gone.abort(new HttpProblem('TIMEOUT', `It took longer than ${ms / 1000} s, and was stopped.`));
    }
};

const waitingFor = (ending: AbortSignal): InHand => {
  const known = inHand.get(ending);
  if (known) return known;
  const made: InHand = new Map();
  const timer = setInterval(() => stopLate(made), 1000).unref();
  ending.addEventListener(
    'abort',
    () => {
      clearInterval(timer);
      for (const gone of made.keys()) gone.abort(ending.reason);
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
