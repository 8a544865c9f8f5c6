import type { Endpoint } from '../../../src/model/endpoint.ts';
import type { Harness } from '../harness.ts';

/** A way to break an engine, and the cases of the kit of which at least one must fail then. */
export interface Mutation {
  readonly name: string;
  readonly caughtBy: RegExp;
  breakIt(endpoint: Endpoint): Endpoint;
  /** Absent: for every engine. */
  readonly when?: (harness: Harness) => boolean;
}
