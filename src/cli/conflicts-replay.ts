import { LockstepError } from '../model/errors.ts';
import type { Store } from '../model/store.ts';
import { twoWayRulesOf } from '../service/two-way.ts';
import { isSame, type ReplayedConflict, replayConflicts } from '../work/two-way/replay.ts';
import { configOf } from './config-of.ts';
import { conflictFilter } from './conflict-filter.ts';
import type { Context, Flags } from './context.ts';
import { exitCodes } from './exit.ts';
import { openReplay } from './output/replay-view.ts';
import { formatOf, limitFlag } from './read-flags.ts';

/** `lockstep conflicts replay SYNC[/PAIR] --config FILE`: what the policies there would have made of what was recorded. */
export const replay = async (
  context: Context,
  flags: Flags,
  store: Store,
  [what, key]: readonly [string | undefined, readonly string[]],
): Promise<number> => {
  const format = formatOf(flags, ['table', 'json', 'jsonl'] as const, 'conflicts replay');
  const limit = limitFlag(flags, format);
  const signal = AbortSignal.any([context.stop, context.now]);
  const states = ['pending', 'decided', 'resolved', 'ruled'] as const;
  const filter = await conflictFilter(store, flags, [what, key], states, signal);
  const config = await configOf(context, flags);
  const { sync } = filter;
  const found = sync === undefined ? undefined : config?.syncs[sync];
  if (sync === undefined || found === undefined) {
    const names = Object.keys(config?.syncs ?? {});
    throw new LockstepError(
      'USAGE',
      `lockstep conflicts replay: ${sync === undefined ? 'which sync?' : `there is no sync ${sync} in the configuration`}`,
      {
        hint: names.length ? `Syncs: ${names.join(', ')}.` : 'There is no config file here with syncs.',
      },
    );
  }
  const rules = twoWayRulesOf(found, found.mode);
  if (rules === undefined) {
    throw new LockstepError(
      'USAGE',
      `sync ${sync} of ${config!.file} knows no conflicts: mode ${found.mode} overwrites`,
      {
        hint: 'Say there how they are settled, for example `conflict: manual`.',
      },
    );
  }
  const out = openReplay(context.out, format, limit);
  const counts = await replayConflicts({
    store,
    rules,
    filter: { ...filter, sync },
    signal,
    each: async (one: ReplayedConflict) => {
      if (!isSame(one)) await out.add(one);
    },
  });
  await out.end(counts);
  return counts.same === counts.conflicts ? exitCodes.ok : exitCodes.differs;
};
