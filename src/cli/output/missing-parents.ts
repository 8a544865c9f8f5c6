import type { Settled } from '../../model/journal.ts';
import type { PlanHeader } from '../../model/plans.ts';
import { type TableName, tableLabel } from '../../model/schema.ts';

/** What to do about rows that were refused for a row of a table that the plan does not hold; none: no lines. */
export const missingParents = (header: PlanHeader, left: readonly Settled[]): readonly string[] => {
  const planned = new Set(header.tables.map((t) => tableLabel(t.table)));
  const absent = new Map<string, readonly [child: string, parent: TableName]>();
  for (const { item, outcome } of left) {
    if (outcome.status !== 'rejected' || !/foreign key/i.test(outcome.reason ?? '')) continue;
    const { table } = header.tables[item.table]!;
    for (const { references } of table.foreignKeys) {
      if (planned.has(tableLabel(references))) continue;
      absent.set(`${tableLabel(table)} ${tableLabel(references)}`, [tableLabel(table), references]);
    }
  }
  return [...absent.values()].map(
    ([child, parent]) =>
      `${child} refers to ${tableLabel(parent)}, which is not part of this plan: rows that wait for one of its rows are rejected. Name ${tableLabel(parent)}, too, or add its rows.`,
  );
};
