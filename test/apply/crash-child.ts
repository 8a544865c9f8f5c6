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

/** Every method of a port, with a boundary before and after. */
const bounded = <T extends object>(name: string, port: T, methods: readonly (keyof T & string)[]): T => {
  const wrapped: Record<string, unknown> = {};
  for (const method of methods) {
    wrapped[method] = async (...args: unknown[]) => {
      at(`before ${name}.${method}`);
      const result = await (port[method] as (...a: unknown[]) => Promise<unknown>)(...args);
      at(`after ${name}.${method}`);
      return result;
    };
  }
  return Object.assign(Object.create(port) as T, wrapped);
};

const boundedWriter = (writer: Writer): Writer => {
  const outer = bounded('writer', writer, ['apply', 'advanceSequences', 'lock', 'applied']);
  return Object.assign(Object.create(outer) as Writer, {
    maxBatch: writer.maxBatch,
    prepare: writer.prepare.bind(writer),
    apply: (async (mark, batches, o) =>
      outer.apply(mark, batches, {
        signal: o.signal,
        written: async (w) => {
          at('written, before it is noted');
          await o.written?.(w);
          at('written, before the commit');
        },
      })) satisfies Writer['apply'],
  });
};

const { signal } = new AbortController();
const store = await openStore({ controlUrl: storeUrl, dir: '.', clock: systemClock, signal });
const bound: Store = Object.assign(Object.create(store) as Store, {
  journal: bounded('journal', store.journal, ['intend', 'note', 'settle', 'final', 'tally', 'last']),
  runs: bounded('runs', store.runs, ['create', 'update', 'finish']),
  plans: bounded('plans', store.plans, ['claim', 'verify']),
});
const { connect, parse } = (await loadEngine(engine))!;
const target = await connect(parse(targetUrl), { name: 'target', writable: true, signal });
const wrapped: Endpoint = Object.assign(Object.create(target) as Endpoint, { writer: boundedWriter(target.writer!) });
await applied(bound, plan, { target: wrapped, settings: JSON.parse(settings) });
await target[Symbol.asyncDispose]();
await store[Symbol.asyncDispose]();
writeSync(1, `end ${boundary}`);
process.exit(0);
