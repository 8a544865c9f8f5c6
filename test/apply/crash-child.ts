/**
 * Applies a plan and dies by SIGKILL at the boundary it is told, counted over every call to the target and the
 * journal: before it, within the transaction, and after it. It is started ahead, and told by one line on stdin; told
 * 0, it lives and names every boundary it passed.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { loadEngine } from '../../src/engines/registry.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Store } from '../../src/model/store.ts';
import type { Writer } from '../../src/model/writer.ts';
import { openStore } from '../../src/work/open-store.ts';
import { applied } from './bench.ts';

const storeUrl = process.argv[2]!;

export interface Task {
  readonly engine: string;
  readonly target: string;
  readonly plan: string;
  /** The boundary to die at, from 1; 0: none. */
  readonly fatal: number;
  readonly settings: Readonly<Record<string, unknown>>;
}

let fatal = 0;
const passed: string[] = [];
const at = (name: string): void => {
  passed.push(name);
  if (passed.length !== fatal) return;
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
const engines = { postgres: await loadEngine('postgres'), sqlite: await loadEngine('sqlite') };
const told = createInterface({ input: process.stdin });
for await (const line of told) {
  const task = JSON.parse(line) as Task;
  fatal = task.fatal;
  const { connect, parse } = engines[task.engine as keyof typeof engines]!;
  const target = await connect(parse(task.target), { name: 'target', writable: true, signal });
  const wrapped: Endpoint = over(target, { writer: boundedWriter(target.writer!) });
  await applied(bound, task.plan, { target: wrapped, settings: task.settings });
  await target[Symbol.asyncDispose]();
  writeSync(1, `end ${JSON.stringify(passed)}`);
  break;
}
await store[Symbol.asyncDispose]();
process.exit(0);
