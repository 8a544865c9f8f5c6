import type { Clock } from '../lib/clock.ts';
import type { Endpoint, QueryReport } from '../model/endpoint.ts';
import type { Timings } from '../telemetry/timings.ts';

/** What is done around every call to a connected endpoint. */
export interface Watch {
  /** As the configuration names it. */
  readonly endpoint: string;
  readonly clock: Pick<Clock, 'elapsed'>;
  readonly timings: Pick<Timings, 'record'> | undefined;
  /** Told how each call, and each read through an iterator, ended. */
  heard(error: unknown): void;
  /** Runs a call that asks for something whole (a schema, a snapshot); may keep it waiting, or do it again. */
  around<T>(call: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T>;
}

export interface Watched {
  readonly endpoint: Endpoint;
  /** Calls under way, and readers and locks that have not been disposed of. */
  busy(): number;
}

type Member = (...args: unknown[]) => unknown;

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
const plainKinds = [Array, Map, Set, Date, RegExp, Error, Promise, ArrayBuffer] as const;
/** Groups of calls may hold groups (`changes.columns.latest`); deeper, objects are data. */
const isPort = (value: unknown, groups = 1): value is object => {
  if (!isObject(value) || ArrayBuffer.isView(value) || plainKinds.some((kind) => value instanceof kind)) return false;
  const form: unknown = Object.getPrototypeOf(value);
  if (form !== null && form !== Object.prototype) return true;
  return Object.values(value).some((v) => typeof v === 'function' || (groups > 0 && isPort(v, groups - 1)));
};
/** Calls on the endpoint itself that ask the database for something whole. */
const whole: ReadonlySet<string> = new Set(['inspect', 'snapshot', 'details', 'examine']);

const signalOf = (args: readonly unknown[]): AbortSignal | undefined => {
  const o = args.find((a) => isObject(a) && 'signal' in a);
  return o === undefined ? undefined : ((o as { readonly signal: unknown }).signal as AbortSignal);
};

/**
 * The endpoint, with every call to it, to its readers, writers, locks and whatever else it gives out timed and listened
 * to. It goes by form and not by name, so that a member an engine learns later is watched without being named here: what
 * has functions or is to be disposed of is a port, what is iterated is watched item by item, everything else (rows,
 * hashes, schemas) is handed through untouched.
 */
export const watched = (endpoint: Endpoint, watch: Watch): Watched => {
  let busy = 0;
  const ports = new WeakMap<object, object>();

  const ended = (call: string, began: number, error: unknown): void => {
    watch.timings?.record(
      { kind: 'endpoint', endpoint: watch.endpoint, call, ok: error === undefined },
      watch.clock.elapsed() - began,
    );
    // of one that connects to nothing, only reading and writing show that it is there
    if (error !== undefined || endpoint.lazy !== true || /^read\.|^writer\.apply$/.test(call)) watch.heard(error);
  };

  async function* items(source: AsyncIterable<unknown>, call: string): AsyncGenerator<unknown, void, undefined> {
    let spent = 0;
    busy++;
    const iterator = source[Symbol.asyncIterator]();
    let over = false;
    try {
      for (;;) {
        const began = watch.clock.elapsed();
        let next: IteratorResult<unknown>;
        try {
          next = await iterator.next();
        } catch (error) {
          ended(call, began - spent, error);
          over = true;
          throw error;
        }
        // only what the endpoint took, not who reads
        spent += watch.clock.elapsed() - began;
        if (next.done) break;
        yield next.value;
      }
      over = true;
      ended(call, watch.clock.elapsed() - spent, undefined);
    } finally {
      busy--;
      if (!over) await iterator.return?.();
    }
  }

  /** `onQuery` of a snapshot: the statements of its reader. */
  const withStatements = (args: readonly unknown[]): readonly unknown[] =>
    args.map((arg) => {
      const { timings } = watch;
      if (timings === undefined || !isObject(arg) || !('signal' in arg)) return arg;
      const { onQuery } = arg as { readonly onQuery?: (q: QueryReport) => void };
      return {
        ...arg,
        onQuery: (q: QueryReport) => {
          timings.record({ kind: 'statement', endpoint: watch.endpoint, sql: q.sql, rows: q.rows }, q.elapsedMs);
          onQuery?.(q);
        },
      };
    });

  /** `path`: of what it gives. */
  const settled = (promise: Promise<unknown>, call: string, path: string, began: number): Promise<unknown> => {
    busy++;
    return promise.then(
      (result) => {
        busy--;
        ended(call, began, undefined);
        return given(result, path);
      },
      (error) => {
        busy--;
        ended(call, began, error);
        throw error;
      },
    );
  };

  const given = (value: unknown, path: string): unknown => {
    if (isObject(value) && Symbol.asyncIterator in value) return items(value as AsyncIterable<unknown>, path);
    return isPort(value) ? port(value, path, true) : value;
  };

  const method = (target: object, name: string, member: Member, path: string): Member => {
    const call = path === '' ? name : `${path}.${name}`;
    return (...args) => {
      const began = watch.clock.elapsed();
      const passed = path === '' && name === 'snapshot' ? withStatements(args) : args;
      const run = (): unknown => Reflect.apply(member, target, passed);
      if (path === '' && whole.has(name))
        return settled(
          watch.around(call, signalOf(args), () => run() as Promise<unknown>),
          call,
          name === 'snapshot' ? 'read' : name,
          began,
        );
      const result = run();
      if (result instanceof Promise) return settled(result, call, name === 'share' ? path : call, began);
      return isObject(result) && Symbol.asyncIterator in result ? given(result, call) : result;
    };
  };

  /** `own`: it is disposed of by whoever asked for it, and busy until then. */
  const port = (target: object, path: string, own: boolean): object => {
    const known = ports.get(target);
    if (known !== undefined) return known;
    let held = own && Symbol.asyncDispose in target;
    if (held) busy++;
    const made = new Proxy(target, {
      get: (_, name) => {
        const value = Reflect.get(target, name, target) as unknown;
        if (name === Symbol.asyncDispose)
          return async () => {
            if (held) busy--;
            held = false;
            await Reflect.apply(value as Member, target, []);
          };
        if (typeof name === 'symbol') return typeof value === 'function' ? value.bind(target) : value;
        if (typeof value === 'function') return method(target, name, value as Member, path);
        return isPort(value) ? port(value, path === '' ? name : `${path}.${name}`, false) : value;
      },
    });
    ports.set(target, made);
    return made;
  };

  return { endpoint: port(endpoint, '', false) as Endpoint, busy: () => busy };
};
