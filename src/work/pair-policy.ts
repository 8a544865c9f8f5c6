import type { Pair } from '../model/pair.ts';
import type { ConflictPolicy } from '../model/policy.ts';
import { checkPolicy } from '../resolve/check-policy.ts';
import { describePolicy } from '../resolve/describe-policy.ts';

/** A pair's policy for people, checked against its tables. Throws what `checkPolicy` throws. */
export const describedPolicy = (pair: Pair, policy: ConflictPolicy, o: { readonly bothWays: boolean }): string =>
  describePolicy(checkPolicy(pair, policy, o));
