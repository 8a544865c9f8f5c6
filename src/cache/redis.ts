import { createClient, RESP_TYPES } from 'redis';
import type { Clock } from '../lib/clock.ts';

/** Where a Redis is. */
export interface RedisPlace {
  readonly url: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: number | undefined;
}

/** Bytes that several processes share. Nothing of it is ever waited for long, and nothing of it fails. */
export interface Shelf extends AsyncDisposable {
  /** Undefined: it is not there, or cannot be had now. */
  get(key: string): Promise<Buffer | undefined>;
  put(key: string, value: Buffer, ttlMs: number): void;
  /** Does it answer, as far as is known? */
  up(): boolean;
  failures(): number;
}

/** One that does not answer is waited for this long, and then left alone for a while. */
const patienceMs = 1000;
const pauseMs = 5000;
/** Answers that one command asks for. */
const mostAtOnce = 64;

const clientOf = (place: RedisPlace) =>
  createClient({
    url: place.url,
    ...(place.user === undefined ? {} : { username: place.user }),
    ...(place.password === undefined ? {} : { password: place.password }),
    ...(place.database === undefined ? {} : { database: place.database }),
    disableOfflineQueue: true,
    maintNotifications: 'disabled',
    // another one is connected here when it is asked for
    socket: { connectTimeout: patienceMs, reconnectStrategy: false },
  }).withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });

type Client = ReturnType<typeof clientOf>;

export const openShelf = (
  place: RedisPlace,
  o: {
    readonly clock: Pick<Clock, 'elapsed'>;
    /** Told when it stops and begins to answer; `error`: why. */
    changed(up: boolean, error?: unknown): void;
  },
): Shelf => {
  let connected: Promise<Client> | undefined;
  let pausedUntil: number | undefined;
  let probing = false;
  let failed = 0;
  let closed = false;

  const connect = async (): Promise<Client> => {
    const client = clientOf(place);
    // what asks is told; between two questions a broken connection is nobody's news
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const letGo = (): void => {
    connected?.then((client) => client.destroy()).catch(() => {});
    connected = undefined;
  };
  const soon = async <T>(work: Promise<T>): Promise<T> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${patienceMs} ms`)), patienceMs);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  };

  /** Undefined when it cannot be done now. After a failure one tries again, the others do without. */
  const use = async <T>(work: (client: Client) => Promise<T>): Promise<T | undefined> => {
    if (closed) return undefined;
    const trying = pausedUntil !== undefined;
    if (trying && (probing || o.clock.elapsed() < pausedUntil!)) return undefined;
    probing = trying;
    connected ??= connect();
    const mine = connected;
    // it may fail when nobody waits any more
    mine.catch(() => {});
    try {
      const result = await soon(mine.then(work));
      if (pausedUntil !== undefined) {
        pausedUntil = undefined;
        o.changed(true);
      }
      return result;
    } catch (error) {
      failed++;
      if (connected === mine) letGo();
      const was = pausedUntil;
      pausedUntil = o.clock.elapsed() + pauseMs;
      if (was === undefined && !closed) o.changed(false, error);
      return undefined;
    } finally {
      if (trying) probing = false;
    }
  };

  /** What is asked for at once, by key: one command asks for all of it. */
  let asked = new Map<string, PromiseWithResolvers<Buffer | undefined>>();
  const askAll = async (): Promise<void> => {
    const mine = asked;
    asked = new Map();
    const found = await use((client) => client.mGet([...mine.keys()]));
    let i = 0;
    for (const { resolve } of mine.values()) resolve((found?.[i++] ?? undefined) as Buffer | undefined);
  };
  const get = (key: string): Promise<Buffer | undefined> => {
    const known = asked.get(key);
    if (known !== undefined) return known.promise;
    if (asked.size >= mostAtOnce) void askAll();
    const waiting = Promise.withResolvers<Buffer | undefined>();
    asked.set(key, waiting);
    if (asked.size === 1)
      process.nextTick(() => {
        if (asked.has(key)) void askAll();
      });
    return waiting.promise;
  };

  return {
    get,
    put: (key, value, ttlMs) => {
      if (ttlMs < 1) return;
      void use((client) => client.set(key, value, { expiration: { type: 'PX', value: Math.floor(ttlMs) } }));
    },
    up: () => pausedUntil === undefined,
    failures: () => failed,
    [Symbol.asyncDispose]: async () => {
      closed = true;
      letGo();
    },
  };
};
