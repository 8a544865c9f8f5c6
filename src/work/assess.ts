import { type ChangeRate, watermarkCounter } from '../copy/change-rate.ts';
import type { LeftOut } from '../copy/definitions.ts';
import { profiler, type TableProfile } from '../copy/profile.ts';
import { rowWay } from '../copy/rows.ts';
import type { Clock } from '../lib/clock.ts';
import type { SchemaBuilder } from '../model/build.ts';
import type { Endpoint, Finding } from '../model/endpoint.ts';
import type { Reader } from '../model/reader.ts';
import type { Progress } from '../model/report.ts';
import { type Column, type Table, tableLabel } from '../model/schema.ts';
import { openRates } from './assess-rates.ts';
import { type CopyRequest, type CopyTarget, type PlannedTable, planCopy } from './copy-plan.ts';
import { shapedCopy } from './copy-shapes.ts';

export interface AssessInput extends CopyRequest {
  readonly source: Endpoint;
  /** Where look-ups of pairs are made that look in the target. */
  readonly lookups?: Endpoint;
  /** Column of the source that every write sets, where the configuration names one. */
  readonly watermark?: string;
  /** Absent: types are held against themselves, as an engine that enforces them would. */
  readonly target?: CopyTarget;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  onProgress?(progress: Progress): void;
}

export interface AssessedTable extends TableProfile {
  readonly table: string;
  readonly target: string;
  readonly key: readonly string[];
  readonly exists: boolean;
  readonly columns: readonly { readonly name: string; readonly source: string; readonly target: string }[];
  /** One whole read of the table: the baseline of what a copy or a comparison costs its source. */
  readonly scan: Baseline;
  /** How often its rows are written, and by what that is known. */
  readonly changes: ChangeRate;
  readonly notes: readonly string[];
}

interface Baseline {
  readonly elapsed_ms: number;
  readonly rows_per_second: number;
}

/** What is known of a source before anything is copied from it. */
export interface Assessment {
  readonly schema_version: 1;
  readonly source: { readonly name: string; readonly engine: string; readonly version: string };
  readonly target: { readonly name: string; readonly engine: string } | null;
  readonly tables: readonly AssessedTable[];
  readonly refused_rows: number;
  /** All tables, one after the other. */
  readonly baseline: Baseline & { readonly rows: number };
  readonly not_carried: readonly LeftOut[];
  readonly findings: readonly Finding[];
}

/** Holds types against themselves, enforced. */
const plainBuilder: SchemaBuilder = {
  longestName: 1000,
  indexNames: 'table',
  refuses: () => undefined,
  draft: (table) => ({
    create: [],
    after: [],
    foreignKeys: [],
    notes: [],
    columns: table.columns.map((c) => ({ name: c.name, sql: c.type.kind, native: c.type.kind, type: c.type })),
  }),
  alter: () => '',
  run: async () => {},
};

const baseline = (rows: number, elapsedMs: number): Baseline => ({
  elapsed_ms: Math.round(elapsedMs),
  rows_per_second: Math.round((1000 * rows) / Math.max(1, elapsedMs)),
});

/** The target's table as it would be made. */
const draftedTable = (t: PlannedTable): Table => ({
  ...t.target,
  kind: 'table',
  columns: t.definition.columns.map((c): Column => {
    const drafted = t.draft.columns.find((d) => d.name === c.name)!;
    const { nullable } = c;
    return { name: c.name, type: drafted.type, native: drafted.native, nullable };
  }),
  uniques: [],
  foreignKeys: [],
  triggers: [],
  indexes: [],
});

/** Reads every row of one table. `engine`: of the target. */
const assessTable = async (
  o: AssessInput,
  reader: Reader,
  t: PlannedTable,
  engine: string,
  rates: Awaited<ReturnType<typeof openRates>>,
): Promise<AssessedTable> => {
  const key = t.source.uniques.find((u) => u.total)?.columns ?? [];
  // what the same kind of engine holds, it holds again: SQLite keeps anything anywhere
  const into = t.existing ?? (o.target?.engine === o.source.engine ? { ...t.source, ...t.target } : draftedTable(t));
  const way = rowWay(t.source, into, key, o.source.engine === engine);
  const profile = profiler(t.source, way, into);
  const counter = watermarkCounter(
    t.source,
    o.watermark,
    way.selection.columns.map((c) => c.name),
    o.clock.now(),
  );
  const began = o.clock.elapsed();
  let rows = 0;
  for await (const batch of reader.scan(way.selection, { kind: 'all' }, o)) {
    for (const row of batch) {
      const times = key.length === 0 ? Number(row.at(-1)) : 1;
      profile.add(row, times);
      counter?.add(row, times);
    }
    rows += batch.length;
    o.onProgress?.({ pair: tableLabel(t.source), phase: 'scan', rows });
  }
  const elapsed = Math.max(1, o.clock.elapsed() - began);
  const result = profile.result();
  return {
    table: tableLabel(t.source),
    target: tableLabel(t.target),
    key,
    exists: t.existing !== undefined,
    columns: into.columns.map((c) => ({
      name: c.name,
      source: t.source.columns.find((s) => s.name === c.name)?.native ?? '(none)',
      target: c.native,
    })),
    scan: baseline(result.rows, elapsed),
    changes: counter?.result() ?? (await rates(tableLabel(t.source))),
    notes: t.draft.notes,
    ...result,
  };
};

/** `lockstep assess`: reads every row once, writes nothing, and says what a copy would meet. */
export const assess = async (o: AssessInput): Promise<Assessment> => {
  const target: CopyTarget = o.target ?? {
    name: 'the target',
    engine: '(any)',
    builder: plainBuilder,
    inspect: async () => ({ tables: [] }),
  };
  o.onProgress?.({ pair: '', phase: 'inspect', rows: 0 });
  const { pairs, lookups } = o;
  const shaped =
    pairs === undefined
      ? undefined
      : await shapedCopy({ ...o, target, ...(lookups === undefined ? {} : { lookups }) }, { ...o, pairs });
  const source = shaped?.source ?? o.source;
  const planned = await planCopy({ source, target }, shaped?.request ?? o, o);
  const rates = await openRates(
    o,
    planned.tables.map((t) => tableLabel(t.source)),
  );
  const tables: AssessedTable[] = [];
  {
    await using reader = await source.snapshot(o);
    for (const t of planned.tables) tables.push(await assessTable(o, reader, t, target.engine, rates));
  }
  const findings =
    (await source.examine?.({ signal: o.signal, tables: planned.tables.map((t) => t.source), writable: false })) ?? [];
  const allRows = tables.reduce((n, t) => n + t.rows, 0);
  return {
    schema_version: 1,
    source: { name: o.source.name, engine: o.source.engine, version: o.source.version },
    target: o.target === undefined ? null : { name: o.target.name, engine: o.target.engine },
    tables,
    refused_rows: tables.reduce((n, t) => n + t.refusedRows, 0),
    baseline: {
      rows: allRows,
      ...baseline(
        allRows,
        tables.reduce((ms, t) => ms + t.scan.elapsed_ms, 0),
      ),
    },
    not_carried: [
      ...planned.notCopied.map(({ what, reason }) => ({ table: what, kind: 'schema', name: what, reason })),
      ...planned.leftOut,
      ...(shaped?.leftOut ?? []),
    ],
    findings: findings.filter((f) => f.level !== 'ok'),
  };
};
