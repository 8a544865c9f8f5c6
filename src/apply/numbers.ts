import type { ChangeOp } from '../model/change.ts';
import { LockstepError } from '../model/errors.ts';

/** What became of a plan's changes. They add up: see `assertAddsUp`. */
export interface ApplyNumbers {
  readonly planned: Readonly<Record<ChangeOp, number>>;
  readonly applied: Readonly<Record<ChangeOp, number>>;
  /** Rows that showed the after-image already. */
  readonly already: number;
  readonly moved: number;
  readonly rejected: number;
  /** `atomic: run`: written and taken back with the transaction, or never reached. */
  readonly rolled_back: number;
  /** Not tried: the run was stopped before. */
  readonly pending: number;
  /** Rows that read back otherwise than written. */
  readonly changed_by_target: number;
}

/** Words of a step's counts in the journal; their sums are the run's numbers. */
export type StepCounts = Readonly<Record<string, number>>;

export const appliedCounts = (ops: Iterable<ChangeOp>, changed: number): StepCounts => {
  const counts: Record<string, number> = {};
  for (const op of ops) counts[op] = (counts[op] ?? 0) + 1;
  return changed === 0 ? counts : { ...counts, changed_by_target: changed };
};

/** The journal is the one truth: numbers are what its steps say, also after a resume. */
export const numbersOf = (
  planned: Readonly<Record<ChangeOp, number>>,
  tally: StepCounts,
  o: { readonly complete: boolean },
): ApplyNumbers => {
  const of = (name: string): number => tally[name] ?? 0;
  const settled = ['insert', 'update', 'delete', 'already', 'moved', 'rejected', 'rolled_back'].reduce(
    (n, name) => n + of(name),
    0,
  );
  const numbers: ApplyNumbers = {
    planned,
    applied: { insert: of('insert'), update: of('update'), delete: of('delete') },
    already: of('already'),
    moved: of('moved'),
    rejected: of('rejected'),
    rolled_back: of('rolled_back'),
    pending: o.complete ? 0 : planned.insert + planned.update + planned.delete - settled,
    changed_by_target: of('changed_by_target'),
  };
  assertAddsUp(numbers);
  return numbers;
};

export const totalOf = (n: Readonly<Record<ChangeOp, number>>): number => n.insert + n.update + n.delete;

/** planned = applied + already + moved + rejected + rolled back (+ pending, of a run that was stopped). */
export const assertAddsUp = (n: ApplyNumbers): void => {
  const accounted = totalOf(n.applied) + n.already + n.moved + n.rejected + n.rolled_back + n.pending;
  if (accounted !== totalOf(n.planned) || n.pending < 0) {
    throw new LockstepError(
      'INTERNAL',
      `The numbers do not add up: ${totalOf(n.planned)} planned, ${accounted} accounted for (${JSON.stringify(n)}).`,
      { hint: 'Please report this. The journal of the run holds every write: lockstep show RUN' },
    );
  }
};
