import type { Cancel } from '../model/cancel.ts';
import { plainCell } from '../model/canon/spelling.ts';
import type { Change, ChangeOp } from '../model/change.ts';
import type { JsonValue } from '../model/json.ts';
import type { Plan, PlanItem, PlanWriter } from '../model/plans.ts';
import type { PairReport } from '../model/report.ts';
import type { Batch, Row } from '../model/row.ts';
import { checkGuards, type Guards, type PairPlanned } from './guards.ts';
import type { ImageHashes } from './image-hashes.ts';
import { type Linked, linkRows } from './linked.ts';
import { lane, type Planner } from './planner.ts';
import { parentsFirst, type SelfReference } from './row-order.ts';

/** Rows of a table that refers to itself are put in order up to this many; beyond, refused rows are tried again. */
const orderedMost = 200_000;

/**
 * How the items of a group may be written: on their own in any order, in their order, in one transaction as far as
 * possible, or (`linked`) in one transaction or not at all.
 */
export type GroupKind = 'parallel' | 'ordered' | 'together' | 'linked';

interface Stage {
  readonly kind: GroupKind;
  readonly lanes: readonly Lane[];
}

interface Lane {
  readonly name: string;
  readonly pair: number;
  readonly op: ChangeOp;
}

const stages = (planner: Planner, dropped: ReadonlySet<number>): readonly Stage[] => {
  const { order } = planner;
  const found: Stage[] = [];
  const ranks = [...Array(order.ranks).keys()];
  const ranked = (op: 'insert' | 'delete', rank: number): void => {
    const here = order.tables.flatMap((t, pair) =>
      t.rank === rank && !(op === 'delete' && dropped.has(pair)) ? [{ t, pair, op, name: lane(op, pair) }] : [],
    );
    const together = here.filter((x) => x.t.together);
    const alone = here.filter((x) => !x.t.together);
    found.push({ kind: 'together', lanes: together });
    found.push({ kind: 'parallel', lanes: alone.filter((x) => x.t.self.length === 0) });
    for (const x of alone.filter((l) => l.t.self.length > 0)) found.push({ kind: 'ordered', lanes: [x] });
  };
  const updates = (stage: 'set' | 'update' | 'unset'): void => {
    const lanes = order.tables.flatMap((_, pair) =>
      stage === 'unset' && dropped.has(pair) ? [] : [{ pair, op: 'update' as const, name: lane(stage, pair) }],
    );
    found.push({ kind: 'parallel', lanes });
  };
  for (const rank of ranks) ranked('insert', rank);
  updates('set');
  updates('update');
  updates('unset');
  for (const rank of ranks.toReversed()) ranked('delete', rank);
  return found
    .map((s) => ({ ...s, lanes: s.lanes.filter((l) => planner.spool.count(l.name) > 0) }))
    .filter((s) => s.lanes.length > 0);
};

/** The changes of a lane that are not written in a group of their own. */
async function* unlinked(planner: Planner, l: Lane, linked: Linked): AsyncIterable<Batch<Change>> {
  for await (const batch of planner.spool.read(l.name)) {
    yield linked.groups.length === 0 ? batch : batch.filter((change) => !linked.has(l.name, change));
  }
}

async function* laneChanges(planner: Planner, l: Lane, linked: Linked): AsyncIterable<Batch<Change>> {
  const { self } = planner.order.tables[l.pair]!;
  if (self.length === 0 || l.op === 'update' || planner.spool.count(l.name) > orderedMost) {
    yield* unlinked(planner, l, linked);
    return;
  }
  const shape = planner.shapes[l.pair]!;
  const { columns } = shape;
  const places = (names: readonly string[]): readonly number[] =>
    names.map((name) => columns.findIndex((c) => c.name === name));
  const references: readonly SelfReference[] = self.map((key) => ({
    from: places(key.columns),
    to: places(key.referencedColumns),
  }));
  const exact = references.some((r) => [...r.from, ...r.to].some((at) => shape.selection.columns[at]!.exact));
  const image = (change: Change): Row => {
    const row = change.op === 'delete' ? change.before : change.after;
    return exact ? row.map((cell, at) => plainCell(columns[at]!.type, cell)) : row;
  };
  const all: Change[] = [];
  for await (const batch of unlinked(planner, l, linked)) all.push(...batch);
  const ordered = parentsFirst(all, references, image);
  yield l.op === 'delete' ? ordered.toReversed() : ordered;
}

/** What a plan says of itself beside its items; read back by apply. */
export interface PlanSummary {
  readonly pairs: readonly PairPlanned[];
  readonly withheld: Readonly<Record<ChangeOp, number>>;
  /** Differences that the target cannot hold, by what they would have been. */
  readonly unfit: Readonly<Record<ChangeOp, number>>;
  readonly unfit_examples: readonly {
    readonly pair: string;
    readonly op: ChangeOp;
    readonly key: readonly (string | null)[];
    readonly reason: string;
  }[];
  /** Rows that changed between comparing and planning: left for the next run. */
  readonly moved: number;
  readonly groups: Readonly<Record<string, GroupKind>>;
  readonly warnings: readonly string[];
  /** Guards this plan breaks: apply stops before its first write unless it is told otherwise. */
  readonly stopped_by: readonly string[];
}

const noDeletes = (n: Readonly<Record<ChangeOp, number>>): Readonly<Record<ChangeOp, number>> => ({ ...n, delete: 0 });

const sum = (pairs: readonly Readonly<Record<ChangeOp, number>>[]): Record<ChangeOp, number> => {
  const total = { insert: 0, update: 0, delete: 0 };
  for (const p of pairs) {
    total.insert += p.insert;
    total.update += p.update;
    total.delete += p.delete;
  }
  return total;
};

/** What whoever reviews the plan has to know of its tables. */
const warningsOf = (
  planner: Planner,
  reports: readonly PairReport[],
  pairs: readonly PairPlanned[],
): readonly string[] => {
  const warnings: string[] = [];
  for (const shape of planner.shapes) {
    const { triggers } = shape.pair.target;
    const touched = planner.tallies[planner.shapes.indexOf(shape)]!.planned;
    if (triggers.length > 0 && touched.insert + touched.update + touched.delete > 0) {
      warnings.push(
        `${shape.pair.target.name} has triggers (${triggers.join(', ')}): they may change what is written, or write elsewhere`,
      );
    }
  }
  for (const report of reports) {
    if (report.quarantined)
      warnings.push(
        `${report.source}: ${report.quarantined} of its rows ${report.quarantined === 1 ? 'is' : 'are'} quarantined, invalid by the pair’s rules: what the target has of them stays as it is`,
      );
  }
  for (const pair of pairs) {
    if (pair.emptySourceDeletes > 0) {
      warnings.push(`the source of ${pair.pair} has no rows: no row of ${pair.target} is deleted`);
    }
  }
  planner.shapes.forEach(({ pair }, i) => {
    const { unkeyed } = reports[i]!;
    if (!unkeyed || planner.tallies[i]!.planned.delete === 0) return;
    warnings.push(
      `${pair.name} has ${unkeyed} rows whose key cannot be made: any row of the target may be theirs, so none is deleted`,
    );
  });
  return warnings;
};

/** Writes the collected changes in the order of application and seals the plan. Reports stand in the order of the pairs. */
export const sealPlan = async (
  planner: Planner,
  writer: PlanWriter,
  o: Cancel & {
    readonly reports: readonly PairReport[];
    readonly guards: Guards;
    readonly mode: string;
    readonly hashes: ImageHashes;
  },
): Promise<Plan> => {
  // An empty source never causes deletes, whatever the guards allow; nor does one with rows whose keys are not known.
  const unkeyed = (i: number): boolean => (o.reports[i]!.unkeyed ?? 0) > 0;
  const dropped = new Set(planner.shapes.flatMap((_, i) => (o.reports[i]!.rows.source === 0 || unkeyed(i) ? [i] : [])));
  const linked = await linkRows(planner, dropped);
  for (const [pair, count] of linked.parks) planner.tallies[pair]!.planned.update += count;
  const pairs = planner.shapes.map((shape, i): PairPlanned => {
    const tally = planner.tallies[i]!;
    const report = o.reports[i]!;
    const unset = dropped.has(i) ? planner.spool.count(lane('unset', i)) : 0;
    return {
      pair: shape.pair.name,
      target: report.target,
      counts: dropped.has(i)
        ? { ...noDeletes(tally.planned), update: tally.planned.update - unset }
        : { ...tally.planned },
      ...(Object.values(tally.allowed).some((n) => n > 0) ? { allowed: { ...tally.allowed } } : {}),
      rows: report.rows,
      columns: tally.columns,
      emptySourceDeletes: dropped.has(i) && !unkeyed(i) ? tally.planned.delete : 0,
    };
  });
  const groups: Record<string, GroupKind> = {};
  const add = async (items: readonly Omit<PlanItem, 'seq'>[]): Promise<void> =>
    writer.add(await o.hashes.add(items, o), o);
  let group = 0;
  // First: they bring along what they need, and others may need them.
  for (const items of linked.groups) {
    group++;
    groups[String(group)] = 'linked';
    await add(items.map(({ pair, change }) => ({ group, table: pair, change })));
  }
  for await (const { pair, changes } of planner.bound()) {
    group++;
    groups[String(group)] = 'linked';
    await add(changes.map((change) => ({ group, table: pair, change })));
  }
  for (const stage of stages(planner, dropped)) {
    group++;
    if (stage.kind !== 'parallel') groups[String(group)] = stage.kind;
    for (const l of stage.lanes) {
      for await (const changes of laneChanges(planner, l, linked)) {
        await add(changes.map((change) => ({ group, table: l.pair, change })));
      }
    }
  }
  const warnings = [...planner.order.warnings, ...linked.warnings, ...warningsOf(planner, o.reports, pairs)];
  planner.tallies.forEach(({ planned, withheld }, i) => {
    if (unkeyed(i)) withheld.delete += planned.delete;
  });
  const withheld = sum(planner.tallies.map((t) => t.withheld));
  withheld.delete += pairs.reduce((n, p) => n + p.emptySourceDeletes, 0);
  const summary: PlanSummary = {
    pairs,
    withheld,
    unfit: sum(planner.tallies.map((t) => t.unfit)),
    unfit_examples: planner.unfit.map(({ unquoted: _, ...e }) => e),
    moved: planner.tallies.reduce((n, t) => n + t.moved, 0),
    groups,
    warnings,
    stopped_by: checkGuards(pairs, o.guards).map((v) => `${v.message}; to allow it, plan with ${v.flag}`),
  };
  const unquoted = planner.unfit.map(({ unquoted: reason, ...e }) => ({ ...e, reason }));
  return writer.seal({
    signal: o.signal,
    summary: summary as unknown as JsonValue,
    unquoted: { ...summary, unfit_examples: unquoted } as unknown as JsonValue,
    guards: o.guards as unknown as JsonValue,
  });
};
