import type { EndpointEntry } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import { orStopped } from '../lib/or-stopped.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Reader } from '../model/reader.ts';
import type { Breaker } from './endpoints-breaker.ts';
import type { Chosen, Wanted } from './endpoints-places.ts';
import type { Turns } from './endpoints-turns.ts';
import { type Watch, type Watched, watched } from './endpoints-watch.ts';

/** A request of the API does not wait longer for one statement, or to be connected, unless the endpoint says how long. */
export const requestTimeoutMs = 30_000;
/** While a replica stands in, the primary is looked for this often. */
const recheckMs = 2_000;
/** And this often while a promoted replica has its place. */
const promotedMs = 30_000;

interface Sharing extends Watched {
  readonly entry: EndpointEntry;
  readonly chosen: Chosen;
  /** When it was last looked whether this is the right one. */
  checked: number;
  stale: boolean;
}

/** The one connected endpoint that many requests share, and the change to another one. */
export interface SharedEndpoint extends AsyncDisposable {
  get(o: Cancel & { readonly writable?: boolean }): Promise<{ readonly endpoint: Endpoint; readonly chosen: Chosen }>;
  /** The same where nothing needs to be looked at. */
  current(): { readonly endpoint: Endpoint; readonly chosen: Chosen } | undefined;
  /** The connection to this place has failed: look anew before the next request. */
  doubt(place: Chosen['place']): void;
}

/** A reader keeps a connection until it is disposed of. */
const leavingAfter = (reader: Reader, leave: () => void): Reader =>
  new Proxy(reader, {
    get: (target, member) => {
      const value = Reflect.get(target, member, target) as unknown;
      if (member !== Symbol.asyncDispose) return typeof value === 'function' ? value.bind(target) : value;
      return async () => {
        try {
          await target[Symbol.asyncDispose]();
        } finally {
          leave();
        }
      };
    },
  });

const sameAs = (a: Chosen, b: Chosen): boolean =>
  a.place === b.place && (a.standIn === undefined) === (b.standIn === undefined);

export const openShared = (x: {
  readonly name: string;
  entry(): EndpointEntry;
  choose(o: Wanted): Promise<Chosen>;
  /** How a connection to that place is watched. */
  watch(chosen: Chosen): Watch;
  readonly breaker: Breaker;
  /** For schemas and snapshots: they take a connection each. */
  readonly turns: Turns;
  readonly clock: Clock;
  /** Ends what nobody waits for. */
  readonly signal: AbortSignal;
}): SharedEndpoint => {
  const { name, clock } = x;
  let current: Sharing | undefined;
  let changing: Promise<Sharing> | undefined;
  const leaving = new Set<Promise<unknown>>();

  /** Closes it when nobody is at it any more. */
  const retire = (old: Sharing): void => {
    const closing = (async () => {
      const patience = AbortSignal.any([x.signal, AbortSignal.timeout(2 * requestTimeoutMs)]);
      while (old.busy() > 0 && !patience.aborted) await clock.sleep(50, patience).catch(() => {});
      await old.chosen.endpoint[Symbol.asyncDispose]();
    })().catch(() => {});
    leaving.add(closing);
    void closing.finally(() => leaving.delete(closing));
  };

  const change = async (o: Cancel): Promise<Sharing> => {
    const entry = x.entry();
    const chosen = await x.choose({ ...o, writable: entry.writable, standIn: true, request: true });
    const before = current;
    if (before !== undefined && !before.stale && before.entry === entry && sameAs(before.chosen, chosen)) {
      before.checked = clock.now();
      await chosen.endpoint[Symbol.asyncDispose]();
      return before;
    }
    const watch = x.watch(chosen);
    const made: Sharing = {
      ...watched(chosen.endpoint, {
        ...watch,
        around: async (call, signal, work) => {
          const leave = await x.turns.take({ signal: signal ?? x.signal });
          let held = false;
          try {
            const result = await watch.around(call, signal, work);
            if (call !== 'snapshot') return result;
            held = true;
            return leavingAfter(result as Reader, leave) as typeof result;
          } finally {
            if (!held) leave();
          }
        },
      }),
      entry,
      chosen,
      checked: clock.now(),
      stale: false,
    };
    if (before !== undefined) retire(before);
    current = made;
    return made;
  };

  const good = (sharing: Sharing): boolean => {
    if (sharing.stale || sharing.entry !== x.entry()) return false;
    const { place, standIn } = sharing.chosen;
    if (place === 'configured' && standIn === undefined) return x.breaker.state === 'closed';
    return clock.now() - sharing.checked < (standIn === undefined ? promotedMs : recheckMs);
  };

  return {
    get: async (o) => {
      let found = current;
      if (found === undefined || !good(found)) {
        // one looks, with time of its own: who gives up does not stop it for the others
        changing ??= change({ signal: AbortSignal.any([x.signal, AbortSignal.timeout(requestTimeoutMs)]) }).finally(
          () => {
            changing = undefined;
          },
        );
        // it may fail when nobody waits any more
        changing.catch(() => {});
        found = await orStopped(changing, { signal: o.signal });
      }
      const { endpoint, chosen } = found;
      if (!o.writable || chosen.standIn === undefined) return { endpoint, chosen };
      throw new LockstepError('PRIMARY_DOWN', `${name}: the primary is down, and a replica takes no writes`, {
        side: name,
        hint: 'Start the primary, or promote a replica: either is found without a restart.',
        details: [chosen.standIn.reason],
        retryAfterMs: recheckMs,
      });
    },
    current: () => (current !== undefined && good(current) ? current : undefined),
    doubt: (place) => {
      if (current?.chosen.place === place) current.stale = true;
    },
    [Symbol.asyncDispose]: async () => {
      await changing?.catch(() => {});
      if (current !== undefined) retire(current);
      current = undefined;
      await Promise.allSettled(leaving);
    },
  };
};
