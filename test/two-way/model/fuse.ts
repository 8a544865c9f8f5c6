import type { Endpoint } from '../../../src/model/endpoint.ts';
import { LockstepError } from '../../../src/model/errors.ts';
import type { Writer } from '../../../src/model/writer.ts';

/** The process is gone: whatever it asks from now on fails. */
export class Gone extends Error {
  constructor(where: string) {
    super(`gone at ${where}`);
    this.name = 'Gone';
  }
}

/**
 * Burns at the call that it is told, counted over every call of what it guards, before and after each: `crash`: and
 * every call from then on fails; `error`: that call fails, and the process lives on to say so.
 */
export interface Fuse {
  readonly kind: 'crash' | 'error' | 'none';
  at(where: string): void;
  readonly calls: number;
  /** Where it burnt. */
  readonly burnt: string | undefined;
}

export const fuse = (kind: Fuse['kind'], burnsAt: number): Fuse => {
  let calls = 0;
  let burnt: string | undefined;
  return {
    kind,
    get calls() {
      return calls;
    },
    get burnt() {
      return burnt;
    },
    at: (where) => {
      calls++;
      if (burnt !== undefined && kind === 'crash') throw new Gone(burnt);
      if (kind === 'none' || calls !== burnsAt || burnt !== undefined) return;
      burnt = where;
      if (kind === 'crash') throw new Gone(where);
      throw new LockstepError('DATABASE', `made to fail at ${where}`);
    },
  };
};

type Calls = Readonly<Record<PropertyKey, unknown>>;

const isStream = (x: unknown): x is AsyncIterable<unknown> =>
  typeof x === 'object' && x !== null && Symbol.asyncIterator in x;

async function* streamed(rows: AsyncIterable<unknown>, name: string, f: Fuse): AsyncGenerator<unknown> {
  for await (const batch of rows) {
    f.at(`within ${name}`);
    yield batch;
  }
}

/** Its methods called on the port itself. Not bound: `await using` takes no bound function. */
const on = (port: object, value: unknown): unknown =>
  typeof value === 'function' ? (...args: unknown[]): unknown => value.apply(port, args) : value;

/** A port, and the ports in it, with a fuse before and after every call. Letting go of something is never in the way. */
export const fused = <T extends object>(port: T, name: string, f: Fuse): T =>
  new Proxy(port, {
    get: (_, property) => {
      const value = (port as Calls)[property];
      if (typeof property === 'symbol') return on(port, value);
      const place = `${name}.${property}`;
      if (typeof value === 'function') {
        return (...args: unknown[]) => {
          f.at(`before ${place}`);
          const result: unknown = value.apply(port, args);
          if (isStream(result)) return streamed(result, place, f);
          if (!(result instanceof Promise)) return result;
          return result.then(async (x: unknown) => {
            try {
              f.at(`after ${place}`);
            } catch (error) {
              // Nobody lets go of what nobody was given.
              await (x as Partial<AsyncDisposable> | undefined)?.[Symbol.asyncDispose]?.();
              throw error;
            }
            return property === 'snapshot' ? fused(x as object, 'reader', f) : x;
          });
        };
      }
      const isPort =
        typeof value === 'object' && value !== null && Object.values(value).some((v) => typeof v === 'function');
      const isClass =
        typeof value === 'object' &&
        value !== null &&
        Object.getPrototypeOf(value) !== Object.prototype &&
        !Array.isArray(value);
      return isPort || isClass ? fused(value as object, place, f) : value;
    },
  });

/** What happens around a write. */
export interface Around {
  before(): Promise<void>;
  /** Is the reply lost? */
  after(): Promise<boolean>;
}

/** An endpoint whose writes have something happen before and after them. */
export const disturbed = (endpoint: Endpoint, around: Around): Endpoint => {
  const writer = new Proxy(endpoint.writer!, {
    get: (port, property) => {
      const value = (port as unknown as Calls)[property];
      if (property === 'apply') {
        return async (...args: Parameters<Writer['apply']>) => {
          await around.before();
          const done = await port.apply(...args);
          if (await around.after()) throw new LockstepError('CONNECTION_LOST', 'the reply to COMMIT is lost');
          return done;
        };
      }
      return on(port, value);
    },
  });
  return new Proxy(endpoint, {
    get: (port, property) => {
      if (property === 'writer') return writer;
      const value = (port as unknown as Calls)[property];
      return on(port, value);
    },
  });
};
