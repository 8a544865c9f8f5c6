/** A two-way run that dies by SIGKILL at the nth call of a name. */
import { writeSync } from 'node:fs';
import { postgres } from '../../../src/engines/postgres/index.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import type { Endpoint } from '../../../src/model/endpoint.ts';
import type { Store } from '../../../src/model/store.ts';
import { openStore } from '../../../src/work/open-store.ts';
import { both, policyOf } from '../bench.ts';
import { fuse, fused } from './fuse.ts';

const task = JSON.parse(process.argv[2]!) as {
  readonly store: string;
  readonly source: string;
  readonly target: string;
  readonly at: string;
  readonly fatal: number;
};
let passed = 0;
const f = {
  ...fuse('none', 0),
  at: (where: string) => {
    if (where !== task.at || ++passed !== task.fatal) return;
    writeSync(1, `${where} (${passed})`);
    process.kill(process.pid, 'SIGKILL');
  },
};
const { signal } = new AbortController();
const store = await openStore({ controlUrl: task.store, dir: '.', clock: systemClock, signal });
const open = (url: string, name: string): Promise<Endpoint> =>
  postgres.connect(postgres.parse(url), { name, writable: true, signal });
const [source, target] = [await open(task.source, 'left'), await open(task.target, 'right')];
const rule = { kind: 'take', take: 'sum', column: 'n', where: 'test' } as const;
await both(fused<Store>(store, 'store', f), {
  source: fused(source, 'source', f),
  target: fused(target, 'target', f),
  sync: 'killed',
  policy: policyOf({ kind: 'rules', rules: [rule], where: 'test' }, { kind: 'prefer', side: 'source', where: 'test' }),
});
for (const x of [source, target, store]) await x[Symbol.asyncDispose]();
writeSync(1, `end ${passed}`);
