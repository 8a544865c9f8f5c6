import type { Sync } from '../config/config.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Pair } from '../model/pair.ts';
import { jobOfSync, scopeOf } from '../service/job.ts';
import { alignAll } from '../work/compare.ts';
import type { Api } from './api.ts';

export interface OpenSync extends AsyncDisposable {
  readonly source: Endpoint;
  readonly target: Endpoint;
  readonly pairs: readonly Pair[];
}

/** Both sides of a sync, to read from, and its pairs as they are now. */
export const openSync = async (api: Api, sync: Sync, o: Cancel): Promise<OpenSync> => {
  await using stack = new AsyncDisposableStack();
  const job = jobOfSync(api.config(), sync, {}, false);
  // what is only shown may come from a replica
  const read = { ...o, writable: false, standIn: true };
  const source = stack.use(await api.endpoints.open(sync.source, read));
  const target = stack.use(await api.endpoints.open(sync.target, read));
  const { pairs } = await alignAll({ source, target, ...scopeOf(job), ...o });
  const kept = stack.move();
  return { source, target, pairs, [Symbol.asyncDispose]: () => kept.disposeAsync() };
};

/** Does a name mean the pair: in full, or the table's name alone? */
export const means = (name: string, pair: string): boolean => pair === name || pair.split('.').at(-1) === name;

/** One of some pairs by name; without a name the only one there is. */
export const onePair = <T extends { readonly name: string }>(
  pairs: readonly T[],
  name: string | undefined,
  sync: string,
): T => {
  const exact = pairs.filter((p) => p.name === name);
  const near = exact.length === 1 ? exact : pairs.filter((p) => name === undefined || means(name, p.name));
  if (near.length === 1) return near[0]!;
  const what = near.length === 0 ? `Sync ${sync} has no pair ${name}.` : `Sync ${sync} has several pairs: name one.`;
  throw new LockstepError(near.length === 0 ? 'NOT_FOUND' : 'USAGE', what, {
    hint: `Pairs: ${pairs
      .slice(0, 20)
      .map((p) => p.name)
      .join(', ')}.`,
  });
};
