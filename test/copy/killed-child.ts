/** Copies and dies by SIGKILL at the boundary it is told, counted over every call to the target's builder and loader. */
import { writeSync } from 'node:fs';
import { systemClock } from '../../src/lib/clock.ts';
import type { Loader, LoadOptions, SchemaBuilder } from '../../src/model/build.ts';
import { copy } from '../../src/work/copy.ts';
import { copySides } from '../../src/work/copy-plan.ts';
import { openStore } from '../../src/work/open-store.ts';
import { copyInput, open, signal } from './support.ts';

const [storeUrl, from, to, told] = process.argv.slice(2) as [string, string, string, string];
const fatal = Number(told);
let passed = 0;
const at = (): void => {
  if (++passed === fatal) process.kill(process.pid, 'SIGKILL');
};
const around = async <T>(work: () => Promise<T>): Promise<T> => {
  at();
  const result = await work();
  at();
  return result;
};
const bounded = (o: LoadOptions): LoadOptions => ({ ...o, beforeCommit: () => around(() => o.beforeCommit()) });

// that of the tests' store, see fresh-store.ts
const auditKeys = () => ({ current: 'the key of a test store', old: [] });
const store = await openStore({ controlUrl: storeUrl, dir: '.', clock: systemClock, signal, auditKeys });
const source = await open(from, 'old', false);
const { target } = copySides(source, await open(to, 'new', true));
const builder: SchemaBuilder = { ...target.builder, run: (s, o) => around(() => target.builder.run(s, o)) };
const { bytes } = target.loader;
const loader: Loader = {
  ...target.loader,
  load: (m, t, c, r, o) => around(() => target.loader.load(m, t, c, r, bounded(o))),
  ...(bytes === undefined
    ? {}
    : { bytes: { ...bytes, load: (m, t, c, s, o) => around(() => bytes.load(m, t, c, s, bounded(o))) } }),
};
const watched = new Proxy(target, {
  get: (t, name) => {
    if (name === 'builder') return builder;
    if (name === 'loader') return loader;
    const value = (t as unknown as Record<PropertyKey, unknown>)[name];
    return typeof value === 'function' ? value.bind(t) : value;
  },
});
await copy(copyInput(store, source, watched, { stepRows: 200, lanes: 1 }));
writeSync(1, String(passed));
process.exit(0);
