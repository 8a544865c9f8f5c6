import { createReadStream } from 'node:fs';
import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import type { Plan } from '../model/plans.ts';
import type { Store } from '../model/store.ts';

/** The plan by its id, else by a file of that name. */
export const findPlan = async (store: Store, name: string, o: Cancel): Promise<Plan> => {
  const known = /[./\\]/.test(name) ? undefined : await store.plans.get(name, o);
  if (known !== undefined) return known;
  try {
    return await store.plans.import(createReadStream(name), o);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
    throw new LockstepError('NOT_FOUND', `There is no plan ${name}, neither in the control store nor as a file.`, {
      hint: 'Make one: lockstep plan SYNC, or lockstep plan SOURCE TARGET',
    });
  }
};
