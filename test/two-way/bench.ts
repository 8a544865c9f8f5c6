import { postgres } from '../../src/engines/postgres/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { type ConflictPolicy, manualPolicy, type PolicyStep } from '../../src/model/policy.ts';
import type { Store } from '../../src/model/store.ts';
import type { Guards } from '../../src/plan/guards.ts';
import { factsOf } from '../../src/work/recorded.ts';
import type { TwoWayRules } from '../../src/work/two-way/context.ts';
import { syncTwoWay, type TwoWaySyncInput } from '../../src/work/two-way/sync.ts';
import { open } from '../apply/bench.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';

/** A policy of these steps. */
export const policyOf = (...steps: PolicyStep[]): ConflictPolicy => ({ ...manualPolicy('test'), steps });

export interface TwoWayAsk {
  readonly source: Endpoint;
  readonly target: Endpoint;
  readonly sync?: string;
  readonly mode?: TwoWayRules['mode'];
  readonly policy?: ConflictPolicy;
  readonly archiveValues?: TwoWayRules['archiveValues'];
  readonly flapping?: TwoWayRules['flapping'];
  readonly guards?: Partial<Guards>;
  readonly pairs?: TwoWaySyncInput['pairs'];
  readonly onlyDecided?: boolean;
  readonly signal?: AbortSignal;
  readonly random?: () => number;
}

export const twoWayInput = (store: Store, a: TwoWayAsk): TwoWaySyncInput => ({
  actor: 'tester',
  correlation: 'test',
  store,
  sync: a.sync ?? 'both',
  source: a.source,
  target: a.target,
  rules: {
    mode: a.mode ?? 'two_way',
    policyOf: () => a.policy ?? policyOf(),
    archiveValues: a.archiveValues ?? 'all',
    ...(a.flapping === undefined ? {} : { flapping: a.flapping }),
  },
  guards: { ...open, ...a.guards },
  settings: { retry: { attempts: 4, baseMs: 0, maxMs: 0 } },
  facts: { source: factsOf(a.source, 'source'), target: factsOf(a.target, 'target') },
  settleMs: 0,
  clock: systemClock,
  seed: 7n,
  random: a.random ?? (() => 0),
  signal: a.signal ?? new AbortController().signal,
  ...(a.pairs === undefined ? {} : { pairs: a.pairs }),
  ...(a.onlyDecided === undefined ? {} : { onlyDecided: a.onlyDecided }),
});

export const both = (store: Store, a: TwoWayAsk) => syncTwoWay(twoWayInput(store, a));

export interface Pair extends AsyncDisposable {
  readonly left: TestDatabase;
  readonly right: TestDatabase;
  readonly source: Endpoint;
  readonly target: Endpoint;
}

/** Two PostgreSQL databases with the same tables, and a writable connection to each. */
export const twoDatabases = async (ddl: string): Promise<Pair> => {
  const { signal } = new AbortController();
  const [left, right] = [await testDatabase(), await testDatabase()];
  await left.query(ddl);
  await right.query(ddl);
  const connect = (url: string, name: string): Promise<Endpoint> =>
    postgres.connect(postgres.parse(url), { name, writable: true, signal });
  const [source, target] = [await connect(left.url, 'left'), await connect(right.url, 'right')];
  return {
    left,
    right,
    source,
    target,
    [Symbol.asyncDispose]: async () => {
      for (const x of [source, target, left, right]) await x[Symbol.asyncDispose]();
    },
  };
};
