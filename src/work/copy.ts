import { LockstepError } from '../model/errors.ts';
import type { CompareReport } from '../model/report.ts';
import { tableLabel } from '../model/schema.ts';
import type { Json, Run } from '../model/store.ts';
import { audited } from './audited.ts';
import { type Certificate, certificateOf, type TableLoad } from './certificate.ts';
import { compare } from './compare.ts';
import { type CopyInput, schemasOf } from './copy-input.ts';
import { loadAll } from './copy-load.ts';
import { type CopySides, copySides, type PlannedTable, planCopy, refuseFilled, refuseUnfit } from './copy-plan.ts';
import { type Checkpoint, openCheckpoint } from './copy-run.ts';
import { type FailedPart, makeParts, makeTables, schemaDrift } from './copy-schema.ts';
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
  await refuseUnknownTypes(sides, planned.tables, o);
  const begin = o.resume === undefined ? newRun('copy', o) : { resume: o.resume, facts: o.facts };
  const carryOut = async (run: Run): Promise<Copied> => {
    if (run.kind !== 'copy')
      throw new LockstepError('USAGE', `run ${run.id} is no copy`, { hint: 'lockstep runs lists them.' });
    refuseOthers(run, o);
    o.onRun?.(run.id);
    const checkpoint = openCheckpoint(o.store, run, o);
    const markedBy = await sides.target.writer.prepare(o);
    if (markedBy === 'state' && Object.keys(checkpoint.now.steps).length > 0)
      throw new LockstepError(
        'PRIVILEGE',
        `${o.target.name}: what run ${run.id} has loaded cannot be told, since this user may not keep marks there`,
        { side: o.target.name, hint: 'Empty the tables and copy anew, or let the user make the tables of steps.' },
      );
    // what this run has not begun to load is as new to it as everything was at first
    const { now } = checkpoint;
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
      const loaded = await loadAll(o, sides, planned.tables, made, { run: run.id, token: lock.token }, checkpoint);
      if (loaded === undefined) return stopped(run);
      loads = loaded;
      failed = await makeParts(o, sides, planned.tables, made);
    } finally {
      await lock[Symbol.asyncDispose]();
    }
    return { run: run.id, ...(await prove(o, sides, planned, run, loads, failed, checkpoint)) };
  };
  return recorded(o.store, o.clock, begin, o, (run) => {
    const after = { kind: 'copy', source: o.source.name, target: o.target.name, tables: planned.tables.length };
    const { actor, correlation } = run;
    const entry = { actor, correlation, action: 'run.copy', object: `runs/${run.id}`, after };
    return audited(
      o.store.audit,
      entry,
      o,
      () => carryOut(run),
      ({ exit }) => ({ exit }),
    );
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

/** Compares every row and the schema; the certificate says what it came to. */
const prove = async (
  o: CopyInput,
  sides: CopySides,
  planned: Pick<Awaited<ReturnType<typeof planCopy>>, 'tables' | 'leftOut' | 'notCopied'>,
  run: Run,
  loads: readonly TableLoad[],
  failed: ReadonlyMap<string, FailedPart>,
  checkpoint: Checkpoint,
): Promise<{ readonly certificate: Certificate; readonly exit: number; readonly report: Json }> => {
  const report = await compareCopied(o, planned.tables);
  const drift = await schemaDrift(o, sides, planned.tables, failed);
  const digests = await tableDigests({ ...o, ...targetSchemas(planned.tables) }, planned.tables.map(requestOf));
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
  return { certificate, exit, report: certificate as unknown as Json };
};

const requestOf = (t: PlannedTable) => ({ source: tableLabel(t.source), target: tableLabel(t.target) });

const targetSchemas = (tables: readonly PlannedTable[]) => {
  const { schemas } = schemasOf(tables);
  return schemas === undefined ? {} : { schemas: { target: schemas } };
};

const compareCopied = (o: CopyInput, tables: readonly PlannedTable[]): Promise<CompareReport> =>
  compare({
    source: o.source,
    target: o.target,
    pairs: tables.map(requestOf),
    ...targetSchemas(tables),
    settleMs: o.settleMs,
    clock: o.clock,
    seed: o.seed,
    signal: o.signal,
    sink: { wanted: () => 0, write: async () => {} },
    ...(o.onProgress === undefined ? {} : { onProgress: o.onProgress }),
  });
