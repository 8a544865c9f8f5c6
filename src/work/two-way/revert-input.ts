import type { Endpoint } from '../../model/endpoint.ts';
import type { Key } from '../../model/row.ts';
import type { EndpointFacts, Run } from '../../model/runs.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';
import type { Asked } from '../recorded.ts';
import type { RevertPlan } from '../revert.ts';
import type { ApplyWork } from '../under-lock.ts';
import type { OpenTwoWay } from './open.ts';

export interface TwoWayRevertInput extends Asked, Omit<ApplyWork, 'target' | 'guards' | 'settings'> {
  readonly run: Run;
  readonly sync: string;
  readonly source: Endpoint;
  readonly target: Endpoint;
  readonly facts: { readonly source: EndpointFacts; readonly target: EndpointFacts };
  readonly two: OpenTwoWay;
  /** Only this key, as its pair compares it. */
  readonly only?: { readonly pair?: string; readonly key: Key };
  /** The keys that are taken back wait for a person from now on: the next run leaves them alone. */
  readonly pin?: boolean;
  /** Asked for each side with its sealed inverse plan before anything is written to it; false: it stays as it is. */
  confirm?(side: TwoWaySide, planned: RevertPlan): Promise<boolean>;
}
