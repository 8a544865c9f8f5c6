import { type Drift, partDrift } from '../copy/drift.ts';
import type { DraftStatement } from '../model/build.ts';
import { LockstepError } from '../model/errors.ts';
import { tableLabel } from '../model/schema.ts';
import { type CopyInput, schemasOf } from './copy-input.ts';
import { type CopySides, type PlannedTable, tableOf, targetDetails } from './copy-plan.ts';
import type { Checkpoint } from './copy-run.ts';

/** A part that could not be made, or (`asked`) that does not hold. */
export interface FailedPart {
  readonly reason: string;
  readonly asked: boolean;
}

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
  // schemas and types of all tables come first: a column may be a list of another table's enum
  for (const t of missing) for (const statement of t.draft.create.slice(0, -1)) await target.builder.run(statement, o);
  for (const t of missing) {
    o.onProgress?.({ pair: tableLabel(t.source), phase: 'make', rows: 0 });
    await target.builder.run(t.draft.create.at(-1)!, o);
  }
  return own;
};

/** Makes keys and indexes, then foreign keys, of the tables that the run made. What could not be made, and the words of the database. */
export const makeParts = async (
  o: CopyInput,
  sides: CopySides,
  tables: readonly PlannedTable[],
  made: ReadonlySet<string>,
): Promise<ReadonlyMap<string, FailedPart>> => {
  const failed = new Map<string, FailedPart>();
  const run = async (statement: DraftStatement, table: string): Promise<void> => {
    o.onProgress?.({ pair: table, phase: 'make', rows: 0 });
    try {
      await sides.target.builder.run(statement, o);
    } catch (error) {
      o.signal.throwIfAborted();
      if (!(error instanceof LockstepError) || error.retry === 'now' || error.code === 'CONNECTION_LOST') throw error;
      failed.set(statement.what, { reason: error.message, asked: statement.asks === true });
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
  failed: ReadonlyMap<string, FailedPart>,
): Promise<readonly (Drift & { readonly reason?: string })[]> => {
  const now = await sides.target.inspect({ ...o, ...schemasOf(tables) });
  const targets = tables.map((t) => tableOf(now, t.target)!);
  const details = await targetDetails(sides, targets, o);
  const found = tables.flatMap((t, i) =>
    partDrift(targets[i]!, details[i], t.definition, t.draft, sides.target.builder),
  );
  const told = found.map((d) => {
    const part = [...failed].find(([what]) => d.what.endsWith(what))?.[1];
    return part === undefined ? d : { ...d, reason: part.reason };
  });
  // what fails because it is there already (a run that goes on makes it again) is no difference
  const broken = [...failed].filter(([, part]) => part.asked);
  return [
    ...told,
    ...broken.map(([what, { reason }]) => ({
      table: what.replace(/^.* of /, ''),
      what: `${what} does not hold`,
      fix: '-- delete the rows, or insert the ones they refer to',
      reason,
    })),
  ];
};
