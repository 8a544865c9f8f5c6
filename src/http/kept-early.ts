import { mayAccess } from '../access/may-access.ts';
import type { Answer } from '../cache/answer.ts';
import type { Generation } from '../model/generations.ts';
import type { LookEarly, Ready } from './early.ts';
import { differenceOf, jsonType, keyOf, listRoute, nextLink, recordRoute, statusOf, ttlOf } from './kept-records.ts';
import type { RecordRoutes } from './record-routes.ts';

/** A list or a record whose entity and key are written as they are, with printable parameters. */
const plainPath = /^\/api\/v1\/records\/([\w-]{1,200})(\/[\w.~,-]{1,200})?(?:\?[\x21-\x7e]*)?$/;
const longest = 2000;

/**
 * Answers that are kept, found before the app has looked at the request: by the same key as there, so that nobody is shown
 * what would not be found there.
 */
export const keptEarly = (x: RecordRoutes): LookEarly | undefined => {
  const { cache, clock } = x.api;
  if (cache === undefined) return undefined;
  return (request, _response, principal, tell) => {
    const url = request.url!;
    if (url.length > longest) return false;
    const path = plainPath.exec(url);
    if (path === null) return false;
    const name = path[1]!;
    const entity = x.entities.known(name);
    if (entity === undefined || entity.standIn || !mayAccess(principal, { record: name })) return false;
    let difference: string;
    let ttlMs: number;
    try {
      ttlMs = ttlOf(x, entity);
      if (ttlMs <= 0) return false;
      difference = differenceOf(entity, principal);
    } catch {
      // told by whoever answers
      return false;
    }
    const ready = (answer: Answer, outcome: 'hit' | 'shared'): Ready | undefined => {
      const age = Math.max(0, clock.now() - answer.at);
      if (age >= ttlMs) return undefined;
      cache.count(outcome);
      const headers = [
        'vary',
        'authorization',
        'cache-control',
        'private, no-cache',
        'etag',
        answer.etag,
        'age',
        String(Math.floor(age / 1000)),
        'cache-status',
        statusOf(outcome, ttlMs - age),
        'content-type',
        jsonType,
      ];
      if (answer.next !== undefined) headers.push('link', nextLink(url, answer.next));
      return { route: path[2] === undefined ? listRoute : recordRoute, headers, body: answer.body };
    };
    const look = (generation: Generation | undefined): Ready | undefined | Promise<Ready | undefined> => {
      if (generation === undefined || generation.writing(entity.server)) return undefined;
      const key = keyOf(generation, entity, difference, '', url);
      const answer = cache.kept(key);
      if (answer !== undefined) return ready(answer, 'hit');
      return cache.shared(key, ttlMs)?.then((found) => found && ready(found, 'shared'));
    };
    void cache
      .generation()
      .then(look)
      .then(tell, () => tell(undefined));
    return true;
  };
};
