import type { Clock } from '../lib/clock.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Progress } from '../model/report.ts';
import type { EndpointFacts } from '../model/runs.ts';
import type { Store } from '../model/store.ts';
import type { CompareOptions } from './compare.ts';
import type { CopyRequest, PlannedTable } from './copy-plan.ts';
import type { Asked } from './recorded.ts';

export interface CopyInput extends Asked, CopyRequest {
  readonly store: Store;
  readonly source: Endpoint;
  readonly target: Endpoint;
  readonly facts: { readonly source: EndpointFacts; readonly target: EndpointFacts };
  readonly sync: string | null;
  /** What becomes of tables that no pair names and nobody left out; see `CompareOptions`. */
  readonly otherTables?: NonNullable<CompareOptions['otherTables']>;
  readonly settleMs: number;
  readonly clock: Clock;
  /** Random per run, 0 <= seed < 2^64. */
  readonly seed: bigint;
  readonly signal: AbortSignal;
  /** Aborted: finish the steps under way, save, end. */
  readonly stop?: AbortSignal;
  /** The version of Lockstep, for the certificate. */
  readonly version: string;
  /** An interrupted run to go on with. */
  readonly resume?: string;
  /** Rows of one transaction; absent: what the target finds best. */
  readonly stepRows?: number;
  /** Most readers and writers beside each other; absent: 2. */
  readonly lanes?: number;
  onProgress?(progress: Progress): void;
  /** As soon as the run has an id. */
  onRun?(run: string): void;
}

/** What to ask an endpoint for, to see the tables of a copy. */
export const schemasOf = (tables: readonly PlannedTable[]): { schemas?: readonly string[] } => {
  const schemas = [...new Set(tables.flatMap((t) => t.target.schema ?? []))];
  return schemas.length === 0 ? {} : { schemas };
};
