import { type ConflictPolicy, manualPolicy, type PolicyStep } from '../model/policy.ts';
import type { Sync } from './config.ts';

/** Does a pair's name in the configuration mean this table? As tables are found: exact, unqualified, without case. */
const meanings: readonly ((written: string, label: string) => boolean)[] = [
  (written, label) => written === label,
  (written, label) => label.endsWith(`.${written}`),
  (written, label) => written.toLowerCase() === label.toLowerCase(),
  (written, label) => label.toLowerCase().endsWith(`.${written.toLowerCase()}`),
];

/** Of a one-way pair that knows no conflicts: the source always counts, deletions too. */
const overwriting = (where: string): ConflictPolicy => {
  const source: PolicyStep = { kind: 'prefer', side: 'source', where };
  return { ...manualPolicy(where), steps: [source], on: { update_delete: [source], delete_update: [source] } };
};

/** How the conflicts of a sync's pairs are settled, by the label of their source table. */
export const policyOf =
  (sync: Pick<Sync, 'name' | 'pairs' | 'conflicts'>): ((pair: { readonly name: string }) => ConflictPolicy) =>
  ({ name }) => {
    const pairs = sync.pairs ?? [];
    const entry = meanings.flatMap((means) => pairs.filter((p) => means(p.source, name)))[0];
    return (entry ? entry.conflict : sync.conflicts?.policy) ?? overwriting(`syncs.${sync.name}`);
  };
