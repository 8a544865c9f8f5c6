import { tmpdir } from 'node:os';
import { newId } from '../lib/ids.ts';
import type { ApprovalRule } from '../model/approval.ts';
import type { Difference } from '../model/change.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { Pair } from '../model/pair.ts';
import type { Plan } from '../model/plans.ts';
import type { CompareReport, PairReport } from '../model/report.ts';
import type { EndpointFacts, Run } from '../model/runs.ts';
import type { Store } from '../model/store.ts';
import type { Guards } from '../plan/guards.ts';
import { imageHashes, planHash } from '../plan/image-hashes.ts';
import { openPlanner } from '../plan/planner.ts';
import { type PlanSummary, sealPlan } from '../plan/seal.ts';
import { byMode, type WritingMode } from '../resolve/decide.ts';
import { asConfigured } from './as-configured.ts';
import { alignAll, type CompareOptions, compare } from './compare.ts';
import { planTable } from './plan-table.ts';
import { runQuarantine } from './quarantine.ts';
import { type Asked, beginOf, type Ended, recorded } from './recorded.ts';
import { type Incremental, runStandings } from './standings.ts';

export interface PlanInput extends Asked, Omit<CompareOptions, 'sink' | 'onPair' | 'done' | 'incremental'> {
  readonly store: Store;
  /** The configured sync; null for two URLs. */
  readonly sync: string | null;
  /** Of a configured sync: compare what has changed. */
  readonly incremental?: Incremental;
  readonly mode: WritingMode;
  readonly guards: Guards;
  /** Who has to agree to the plan. */
  readonly approvals?: ApprovalRule;
  /** Kept with the plan and used when it is applied, e.g. batch size. */
  readonly settings: JsonValue;
  readonly facts: { readonly source: EndpointFacts; readonly target: EndpointFacts };
  /** Default: one hour, milliseconds. */
  readonly lifetimeMs?: number;
  /** A folder for temporary files; default: the system's. */
  readonly temporary?: string;
  /** Confirmed differences as they come, beside their way into the plan. */
  onDifferences?(pair: Pair, differences: readonly Difference[]): void | Promise<void>;
}

export interface Planned {
  readonly plan: Plan;
  readonly summary: PlanSummary;
  readonly report: CompareReport;
  readonly pairs: readonly Pair[];
}

export const summaryOf = (plan: Plan): PlanSummary => plan.header.summary as unknown as PlanSummary;

const hour = 3_600_000;

/** What is kept with the plan, and covered by its hash. */
const guardsOf = ({ guards, approvals }: PlanInput): Guards =>
  approvals === undefined ? guards : ({ ...guards, approvals } as Guards);

/** Rows without a key can be compared, not written: where no pair has one, there is nothing to plan. */
const refuseWithoutKeys = (pairs: readonly Pair[]): void => {
  if (pairs.length === 0 || pairs.some((p) => p.keyWidth > 0)) return;
  const [first, ...rest] = pairs.map((p) => p.name);
  const names =
    rest.length === 0
      ? `${first} has`
      : `${first} and ${rest.length} more ${rest.length === 1 ? 'table' : 'tables'} have`;
  throw new LockstepError('KEY_MISSING', `${names} no key: rows can be compared, not written. Nothing was planned.`, {
    hint: 'Name columns that are unique and never NULL on both sides: --key a,b. Or add a primary key.',
  });
};

/** Guards are about whole tables, of which an incremental comparison looks at a few rows. */
const wholeTables = (report: PairReport): PairReport =>
  report.incremental?.table_rows === undefined ? report : { ...report, rows: report.incremental.table_rows };

/** Compares, and turns every confirmed difference into a change of a sealed plan. Writes nothing to the endpoints. */
export const comparedPlan = async (o: PlanInput, { id: run, started }: Run): Promise<Planned> => {
  const { store, signal, clock } = o;
  if (o.target.writer === undefined) {
    throw new LockstepError('NOT_WRITABLE', `${o.target.name} is read-only: nothing can be planned for it.`, {
      hint: 'Give the endpoint `writable: true`, or name it as the target of the command.',
    });
  }
  const { pairs } = await alignAll(o);
  refuseWithoutKeys(pairs);
  const schema = await o.target.inspect({
    signal,
    ...(o.schemas?.target === undefined ? {} : { schemas: o.schemas.target }),
  });
  await using planner = openPlanner({
    pairs,
    schema,
    target: o.target,
    resolver: byMode(o.mode),
    temporary: o.temporary ?? tmpdir(),
  });
  const created = clock.now();
  const tables = planner.shapes.map(planTable);
  const { hashing } = o.target.writer;
  await using writer = await store.plans.create(
    {
      id: newId('p', created),
      run,
      sync: o.sync,
      mode: o.mode,
      source: o.facts.source,
      target: o.facts.target,
      fingerprint: o.target.fingerprint,
      tables,
      settings: o.settings,
      guards: guardsOf(o) as unknown as JsonValue,
      created,
      expires: created + (o.lifetimeMs ?? hour),
      ...planHash(hashing),
    },
    o,
  );
  const place = new Map(pairs.map((pair, i) => [pair.name, i]));
  const reports = new Map<string, PairReport>();
  const { incremental, ...plain } = o;
  const standings =
    incremental === undefined || o.sync === null
      ? undefined
      : runStandings({ ...o, sync: o.sync, incremental }, { id: run, started });
  const invalid = runQuarantine(o, run);
  const report = await compare({
    ...plain,
    ...(standings === undefined ? {} : { incremental: standings.incremental }),
    sink: {
      wanted: () => Number.POSITIVE_INFINITY,
      write: async (pair, differences) => {
        await o.onDifferences?.(pair, differences);
        await planner.add(place.get(pair.name)!, differences, o);
      },
      quarantine: invalid.quarantine,
    },
    onPair: async (pair, pairReport) => {
      reports.set(pair.name, pairReport);
      await invalid.ended(pair, pairReport);
    },
  });
  o.onProgress?.({ pair: '', phase: 'plan', rows: 0 });
  const plan = await sealPlan(planner, writer, {
    signal,
    reports: pairs.map((p) => wholeTables(reports.get(p.name)!)),
    guards: guardsOf(o),
    mode: o.mode,
    hashes: imageHashes(hashing, tables),
  });
  // What is planned and not written after all stays among the keys that the next comparison looks at.
  await standings?.keep();
  return { plan, summary: summaryOf(plan), report, pairs };
};

const sum = (n: Readonly<Record<'insert' | 'update' | 'delete', number>>): number => n.insert + n.update + n.delete;

/** 0: nothing to do; 2: the plan has changes, or differences it does not write; 25: something was not compared or in motion. */
export const planExit = ({ plan, summary, report }: Planned): number => {
  if (sum(plan.header.counts) + sum(summary.withheld) + sum(summary.unfit) > 0) return 2;
  return report.verdict === 'agrees' && summary.moved === 0 ? 0 : 25;
};

/** `lockstep plan`: a run that ends in a sealed plan. */
export const makePlan = async (o: PlanInput): Promise<Planned & Ended & { readonly run: string }> => {
  return recorded(o.store, o.clock, beginOf('plan', o), o, async (run) => {
    const planned = await comparedPlan(o, run);
    await o.store.runs.update(run.id, { plan: planned.plan.header.id }, o);
    return {
      ...planned,
      run: run.id,
      exit: planExit(planned),
      report: { ...planned.report, ...asConfigured(o) } as CompareReport & JsonValue,
    };
  });
};
