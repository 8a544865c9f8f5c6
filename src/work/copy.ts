import type { LeftOut } from '../copy/definitions.ts';
import { type Drift, partDrift } from '../copy/drift.ts';
import { cutSteps, loadTable } from '../copy/load-table.ts';
import { rowWay } from '../copy/rows.ts';
import type { Clock } from '../lib/clock.ts';
import type { DraftStatement } from '../model/build.ts';
import type { Cancel, Endpoint, Reader } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { CompareReport, Progress } from '../model/report.ts';
import { type Table, tableLabel } from '../model/schema.ts';
import type { EndpointFacts, Json, Run, Store } from '../model/store.ts';
import { type Certificate, certificateOf, type TableLoad } from './certificate.ts';
import { compare } from './compare.ts';
import {
  type CopyRequest,
  type CopySides,
  copySides,
  type PlannedTable,
  planCopy,
  refuseUnfit,
  tableOf,
  targetDetails,
} from './copy-plan.ts';
import { type Checkpoint, nextStep, openCheckpoint } from './copy-run.ts';
import { type Asked, type Ended, newRun, recorded } from './recorded.ts';
import { tableDigests } from './table-digests.ts';

export interface CopyInput extends Asked, CopyRequest {
  readonly store: Store;
  readonly source: Endpoint;
  readonly target: Endpoint;
  readonly facts: { readonly source: EndpointFacts; readonly target: EndpointFacts };
  readonly sync: string | null;
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

export interface Copied extends Ended {
  readonly run: string;
  /** Absent: it was stopped on the way. */
  readonly certificate?: Certificate;
}

/** One writer at a time per target database. */
const lockName = '*';
/** Refused rows that a run keeps, of each step. */
const keptPerStep = 100;

/**
 * `lockstep copy`: makes the tables that are missing, loads each from one snapshot in steps, then makes keys and indexes,
 * then foreign keys; compares every row and the schema, and says what it came to.
 */
export const copy = async (o: CopyInput): Promise<Copied> => {
  const sides = copySides(o.source, o.target);
  const planned = await planCopy(sides, o, o);
  if (planned.tables.length === 0)
    throw new LockstepError('USAGE', `${o.source.name} has no table to copy`, {
      hint: 'Name them: lockstep copy SOURCE TARGET table…',
    });
  if (o.resume === undefined) await refuseUnfit(sides, planned.tables, o);
  const begin = o.resume === undefined ? newRun('copy', o) : { resume: o.resume };
  return recorded(o.store, o.clock, begin, o, async (run) => {
    if (run.kind !== 'copy')
      throw new LockstepError('USAGE', `run ${run.id} is no copy`, { hint: 'lockstep runs lists them.' });
    refuseOthers(run, o);
    o.onRun?.(run.id);
    const checkpoint = openCheckpoint(o.store, run, o);
    await sides.target.writer.prepare(o);
    const lock = await sides.target.writer.lock({ run: run.id, pair: lockName }, o);
    let loads: readonly TableLoad[];
    let failed: ReadonlyMap<string, string>;
    try {
      const made = await makeTables(o, sides, planned.tables, checkpoint);
      const loaded = await loadAll(o, sides, planned.tables, made, { run: run.id, token: lock.token }, checkpoint);
      if (loaded === undefined) return stopped(run);
      loads = loaded;
      failed = await makeParts(o, sides, planned.tables, made);
    } finally {
      await lock[Symbol.asyncDispose]();
    }
    return { run: run.id, ...(await prove(o, sides, planned, run, loads, failed, checkpoint)) };
  });
};

/** A run goes on between the databases that it began with. */
const refuseOthers = (run: Run, o: CopyInput): void => {
  for (const side of ['source', 'target'] as const) {
    const began = run[side]?.fingerprint;
    const now = o.facts[side].fingerprint;
    if (began === undefined || now === undefined) continue;
    if (began.server === now.server && began.database === now.database) continue;
    throw new LockstepError(
      'WRONG_TARGET',
      `run ${run.id} copied ${side === 'source' ? 'from' : 'to'} ${began.database} at ${began.address}, this is ${now.database} at ${now.address}`,
    );
  }
};

const stopped = (run: Run): Copied => ({
  run: run.id,
  exit: 130,
  report: null,
  interrupted: new LockstepError('ABORTED', 'The copy was stopped between two steps.', {
    hint: `To go on: the same command with --resume ${run.id}`,
  }),
});

/** Makes the tables that are missing; a run that goes on finds some of its own. Labels of those that the run made. */
const makeTables = async (
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
const loadAll = async (
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
    const way = rowWay(t.source, target, keyOf(t.source, target));
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
          if (result.refused === 0) return;
          const kept = { table: name, count: result.refused, examples: result.examples };
          await checkpoint.change((was) => ({ ...was, refused: { ...was.refused, [result.step.step]: kept } }));
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

const schemasOf = (tables: readonly PlannedTable[]): { schemas?: readonly string[] } => {
  const schemas = [...new Set(tables.flatMap((t) => t.target.schema ?? []))];
  return schemas.length === 0 ? {} : { schemas };
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

/** Makes keys and indexes, then foreign keys, of the tables that the run made. What could not be made, and the words of the database. */
const makeParts = async (
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

/** Compares every row and the schema; the certificate says what it came to. */
const prove = async (
  o: CopyInput,
  sides: CopySides,
  planned: { readonly tables: readonly PlannedTable[]; readonly leftOut: readonly LeftOut[] },
  run: Run,
  loads: readonly TableLoad[],
  failed: ReadonlyMap<string, string>,
  checkpoint: Checkpoint,
): Promise<{ readonly certificate: Certificate; readonly exit: number; readonly report: Json }> => {
  const report = await compareCopied(o, planned.tables);
  const drift = await schemaDrift(o, sides, planned.tables, failed);
  const digests = await tableDigests(o, planned.tables.map(requestOf));
  const certificate = certificateOf({
    run: run.id,
    started: run.started,
    finished: o.clock.now(),
    version: o.version,
    facts: o.facts,
    report,
    drift,
    digests,
    loads,
    refused: Object.values(checkpoint.now.refused),
    leftOut: planned.leftOut,
    notes: planned.tables.flatMap((t) => t.draft.notes),
    made: new Set(checkpoint.now.made),
  });
  const exit = certificate.verdict === 'certified' ? 0 : certificate.verdict === 'incomplete' ? 25 : 2;
  return { certificate, exit, report: certificate as unknown as Json };
};

const requestOf = (t: PlannedTable) => ({ source: tableLabel(t.source), target: tableLabel(t.target) });

const compareCopied = (o: CopyInput, tables: readonly PlannedTable[]): Promise<CompareReport> =>
  compare({
    source: o.source,
    target: o.target,
    pairs: tables.map(requestOf),
    schemas: schemasOf(tables).schemas === undefined ? {} : { target: schemasOf(tables).schemas! },
    settleMs: o.settleMs,
    clock: o.clock,
    seed: o.seed,
    signal: o.signal,
    sink: { wanted: () => 0, write: async () => {} },
    ...(o.onProgress === undefined ? {} : { onProgress: o.onProgress }),
  });

const schemaDrift = async (
  o: CopyInput & Cancel,
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
