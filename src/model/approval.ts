import type { Cancel } from './cancel.ts';

/** Which plans of a sync somebody has to agree to, and who. */
export interface ApprovalRule {
  /** How many persons, at least 1. */
  readonly required: number;
  /** Only plans with more changes, or more deletes, than these; null: every plan that changes something. */
  readonly above: { readonly changes: number; readonly deletes: number } | null;
  /** Names of callers, e.g. `token:alice`; null: whoever may approve. */
  readonly by: readonly string[] | null;
  /** Who asked for the plan cannot agree to it. */
  readonly notAuthor: boolean;
}

/** A plan of a sync's run that is applied as soon as enough have agreed. */
export interface PlanWait {
  readonly plan: string;
  readonly sync: string;
  /** The run that made it. */
  readonly run: string;
  readonly required: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly expires: number;
}

/** Each sync has one plan at most that waits. */
export interface Waits {
  /** Takes the place of one that waits for the same sync. */
  begin(wait: PlanWait, o: Cancel): Promise<void>;
  /** Oldest first. `sync`: only its own. */
  waiting(o: Cancel & { readonly sync?: string }): Promise<readonly PlanWait[]>;
  /** False: it had ended. `run`: that applies it. */
  end(plan: string, how: 'approved' | 'expired', at: number, o: Cancel & { readonly run?: string }): Promise<boolean>;
}
