import type { Config, Sync } from '../config/config.ts';
import type { Mode } from '../config/modes.ts';
import { policyOf } from '../config/policy-of.ts';
import { writingModes } from '../resolve/decide.ts';
import type { TwoWayRules } from '../work/two-way/context.ts';

const isWriting = (mode: Mode): mode is (typeof writingModes)[number] =>
  (writingModes as readonly Mode[]).includes(mode);

/**
 * How a sync that keeps an archive settles what both sides did; undefined: it keeps none. A one-way sync keeps one when
 * it is told how conflicts are settled.
 */
export const twoWayRulesOf = (sync: Sync, mode: Mode): TwoWayRules | undefined => {
  const knowsConflicts = sync.conflicts?.policy !== undefined || sync.pairs?.some((p) => p.conflict !== undefined);
  if (mode !== 'two_way' && !(isWriting(mode) && knowsConflicts)) return undefined;
  const { archive = 'all', flapping } = sync.conflicts ?? {};
  return {
    mode,
    policyOf: policyOf(sync),
    archiveValues: archive,
    ...(flapping === undefined ? {} : { flapping }),
  };
};

/** Does this sync write to its source as well? */
export const writesSource = (config: Pick<Config, 'syncs'>, sync: string | null): boolean =>
  sync !== null && config.syncs[sync]?.mode === 'two_way';
