/**
 * Applies a plan and dies by SIGKILL at the boundary it is told, counted over every call to the target and the
 * journal: before it, within the transaction, and after it.
 */
import { writeSync } from 'node:fs';
import { loadEngine } from '../../src/engines/registry.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint, Writer } from '../../src/model/endpoint.ts';
import type { Store } from '../../src/model/store.ts';
import { openStore } from '../../src/work/open-store.ts';
import { applied } from './bench.ts';

const [storeUrl, engine, targetUrl, plan, fatal, settings] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
];
let boundary = 0;
const at = (name: string): void => {
  if (++boundary !== Number(fatal)) return;
  writeSync(1, name);
  process.kill(process.pid, 'SIGKILL');
};

/** A port whose methods are replaced; the others stay bound to it, private parts and all. */
const over = <T extends object>(port: T, replaced: Partial<T>): T =>
  new Proxy(port, {
    get: (_, name) => {
      const own = (replaced as Record<PropertyKey, unknown>)[name];
      if (own !== undefined) return own;
      const value = (port as Record<PropertyKey, unknown>)[name];
      return typeof value === 'function' ? value.bind(port) : value;
    },
  });

/** These methods with a boundary before and after. */
const bounded = <T extends object>(name: string, port: T, methods: readonly (keyof T & string)[]): T => {
  const replaced: Record<string, unknown> = {};
  for (const method of methods) {
    replaced[method] = async (...args: unknown[]) => {
      at(`before ${name}.${method}`);
      const result = await (port[method] as (...a: unknown[]) => Promise<unknown>).apply(port, args);
      at(`after ${name}.${method}`);
      return result;
    };
  }
  return over(port, replaced as Partial<T>);
};

const boundedWriter = (writer: Writer): Writer => {
  const outer = bounded('writer', writer, ['apply', 'advanceSequences', 'lock', 'applied']);
  return over(outer, {
    apply: (mark, batches, o) =>
      outer.apply(mark, batches, {
        signal: o.signal,
        written: async (w) => {
          at('written, before it is noted');
          await o.written?.(w);
          at('written, before the commit');
        },
      }),
  });
};

const { signal } = new AbortController();
const store = await openStore({ controlUrl: storeUrl, dir: '.', clock: systemClock, signal });
const bound: Store = over(store, {
  journal: bounded('journal', store.journal, ['intend', 'note', 'settle', 'final', 'tally', 'last']),
  runs: bounded('runs', store.runs, ['create', 'update', 'finish']),
  plans: bounded('plans', store.plans, ['claim', 'verify']),
});
const { connect, parse } = (await loadEngine(engine))!;
const target = await connect(parse(targetUrl), { name: 'target', writable: true, signal });
const wrapped: Endpoint = over(target, { writer: boundedWriter(target.writer!) });
await applied(bound, plan, { target: wrapped, settings: JSON.parse(settings) });
await target[Symbol.asyncDispose]();
await store[Symbol.asyncDispose]();
writeSync(1, `end ${boundary}`);
process.exit(0);
