import type { ApplySettings } from '../../apply/context.ts';
import type { Measure } from '../../model/monitoring.ts';
import type { Pair } from '../../model/pair.ts';
import type { ConflictPolicy } from '../../model/policy.ts';
import type { EndpointFacts } from '../../model/runs.ts';
import type { Store } from '../../model/store.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';
import type { Guards } from '../../plan/guards.ts';
import type { WritingMode } from '../../resolve/decide.ts';
import type { CompareOptions } from '../compare.ts';
import type { Asked } from '../recorded.ts';

/** How a sync that keeps an archive settles what both sides did. */
export interface TwoWayRules {
  /** `two_way`: both sides may be written to. A one-way mode: only the target, and edits of its own are conflicts. */
  readonly mode: 'two_way' | WritingMode;
  policyOf(pair: Pair): ConflictPolicy;
  /** Which base values are kept: of all columns, of those whose policy needs them, of none (hashes tell what changed). */
  readonly archiveValues: 'all' | 'needed' | 'none';
  /** A key that goes from one side to the other so often within that time waits for a person; undefined: never. */
  readonly flapping?: { readonly writes: number; readonly withinMs: number };
}

export interface TwoWayInput
  extends Asked,
    Omit<CompareOptions, 'sink' | 'onPair' | 'done' | 'doneFrom' | 'incremental' | 'spread' | 'force'> {
  readonly store: Store;
  readonly sync: string;
  readonly rules: TwoWayRules;
  readonly guards: Guards;
  readonly settings: Partial<ApplySettings>;
  readonly facts: { readonly source: EndpointFacts; readonly target: EndpointFacts };
  /** 0 <= x < 1 */
  readonly random: () => number;
  /** Aborted: finish the batches under way, save, end. */
  readonly stop?: AbortSignal;
  readonly measures?: readonly Measure[];
  /** Default: one hour, milliseconds. */
  readonly lifetimeMs?: number;
  /** A folder for temporary files; default: the system's. */
  readonly temporary?: string;
  /** Only some of the sync's pairs are looked at. */
  readonly partial?: boolean;
  /** Only keys with a conflict that a person has decided: the rest waits for the next run. */
  readonly onlyDecided?: boolean;
}

export const bothSides = ['target', 'source'] as const satisfies readonly TwoWaySide[];

export const mayWrite = (rules: TwoWayRules): Readonly<Record<TwoWaySide, boolean>> => ({
  source: rules.mode === 'two_way',
  target: true,
});
