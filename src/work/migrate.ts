import { columnDrift } from '../copy/drift.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { JsonValue } from '../model/json.ts';
import type { NotCompared } from '../model/pair.ts';
import type { Run } from '../model/runs.ts';
import { type Table, tableLabel } from '../model/schema.ts';
import type { Selection } from '../model/selected.ts';
import { nativeSelection } from '../model/selection.ts';
import type { Certificate } from './certificate.ts';
import { type Copied, copyInRun, type PreparedCopy, prepareCopy, refuseAtOnce } from './copy.ts';
import type { CopyInput } from './copy-input.ts';
import { type CopySides, type PlannedTable, unfitTables } from './copy-plan.ts';
import { type CopyCheckpoint, copyCheckpointOf } from './copy-run.ts';
import { beginOf, recorded } from './recorded.ts';
import { type Synced, type SyncInput, type SyncReport, sync } from './sync.ts';

export interface MigrateInput extends Omit<SyncInput, 'mode'>, Pick<CopyInput, 'types' | 'version' | 'onRun'> {
  readonly excludeTables: readonly string[];
  /** Asked before tables are made and filled; false: end without writing. */
  confirmCopy?(tables: readonly string[]): Promise<boolean>;
}

/** The report of a run of `sync` that copied: the numbers of any sync, and the certificate. */
export interface MigrateReport extends Omit<SyncReport, 'plan'> {
  readonly plan: null;
  readonly phase: 'copy';
  readonly certificate: Certificate;
}

/** What `sync` of a sync with `mode: migrate` did: tables were missing or empty and were copied; or it caught up. */
export type Migrated =
  | ({ readonly phase: 'copy' } & Copied & { readonly sync?: MigrateReport })
  | ({ readonly phase: 'catch_up' } & Synced)
  | { readonly phase: 'declined' };

/** Has the table a row? It is read by its key, so that the first row is cheap. */
const hasRows = async (endpoint: Endpoint, table: Table, o: Pick<MigrateInput, 'signal'>): Promise<boolean> => {
  await using reader = await endpoint.snapshot(o);
  const key = table.uniques.find((u) => u.total)?.columns;
  if (key === undefined) return (await reader.count({ table, columns: [], keyWidth: 0 }, o)) > 0;
  const whole = nativeSelection(table, key);
  const selection: Selection = { ...whole, columns: whole.columns.slice(0, whole.keyWidth) };
  for await (const batch of reader.scan(selection, { kind: 'all' }, o)) if (batch.length > 0) return true;
  return false;
};

interface LeftCopy {
  /** The run whose marks its steps bear. */
  readonly marks: string;
  readonly checkpoint: CopyCheckpoint;
}

const pageRuns = 200;

/** Runs of this sync, between these databases, that have begun to copy and never ended well. Newest first. */
const leftRuns = async (o: MigrateInput): Promise<readonly Run[]> => {
  const { store, sync: name } = o;
  if (name === null) return [];
  const [whole] = await store.runs.list({ kinds: ['copy'], states: ['done'], sync: name, limit: 1 }, o);
  const left: Run[] = [];
  for (let before: string | undefined; ; ) {
    const page = await store.runs.list(
      {
        kinds: ['copy', 'sync'],
        states: ['failed', 'cancelled', 'running'],
        sync: name,
        limit: pageRuns,
        ...(before === undefined ? {} : { before }),
      },
      o,
    );
    for (const run of page) {
      if (whole !== undefined && run.started < whole.started) return left;
      if (run.id !== o.asRun && copyCheckpointOf(run) !== undefined && isBetween(run, o)) left.push(run);
    }
    if (page.length < pageRuns) return left;
    before = page.at(-1)!.id;
  }
};

const isBetween = (run: Run, { facts }: MigrateInput): boolean =>
  (['source', 'target'] as const).every((side) => {
    const [was, now] = [run[side]?.fingerprint, facts[side].fingerprint];
    return was?.server === now?.server && was?.database === now?.database;
  });

const leftCopy = (run: Run | undefined): LeftCopy | undefined => {
  const checkpoint = copyCheckpointOf(run);
  return checkpoint && { marks: checkpoint.marks ?? run!.id, checkpoint };
};

/** Tables of a copy that was begun are all still there: else somebody has given it up. */
const goesOn = (checkpoint: CopyCheckpoint, tables: readonly PlannedTable[]): boolean =>
  Object.keys(checkpoint.steps).every(
    (label) => tables.find((t) => tableLabel(t.source) === label)?.existing !== undefined,
  );

const isBegun = (checkpoint: CopyCheckpoint | undefined, t: PlannedTable): boolean =>
  checkpoint !== undefined &&
  (tableLabel(t.source) in checkpoint.steps || checkpoint.made.includes(tableLabel(t.target)));

/** So many runs are looked through, at most: what is not among them is tried again. */
const mostLooked = 1000;

const certificateIn = ({ kind, report }: Run): Certificate | undefined =>
  (kind === 'copy' ? report : (report as { readonly certificate?: unknown } | null)?.certificate) as
    | Certificate
    | undefined;

/**
 * Source tables of which the last copy brought no row: the target takes none, or the pair leaves all out. To copy them again
 * and again would keep the others from catching up; rows that fit some day come as changes.
 */
const copiedInVain = async (o: MigrateInput): Promise<ReadonlySet<string>> => {
  const { store, sync: name } = o;
  const last = new Map<string, number>();
  if (name === null) return new Set();
  let before: string | undefined;
  for (let looked = 0; looked < mostLooked; looked += pageRuns) {
    const from = before === undefined ? {} : { before };
    const page = await store.runs.list(
      { kinds: ['copy', 'sync'], states: ['done'], sync: name, limit: pageRuns, ...from },
      o,
    );
    for (const run of page) {
      if (copyCheckpointOf(run) === undefined || !isBetween(run, o)) continue;
      for (const t of certificateIn(run)?.tables ?? []) if (!last.has(t.source)) last.set(t.source, t.rows.target);
    }
    if (page.length < pageRuns) break;
    before = page.at(-1)!.id;
  }
  return new Set([...last].flatMap(([table, rows]) => (rows === 0 ? [table] : [])));
};

/** Which tables are to be copied now: those that are missing, empty where the source has rows, or half copied. */
const toCopy = async (
  o: MigrateInput,
  { source, target }: CopySides,
  tables: readonly PlannedTable[],
  checkpoint: CopyCheckpoint | undefined,
): Promise<readonly PlannedTable[]> => {
  const found: PlannedTable[] = [];
  let inVain: ReadonlySet<string> | undefined;
  for (const t of tables) {
    const { existing } = t;
    if (existing === undefined || isBegun(checkpoint, t)) found.push(t);
    else if (!(await hasRows(target, existing, o)) && (await hasRows(source, t.source, o))) {
      inVain ??= await copiedInVain(o);
      if (!inVain.has(tableLabel(t.source))) found.push(t);
    }
  }
  return found;
};

/** A column that the source has got since: nothing is written before the target has it, too. */
const refuseDrifted = ({ sides, planned }: PreparedCopy): void => {
  const drift = planned.tables.flatMap((t) =>
    t.existing === undefined
      ? []
      : columnDrift(t.source, t.existing, t.definition, t.draft, sides.target.builder).filter((d) => d.missing),
  );
  if (drift.length > 0) throw unfitTables(sides.target.name, drift);
};

const sumOf = (c: Certificate, of: (t: Certificate['tables'][number]) => number): number =>
  c.tables.reduce((n, t) => n + of(t), 0);

const none = { insert: 0, update: 0, delete: 0 };

/** A certificate in the numbers of a sync. */
export const migrateReport = (c: Certificate): MigrateReport => {
  const refused = sumOf(c, (t) => t.refused);
  const loaded = sumOf(c, (t) => t.loaded.rows);
  const there = sumOf(c, (t) => t.rows.target);
  const already = Math.max(0, there - loaded);
  return {
    schema_version: 1,
    run: c.run,
    plan: null,
    phase: 'copy',
    planned: { ...none, insert: loaded + already + refused, withheld: 0 },
    applied: { ...none, insert: loaded },
    already,
    skipped: { moved: 0, already_synced: 0 },
    rejected: refused,
    does_not_fit: refused,
    rolled_back: 0,
    pending: 0,
    conflicts: 0,
    verified: sumOf(c, (t) => t.identical),
    unverified: sumOf(c, (t) => t.different + t.only_in_target),
    changed_by_target: 0,
    quarantined: 0,
    in_flight: sumOf(c, (t) => t.in_flight),
    verdict: c.verdict === 'certified' ? 'agrees' : c.verdict,
    guarded_by: 'marker',
    not_compared: c.coverage.not_compared.map(({ what, reason }) => ({ what, reason })),
    warnings: [...c.notes],
    certificate: c,
  };
};

/**
 * `sync` of a sync with `mode: migrate`. While tables are missing or empty it copies them, with a certificate; an interrupted
 * copy goes on. Once all are there it catches up, as upsert does, until somebody switches. SCHEMA_DRIFT when the target has
 * not the columns that the source has.
 */
export const migrate = async (o: MigrateInput): Promise<Migrated> => {
  const { facts, version, types, stop, pairs, onRun, otherTables } = o;
  const input: CopyInput = {
    ...o,
    facts,
    version,
    types,
    ...(pairs === undefined ? {} : { pairs }),
    ...(otherTables === undefined ? {} : { otherTables }),
    ...(stop === undefined ? {} : { stop }),
    ...(onRun === undefined ? {} : { onRun }),
  };
  const all = await prepareCopy({ ...input, observe: false });
  const earlier = await leftRuns(o);
  const own = o.asRun === undefined ? undefined : leftCopy(await o.store.runs.get(o.asRun, o));
  const left = own ?? leftCopy(earlier[0]);
  const begun = left !== undefined && goesOn(left.checkpoint, all.planned.tables) ? left : undefined;
  const chosen = await toCopy(o, all.sides, all.planned.tables, begun?.checkpoint);
  if (chosen.length === 0) {
    refuseDrifted(all);
    return { phase: 'catch_up', ...(await sync({ ...o, mode: 'upsert' })) };
  }
  if (o.confirmCopy !== undefined && !(await o.confirmCopy(chosen.map((t) => tableLabel(t.source)))))
    return { phase: 'declined' };
  const labels = new Set(chosen.map((t) => tableLabel(t.source)));
  const prepared = await prepareCopy({ ...input, ...only(all, labels, pairs) });
  const later = all.planned.tables.filter((t) => !labels.has(tableLabel(t.source)));
  const planned = { ...prepared.planned, notCopied: [...all.planned.notCopied, ...later.map(leftForLater)] };
  await refuseAtOnce({ ...input, ...(begun === undefined ? {} : { resume: begun.marks }) }, prepared);
  return recorded(o.store, o.clock, beginOf('sync', o), o, async (run: Run) => {
    const checkpoint =
      begun === undefined ? run.checkpoint : ({ ...begun.checkpoint, marks: begun.marks } as unknown as JsonValue);
    const resume = begun === undefined ? {} : { resume: run.id };
    if (begun !== undefined) await o.store.runs.update(run.id, { checkpoint }, o);
    const copied = await copyInRun({ ...input, ...resume }, { ...prepared, planned }, { ...run, checkpoint });
    if (copied.certificate === undefined) return { phase: 'copy' as const, ...copied };
    // nothing is left of what they had begun
    for (const { id } of earlier) await o.store.runs.update(id, { checkpoint: {} }, o);
    const report = migrateReport(copied.certificate);
    return {
      phase: 'copy' as const,
      ...copied,
      sync: report,
      report: { ...report, ...pairsOf(report) } as unknown as JsonValue,
    };
  });
};

/** The same request, of these tables only. */
const only = (
  all: PreparedCopy,
  labels: ReadonlySet<string>,
  pairs: MigrateInput['pairs'],
): Pick<CopyInput, 'pairs' | 'tables'> => {
  const named = [...all.pairs].filter(([label]) => labels.has(label)).map(([, pair]) => pair);
  if (pairs !== undefined) return { pairs: named };
  const tables = all.planned.tables.filter((t) => labels.has(tableLabel(t.source)));
  return { tables: tables.map((t) => ({ source: tableLabel(t.source), target: tableLabel(t.target) })) };
};

const leftForLater = (t: PlannedTable): NotCompared => ({
  what: tableLabel(t.source),
  reason: 'it has rows already, and this run copied the tables that had none',
  fix: 'Run the sync once more: it catches up.',
});

/** What monitoring goes by. */
const pairsOf = ({ certificate: c }: MigrateReport) => ({
  pairs: c.tables.map(({ source, target, rows, identical, different, only_in_source, only_in_target, in_flight }) => {
    return { source, target, rows, identical, different, only_in_source, only_in_target, in_flight };
  }),
});
