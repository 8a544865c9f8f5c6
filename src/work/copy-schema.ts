import { type Drift, partDrift } from '../copy/drift.ts';
import type { DraftStatement } from '../model/build.ts';
import { LockstepError } from '../model/errors.ts';
import { tableLabel } from '../model/schema.ts';
import { type CopyInput, schemasOf } from './copy-input.ts';
import { type CopySides, type PlannedTable, tableOf, targetDetails } from './copy-plan.ts';
import type { Checkpoint } from './copy-run.ts';

/** Makes the tables that are missing; a run that goes on finds some of its own. Labels of those that the run made. */
export const makeTables = async (
  o: CopyInput,
  { target }: CopySides,
  tables: readonly PlannedTable[],
  checkpoint: Checkpoint,
): Promise<ReadonlySet<string>> => {
  const missing = tables.filter((t) => t.existing === undefined);
  const own = new Set(checkpoint.now.made);
  for (const t of missing) own.add(tableLabel(t.target));
  await checkpoint.change((was) => ({ ...was, made: [...own] }));
  for (const t of missing) {
    o.onProgress?.({ pair: tableLabel(t.source), phase: 'make', rows: 0 });
    for (const statement of t.draft.create) await target.builder.run(statement, o);
  }
  return own;
};

/** Makes keys and indexes, then foreign keys, of the tables that the run made. What could not be made, and the words of the database. */
export const makeParts = async (
  o: CopyInput,
  sides: CopySides,
  tables: readonly PlannedTable[],
  made: ReadonlySet<string>,
): Promise<ReadonlyMap<string, string>> => {
  const failed = new Map<string, string>();
  const run = async (statement: DraftStatement, table: string): Promise<void> => {
    o.onProgress?.({ pair: table, phase: 'make', rows: 0 });
    try {
      await sides.target.builder.run(statement, o);
    } catch (error) {
      o.signal.throwIfAborted();
      if (!(error instanceof LockstepError) || error.retry === 'now' || error.code === 'CONNECTION_LOST') throw error;
      failed.set(statement.what, error.message);
    }
  };
  const own = tables.filter((t) => made.has(tableLabel(t.target)));
  for (const t of own) for (const s of t.draft.after) await run(s, tableLabel(t.source));
  for (const t of own) for (const s of t.draft.foreignKeys) await run(s, tableLabel(t.source));
  const now = await sides.target.inspect({ ...o, ...schemasOf(tables) });
  await sides.target.writer.advanceSequences(
    tables.flatMap((t) => tableOf(now, t.target) ?? []),
    o,
  );
  return failed;
};

/** Where the target's tables are not what their sources make them. */
export const schemaDrift = async (
  o: CopyInput,
  sides: CopySides,
  tables: readonly PlannedTable[],
  failed: ReadonlyMap<string, string>,
): Promise<readonly (Drift & { readonly reason?: string })[]> => {
  const now = await sides.target.inspect({ ...o, ...schemasOf(tables) });
  const targets = tables.map((t) => tableOf(now, t.target)!);
  const details = await targetDetails(sides, targets, o);
  const found = tables.flatMap((t, i) => partDrift(targets[i]!, details[i], t.definition, t.draft));
  const told = found.map((d) => {
    const [, reason] = [...failed].find(([what]) => d.what.endsWith(what)) ?? [];
    return reason === undefined ? d : { ...d, reason };
  });
  const silent = [...failed].filter(
    ([what]) => /^foreign key /.test(what) && !found.some((d) => d.what.endsWith(what)),
  );
  return [
    ...told,
    ...silent.map(([what, reason]) => ({
      table: what.replace(/^.* of /, ''),
      what: `${what} does not hold`,
      fix: '-- mend the rows',
      reason,
    })),
  ];
};
