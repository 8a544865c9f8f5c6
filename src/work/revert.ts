import type { ApplyResult } from '../apply/apply-plan.ts';
import type { ApplyTable } from '../apply/images.ts';
import { newId } from '../lib/ids.ts';
import type { Cancel } from '../model/cancel.ts';
import { visibleCell } from '../model/canon/show.ts';
import type { Change, ChangeOp } from '../model/change.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { Plan, PlanItem } from '../model/plans.ts';
import type { Reader } from '../model/reader.ts';
import type { Key, Row } from '../model/row.ts';
import type { EndpointFacts, Run } from '../model/runs.ts';
import { nativeSelection, plainKey } from '../model/selection.ts';
import { imageHashes, planHash } from '../plan/image-hashes.ts';
import { invert, type Kept } from '../plan/invert.ts';
import type { GroupKind, PlanSummary } from '../plan/seal.ts';
import { applyExit } from './apply-exit.ts';
import { checkTarget, currentTables } from './check-plan.ts';
import { findPlan } from './find-plan.ts';
import { measuredReport } from './measures.ts';
import { type Asked, beginOf, type Ended, hasBegun, recorded } from './recorded.ts';
import { findRun } from './runs.ts';
import { type ApplyWork, underLock } from './under-lock.ts';

export interface RevertInput extends Asked, ApplyWork {
  /** The run to take back, or the beginning of its id. */
  readonly run: string;
  readonly facts: EndpointFacts;
  /** Only this key, as the target has it; and, where several tables have it, of this pair. */
  readonly only?: { readonly pair?: string; readonly key: Key };
  /** The run may have written the key elsewhere: that it is not among these writes is no mistake. */
  readonly elsewhere?: boolean;
  /** Asked with the sealed inverse plan before anything is written; false: end without writing. */
  confirm?(planned: RevertPlan): Promise<boolean>;
}

export interface KeptEdit extends Kept {
  readonly pair: string;
  readonly key: Key;
}

export interface RevertPlan {
  readonly plan: Plan;
  /** What others edited since: not taken back. Examples, bounded; `keptCount` is complete. */
  readonly kept: readonly KeptEdit[];
  readonly keptCount: number;
  /** Writes that need no taking back any more. */
  readonly gone: number;
  /** Writes of the run that were asked to be taken back. */
  readonly looked: number;
}

export interface Reverted extends Ended, RevertPlan {
  readonly run: string;
  readonly reverts: string;
  readonly result?: ApplyResult;
}

const examplesMost = 100;
const hour = 3_600_000;
/** Keys written twice by one run are remembered up to this many. */
const overlayMost = 500_000;

const placeOf = (table: number, key: Key): string => JSON.stringify([table, key]);

/** The rows of these changes as the target has them now, by table and key. */
const rowsNow = async (
  reader: Reader,
  tables: readonly ApplyTable[],
  items: readonly { readonly item: PlanItem }[],
  { signal }: Cancel,
): Promise<ReadonlyMap<string, Row>> => {
  const found = new Map<string, Row>();
  for (const [table, some] of Map.groupBy(items, (x) => x.item.table)) {
    const t = tables[table]!;
    const keys = [...new Map(some.map((x) => [placeOf(table, x.item.change.key), x.item.change.key])).values()];
    const selection = nativeSelection(t.table, t.key);
    for await (const batch of reader.scan(selection, { kind: 'keys', keys }, { signal })) {
      for (const row of batch) found.set(placeOf(table, plainKey(selection, row)), row);
    }
  }
  return found;
};

/** An inverse plan of what a run really wrote, against the rows as they are now. */
const inversePlan = async (o: RevertInput, reverts: Run, plan: Plan, run: string): Promise<RevertPlan> => {
  const { store, signal, clock } = o;
  const tables = await currentTables(plan, o.target, o);
  const created = clock.now();
  await using writer = await store.plans.create(
    {
      id: newId('p', created),
      run,
      sync: plan.header.sync,
      mode: 'revert',
      source: plan.header.target,
      target: o.facts,
      fingerprint: o.target.fingerprint,
      tables: plan.header.tables.map((t, i) => ({ ...t, table: tables[i]!.table })),
      settings: plan.header.settings,
      guards: null,
      created,
      expires: created + hour,
      reverts: reverts.id,
      ...planHash(o.target.writer?.hashing),
    },
    o,
  );
  const hashes = imageHashes(o.target.writer?.hashing, tables);
  const kinds = (plan.header.summary as unknown as PlanSummary).groups ?? {};
  const groups: Record<string, GroupKind> = {};
  const kept: KeptEdit[] = [];
  let keptCount = 0;
  let gone = 0;
  let looked = 0;
  let group = 0;
  let last: { group: number; op: ChangeOp } | undefined;
  /** Rows as earlier items of the inverse plan leave them. */
  const overlay = new Map<string, Row | null>();
  await using reader = await o.target.snapshot(o);

  for await (const batch of store.journal.undo(reverts.id, { signal })) {
    const now = await rowsNow(reader, tables, batch, o);
    const add: { group: number; table: number; change: Change }[] = [];
    for (const { item, stored } of batch) {
      if (!isMeant(o, tables[item.table]!.pair, item.change.key)) continue;
      looked++;
      const at = placeOf(item.table, item.change.key);
      const before = overlay.has(at) ? overlay.get(at)! : (now.get(at) ?? null);
      const t = tables[item.table]!;
      const inverse = invert(t.columns, item.change, stored, before);
      if (inverse.kept !== undefined) {
        keptCount++;
        if (kept.length < examplesMost) kept.push({ ...inverse.kept, pair: t.pair, key: item.change.key });
      }
      const { change } = inverse;
      if (change === undefined) {
        if (inverse.kept === undefined) gone++;
        continue;
      }
      const kind = kinds[String(item.group)];
      if (last?.group !== item.group || (last.op !== item.change.op && kind !== 'linked')) {
        group++;
        if (kind !== undefined) groups[String(group)] = kind;
        last = { group: item.group, op: item.change.op };
      }
      if (overlay.size < overlayMost) overlay.set(at, change.after);
      add.push({ group, table: item.table, change });
    }
    if (add.length > 0) await writer.add(await hashes.add(add, o), o);
  }
  if (looked === 0 && o.elsewhere !== true) refuseUnwritten(o.only, reverts, tables);
  const none = { insert: 0, update: 0, delete: 0 };
  const summary: PlanSummary = {
    pairs: [],
    withheld: none,
    unfit: none,
    unfit_examples: [],
    moved: 0,
    groups,
    warnings: [],
    stopped_by: [],
  };
  return {
    plan: await writer.seal({ signal, summary: summary as unknown as JsonValue }),
    kept,
    keptCount,
    gone,
    looked,
  };
};

/** A key that the run never wrote is most likely mistyped: to say that nothing was left to do would be no answer. */
export const refuseUnwritten = (
  only: RevertInput['only'],
  reverts: Run,
  tables: readonly { readonly pair: string }[] = [],
): void => {
  if (only === undefined) return;
  const key = only.key.map((cell) => visibleCell(cell)).join(', ');
  const names = tables.map((t) => t.pair).join(', ');
  throw new LockstepError(
    'NOT_FOUND',
    `Run ${reverts.id} wrote no row with the key ${key}${only.pair === undefined ? '' : ` of ${only.pair}`}: there is nothing to take back.`,
    {
      hint: `Check the key and the table: ${reverts.id}/TABLE/KEY${names === '' ? '' : `. The run wrote to: ${names}`}.`,
    },
  );
};

const isMeant = ({ only }: RevertInput, pair: string, key: Key): boolean =>
  only === undefined ||
  ((only.pair === undefined || only.pair === pair) && JSON.stringify(only.key) === JSON.stringify(key));

/** A copy's run, or the run of a migration that copied: its report has a certificate of tables. */
const hasCopied = ({ kind, report }: Run): boolean =>
  kind === 'copy' || (report !== null && typeof report === 'object' && 'certificate' in report);

/** `lockstep revert RUN`: takes back what a run wrote, where it still stands. Journaled and revertible itself. */
export const revert = async (o: RevertInput): Promise<Reverted> => {
  // The key is for the planning: what is asked below is asked for all of it.
  const { only: _, ...whole } = o;
  const { store, clock } = o;
  const reverts = await findRun(store, o.run, whole);
  const plan = reverts.plan === null ? undefined : await store.plans.get(reverts.plan, whole);
  if (plan === undefined || (await store.journal.last(reverts.id, whole)) === 0) {
    throw new LockstepError(
      'NOT_FOUND',
      `Run ${reverts.id} (${reverts.kind}) has written nothing that could be taken back.`,
      hasCopied(reverts)
        ? { hint: 'It copied tables, and a copy is not reverted: drop the tables that it made, or empty them.' }
        : {},
    );
  }
  // what was there before comes out of the plan
  await store.plans.verify(plan.header.id, whole);
  checkTarget(plan, o.target);
  if (reverts.alive || (await store.journal.open(reverts.id, whole)).length > 0) {
    throw new LockstepError('LOCK_HELD', `Run ${reverts.id} has not ended: some of its writes are not settled.`, {
      hint: `Finish it first: lockstep apply ${plan.header.id}`,
    });
  }
  const facts = { source: null, target: o.facts };
  const begin = beginOf('revert', { ...o, sync: reverts.sync, facts });
  const under = 'resume' in begin ? begin : { ...begin, parent: reverts.id };
  return recorded(store, clock, under, o, async (run): Promise<Reverted> => {
    const resumed = hasBegun(run);
    // What was kept and what was gone was told by the process that planned; the writes are what is left to do.
    const planned = resumed
      ? { plan: await findPlan(store, run.plan!, whole), kept: [], keptCount: 0, gone: 0, looked: 0 }
      : await inversePlan(o, reverts, plan, run.id);
    const { counts } = planned.plan.header;
    if (!resumed) await store.runs.update(run.id, { plan: planned.plan.header.id }, o);
    const some = counts.insert + counts.update + counts.delete > 0;
    const go = some && ((await o.confirm?.(planned)) ?? true);
    const result = go ? await underLock(whole, planned.plan, run, resumed) : undefined;
    const clean = planned.keptCount === 0 && (result === undefined ? !some : applyExit(planned.plan, result) === 0);
    return {
      ...planned,
      run: run.id,
      reverts: reverts.id,
      ...(result === undefined ? {} : { result }),
      exit: result?.stopped?.exit ?? (clean ? 0 : 2),
      report: {
        reverts: reverts.id,
        plan: planned.plan.header.id,
        kept: planned.keptCount,
        gone: planned.gone,
        ...(result?.numbers ?? {}),
        ...(result === undefined ? {} : await measuredReport(store, run.id, planned.plan, o.measures, o)),
      } as unknown as JsonValue,
      ...(result?.stopped === undefined ? {} : { interrupted: result.stopped }),
    };
  });
};
