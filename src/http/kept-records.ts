import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { mayAccess } from '../access/may-access.ts';
import type { Principal } from '../access/scopes.ts';
import type { Answer } from '../cache/answer.ts';
import type { Outcome } from '../cache/answers.ts';
import type { Config } from '../config/config.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Generation } from '../model/generations.ts';
import { rowFilterFor, sees } from '../records/caller.ts';
import type { Entity } from '../records/entity.ts';
import { accepted } from './accept.ts';
import { hasAlready } from './etag.ts';
import { preferred, type RecordRoutes } from './record-routes.ts';

/** Where an answer would be kept. */
interface Place {
  readonly key: string;
  readonly ttlMs: number;
  readonly entity: Entity;
  readonly list: boolean;
  /** Whoever asks wants none that is kept. */
  readonly anew: boolean;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined: the answer is not kept. `bypass`: it would be, but not now. */
    place: Place | 'bypass' | undefined;
  }
}

/** The table was read anew since the request came: its answer is no longer one for the place. */
export class AnotherEntity extends Error {}

/** For each caller that is known, as long as it is: what makes the difference between answers to one question. */
const differences = new WeakMap<Entity, WeakMap<Principal, string>>();

/** Throws as `rowFilterFor` does. */
const differenceOf = (entity: Entity, principal: Principal): string => {
  const known = differences.get(entity) ?? new WeakMap<Principal, string>();
  differences.set(entity, known);
  const found = known.get(principal);
  if (found !== undefined) return found;
  let seen = '';
  for (const field of entity.fields.values())
    if (field.unless !== undefined) seen += sees(principal, field) ? '1' : '0';
  const made = JSON.stringify([rowFilterFor(entity, principal), seen]);
  known.set(principal, made);
  return made;
};

/** The same question in other words has the same place: parameters in one order. */
const questionOf = (url: string): string => {
  const at = url.indexOf('?');
  if (at < 0 || !url.includes('&', at)) return url;
  return `${url.slice(0, at)}?${url
    .slice(at + 1)
    .split('&')
    .sort()
    .join('&')}`;
};

/** Where the answer to a question is kept: of everything that it depends on. */
export const keyOf = (generation: Generation, entity: Entity, difference: string, count: string, url: string): string =>
  `${generation.of(entity.server)}\n${entity.shape}\n${difference}\n${count}\n${questionOf(url)}`;

/** Of each configuration that there was: references in it are looked up once. */
const times = new WeakMap<Config, number>();

/** How long answers of the entity are kept, as the configuration is now; 0: they are not. */
const ttlOf = (x: RecordRoutes, entity: Entity): number => {
  const { cache } = entity.config;
  if (cache !== true) return cache === false ? 0 : cache;
  const config = x.api.config();
  const ttl = times.get(config) ?? config.cache().ttlMs;
  times.set(config, ttl);
  return ttl;
};

/** What a request asks about, before anything is looked up for it. */
export interface KnownEntity {
  readonly entity: Entity;
  /** Absent: answers are not kept. `difference`: what sets this caller's apart. */
  readonly kept?: { readonly ttlMs: number; readonly difference: string };
}

/** An entity that the caller may know of; undefined: whoever answers has something to tell about it. */
export const knownTo = (x: RecordRoutes, principal: Principal, name: string): KnownEntity | undefined => {
  const entity = x.entities.known(name);
  if (entity === undefined || !mayAccess(principal, { record: name })) return undefined;
  if (x.api.cache === undefined) return { entity };
  try {
    const ttlMs = ttlOf(x, entity);
    return ttlMs <= 0 ? { entity } : { entity, kept: { ttlMs, difference: differenceOf(entity, principal) } };
  } catch {
    return undefined;
  }
};

export const listRoute = '/api/v1/records/:entity';
export const recordRoute = '/api/v1/records/:entity/:key';

export const jsonType = 'application/json; charset=utf-8';

/** For the caller alone, who asks again each time. */
export const privately = { vary: 'authorization', 'cache-control': 'private, no-cache' } as const;

/** RFC 9211. */
export const statusOf = (outcome: Outcome, left: number): string => {
  const ttl = Math.max(0, Math.floor(left / 1000));
  switch (outcome) {
    case 'hit':
      return `lockstep; hit; ttl=${ttl}`;
    case 'shared':
      return `lockstep; hit; ttl=${ttl}; detail=redis`;
    case 'miss':
      return 'lockstep; fwd=miss; stored';
    case 'bypass':
      return 'lockstep; fwd=bypass';
  }
};

/** How rows are to be counted, by `Prefer`; undefined: not at all. */
export const countOf = (request: FastifyRequest): 'exact' | 'estimated' | undefined => {
  if (request.headers['prefer'] === undefined) return undefined;
  const asked = preferred(request, 'count');
  return asked === 'exact' || asked === 'estimated' ? asked : undefined;
};

/** The `Link` to the next page of what was asked for. */
export const nextLink = (url: string, cursor: string): string => {
  const rest = url.replace(/([?&])cursor=[^&]*&?/g, '$1').replace(/[?&]$/, '');
  return `<${rest}${rest.includes('?') ? '&' : '?'}cursor=${cursor}>; rel="next"`;
};

/** Sends an answer as it was kept, or 304 to who has it. */
export const sendKept = (
  x: RecordRoutes,
  request: FastifyRequest,
  reply: FastifyReply,
  place: Place,
  answer: Answer,
  outcome: Outcome,
): FastifyReply => {
  const age = Math.max(0, x.api.clock.now() - answer.at);
  reply
    .headers(privately)
    .header('etag', answer.etag)
    .header('age', String(Math.floor(age / 1000)))
    .header('cache-status', statusOf(outcome, place.ttlMs - age));
  if (answer.next !== undefined) reply.header('link', nextLink(request.url, answer.next));
  const count = place.list ? countOf(request) : undefined;
  if (count !== undefined) reply.header('preference-applied', `count=${count}`);
  // of HEAD the framework says the length of what is not sent, which is that of the answer
  if (hasAlready(request, answer.etag)) {
    reply.code(304);
    if (request.method !== 'HEAD') return reply.send();
  }
  return reply.header('content-type', jsonType).send(answer.body);
};

/**
 * `no-cache`: nothing that is kept. Where `If-None-Match` stands beside it, it is not meant for us: `fetch` adds it to
 * whatever asks with that.
 */
const wantsAnew = ({ headers }: FastifyRequest): boolean =>
  headers['if-none-match'] === undefined && headers['cache-control']?.includes('no-cache') === true;

/**
 * Looks whether the answer is kept, as soon as it is known who asks: then nothing else is done for it. `name`: of the
 * entity, where the path does not say it.
 */
export const lookUp =
  (x: RecordRoutes, { list, name }: { readonly list: boolean; readonly name?: string }): onRequestHookHandler =>
  (request, reply, done) => {
    const { cache } = x.api;
    if (cache === undefined) return done();
    const asked = name ?? (request.params as { readonly entity: string }).entity;
    const known = knownTo(x, request.principal, asked);
    const { accept } = request.headers;
    if (known?.kept === undefined) return done();
    if (accept !== undefined && accepted(accept, ['application/json']) === undefined) return done();
    const { entity, kept } = known;
    const { ttlMs, difference } = kept;
    void cache.generation().then((generation) => {
      if (entity.standIn || generation === undefined || generation.writing(entity.server)) {
        cache.count('bypass');
        request.place = 'bypass';
        return done();
      }
      const key = keyOf(generation, entity, difference, (list && countOf(request)) || '', request.url);
      const anew = wantsAnew(request);
      const place: Place = { key, ttlMs, entity, list, anew };
      const answer = anew ? undefined : cache.kept(key);
      if (answer === undefined || x.api.clock.now() - answer.at >= ttlMs) {
        request.place = place;
        return done();
      }
      cache.count('hit');
      try {
        sendKept(x, request, reply, place, answer, 'hit');
      } catch (error) {
        done(error as Error);
      }
      return undefined;
    });
  };

/** The answer to a question that has a place: kept by another process, or made now. */
export const fetched = async (
  x: RecordRoutes,
  request: FastifyRequest,
  reply: FastifyReply,
  place: Place,
  o: Cancel,
  make: (o: Cancel) => Promise<Omit<Answer, 'at'>>,
): Promise<FastifyReply> => {
  const { answer, outcome } = await x.api.cache!.fetch(
    place.key,
    {
      ttlMs: place.ttlMs,
      anew: place.anew,
      make: async (c) => {
        // what is written from now on may not be in it
        const at = x.api.clock.now();
        return { ...(await make(c)), at };
      },
    },
    o,
  );
  return sendKept(x, request, reply, place, answer, outcome);
};

export const bypassed = (reply: FastifyReply): FastifyReply => reply.header('cache-status', statusOf('bypass', 0));
