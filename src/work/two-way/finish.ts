import { LockstepError } from '../../model/errors.ts';
import type { Run } from '../../model/runs.ts';
import type { Store } from '../../model/store.ts';
import type { OpenTwoWayRun } from '../../model/two-way-runs.ts';
import { finishInterrupted, settleRun } from '../interrupted.ts';
import type { ApplyWork } from '../under-lock.ts';
import { bothSides, type TwoWayInput } from './context.ts';
import { followArchive } from './follow-archive.ts';
import type { OpenTwoWay } from './open.ts';

type Finishing = Pick<
  TwoWayInput,
  'store' | 'clock' | 'random' | 'signal' | 'sync' | 'source' | 'target' | 'asRun' | 'partial'
>;

/** Ends the record of a run whose process is gone. */
const finishChild = (o: Finishing, run: Run): Promise<void> =>
  o.store.runs.finish(
    run.id,
    {
      state: 'cancelled',
      exit: 130,
      finished: o.clock.now(),
      error: {
        code: 'ABORTED',
        message: 'Its process ended before it was done; what it had written has been settled.',
      },
    },
    o,
  );

const end = async (o: Finishing, run: Run): Promise<void> => {
  if (run.state !== 'running' || run.id === o.asRun || run.asked !== undefined) return;
  await o.store.runs.resume(run.id, { signal: o.signal, left: true });
  await finishChild(o, run);
};

/**
 * Runs of this sync whose process died on the way: what they have begun to write is settled on both sides, and the
 * archive follows what got through, before anybody compares again. Read as new edits, half of a sum would be added twice.
 */
export const finishTwoWay = async (
  o: Finishing,
  two: Pick<OpenTwoWay, 'pairs' | 'keep' | 'isNew'>,
  /** A run whose plans are about to be applied. */
  except?: string,
): Promise<void> => {
  const { store } = o;
  const open = (await store.twoWayRuns.open(o.sync, o)).filter((r) => r.run !== except);
  const { asRun, ...rest } = o;
  for (const side of bothSides) {
    const work: ApplyWork = { ...rest, target: o[side] };
    await finishInterrupted({ ...work, ...(asRun === undefined ? {} : { except: asRun }) });
  }
  for (const run of open) {
    await refusePart(o, run, two.pairs);
    await endChildren(o, run);
    await followArchive({ store, signal: o.signal, ...two, at: o.clock.now() }, run, two.pairs);
    const record = await store.runs.get(run.run, o);
    if (record !== undefined && !record.alive) await end(o, record);
  }
};

/** What an interrupted run has written is settled for all its pairs, or not yet. */
const refusePart = async (o: Finishing, run: OpenTwoWayRun, pairs: OpenTwoWay['pairs']): Promise<void> => {
  if (o.partial !== true || bothSides.every((side) => run.children[side] === null)) return;
  const known = new Set(pairs.map((p) => p.name));
  const other = (await o.store.twoWayRuns.pairs(run.run, o)).find((name) => !known.has(name));
  if (other === undefined) return;
  throw new LockstepError(
    'USAGE',
    `Run ${run.run} was interrupted after it had begun to write ${other}, which is not among the tables named here. Nothing was written now.`,
    { hint: `Run the whole sync once, which settles it: lockstep sync ${o.sync}` },
  );
};

const endChildren = async (o: Finishing & { readonly store: Store }, run: OpenTwoWayRun): Promise<void> => {
  for (const side of bothSides) {
    const id = run.children[side];
    const child = id === null ? undefined : await o.store.runs.get(id, o);
    if (child === undefined) continue;
    if (child.alive && child.state === 'running') {
      throw new LockstepError('LOCK_HELD', `Run ${child.id} is writing to ${child.target?.name} now.`, {
        hint: `Wait for it: lockstep show ${child.id}`,
      });
    }
    if ((await o.store.journal.open(child.id, o)).length > 0) {
      // It failed on the way, and nobody knows which of its writes got through: their markers tell.
      const held = await o.store.runs.resume(child.id, { signal: o.signal, left: true });
      const { asRun: _, ...rest } = o;
      await settleRun({ ...rest, target: o[side] }, held);
      await finishChild(o, held);
    } else if (child.state === 'running') {
      const held = await o.store.runs.resume(child.id, { signal: o.signal, left: true });
      await finishChild(o, held);
    }
  }
};

/** Holds the sync for `work`. LOCK_HELD while another process has it. */
export const holdingSync = async <T>(
  o: Pick<TwoWayInput, 'store' | 'sync' | 'signal'>,
  work: () => Promise<T>,
): Promise<T> => {
  if (!(await o.store.twoWayRuns.hold(o.sync, o))) {
    throw new LockstepError('LOCK_HELD', `Another process is at work on sync ${o.sync}.`, {
      hint: 'A two-way sync runs once at a time: wait for it (lockstep runs), then try again.',
    });
  }
  try {
    return await work();
  } finally {
    await o.store.twoWayRuns.letGo(o.sync, { signal: AbortSignal.timeout(10_000) }).catch(() => {});
  }
};
