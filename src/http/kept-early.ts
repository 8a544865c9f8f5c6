import type { Answer } from '../cache/answer.ts';
import type { Generation } from '../model/generations.ts';
import type { AskedEarly } from './asked-early.ts';
import { jsonType, keyOf, nextLink, privately, statusOf } from './kept-records.ts';
import type { Ready } from './look-early.ts';
import type { RecordRoutes } from './record-routes.ts';

const forCaller: readonly string[] = Object.entries(privately).flat();

type Tell = (ready: Ready | undefined) => void;

/** The headers of an answer for a while: what is asked for often is asked for many times a second. */
interface Headed {
  /** Whole seconds. */
  readonly age: number;
  readonly status: string;
  readonly url: string;
  readonly headers: readonly string[];
}

/** Gives the same headers, not only equal ones, as long as they are the same. */
const headersOnce = (): ((answer: Answer, age: number, status: string, url: string) => readonly string[]) => {
  const headed = new WeakMap<Answer, Headed>();
  return (answer, age, status, url) => {
    const before = headed.get(answer);
    if (before !== undefined && before.age === age && before.status === status && before.url === url)
      return before.headers;
    const headers = [
      ...forCaller,
      ...['etag', answer.etag, 'age', String(age), 'cache-status', status, 'content-type', jsonType],
    ];
    if (answer.next !== undefined) headers.push('link', nextLink(url, answer.next));
    headed.set(answer, { age, status, url, headers });
    return headers;
  };
};

/**
 * Answers that are kept, found before the app has looked at the request: by the same key as there, so that nobody is shown
 * what would not be found there. False: none can be; else `tell`, which does not throw, is called once.
 */
export const keptEarly = (x: RecordRoutes): ((asked: AskedEarly, tell: Tell) => boolean) | undefined => {
  const { cache, clock } = x.api;
  if (cache === undefined) return undefined;
  const headersOf = headersOnce();

  const ready = (answer: Answer, outcome: 'hit' | 'shared', ttlMs: number, url: string): Ready | undefined => {
    const age = Math.max(0, clock.now() - answer.at);
    if (age >= ttlMs) return undefined;
    cache.count(outcome);
    return {
      headers: headersOf(answer, Math.floor(age / 1000), statusOf(outcome, ttlMs - age), url),
      body: answer.body,
    };
  };
  const look = (
    generation: Generation | undefined,
    { entity, kept, url }: AskedEarly,
  ): Ready | undefined | Promise<Ready | undefined> => {
    if (kept === undefined || generation === undefined || generation.writing(entity.server)) return undefined;
    const { ttlMs, difference } = kept;
    const key = keyOf(generation, entity, difference, '', url);
    const answer = cache.kept(key);
    if (answer !== undefined) return ready(answer, 'hit', ttlMs, url);
    return cache.shared(key, ttlMs)?.then((found) => found && ready(found, 'shared', ttlMs, url));
  };
  const lookFor = (generation: Generation | undefined, asked: AskedEarly, tell: Tell): void => {
    const found = look(generation, asked);
    if (found instanceof Promise) found.then(tell, () => tell(undefined));
    else tell(found);
  };

  /** Those who wait for one word on what has been written. */
  let last: { readonly word: Promise<unknown>; readonly waiting: (readonly [AskedEarly, Tell])[] } | undefined;
  const wait = (asked: AskedEarly, tell: Tell): void => {
    const word = cache.generation();
    if (last?.word !== word) {
      const waiting: (readonly [AskedEarly, Tell])[] = [];
      last = { word, waiting };
      void word.then((generation) => {
        for (const [asked, tell] of waiting) lookFor(generation, asked, tell);
      });
    }
    last.waiting.push([asked, tell]);
  };
  return (asked, tell) => {
    if (asked.kept === undefined || asked.entity.standIn) return false;
    wait(asked, tell);
    return true;
  };
};
