import type { Proof } from '../model/monitoring.ts';

/** What is promised of the pairs of a sync. */
interface Promised {
  readonly verifiedWithinMs: number;
  /** Share of the time; 0..1. */
  readonly agree: number;
  /** Share of the rows that may differ. */
  readonly drift: number;
  readonly windowMs: number;
}

export interface ServiceLevel {
  readonly sync: string;
  readonly pair: string;
  /** Share of the time in which the pair was proved to agree. */
  readonly agreement: number;
  readonly target: number;
  /** Share of the allowed time without proof that is left; below 0 when more was used. */
  readonly budgetLeft: number;
}

/**
 * How well the promise was kept. A pair is good at a moment when its last comparison before that was whole, agreed but for
 * `drift`, and is no older than `verifiedWithin`. Before its first comparison nothing is promised. Comparisons up to a
 * minute apart that came to the same are one proof, and good in between.
 */
export const serviceLevels = (
  proofs: readonly Proof[],
  promised: (sync: string) => Promised | undefined,
  now: number,
): readonly ServiceLevel[] => {
  const pairs = new Map<string, Proof[]>();
  for (const proof of proofs) {
    const key = JSON.stringify([proof.sync, proof.pair]);
    pairs.set(key, [...(pairs.get(key) ?? []), proof]);
  }
  return [...pairs.values()].flatMap((all): ServiceLevel[] => {
    const { sync, pair } = all[0]!;
    const slo = promised(sync);
    if (slo === undefined) return [];
    const sorted = all.toSorted((a, b) => a.first - b.first);
    const from = Math.max(now - slo.windowMs, sorted[0]!.first);
    let good = 0;
    for (const [i, proof] of sorted.entries()) {
      if (proof.drift === null || proof.drift > slo.drift) continue;
      const next = sorted[i + 1]?.first ?? now;
      const until = Math.min(proof.last + slo.verifiedWithinMs, next, now);
      good += Math.max(0, until - Math.max(proof.first, from));
    }
    const time = now - from;
    const agreement = time <= 0 ? 1 : Math.min(1, good / time);
    // Of the whole window, of which the part before the first comparison counts as good.
    const spent = (time * (1 - agreement)) / slo.windowMs;
    const budget = 1 - slo.agree;
    const budgetLeft = budget > 0 ? 1 - spent / budget : spent > 0 ? -1 : 1;
    return [{ sync, pair, agreement, target: slo.agree, budgetLeft }];
  });
};
