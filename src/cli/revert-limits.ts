import type { RevertLimits } from '../work/revert-guard.ts';
import type { Flags } from './context.ts';
import { numberFlag } from './read-flags.ts';

/** What `lockstep revert` may do, by its flags. */
export const revertLimits = (flags: Flags): RevertLimits => ({
  ...(flags.maxChanges === undefined ? {} : { maxChanges: numberFlag('--max-changes', flags.maxChanges) }),
  ...(flags.allowDeletes === undefined ? {} : { allowDeletes: numberFlag('--allow-deletes', flags.allowDeletes) }),
});

export const byFlag = (limit: keyof RevertLimits, needed: number): string =>
  `${limit === 'maxChanges' ? '--max-changes' : '--allow-deletes'} ${needed}`;
