import type { Condition } from '../model/alerts.ts';

/** What a rule finds; the rest of a condition is the rule's setting. `forMs`: longer than the setting says. */
export type Finding = Omit<Condition, 'rule' | 'severity' | 'forMs' | 'send'> & { readonly forMs?: number };
