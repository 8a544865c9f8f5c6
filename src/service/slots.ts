import type { Cancel } from '../model/cancel.ts';
import type { Claims } from '../model/service-store.ts';

/** Places at endpoints that one run has taken. */
export interface Slots {
  release(o: Cancel): Promise<void>;
}

const lockOf = (endpoint: string, place: number): string => `slot ${place} of endpoint ${endpoint}`;

/**
 * Takes one of the places of each endpoint, over all workers of the store; undefined when one has none free. `limits`: as
 * configured; an endpoint without one has any number. Places are locks that end with the process that holds them.
 */
export const takeSlots = async (
  claims: Pick<Claims, 'lock' | 'unlock'>,
  limits: readonly { readonly endpoint: string; readonly most: number }[],
  o: Cancel,
): Promise<Slots | undefined> => {
  const taken: string[] = [];
  const release = async (c: Cancel): Promise<void> => {
    for (const name of taken.splice(0)) await claims.unlock(name, c);
  };
  // In one order, so that two that need the same two do not each hold one for long.
  for (const { endpoint, most } of limits.toSorted((a, b) => (a.endpoint < b.endpoint ? -1 : 1))) {
    let got = false;
    for (let place = 0; place < most && !got; place++) {
      const name = lockOf(endpoint, place);
      got = await claims.lock(name, o);
      if (got) taken.push(name);
    }
    if (got) continue;
    await release(o);
    return undefined;
  }
  return { release };
};
