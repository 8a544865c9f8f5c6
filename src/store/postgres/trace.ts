import type { Cancel } from '../../model/cancel.ts';
import type { Key } from '../../model/row.ts';
import type { Run, Runs } from '../../model/runs.ts';
import type { Trace } from '../../model/store.ts';
import type { Database } from './database.ts';
import { differencesOfKey } from './differences.ts';
import { stepColumns, toStep } from './journal.ts';
import { outcomesOf } from './outcomes.ts';
import { itemsOfKey } from './plans.ts';

/** Everything known of one key: found as a difference, planned, written. Newest first. */
export const traceOf = async (database: Database, runs: Runs, pair: string, key: Key, o: Cancel): Promise<Trace> => {
  const known = new Map<string, Run | undefined>();
  const runOf = async (id: string): Promise<Run> => {
    if (!known.has(id)) known.set(id, await runs.get(id, o));
    return known.get(id)!;
  };
  const differences: Trace['differences'][number][] = [];
  for (const { run, ...found } of await differencesOfKey(database, pair, key, o))
    differences.push({ run: await runOf(run), ...found });
  const planned = await itemsOfKey(database, pair, key, o);
  const written: Trace['written'][number][] = [];
  for (const { plan, item } of planned) {
    const rows = await database.query(
      `select ${stepColumns} from lockstep_control.step s where s.plan = $1 and s.items @> $2::bigint order by s.run desc, s.step desc`,
      [plan.header.id, item.seq],
      o,
    );
    for (const step of rows.map(toStep)) {
      const told = (await outcomesOf(database, step.run, step.step, [item.seq, item.seq], o)).get(item.seq);
      const outcome = told ?? (step.state === 'done' ? { seq: item.seq, status: 'applied' as const } : undefined);
      written.push({
        run: await runOf(step.run),
        plan,
        step,
        item,
        outcome: step.state === 'intended' ? undefined : outcome,
      });
    }
  }
  return { differences, planned, written };
};
