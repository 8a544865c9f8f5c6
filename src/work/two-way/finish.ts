import type { Cancel } from '../../model/cancel.ts';
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
const finishChild = (o: Pick<Finishing, 'store' | 'clock' | 'signal'>, run: Run): Promise<void> =>
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

const end = async (o: Pick<Finishing, 'store' | 'clock' | 'signal' | 'asRun'>, run: Run): Promise<void> => {
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

/** Ends a run that wrote nothing yet: what it had planned is not written any more (PLAN_STALE). */
export const dropPlanned = async (
  o: Pick<Finishing, 'store' | 'clock' | 'signal'>,
  { run }: OpenTwoWayRun,
): Promise<void> => {
  await o.store.twoWayRuns.end(run, o.clock.now(), o);
  const record = await o.store.runs.get(run, o);
  if (record !== undefined && !record.alive) await end(o, record);
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

type Holding = Cancel & {
  readonly store: Pick<Store, 'twoWayRuns' | 'runs'>;
  readonly sync: string;
  readonly asRun?: string;
};

/** The run of another that is at work on a sync. */
export const runAtWork = async (o: Holding): Promise<Run | undefined> => {
  const running = await o.store.runs.list({ sync: o.sync, kinds: [...holdingKinds], states: ['running'] }, o);
  // Of one and its parts, which are newer, the one.
  return running.findLast((run) => run.alive && run.id !== o.asRun);
};

const holdingKinds = ['sync', 'plan', 'apply', 'revert'] as const;

export const syncHeld = (sync: string, run: Run | undefined): LockstepError => {
  const who =
    run === undefined
      ? 'Another process'
      : `Run ${run.id} (${run.actor}, since ${new Date(run.started).toISOString()})`;
  return new LockstepError('LOCK_HELD', `${who} is at work on sync ${sync}.`, {
    hint: `A two-way sync runs once at a time: wait for it (lockstep ${run === undefined ? 'runs' : `show ${run.id}`}), then try again.`,
  });
};

/** Holds the sync for `work`. LOCK_HELD while another process has it. */
export const holdingSync = async <T>(o: Holding, work: () => Promise<T>): Promise<T> => {
  if (!(await o.store.twoWayRuns.hold(o.sync, o))) throw syncHeld(o.sync, await runAtWork(o));
  try {
    return await work();
  } finally {
    await o.store.twoWayRuns.letGo(o.sync, { signal: AbortSignal.timeout(10_000) }).catch(() => {});
  }
};
