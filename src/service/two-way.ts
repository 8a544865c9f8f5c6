import type { Sync } from '../config/config.ts';
import type { Mode } from '../config/modes.ts';
import { policyOf } from '../config/policy-of.ts';
import type { TwoWayRules } from '../work/two-way/context.ts';

type OneWay = Exclude<Mode, 'compare' | 'two_way' | 'migrate'>;

const isOneWay = (mode: Mode): mode is OneWay => mode !== 'compare' && mode !== 'two_way' && mode !== 'migrate';

/**
 * How a sync that keeps an archive settles what both sides did; undefined: it keeps none. A one-way sync keeps one when
 * it is told how conflicts are settled.
 */
export const twoWayRulesOf = (sync: Sync, mode: Mode): TwoWayRules | undefined => {
  const knowsConflicts = sync.conflicts?.policy !== undefined || sync.pairs?.some((p) => p.conflict !== undefined);
  if (mode !== 'two_way' && !(isOneWay(mode) && knowsConflicts)) return undefined;
  const { archive = 'all', flapping } = sync.conflicts ?? {};
  return {
    mode,
    policyOf: policyOf(sync),
    archiveValues: archive,
    ...(flapping === undefined ? {} : { flapping }),
  };
};
