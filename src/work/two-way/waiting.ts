import { count } from '../../lib/grouped.ts';
import type { Pair } from '../../model/pair.ts';
import type { TwoWayInput } from './context.ts';

/** How many conflicts of a sync wait for a person, and a word about those that no run meets any more. `pairs`: what was compared. */
export const conflictsWaiting = async (
  o: Pick<TwoWayInput, 'store' | 'sync' | 'signal' | 'partial'>,
  pairs: readonly Pick<Pair, 'name'>[],
): Promise<{ readonly waiting: number; readonly warnings: readonly string[] }> => {
  const pending = { sync: o.sync, states: ['pending'] } as const;
  const waiting = await o.store.conflicts.count(pending, o);
  if (waiting === 0 || o.partial) return { waiting, warnings: [] };
  let gone = waiting;
  for (const { name } of pairs) gone -= await o.store.conflicts.count({ ...pending, pair: name }, o);
  if (gone <= 0) return { waiting, warnings: [] };
  return {
    waiting,
    warnings: [
      `${count(gone, 'conflict that waits is', 'conflicts that wait are')} of tables that this sync does not compare now; bring the pairs back, or decide without writing: \`lockstep conflicts list --sync ${o.sync}\`, \`lockstep conflicts resolve ID --take target --later\``,
    ],
  };
};
