import type { LeftOut } from '../copy/definitions.ts';
import { profiler, type TableProfile } from '../copy/profile.ts';
import { rowWay } from '../copy/rows.ts';
import type { Clock } from '../lib/clock.ts';
import type { SchemaBuilder } from '../model/build.ts';
import type { Endpoint, Finding } from '../model/endpoint.ts';
import type { Progress } from '../model/report.ts';
import { type Column, type Table, tableLabel } from '../model/schema.ts';
import { type CopyRequest, type CopyTarget, type PlannedTable, planCopy } from './copy-plan.ts';

export interface AssessInput extends CopyRequest {
  readonly source: Endpoint;
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
  readonly scan: { readonly elapsed_ms: number; readonly rows_per_second: number };
  readonly notes: readonly string[];
}

/** What is known of a source before anything is copied from it. */
export interface Assessment {
  readonly schema_version: 1;
  readonly source: { readonly name: string; readonly engine: string; readonly version: string };
  readonly target: { readonly name: string; readonly engine: string } | null;
  readonly tables: readonly AssessedTable[];
  readonly refused_rows: number;
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

/** `lockstep assess`: reads every row once, writes nothing, and says what a copy would meet. */
export const assess = async (o: AssessInput): Promise<Assessment> => {
  const target: CopyTarget = o.target ?? {
    name: 'the target',
    engine: '(any)',
    builder: plainBuilder,
    inspect: async () => ({ tables: [] }),
  };
  o.onProgress?.({ pair: '', phase: 'inspect', rows: 0 });
  const planned = await planCopy({ source: o.source, target }, o, o);
  const tables: AssessedTable[] = [];
  {
    await using reader = await o.source.snapshot(o);
    for (const t of planned.tables) {
      const key = t.source.uniques.find((u) => u.total)?.columns ?? [];
      // what the same kind of engine holds, it holds again: SQLite keeps anything anywhere
      const into =
        t.existing ?? (o.target?.engine === o.source.engine ? { ...t.source, ...t.target } : draftedTable(t));
      const way = rowWay(t.source, into, key, o.source.engine === target.engine);
      const profile = profiler(t.source, way);
      const began = o.clock.elapsed();
      let rows = 0;
      for await (const batch of reader.scan(way.selection, { kind: 'all' }, o)) {
        for (const row of batch) profile.add(row, key.length === 0 ? Number(row.at(-1)) : 1);
        rows += batch.length;
        o.onProgress?.({ pair: tableLabel(t.source), phase: 'scan', rows });
      }
      const elapsed = Math.max(1, o.clock.elapsed() - began);
      const result = profile.result();
      tables.push({
        table: tableLabel(t.source),
        target: tableLabel(t.target),
        key,
        exists: t.existing !== undefined,
        columns: into.columns.map((c) => ({
          name: c.name,
          source: t.source.columns.find((s) => s.name === c.name)?.native ?? '(none)',
          target: c.native,
        })),
        scan: { elapsed_ms: Math.round(elapsed), rows_per_second: Math.round((1000 * result.rows) / elapsed) },
        notes: t.draft.notes,
        ...result,
      });
    }
  }
  const findings =
    (await o.source.examine?.({ signal: o.signal, tables: planned.tables.map((t) => t.source), writable: false })) ??
    [];
  return {
    schema_version: 1,
    source: { name: o.source.name, engine: o.source.engine, version: o.source.version },
    target: o.target === undefined ? null : { name: o.target.name, engine: o.target.engine },
    tables,
    refused_rows: tables.reduce((n, t) => n + t.refusedRows, 0),
    not_carried: [
      ...planned.notCopied.map(({ what, reason }) => ({ table: what, kind: 'schema', name: what, reason })),
      ...planned.leftOut,
    ],
    findings: findings.filter((f) => f.level !== 'ok'),
  };
};
