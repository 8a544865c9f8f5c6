import { normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import type { Principal } from '../access/scopes.ts';
import type { Clock } from '../lib/clock.ts';
import { grouped } from '../lib/grouped.ts';
import { begunEarly, type Turn } from './begun-early.ts';
import { tooMany } from './refusal.ts';

export interface RateLimit {
  readonly requests: number;
  readonly perMs: number;
}

/** Where a caller stands after a request. */
interface Counted {
  /** Requests of the window so far, this one included. */
  readonly count: number;
  /** Until the next window, milliseconds. */
  readonly waitMs: number;
}

interface Window {
  count: number;
  /** By the clock that only goes forward. */
  began: number;
}

/** Callers that are counted; beyond that those are forgotten that have not asked for longest. */
const mostCallers = 5000;

/** Counts requests of each caller in windows that begin with their first. No promises: every request passes here. */
export const rateCounter = (clock: Pick<Clock, 'elapsed'>) => {
  const windows = new Map<string, Window>();
  const windowOf = (caller: string, perMs: number, now: number): Window => {
    let window = windows.get(caller);
    if (window === undefined || window.began + perMs <= now) window = { count: 0, began: now };
    windows.delete(caller);
    windows.set(caller, window);
    if (windows.size > mostCallers) windows.delete(windows.keys().next().value!);
    return window;
  };
  return {
    count: (caller: string, { perMs }: RateLimit): Counted => {
      const now = clock.elapsed();
      const window = windowOf(caller, perMs, now);
      window.count++;
      return { count: window.count, waitMs: window.began + perMs - now };
    },
    /** Counts it if there is one left; undefined: it is not counted. */
    turn: (caller: string, { requests, perMs }: RateLimit): Turn | undefined => {
      const now = clock.elapsed();
      const window = windowOf(caller, perMs, now);
      if (window.count >= requests) return undefined;
      window.count++;
      return {
        headers: [
          ...['ratelimit-limit', String(requests), 'ratelimit-remaining', String(requests - window.count)],
          ...['ratelimit-reset', String(Math.ceil((window.began + perMs - now) / 1000))],
        ],
        giveBack: () => {
          window.count--;
        },
      };
    },
  };
};

const unlimited: Turn = { headers: [], giveBack: () => {} };

/**
 * So many requests per caller, and per address where anybody may ask; counted by this process alone. A route that must
 * always answer says `config: { rateLimit: false }`. Gives what counts requests of those who are answered before the app
 * is asked; undefined: they have had theirs.
 */
export const addRateLimit = (
  app: FastifyInstance,
  limit: () => RateLimit | undefined,
  clock: Pick<Clock, 'elapsed'>,
): ((principal: Principal) => Turn | undefined) => {
  const counter = rateCounter(clock);
  app.addHook('onRequest', (request, reply, done) => {
    const begun = begunEarly(request.raw);
    if (begun !== undefined) {
      const { headers } = begun.turn;
      for (let i = 0; i < headers.length; i += 2) reply.header(headers[i]!, headers[i + 1]!);
      return done();
    }
    const given = limit();
    if (given === undefined || request.is404 || request.routeOptions.config.rateLimit === false) return done();
    const caller = request.principal?.name ?? `address ${normalizeIP(request.ip)}`;
    const { count, waitMs } = counter.count(caller, given);
    const seconds = String(Math.ceil(waitMs / 1000));
    reply
      .header('ratelimit-limit', String(given.requests))
      .header('ratelimit-remaining', String(Math.max(0, given.requests - count)))
      .header('ratelimit-reset', seconds);
    if (count <= given.requests) return done();
    reply.header('retry-after', seconds);
    const who = request.principal?.name ?? 'this address';
    return done(tooMany(`${who} has made its ${grouped(given.requests)} requests for now`, waitMs));
  });
  return ({ name }) => {
    const given = limit();
    return given === undefined ? unlimited : counter.turn(name, given);
  };
};
