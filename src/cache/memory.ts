import type { Answer } from './answer.ts';

interface Place {
  readonly answer: Answer;
  readonly bytes: number;
  /** By the clock that only goes forward. */
  readonly until: number;
  /** Since it was last at the end of all. */
  asked: boolean;
}

/**
 * Answers in this process: no more bytes than allowed. Whatever was asked for is passed over once before it has to go
 * (the second-chance algorithm: nearly those asked for last, at no cost to who asks).
 */
export interface Memory {
  get(key: string): Answer | undefined;
  put(key: string, answer: Answer, ttlMs: number): void;
  size(): { readonly entries: number; readonly bytes: number };
}

/** What an entry takes besides its texts: the place in the map, the objects. */
const overhead = 400;
/** One answer takes no more than this share of all. */
const greatest = 1 / 8;

export const openMemory = (maxBytes: number, elapsed: () => number): Memory => {
  // in the order in which they came, or were passed over
  const places = new Map<string, Place>();
  let bytes = 0;
  const drop = (key: string, place: Place): void => {
    places.delete(key);
    bytes -= place.bytes;
  };
  return {
    get: (key) => {
      const place = places.get(key);
      if (place === undefined) return undefined;
      if (place.until <= elapsed()) {
        drop(key, place);
        return undefined;
      }
      place.asked = true;
      return place.answer;
    },
    put: (key, answer, ttlMs) => {
      const before = places.get(key);
      if (before !== undefined) drop(key, before);
      // two bytes for each character of a text
      const size = answer.body.length + 2 * (key.length + answer.etag.length + (answer.next?.length ?? 0)) + overhead;
      if (ttlMs <= 0 || size > maxBytes * greatest) return;
      places.set(key, { answer, bytes: size, until: elapsed() + ttlMs, asked: false });
      bytes += size;
      for (const [oldest, place] of places) {
        if (bytes <= maxBytes) break;
        drop(oldest, place);
        if (!place.asked || place.until <= elapsed()) continue;
        // behind all others, so that this loop comes to it again
        place.asked = false;
        places.set(oldest, place);
        bytes += place.bytes;
      }
    },
    size: () => ({ entries: places.size, bytes }),
  };
};
