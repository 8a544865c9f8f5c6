import { newId } from '../../lib/ids.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { JsonValue } from '../../model/json.ts';
import type { Pair } from '../../model/pair.ts';
import type { Plan, PlanWriter } from '../../model/plans.ts';
import type { PairReport } from '../../model/report.ts';
import type { EndpointFacts, Run } from '../../model/runs.ts';
import type { Store } from '../../model/store.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';
import type { Guards } from '../../plan/guards.ts';
import { type ImageHashes, imageHashes, planHash } from '../../plan/image-hashes.ts';
import { openPlanner, type Planner } from '../../plan/planner.ts';
import { sealPlan } from '../../plan/seal.ts';
import type { Resolver } from '../../resolve/decide.ts';
import { planTable } from '../plan-table.ts';

/** The side of a two-way run that is to be written: its pairs as seen from the other side, and its plan in the making. */
export interface OpenSide extends AsyncDisposable {
  readonly side: TwoWaySide;
  readonly pairs: readonly Pair[];
  readonly planner: Planner;
  /** Reports as the run makes them, source and target as configured. */
  seal(reports: readonly PairReport[], o: Cancel): Promise<Plan>;
}

export interface SideInput extends Cancel {
  readonly side: TwoWaySide;
  /** The endpoint to be written. */
  readonly endpoint: Endpoint;
  /** Turned so that it is their target. */
  readonly pairs: readonly Pair[];
  readonly schemas?: readonly string[];
  readonly store: Pick<Store, 'plans'>;
  readonly run: Pick<Run, 'id'>;
  readonly sync: string;
  readonly mode: string;
  readonly resolver: Resolver;
  readonly guards: Guards;
  readonly settings: JsonValue;
  /** Of the side that is read, and of the one that is written. */
  readonly facts: { readonly source: EndpointFacts; readonly target: EndpointFacts };
  readonly created: number;
  readonly lifetimeMs: number;
  readonly temporary: string;
}

/** A report as the side sees it that is written. */
const reportFor = (side: TwoWaySide, report: PairReport): PairReport =>
  side === 'target'
    ? report
    : {
        ...report,
        source: report.target,
        target: report.source,
        rows: { source: report.rows.target, target: report.rows.source },
      };

export const openSide = async (o: SideInput): Promise<OpenSide> => {
  const { endpoint, side, pairs, signal } = o;
  if (endpoint.writer === undefined) {
    throw new LockstepError('NOT_WRITABLE', `${endpoint.name} is read-only: nothing can be planned for it.`, {
      hint: 'A two-way sync writes to both sides: give both endpoints `writable: true`.',
    });
  }
  const schema = await endpoint.inspect({ signal, ...(o.schemas === undefined ? {} : { schemas: o.schemas }) });
  const planner = openPlanner({ pairs, schema, target: endpoint, resolver: o.resolver, temporary: o.temporary });
  const { hashing } = endpoint.writer;
  const tables = planner.shapes.map(planTable);
  let writer: PlanWriter;
  let hashes: ImageHashes;
  try {
    hashes = imageHashes(hashing, tables);
    writer = await o.store.plans.create(
      {
        id: newId('p', o.created),
        run: o.run.id,
        sync: o.sync,
        mode: o.mode,
        source: o.facts.source,
        target: o.facts.target,
        fingerprint: endpoint.fingerprint,
        tables,
        settings: o.settings,
        guards: o.guards as unknown as JsonValue,
        created: o.created,
        expires: o.created + o.lifetimeMs,
        archive: true,
        ...planHash(hashing),
      },
      o,
    );
  } catch (error) {
    await planner[Symbol.asyncDispose]();
    throw error;
  }
  return {
    side,
    pairs,
    planner,
    seal: (reports, c) =>
      sealPlan(planner, writer, {
        signal: c.signal,
        reports: reports.map((r) => reportFor(side, r)),
        guards: o.guards,
        mode: o.mode,
        hashes,
      }),
    [Symbol.asyncDispose]: async () => {
      await writer[Symbol.asyncDispose]();
      await planner[Symbol.asyncDispose]();
    },
  };
};
