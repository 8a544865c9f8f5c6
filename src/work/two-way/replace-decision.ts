import type { Clock } from '../../lib/clock.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Conflict } from '../../model/conflicts.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Store } from '../../model/store.ts';
import { bothSides } from './context.ts';
import { dropPlanned, holdingSync, runAtWork, syncHeld } from './finish.ts';

/**
 * Replaces a decision that no run has begun to write. LOCK_HELD while a run is at work on the sync, CONFLICT where one
 * was interrupted over it. Plans that were made with it are not applied any more: they would write what was chosen before.
 */
export const replacing = async <T>(
  o: Cancel & { readonly store: Store; readonly clock: Clock },
  { id, sync, pair, key }: Conflict,
  work: () => Promise<T>,
): Promise<T> => {
  const held = { store: o.store, signal: o.signal, sync };
  // One of this very process is no other holder, and would lose the sync with us.
  const busy = await runAtWork(held);
  if (busy !== undefined) throw syncHeld(sync, busy);
  return holdingSync(held, async () => {
    for (const open of await o.store.twoWayRuns.open(sync, o)) {
      if ((await o.store.twoWayRuns.find(open.run, pair, [key], o)).length === 0) continue;
      if (bothSides.some((side) => open.children[side] !== null)) {
        throw new LockstepError(
          'CONFLICT',
          `Run ${open.run} had begun to write what was decided of ${id}, and was interrupted. Your choice was not applied.`,
          { hint: `Settle it first: lockstep sync ${sync}. Then look: lockstep conflicts show ${id}` },
        );
      }
      await dropPlanned(o, open);
    }
    return work();
  });
};
