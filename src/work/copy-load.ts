import { cutSteps, loadTable } from '../copy/load-table.ts';
import { rowWay } from '../copy/rows.ts';
import { LockstepError } from '../model/errors.ts';
import type { Reader } from '../model/reader.ts';
import { type Table, tableLabel } from '../model/schema.ts';
import type { TableLoad } from './certificate.ts';
import { type CopyInput, schemasOf } from './copy-input.ts';
import { type CopySides, type PlannedTable, tableOf } from './copy-plan.ts';
import { type Checkpoint, nextStep } from './copy-run.ts';

/** Refused rows that a run keeps, of each step. */
const keptPerStep = 100;

/** As many readers of one snapshot as there is use for. */
const shareReaders = async (o: CopyInput, sides: CopySides, first: Reader, steps: number): Promise<Reader[]> => {
  const readers: Reader[] = [];
  const most = Math.min(o.lanes ?? 2, sides.target.loader.lanes, steps);
  while (readers.length + 1 < most && first.share !== undefined) {
    try {
      readers.push(await first.share(o));
    } catch (error) {
      o.signal.throwIfAborted();
      // no room for more connections: it goes on with those there are
      if (error instanceof LockstepError && error.code === 'CONFIG') break;
      throw error;
    }
  }
  return readers;
};

/** The columns a table is read by: its primary key, else another key without NULL. */
const keyOf = (source: Table, target: Table): readonly string[] => {
  const has = (name: string): boolean => target.columns.some((c) => c.name === name && c.generated !== 'always');
  return source.uniques.find((u) => u.total && u.columns.every(has))?.columns ?? [];
};

/** Loads every table; undefined: it was stopped between steps. */
export const loadAll = async (
  o: CopyInput,
  sides: CopySides,
  tables: readonly PlannedTable[],
  made: ReadonlySet<string>,
  mark: { readonly run: string; readonly token: bigint },
  checkpoint: Checkpoint,
): Promise<readonly TableLoad[] | undefined> => {
  const now = await sides.target.inspect({ ...o, ...schemasOf(tables) });
  await using reader = await sides.source.snapshot(o);
  const loads: TableLoad[] = [];
  for (const t of parentsFirst(tables, made)) {
    const name = tableLabel(t.source);
    const target = tableOf(now, t.target)!;
    const way = rowWay(t.source, target, keyOf(t.source, target), sides.source.engine === sides.target.engine);
    const rows = await reader.count(way.selection, o);
    let steps = checkpoint.now.steps[name];
    if (steps === undefined) {
      const stepRows = o.stepRows ?? sides.target.loader.stepRows;
      steps = await cutSteps(reader, way, rows, stepRows, nextStep(checkpoint.now), o);
      const cut = steps;
      await checkpoint.change((was) => ({ ...was, steps: { ...was.steps, [name]: cut } }));
    }
    const began = o.clock.elapsed();
    let read = 0;
    o.onProgress?.({ pair: name, phase: 'load', rows: 0, total: rows });
    const others = await shareReaders(o, sides, reader, steps.length);
    try {
      const results = await loadTable({
        ...mark,
        signal: o.signal,
        ...(o.stop === undefined ? {} : { stop: o.stop }),
        loader: sides.target.loader,
        target,
        way,
        steps,
        readers: [reader, ...others],
        keep: keptPerStep,
        beforeCommit: async (result) => {
          if (result.refused === 0 && !(result.step.step in checkpoint.now.refused)) return;
          // an attempt that was not committed may have kept other ones
          const kept = { table: name, count: result.refused, examples: result.examples };
          const own = result.refused === 0 ? {} : { [result.step.step]: kept };
          await checkpoint.change((was) => {
            const { [result.step.step]: _, ...others } = was.refused;
            return { ...was, refused: { ...others, ...own } };
          });
        },
        onRows: (n) => {
          read += n;
          o.onProgress?.({ pair: name, phase: 'load', rows: read, total: rows });
        },
      });
      if (results.length < steps.length) return undefined;
      loads.push({
        table: t,
        target,
        loaded: results.reduce((n, r) => n + r.rows, 0),
        already: results.filter((r) => r.already).length,
        steps: steps.length,
        form: results.find((r) => !r.already)?.form.split(' [')[0] ?? 'rows',
        elapsedMs: o.clock.elapsed() - began,
      });
    } finally {
      for (const other of others) await other[Symbol.asyncDispose]();
    }
    if (o.stop?.aborted) return undefined;
  }
  return loads;
};

/**
 * The order in which tables are loaded: any, where the run makes their foreign keys afterwards; those that were there
 * before come after the ones they refer to. A ring of those cannot be filled row by row.
 */
const parentsFirst = (tables: readonly PlannedTable[], made: ReadonlySet<string>): readonly PlannedTable[] => {
  const sorted: PlannedTable[] = [];
  const open = new Set<PlannedTable>();
  const visit = (t: PlannedTable, path: readonly string[]): void => {
    if (sorted.includes(t)) return;
    if (open.has(t))
      throw new LockstepError(
        'GUARD',
        `the foreign keys of ${[...path, t.target.name].join(' -> ')} form a ring, and the tables are there already: their rows cannot be loaded one by one`,
        {
          hint: 'Drop the tables (they are empty) and let the copy make them: it makes foreign keys last.',
        },
      );
    open.add(t);
    if (!made.has(tableLabel(t.target)))
      for (const key of t.existing?.foreignKeys ?? []) {
        const parent = tables.find((p) => tableLabel(p.target) === tableLabel({ ...t.target, ...key.references }));
        if (parent !== undefined) visit(parent, [...path, t.target.name]);
      }
    open.delete(t);
    sorted.push(t);
  };
  for (const t of tables) visit(t, []);
  return sorted;
};
