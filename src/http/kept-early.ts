import type { Answer } from '../cache/answer.ts';
import type { Generation } from '../model/generations.ts';
import type { AnswerEarly } from './asked-early.ts';
import type { Ready } from './early.ts';
import { jsonType, keyOf, nextLink, privately, statusOf } from './kept-records.ts';
import type { RecordRoutes } from './record-routes.ts';

const forCaller: readonly string[] = Object.entries(privately).flat();

/**
 * Answers that are kept, found before the app has looked at the request: by the same key as there, so that nobody is shown
 * what would not be found there.
 */
export const keptEarly = (x: RecordRoutes): AnswerEarly | undefined => {
  const { cache, clock } = x.api;
  if (cache === undefined) return undefined;
  return ({ entity, kept, url }, tell) => {
    if (kept === undefined || entity.standIn) return false;
    const { ttlMs, difference } = kept;
    const ready = (answer: Answer, outcome: 'hit' | 'shared'): Ready | undefined => {
      const age = Math.max(0, clock.now() - answer.at);
      if (age >= ttlMs) return undefined;
      cache.count(outcome);
      const headers = [
        ...forCaller,
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
      return { headers, body: answer.body };
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
