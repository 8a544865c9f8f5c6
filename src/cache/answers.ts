import { hash } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import { orStopped } from '../lib/or-stopped.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Generation, Generations } from '../model/generations.ts';
import { type Answer, packed, unpacked } from './answer.ts';
import { latest } from './latest.ts';
import { type Memory, openMemory } from './memory.ts';
import { openShelf, type RedisPlace, type Shelf } from './redis.ts';

/** What became of a question. `bypass`: nothing may be kept now, or nobody can say whether it may. */
export type Outcome = 'hit' | 'shared' | 'miss' | 'bypass';

/**
 * Answers that are kept, in memory and in a Redis that other processes share. A key is made of the generation of what
 * was read and of everything that an answer depends on: an answer is never changed under its key, and one that is out of
 * date is never asked for.
 */
export interface AnswerCache extends AsyncDisposable {
  /** As it is at this moment, not before it; undefined: nobody can say, and nothing may be taken from here. */
  generation(): Promise<Generation | undefined>;
  /** What memory has. */
  kept(key: string): Answer | undefined;
  /**
   * What another process has kept, for all who ask for it meanwhile at once; undefined at once: there is no Redis that
   * answers.
   */
  shared(key: string, ttlMs: number): Promise<Answer | undefined> | undefined;
  /**
   * What another process has kept, or else what `make` makes, which is kept: once for all who ask meanwhile. `anew`: made
   * in any case. Rejects as `make` does, or when the caller goes.
   */
  fetch(
    key: string,
    x: { readonly ttlMs: number; readonly anew: boolean; make(o: Cancel): Promise<Answer> },
    o: Cancel,
  ): Promise<{ readonly answer: Answer; readonly outcome: Outcome }>;
  /** Counts a question that was answered elsewhere. */
  count(outcome: Outcome): void;
  state(): CacheState;
}

export interface CacheState {
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly entries: number;
  readonly bytes: number;
  /** Undefined: none is configured. */
  readonly redis: { readonly up: boolean; readonly failures: number } | undefined;
}

/** What is made for others, too, does not end with who asked for it, but it ends. */
const longestMs = 30_000;

const nameOf = (key: string): string => `lockstep:answer:${hash('sha256', key, 'base64url')}`;

export const openAnswers = (o: {
  readonly maxBytes: number;
  readonly redis: RedisPlace | undefined;
  readonly generations: Pick<Generations, 'read'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told when Redis stops and begins to answer. */
  redisChanged(up: boolean, error?: unknown): void;
}): AnswerCache => {
  const { clock } = o;
  const memory: Memory = openMemory(o.maxBytes, () => clock.elapsed());
  const shelf: Shelf | undefined =
    o.redis && openShelf(o.redis, { clock, changed: (up, error) => o.redisChanged(up, error) });
  const flights = new Map<string, Promise<{ readonly answer: Answer; readonly outcome: Outcome }>>();
  const outcomes: Record<Outcome, number> = { hit: 0, shared: 0, miss: 0, bypass: 0 };

  /** Milliseconds for which it is still good: clocks of other machines may be behind, never ahead of its age. */
  const left = (answer: Answer, ttlMs: number): number => ttlMs - Math.max(0, clock.now() - answer.at);

  const shared = async (key: string, ttlMs: number): Promise<Answer | undefined> => {
    const bytes = await shelf?.get(nameOf(key));
    const answer = bytes && unpacked(bytes);
    if (answer === undefined || left(answer, ttlMs) <= 0) return undefined;
    memory.put(key, answer, left(answer, ttlMs));
    return answer;
  };

  const looks = new Map<string, Promise<Answer | undefined>>();
  const look = (key: string, ttlMs: number): Promise<Answer | undefined> => {
    const known = looks.get(key);
    if (known !== undefined) return known;
    const mine = shared(key, ttlMs).finally(() => looks.delete(key));
    looks.set(key, mine);
    return mine;
  };

  const fly: AnswerCache['fetch'] = async (key, { ttlMs, anew, make }) => {
    if (!anew) {
      const answer = await shared(key, ttlMs);
      if (answer !== undefined) return { answer, outcome: 'shared' };
    }
    const answer = await make({ signal: AbortSignal.any([o.signal, AbortSignal.timeout(longestMs)]) });
    memory.put(key, answer, left(answer, ttlMs));
    shelf?.put(nameOf(key), packed(answer), left(answer, ttlMs));
    return { answer, outcome: 'miss' };
  };

  return {
    generation: latest((c) => o.generations.read(c), o),
    kept: (key) => memory.get(key),
    shared: (key, ttlMs) => (shelf?.up() ? look(key, ttlMs) : undefined),
    fetch: async (key, x, c) => {
      let flight = x.anew ? undefined : flights.get(key);
      if (flight === undefined) {
        const mine = fly(key, x, c);
        flight = mine;
        if (!x.anew) {
          flights.set(key, mine);
          const landed = (): void => void flights.delete(key);
          mine.then(landed, landed);
        }
        // it may fail when nobody waits any more
        mine.catch(() => {});
      }
      const found = await orStopped(flight, c);
      outcomes[found.outcome]++;
      return found;
    },
    count: (outcome) => {
      outcomes[outcome]++;
    },
    state: () => ({
      outcomes,
      ...memory.size(),
      redis: shelf && { up: shelf.up(), failures: shelf.failures() },
    }),
    [Symbol.asyncDispose]: async () => {
      await shelf?.[Symbol.asyncDispose]();
    },
  };
};
