import type { Config } from '../config/config.ts';
import type { RunFact } from '../model/monitoring.ts';
import type { EndpointHealth } from '../service/endpoints.ts';
import type { Api } from './api.ts';
import type { Fares } from './shapes/health.ts';

/** What other processes saw is of use for so long. */
const sampledMs = 60_000;

/** How an endpoint fares by what is known of it. */
export const faresOf = (health: EndpointHealth): Fares => {
  if (health.degraded !== undefined) return 'degraded';
  if (health.promoted !== undefined) return 'ok';
  if (health.breaker !== 'closed' || health.secretMissing) return 'down';
  return health.lastUse?.failed ? 'degraded' : 'ok';
};

type Use = NonNullable<EndpointHealth['lastUse']>;

/** Failures of runs that did not get to one of their endpoints. */
const notReached: ReadonlySet<string> = new Set([
  ...['CONNECT', 'AUTH', 'TLS', 'SECRET_MISSING', 'CONNECTION_LOST', 'CIRCUIT_OPEN', 'PRIMARY_DOWN'],
]);

/** A failure begins with the side that it is about, unless it names that side elsewhere. */
const isAbout = (message: string, name: string, other: string): boolean =>
  message.startsWith(`${name}: `) || (!message.startsWith(`${other}: `) && message.includes(name));

/** What the last runs, newest first, tell of their endpoints: they are carried out by other processes, too. */
export const usesByRuns = (
  syncs: Config['syncs'],
  runs: readonly Pick<RunFact, 'sync' | 'kind' | 'state' | 'code' | 'message' | 'finished'>[],
): ReadonlyMap<string, Use> => {
  const uses = new Map<string, Use>();
  for (const { sync, kind, state, code, message, finished: at } of runs) {
    const of = sync !== null && Object.hasOwn(syncs, sync) ? syncs[sync] : undefined;
    if (of === undefined) continue;
    const sides = [
      [of.target, of.source],
      // what is applied was read before
      ...(kind === 'apply' || kind === 'revert' ? [] : [[of.source, of.target]]),
    ] as const;
    for (const [name, other] of sides) {
      if (uses.has(name!)) continue;
      if (state === 'done') uses.set(name!, { at, failed: false });
      else if (state === 'failed' && notReached.has(code ?? '') && isAbout(message ?? '', name!, other!))
        uses.set(name!, { at, failed: true });
    }
  }
  return uses;
};

/** Each endpoint of the configuration. `stored`: the control store answers, which knows what other processes saw. */
export const endpointsFare = async (api: Api, stored: boolean, signal: AbortSignal): Promise<readonly Fares[]> => {
  const { monitoring } = api.store;
  const [samples, runs] = await Promise.all([
    stored ? monitoring.samples(api.clock.now() - sampledMs, { signal }).catch(() => []) : [],
    stored ? monitoring.lastRuns(1, { signal }).catch(() => []) : [],
  ]);
  const open = new Set(samples.filter((s) => s.breaker !== 'closed').map((s) => s.endpoint));
  const uses = usesByRuns(api.config().syncs, runs);
  return api.endpoints.health().map((health): Fares => {
    const { name, promoted } = health;
    const use = uses.get(name);
    const last = use !== undefined && use.at > (health.lastUse?.at ?? 0) ? use : health.lastUse;
    const fares = faresOf({ ...health, ...(last === undefined ? {} : { lastUse: last }) });
    // somebody cannot reach it, and this process has not tried or can
    return fares === 'ok' && promoted === undefined && open.has(name) ? 'degraded' : fares;
  });
};
