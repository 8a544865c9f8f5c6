import type { ApplySettings } from '../../src/apply/context.ts';
import { memoryDatabase, memoryEndpoint } from '../../src/engines/memory/endpoint.ts';
import type { MemoryTable } from '../../src/engines/memory/store.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Store } from '../../src/model/store.ts';
import type { Guards } from '../../src/plan/guards.ts';
import type { WritingMode } from '../../src/resolve/decide.ts';
import { type ApplyInput, apply } from '../../src/work/apply.ts';
import { makePlan, type PlanInput } from '../../src/work/make-plan.ts';
import { openStore } from '../../src/work/open-store.ts';
import { factsOf } from '../../src/work/recorded.ts';
import { sync } from '../../src/work/sync.ts';
import { storeDatabase, type TestDatabase } from '../servers/postgres.ts';

export const open: Guards = { maxChanges: 1e9, maxChangeRatio: null, maxDeletes: 1e9, emptySource: 'stop' };
export const quick: Partial<ApplySettings> = { retry: { attempts: 4, baseMs: 0, maxMs: 0 } };

export interface Bench extends AsyncDisposable {
  readonly store: Store;
  readonly database: TestDatabase;
  /** The same store as another process has it. */
  again(): Promise<Store>;
}

/** A control store of its own. */
export const bench = async (): Promise<Bench> => {
  const database = await storeDatabase();
  const { signal } = new AbortController();
  const again = () => openStore({ controlUrl: database.url, dir: '.', clock: systemClock, signal });
  const store = await again();
  return {
    store,
    database,
    again,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
};

export interface Ask {
  readonly source: Endpoint;
  readonly target: Endpoint;
  readonly mode?: WritingMode;
  readonly guards?: Partial<Guards>;
  readonly settings?: Partial<ApplySettings>;
  readonly stop?: AbortSignal;
  readonly signal?: AbortSignal;
  readonly lifetimeMs?: number;
  readonly pairs?: PlanInput['pairs'];
  readonly schemas?: PlanInput['schemas'];
}

const asked = { actor: 'tester', correlation: 'test' };

const planInput = (store: Store, a: Ask): PlanInput => ({
  ...asked,
  store,
  source: a.source,
  target: a.target,
  sync: null,
  mode: a.mode ?? 'mirror',
  guards: { ...open, ...a.guards },
  settings: { ...quick, ...a.settings } as PlanInput['settings'],
  facts: { source: factsOf(a.source, 'source'), target: factsOf(a.target, 'target') },
  settleMs: 0,
  clock: systemClock,
  seed: 7n,
  signal: a.signal ?? new AbortController().signal,
  ...(a.lifetimeMs === undefined ? {} : { lifetimeMs: a.lifetimeMs }),
  ...(a.pairs === undefined ? {} : { pairs: a.pairs }),
  ...(a.schemas === undefined ? {} : { schemas: a.schemas }),
});

export const planned = (store: Store, a: Ask) => makePlan(planInput(store, a));

export const applied = (store: Store, plan: string, a: Omit<Ask, 'source'> & { clock?: ApplyInput['clock'] }) =>
  apply({
    ...asked,
    store,
    plan,
    target: a.target,
    facts: factsOf(a.target, 'target'),
    clock: a.clock ?? systemClock,
    random: () => 0,
    signal: a.signal ?? new AbortController().signal,
    ...(a.guards === undefined ? {} : { guards: a.guards }),
    ...(a.settings === undefined ? {} : { settings: { ...quick, ...a.settings } }),
    ...(a.stop === undefined ? {} : { stop: a.stop }),
  });

export const synced = (store: Store, a: Ask) =>
  sync({
    ...planInput(store, a),
    settings: { ...quick, ...a.settings },
    random: () => 0,
    ...(a.stop === undefined ? {} : { stop: a.stop }),
  });

/** Two memory databases, and a connection to each. */
export const memoryPair = (source: readonly MemoryTable[], target: readonly MemoryTable[]) => {
  const left = memoryDatabase(source);
  const right = memoryDatabase(target);
  return {
    left,
    right,
    source: memoryEndpoint(left, { name: 'left' }),
    target: memoryEndpoint(right, { name: 'right' }),
  };
};
