import { grouped } from '../lib/grouped.ts';
import { LockstepError } from '../model/errors.ts';
import type { RevertPlan } from '../work/revert.ts';
import type { Flags } from './context.ts';
import { count } from './output/text.ts';
import { numberFlag } from './read-flags.ts';

const defaultMaxChanges = 500;

/** The same limits as for any other plan: what the run had inserted would be deleted. */
export const guardRevert = (planned: RevertPlan, flags: Flags): void => {
  const { counts } = planned.plan.header;
  const changes = counts.insert + counts.update + counts.delete;
  const deletes = flags.allowDeletes === undefined ? 0 : numberFlag('--allow-deletes', flags.allowDeletes);
  if (counts.delete > deletes) {
    throw new LockstepError(
      'GUARD',
      `The revert would delete ${count(counts.delete, 'row')}, max_deletes is ${deletes}. Nothing was written.`,
      {
        hint: `These are rows that the run inserted. To allow it: --allow-deletes ${counts.delete}`,
      },
    );
  }
  const most = flags.maxChanges === undefined ? defaultMaxChanges : numberFlag('--max-changes', flags.maxChanges);
  if (changes > most) {
    throw new LockstepError(
      'GUARD',
      `The revert has ${count(changes, 'change')}, max_changes is ${grouped(most)}. Nothing was written.`,
      {
        hint: `To allow it: --max-changes ${changes}`,
      },
    );
  }
};
