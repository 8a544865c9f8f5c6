import type { LeftOut } from '../copy/definitions.ts';
import type { CopyStep } from '../copy/load-table.ts';
import type { Refused } from '../copy/rows.ts';
import type { Cancel } from '../model/cancel.ts';
import type { JsonValue } from '../model/json.ts';
import type { Run } from '../model/runs.ts';
import type { Store } from '../model/store.ts';

/** Refused rows of one step. */
interface RefusedStep {
  readonly table: string;
  readonly count: number;
  readonly examples: readonly Refused[];
}

/** What a copy has done so far: enough for another process to go on. */
export interface CopyCheckpoint {
  /** Labels of the target's tables that this run makes. */
  readonly made: readonly string[];
  /** Steps of each source table that was begun, by label. */
  readonly steps: Readonly<Record<string, readonly CopyStep[]>>;
  /** By step. */
  readonly refused: Readonly<Record<string, RefusedStep>>;
  readonly leftOut: readonly LeftOut[];
  /** The run whose marks the steps bear in the target, where it is an earlier one that this run goes on with. */
  readonly marks?: string;
}

const empty: CopyCheckpoint = { made: [], steps: {}, refused: {}, leftOut: [] };

/** The checkpoint of a run that has begun to make or fill tables; undefined: it has not, or is no copy. */
export const copyCheckpointOf = (run: Run | undefined): CopyCheckpoint | undefined => {
  const found = { ...empty, ...((run?.checkpoint ?? {}) as unknown as Partial<CopyCheckpoint>) };
  return found.made.length > 0 || Object.keys(found.steps).length > 0 ? found : undefined;
};

/** Keeps a copy's checkpoint in the run's record: changes go one after the other, each durable when it resolves. */
export const openCheckpoint = (store: Pick<Store, 'runs'>, run: Run, o: Cancel) => {
  let now: CopyCheckpoint = { ...empty, ...((run.checkpoint ?? {}) as unknown as Partial<CopyCheckpoint>) };
  let last: Promise<void> = Promise.resolve();
  return {
    get now(): CopyCheckpoint {
      return now;
    },
    change(how: (was: CopyCheckpoint) => CopyCheckpoint): Promise<void> {
      now = how(now);
      const kept = now;
      const mine = last.then(() => store.runs.update(run.id, { checkpoint: kept as unknown as JsonValue }, o));
      last = mine.catch(() => {});
      return mine;
    },
  };
};

export type Checkpoint = ReturnType<typeof openCheckpoint>;

/** A number that no step of the run has yet. */
export const nextStep = (c: CopyCheckpoint): number =>
  1 + Object.values(c.steps).reduce((most, steps) => Math.max(most, steps.at(-1)?.step ?? 0), 0);
