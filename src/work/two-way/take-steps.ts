import type { Difference } from '../../model/change.ts';
import type { NewConflict } from '../../model/conflicts.ts';
import type { Batch } from '../../model/row.ts';
import type { Run } from '../../model/runs.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';
import { misfitOf } from '../../plan/target-row.ts';
import { opOf } from '../../resolve/decide.ts';
import type { TwoWayInput } from './context.ts';
import type { Step } from './decide.ts';
import type { OpenTwoWay, PairDetection } from './open.ts';
import type { OpenSide } from './sides.ts';
import { turnedDifference } from './turned.ts';

/** What became of the keys of a run that were not as agreed. */
export interface DecidedCounts {
  /** Both sides had come to show the same. */
  agreed: number;
  /** Only one side had changed, or each other columns. */
  propagated: number;
  /** A policy chose. */
  ruled: number;
  /** A person had chosen. */
  resolved: number;
  /** They wait for a person. */
  waiting: number;
}

/** Carries out what was decided about some keys, as far as it is for the store to know. */
export const takeSteps = async (
  o: TwoWayInput,
  run: Run,
  two: OpenTwoWay,
  { detection, place }: At,
  sides: readonly OpenSide[],
  steps: readonly Step[],
  counts: DecidedCounts,
): Promise<void> => {
  const { store } = o;
  const now = o.clock.now();
  const agreed = steps.flatMap((s) => s.agreed ?? []);
  const decided = steps.flatMap((s) => s.decided ?? []);
  const found: Batch<NewConflict> = steps.flatMap((s) =>
    s.conflict === undefined ? [] : [{ ...s.conflict, sync: o.sync, run: run.id }],
  );
  if (agreed.length > 0) await two.keep(detection.pair, agreed, run.id);
  // Before anything of it can be written: whoever finds the run dead goes by this.
  if (decided.length > 0) await store.twoWayRuns.add(run.id, decided, o);
  if (found.length > 0) await store.conflicts.record(found, now, o);
  const closes = steps.flatMap((s) => s.closes ?? []);
  if (closes.length > 0) await store.conflicts.close(closes, { state: 'gone', run: run.id, at: now }, o);
  for (const { reopens } of steps) if (reopens !== undefined) await reopen(o, run, reopens, now);
  await planSteps(o, { detection, place }, sides, steps);
  const again = new Set<Step>();
  for (const step of steps) {
    const reason = step.choice === undefined ? undefined : unwritten(o, { detection, place }, sides, step);
    if (reason === undefined) continue;
    again.add(step);
    await reopen(o, run, { ...step.choice!, reason }, now);
  }
  count(counts, steps, again);
};

const count = (counts: DecidedCounts, steps: readonly Step[], again: ReadonlySet<Step>): void => {
  for (const step of steps) {
    if (step.agreed !== undefined) counts.agreed++;
    else if (step.decided === undefined || again.has(step)) counts.waiting++;
    else if (step.decided.some((d) => d.ruling !== undefined)) counts.ruled++;
    else if (step.decided.some((d) => d.conflict !== undefined)) counts.resolved++;
    else counts.propagated++;
  }
};

const reopen = (
  o: TwoWayInput,
  run: Run,
  { id, reason, source, target }: NonNullable<Step['reopens']>,
  at: number,
): Promise<void> => o.store.conflicts.reopen(id, { source, target, reason, run: run.id }, at, o);

interface At {
  readonly detection: PairDetection;
  readonly place: number;
}

/** What is to be written to a side, as it sees the pair. */
const differencesOf = ({ detection }: At, side: TwoWaySide, steps: readonly Step[]): readonly Difference[] => {
  const all = steps.flatMap((s) => s.differences[side]);
  return side === 'target' ? all : all.flatMap((d) => turnedDifference(d, detection.pair) ?? []);
};

/** Hands what is to be written to the plans of the sides. */
const planSteps = async (o: TwoWayInput, at: At, sides: readonly OpenSide[], steps: readonly Step[]): Promise<void> => {
  for (const { side, planner } of sides) {
    for (const allowed of [false, true]) {
      const some = steps.filter((s) => s.second === undefined && (s.allowed ?? false) === allowed);
      const differences = differencesOf(at, side, some);
      if (differences.length > 0) await planner.add(at.place, differences, { signal: o.signal, allowed });
    }
    for (const step of steps) {
      // Its row is replaced only where it goes on under its new key.
      const two = step.second === undefined ? [] : differencesOf(at, side, [step]);
      if (two.length > 0) await planner.addBound(at.place, two, o);
    }
  }
};

/**
 * Why no side can ever be written what a step says, without a value of it; undefined: one can, or it is refused for what
 * may change (a parent that is not there yet).
 */
const unwritten = (o: TwoWayInput, at: At, sides: readonly OpenSide[], step: Step): string | undefined => {
  const reasons: string[] = [];
  for (const { side, planner } of sides) {
    for (const difference of differencesOf(at, side, [step])) {
      const misfit = misfitOf(planner.shapes[at.place]!, difference, opOf(difference));
      if (misfit === undefined) return undefined;
      reasons.push(`it cannot be written to ${o[side].name}: ${misfit.unquoted ?? misfit.reason}`);
    }
  }
  return reasons.length === 0 ? undefined : reasons.join('; ');
};
