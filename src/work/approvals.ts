import { totalOf } from '../apply/numbers.ts';
import type { ApprovalRule } from '../model/approval.ts';
import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { Approval } from '../model/listings.ts';
import type { Plan } from '../model/plans.ts';
import type { Store } from '../model/store.ts';
import { audited } from './audited.ts';

/** Is it a plan that somebody has to agree to? */
export const needsApproval = (rule: ApprovalRule, { counts }: Plan['header']): boolean => {
  const all = totalOf(counts);
  return all > 0 && (rule.above === null || all > rule.above.changes || counts.delete > rule.above.deletes);
};

/** The rule that the plan was made under: it is part of what its hash covers. */
const ruleOf = ({ header }: Plan): ApprovalRule | undefined =>
  (header.guards as { readonly approvals?: ApprovalRule } | null)?.approvals;

/** The rules that hold for a plan: its own, and the one of its sync as it is configured now. */
const rulesOf = (plan: Plan, now: ApprovalRule | undefined): readonly ApprovalRule[] =>
  // A revert is the way back: it has a scope of its own, and does not wait.
  plan.header.reverts === undefined
    ? [ruleOf(plan), now].filter((rule) => rule !== undefined).filter((rule) => needsApproval(rule, plan.header))
    : [];

const authorOf = async (store: Pick<Store, 'runs'>, plan: Plan, o: Cancel): Promise<string | undefined> =>
  plan.header.run === null ? undefined : (await store.runs.get(plan.header.run, o))?.actor;

/** Why the agreement of this person does not count; undefined: it does. */
const refusal = (rule: ApprovalRule, actor: string, author: string | undefined): string | undefined => {
  if (rule.notAuthor && author === undefined) return 'who asked for it is not known any more';
  if (rule.notAuthor && actor === author) return 'who asked for a plan cannot agree to it';
  if (rule.by !== null && !rule.by.includes(actor)) return `only ${rule.by.join(', ')} may agree to it`;
  return undefined;
};

/** How a plan stands with those who have to agree to it. */
export interface Agreement {
  /** Persons who have to agree; 0: nobody. */
  readonly required: number;
  /** How many more have to; 0: it may be applied. */
  readonly missing: number;
}

type Known = Pick<Store, 'runs' | 'approvals'>;

export const agreementOf = async (
  store: Known,
  plan: Plan,
  now: ApprovalRule | undefined,
  o: Cancel,
): Promise<Agreement> => {
  const rules = rulesOf(plan, now);
  if (rules.length === 0) return { required: 0, missing: 0 };
  const author = await authorOf(store, plan, o);
  const given = (await store.approvals.of(plan.header.id, o)).filter((a: Approval) => a.hash === plan.hash);
  const left = rules.map((rule) =>
    Math.max(0, rule.required - given.filter((a) => refusal(rule, a.actor, author) === undefined).length),
  );
  return { required: Math.max(...rules.map((rule) => rule.required)), missing: Math.max(...left) };
};

/** GUARD when more people have to agree to the plan. `now`: the rule of its sync as it is configured. */
export const mustBeApproved = async (
  store: Known,
  plan: Plan,
  now: ApprovalRule | undefined,
  o: Cancel,
): Promise<void> => {
  const { required, missing } = await agreementOf(store, plan, now, o);
  if (missing === 0) return;
  const { id } = plan.header;
  throw new LockstepError(
    'GUARD',
    `plan ${id} needs the agreement of ${required === 1 ? 'somebody' : `${required} people`}, and ${missing} ${missing === 1 ? 'is' : 'are'} missing. Nothing was written.`,
    { hint: `See the approvals of its sync in the configuration. To agree: lockstep approve ${id}` },
  );
};

/** Somebody agrees to a plan, as it was seen. FORBIDDEN when that would not count; PLAN_USED, PLAN_EXPIRED. */
export const approve = async (
  store: Pick<Store, 'runs' | 'approvals' | 'audit'>,
  plan: Plan,
  by: { readonly actor: string; readonly comment: string | null; readonly correlation: string; readonly at: number },
  now: ApprovalRule | undefined,
  o: Cancel,
): Promise<void> => {
  const { id, expires } = plan.header;
  if (plan.usedBy !== null)
    throw new LockstepError('PLAN_USED', `Plan ${id} has been applied, by run ${plan.usedBy}.`, {
      hint: 'A plan is used once. Make a new one.',
    });
  if (expires <= by.at)
    throw new LockstepError('PLAN_EXPIRED', `Plan ${id} expired at ${new Date(expires).toISOString()}.`, {
      hint: 'Make a new one.',
    });
  const author = await authorOf(store, plan, o);
  for (const rule of rulesOf(plan, now)) {
    const why = refusal(rule, by.actor, author);
    if (why !== undefined)
      throw new LockstepError('FORBIDDEN', `${by.actor} cannot agree to plan ${id}: ${why}`, {
        hint: 'Ask somebody else. See the approvals of its sync in the configuration.',
      });
  }
  const { actor, comment, correlation, at } = by;
  const after = { hash: plan.hash, comment } as JsonValue;
  await audited(store.audit, { actor, action: 'plan.approve', object: `plans/${id}`, after, correlation }, o, () =>
    store.approvals.add({ plan: id, hash: plan.hash, actor, at, comment }, o),
  );
};
