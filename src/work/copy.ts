import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { CompareReport } from '../model/report.ts';
import type { Run } from '../model/runs.ts';
import { tableLabel } from '../model/schema.ts';
import { audited } from './audited.ts';
import { type Certificate, certificateOf, type TableLoad } from './certificate.ts';
import { compare, type PairRequest } from './compare.ts';
import { type CopyInput, schemasOf } from './copy-input.ts';
import { loadAll } from './copy-load.ts';
import {
  type CopyRequest,
  type CopySides,
  copySides,
  type PlannedTable,
  planCopy,
  refuseFilled,
  refuseUnfit,
} from './copy-plan.ts';
import { type Checkpoint, openCheckpoint } from './copy-run.ts';
import { type FailedPart, makeParts, makeTables, schemaDrift } from './copy-schema.ts';
import { shapedCopy } from './copy-shapes.ts';
import { refuseUnknownTypes } from './copy-types.ts';
import { type Ended, newRun, recorded } from './recorded.ts';
import { tableDigests } from './table-digests.ts';

export interface Copied extends Ended {
  readonly run: string;
  /** Absent: it was stopped on the way. */
  readonly certificate?: Certificate;
}

/** One writer at a time per target database. */
const lockName = '*';

/** What is to be copied, and how it is read and written; looks at the catalogues, and at decimals without a width. */
export interface PreparedCopy {
  readonly sides: CopySides;
  readonly planned: Awaited<ReturnType<typeof planCopy>>;
  /** How each table is compared with its copy, by label of the source. */
  readonly pairs: ReadonlyMap<string, PairRequest>;
}

export const prepareCopy = async (o: Omit<CopyInput, 'facts' | 'version'>): Promise<PreparedCopy> => {
  const { pairs } = o;
  const shaped = pairs === undefined ? undefined : await shapedCopy({ ...o, lookups: o.target }, { ...o, pairs });
  const sides = copySides(shaped?.source ?? o.source, o.target);
  const request = shaped === undefined ? o : { ...shaped.request, ...(o.observe === false ? { observe: false } : {}) };
  const planned = await planCopy(sides, request as CopyRequest, o);
  return {
    sides,
    planned: { ...planned, leftOut: [...planned.leftOut, ...(shaped?.leftOut ?? [])] },
    pairs: shaped?.pairs ?? new Map(),
  };
};

/**
 * `lockstep copy`: makes the tables that are missing, loads each from one snapshot in steps, then makes keys and indexes,
 * then foreign keys; compares every row and the schema, and says what it came to.
 */
export const copy = async (o: CopyInput): Promise<Copied> => {
  const prepared = await prepareCopy(o);
  if (prepared.planned.tables.length === 0)
    throw new LockstepError('USAGE', `${o.source.name} has no table to copy`, {
      hint: 'Name them: lockstep copy SOURCE TARGET table…',
    });
  await refuseAtOnce(o, prepared);
  const begin = o.resume === undefined ? newRun('copy', o) : { resume: o.resume, facts: o.facts };
  return recorded(o.store, o.clock, begin, o, (run) => {
    if (run.kind !== 'copy')
      throw new LockstepError('USAGE', `run ${run.id} is no copy`, { hint: 'lockstep runs lists them.' });
    return copyInRun(o, prepared, run);
  });
};

/** What can be told before there is a run. */
export const refuseAtOnce = async (o: CopyInput, { sides, planned }: PreparedCopy): Promise<void> => {
  if (o.resume === undefined) await refuseUnfit(sides, planned.tables, o);
  await refuseUnknownTypes(sides, planned.tables, o);
};

/** The copy itself, as a run that has begun; told to the audit log. */
export const copyInRun = async (o: CopyInput, prepared: PreparedCopy, run: Run): Promise<Copied> => {
  const after = { kind: 'copy', source: o.source.name, target: o.target.name, tables: prepared.planned.tables.length };
  const { actor, correlation } = run;
  const entry = { actor, correlation, action: 'run.copy', object: `runs/${run.id}`, after };
  const work = (): Promise<Copied> => carryOut(o, prepared, run);
  return audited(o.store.audit, entry, o, work, ({ exit }) => ({ exit }));
};

const carryOut = async (o: CopyInput, prepared: PreparedCopy, run: Run): Promise<Copied> => {
  const { sides, planned } = prepared;
  refuseOthers(run, o);
  o.onRun?.(run.id);
  const checkpoint = openCheckpoint(o.store, run, o);
  const { now } = checkpoint;
  const markedBy = await sides.target.writer.prepare(o);
  if (markedBy === 'state' && Object.keys(now.steps).length > 0)
    throw new LockstepError(
      'PRIVILEGE',
      `${o.target.name}: what run ${run.id} has loaded cannot be told, since this user may not keep marks there`,
      { side: o.target.name, hint: 'Empty the tables and copy anew, or let the user make the tables of steps.' },
    );
  // what this run has not begun to load is as new to it as everything was at first
  const fresh = planned.tables.filter((t) => t.existing !== undefined && !(tableLabel(t.source) in now.steps));
  if (o.resume !== undefined) {
    const others = fresh.filter((t) => !now.made.includes(tableLabel(t.target)));
    await refuseUnfit(sides, others, o);
    await refuseFilled(sides.target, fresh, o);
  }
  const lock = await sides.target.writer.lock({ run: run.id, pair: lockName }, o);
  let loads: readonly TableLoad[];
  let failed: ReadonlyMap<string, FailedPart>;
  try {
    const made = await makeTables(o, sides, planned.tables, checkpoint);
    const mark = { run: now.marks ?? run.id, token: lock.token };
    const loaded = await loadAll(o, sides, planned.tables, made, mark, checkpoint);
    if (loaded === undefined) return stopped(run);
    loads = loaded;
    failed = await makeParts(o, sides, planned.tables, made);
  } finally {
    await lock[Symbol.asyncDispose]();
  }
  return { run: run.id, ...(await prove(o, prepared, run, loads, failed, checkpoint)) };
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

/** Compares every row and the schema; the certificate says what it came to. */
const prove = async (
  o: CopyInput,
  { sides, planned, pairs }: PreparedCopy,
  run: Run,
  loads: readonly TableLoad[],
  failed: ReadonlyMap<string, FailedPart>,
  checkpoint: Checkpoint,
): Promise<{ readonly certificate: Certificate; readonly exit: number; readonly report: JsonValue }> => {
  const requests = planned.tables.map((t) => ({ ...pairs.get(tableLabel(t.source)), ...requestOf(t) }));
  const report = await compareCopied(o, planned.tables, requests);
  const drift = await schemaDrift(o, sides, planned.tables, failed);
  const digests = await tableDigests({ ...o, ...targetSchemas(planned.tables) }, requests);
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
    notCopied: planned.notCopied,
    notes: planned.tables.flatMap((t) => t.draft.notes),
    made: new Set(checkpoint.now.made),
  });
  const exit = certificate.verdict === 'certified' ? 0 : certificate.verdict === 'incomplete' ? 25 : 2;
  return { certificate, exit, report: certificate as unknown as JsonValue };
};

const requestOf = (t: PlannedTable) => ({ source: tableLabel(t.source), target: tableLabel(t.target) });

const targetSchemas = (tables: readonly PlannedTable[]) => {
  const { schemas } = schemasOf(tables);
  return schemas === undefined ? {} : { schemas: { target: schemas } };
};

const compareCopied = (
  o: CopyInput,
  tables: readonly PlannedTable[],
  pairs: readonly PairRequest[],
): Promise<CompareReport> =>
  compare({
    source: o.source,
    target: o.target,
    pairs,
    ...(o.otherTables === undefined ? {} : { otherTables: o.otherTables, excludeTables: o.excludeTables }),
    ...targetSchemas(tables),
    settleMs: o.settleMs,
    clock: o.clock,
    seed: o.seed,
    signal: o.signal,
    sink: { wanted: () => 0, write: async () => {} },
    ...(o.onProgress === undefined ? {} : { onProgress: o.onProgress }),
  });
