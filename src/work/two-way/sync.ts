import type { JsonValue } from '../../model/json.ts';
import type { Pair } from '../../model/pair.ts';
import type { Key, Row } from '../../model/row.ts';
import type { Run } from '../../model/runs.ts';
import { asConfigured, pairsOfReport } from '../as-configured.ts';
import { checkPlanGuards } from '../check-plan.ts';
import { beginOf, type Ended, recorded } from '../recorded.ts';
import { commonKey, type Verification, verifyWritten } from '../verify-written.ts';
import { anyChange, applySides, type SidesApplied } from './apply-sides.ts';
import { bothSides, mayWrite, type TwoWayInput } from './context.ts';
import { finishTwoWay, holdingSync } from './finish.ts';
import { type Followed, followArchive } from './follow-archive.ts';
import { openTwoWay } from './open.ts';
import { planTwoWay, type TwoWayPlanned } from './plan.ts';
import { type TwoWayReport, twoWayExit, twoWayReport } from './report.ts';
import { seenFrom } from './turned.ts';
import { conflictsWaiting } from './waiting.ts';

export interface TwoWaySyncInput extends TwoWayInput {
  /** Asked with the sealed plans before anything is written; false: end without writing. */
  confirm?(planned: TwoWayPlanned): Promise<boolean>;
}

export interface TwoWaySynced extends Ended {
  readonly run: string;
  readonly planned: TwoWayPlanned;
  readonly applied: SidesApplied;
  readonly verification: Verification;
  readonly sync: TwoWayReport;
}

/**
 * Reads every key that was written again from both sides; where only the target may be written, and may keep its own, it is
 * held to what was decided.
 */
const verifySides = async (
  o: TwoWayInput,
  run: string,
  applied: SidesApplied,
  pairs: readonly Pair[],
): Promise<Verification> => {
  const decided = async (pair: Pair, keys: readonly Key[]): Promise<ReadonlyMap<string, Row>> => {
    const rows = await o.store.twoWayRuns.find(run, pair.name, keys, o);
    return new Map(rows.flatMap(({ key, result }) => (result === null ? [] : [[JSON.stringify(key), result]])));
  };
  const expected = mayWrite(o.rules).source ? {} : { expected: decided };
  const all = { verified: 0, unverified: 0, examples: [] as Verification['examples'][number][] };
  for (const side of bothSides) {
    const done = applied[side];
    if (done === undefined) continue;
    const { store, signal, source, target } = o;
    const keyOf = (pair: Pair, key: Key): Key => commonKey(seenFrom(side, pair), key);
    const found = await verifyWritten({
      store,
      signal,
      run: done.run,
      plan: done.plan,
      pairs,
      source,
      target,
      keyOf,
      onProgress: o.onProgress,
      ...expected,
    });
    all.verified += found.verified;
    all.unverified += found.unverified;
    all.examples.push(...found.examples);
  }
  return { ...all, examples: all.examples.slice(0, 100) };
};

/** How long what was written is known, to find keys that flap: longer than anybody looks back. */
const rememberedMs = 30 * 86_400_000;

const noCounts: Followed = { agreed: 0, left: 0, refused: 0 };

/**
 * A sync that keeps an archive: compares both sides with what they last agreed on, settles by the declared rules what
 * both did, writes to both sides under guards, and takes down what they agree on now.
 */
export const syncTwoWay = (o: TwoWaySyncInput): Promise<TwoWaySynced> =>
  holdingSync(o, async () => {
    const { store, clock } = o;
    const two = await openTwoWay(o);
    await finishTwoWay(o, two);
    return await recorded(store, clock, beginOf('sync', o), o, async (run: Run): Promise<TwoWaySynced> => {
      const planned = await planTwoWay(o, run, two);
      const { plans, pairs } = planned;
      const by = o.asRun === undefined && o.onlyDecided !== true ? 'command' : 'sync';
      for (const side of bothSides) if (plans[side] !== undefined) checkPlanGuards(plans[side], undefined, by);
      const go = anyChange(plans) && ((await o.confirm?.(planned)) ?? true);
      const applied = go ? await applySides(o, run, plans) : {};
      const open = await store.twoWayRuns.get(run.id, o);
      const declined = anyChange(plans) && !go;
      await store.twoWayRuns.forget(clock.now() - rememberedMs, o);
      const verification = await verifySides(o, run.id, applied, pairs);
      const followed =
        open === undefined
          ? noCounts
          : await followArchive(
              { store, signal: o.signal, keep: two.keep, at: clock.now(), onProgress: o.onProgress },
              open,
              pairs,
            );
      const { waiting, warnings } = await conflictsWaiting(o, pairs);
      const sync = twoWayReport({ o, run: run.id, planned, applied, followed, verification, waiting, warnings });
      const stopped = bothSides.map((side) => applied[side]?.result.stopped).find((s) => s !== undefined);
      return {
        run: run.id,
        planned,
        applied,
        verification,
        sync,
        exit: stopped?.exit ?? (declined ? 2 : twoWayExit(sync)),
        report: {
          ...sync,
          ...pairsOfReport(planned.report, sync),
          ...asConfigured(o),
        } as unknown as JsonValue,
        ...(stopped === undefined ? {} : { interrupted: stopped }),
      };
    });
  });
