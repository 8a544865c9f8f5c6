import type { Pair } from '../model/pair.ts';
import type { PlanTable } from '../model/plans.ts';

/** The table that a plan of a pair writes to. */
export const planTable = ({ pair, key }: { readonly pair: Pair; readonly key: readonly string[] }): PlanTable => {
  const concealed = pair.columns.flatMap((c) => (c.concealed === undefined ? [] : [c.target.name]));
  return { pair: pair.name, table: pair.target, key, ...(concealed.length === 0 ? {} : { concealed }) };
};
