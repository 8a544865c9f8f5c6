import { type CopyTable, type Defined, defineTables, type LeftOut } from '../copy/definitions.ts';
import { columnDrift, type Drift, partDrift } from '../copy/drift.ts';
import { observedDecimals } from '../copy/observe.ts';
import { findTable } from '../diff/find-table.ts';
import type { Loader, SchemaBuilder, TableDetails, TableDraft } from '../model/build.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { NotCompared } from '../model/pair.ts';
import { type ColumnType, type Schema, type Table, type TableName, tableLabel } from '../model/schema.ts';
import type { Writer } from '../model/writer.ts';
import type { PairRequest } from './compare.ts';
import { excludedTables } from './left-out.ts';

/** Tables to copy, by the names the user gave; absent: all of the source's default schemas. */
export interface CopyRequest {
  readonly tables?: readonly { readonly source: string; readonly target?: string }[];
  /** Instead of `tables`: those of these pairs, each as its pair says. */
  readonly pairs?: readonly PairRequest[];
  readonly excludeTables: readonly string[];
  /** Declared types by `table.column` of the source. */
  readonly types: ReadonlyMap<string, ColumnType>;
  /** false: no row is looked at to find how wide decimals have to be. */
  readonly observe?: false;
}

export interface PlannedTable extends CopyTable, Defined {
  readonly draft: TableDraft;
  /** The table of the target, where it is there already. */
  readonly existing: Table | undefined;
}

/** What is asked of a target to plan a copy into it. */
export type CopyTarget = Pick<Endpoint, 'name' | 'engine' | 'inspect'> & { readonly builder: SchemaBuilder };

/** The two sides of a copy; the target can be built and filled. */
export interface CopySides {
  readonly source: Endpoint;
  readonly target: Endpoint & { readonly writer: Writer; readonly builder: SchemaBuilder; readonly loader: Loader };
}

/** Throws NOT_WRITABLE or CONFIG when tables cannot be made and filled on this target, or read from this source. */
export const copySides = (source: Endpoint, target: Endpoint): CopySides => {
  if (target.writer === undefined)
    throw new LockstepError('NOT_WRITABLE', `${target.name} is read-only.`, {
      hint: 'Give the endpoint `writable: true` in the configuration.',
    });
  if (target.builder === undefined || target.loader === undefined)
    throw new LockstepError('CONFIG', `${target.name}: tables cannot be made on ${target.engine}`, {
      side: target.name,
    });
  if (source.details === undefined)
    throw new LockstepError(
      'CONFIG',
      `${source.name}: what its tables are made of cannot be read from ${source.engine}`,
      {
        side: source.name,
      },
    );
  const [f, g] = [source.fingerprint, target.fingerprint];
  if (f.server === g.server && f.database === g.database)
    throw new LockstepError(
      'SAME_TABLE',
      `${source.name} and ${target.name} are the same database: ${g.database} at ${g.address}`,
      {
        hint: 'Check the two addresses.',
      },
    );
  return { source, target: target as CopySides['target'] };
};

/** The schema that a table goes into: default to default, another one under its own name where there are schemas. */
const targetSchema = (t: Table, source: Schema, target: Schema): { schema?: string } => {
  if (target.defaultSchema === undefined) return {};
  const own = t.schema !== undefined && t.schema !== source.defaultSchema && source.defaultSchema !== undefined;
  return { schema: own ? t.schema! : target.defaultSchema };
};

const named = (name: string, t: Table, source: Schema, target: Schema): TableName => {
  const dot = name.indexOf('.');
  if (target.defaultSchema !== undefined && dot > 0) return { schema: name.slice(0, dot), name: name.slice(dot + 1) };
  return { ...targetSchema(t, source, target), name };
};

/** What is to be copied, what it becomes, and what is left out. Reads the catalogues only. */
export const planCopy = async (
  { source, target }: { readonly source: Endpoint; readonly target: CopyTarget },
  request: CopyRequest,
  o: Cancel,
): Promise<{
  readonly tables: readonly PlannedTable[];
  readonly leftOut: readonly LeftOut[];
  /** What nobody has named or left out, and is not copied all the same. */
  readonly notCopied: readonly NotCompared[];
  readonly schema: Schema;
}> => {
  const from = await source.inspect(o);
  const asLabels = (request.tables ?? []).flatMap((t) => (t.target?.includes('.') ? [t.target.split('.')[0]!] : []));
  const schemas = [...new Set([...from.tables.flatMap((t) => t.schema ?? []), ...asLabels])];
  const into = await target.inspect({ ...o, schemas });
  const excluded = excludedTables(from, into, request.excludeTables, { source: source.name, target: target.name });
  const asked = request.tables?.map((t) => ({ table: findTable(from, t.source, source.name), as: t.target }));
  const wanted = (asked ?? from.tables.map((table) => ({ table, as: undefined }))).filter(
    (t) => !excluded.has(t.table),
  );
  const leftOut: LeftOut[] = [...excluded]
    .filter((t) => from.tables.includes(t))
    .map((table) => ({
      table: tableLabel(table),
      kind: 'table',
      name: tableLabel(table),
      reason: 'left out by name',
    }));
  const chosen = wanted.filter(({ table }) => {
    if (table.kind !== 'view') return true;
    leftOut.push({
      table: tableLabel(table),
      kind: 'view',
      name: table.name,
      reason: 'what it shows is made from tables',
    });
    return false;
  });
  const details = await source.details!({ ...o, tables: chosen.map((c) => c.table) });
  const tables = chosen.map(({ table, as }, i): CopyTable => {
    const name =
      as === undefined ? { ...targetSchema(table, from, into), name: table.name } : named(as, table, from, into);
    return { source: table, details: details[i]!, target: name };
  });
  const twice = tables.find((t, i) => tables.findIndex((x) => tableLabel(x.target) === tableLabel(t.target)) !== i);
  if (twice !== undefined)
    throw new LockstepError('USAGE', `two tables would become ${tableLabel(twice.target)}`, {
      hint: 'Give one of them another name: source=target.',
    });
  for (const column of request.types.keys())
    if (
      !tables.some(({ source: t }) =>
        t.columns.some((c) => [t.name, tableLabel(t)].some((n) => `${n}.${c.name}` === column)),
      )
    )
      throw new LockstepError(
        'COLUMN_NOT_FOUND',
        `--type names ${column}, which is no column of a table that is copied`,
        {
          hint: 'Write it as table.column, as the source has it.',
        },
      );
  const types = new Map(request.types);
  const widest = target.builder.widestDecimal;
  if (widest !== undefined && request.observe !== false && source.engine !== target.engine) {
    await using reader = await source.snapshot(o);
    for (const [column, type] of await observedDecimals(reader, tables, widest, tableLabel, o))
      if (!types.has(column)) types.set(column, type);
  }
  const defined = defineTables(tables, {
    sourceEngine: source.engine,
    targetEngine: target.engine,
    builder: target.builder,
    types,
  });
  const planned = tables.map((t, i): PlannedTable => {
    const d = defined[i]!;
    return { ...t, ...d, draft: target.builder.draft(d.definition), existing: tableOf(into, t.target) };
  });
  leftOut.push(...defined.flatMap((d) => d.leftOut));
  const notCopied = (asked === undefined ? (from.unseen ?? []) : []).map(
    ({ schema, tables: n }): NotCompared => ({
      what: schema,
      reason: `${n === 1 ? 'a table' : `${n} tables`} of this schema of ${source.name} ${n === 1 ? 'is' : 'are'} not copied: it is not among those that its connection looks at`,
      fix: `Add the schema to the source's URL (?schema=${schema}), or name the tables that you want.`,
    }),
  );
  return { tables: planned, leftOut, notCopied, schema: into };
};

/** A table by its exact name. */
export const tableOf = (schema: Schema, name: TableName): Table | undefined =>
  schema.tables.find((t) => tableLabel(t) === tableLabel(name));

const many = 30;
const isKey = / has no (?:primary key|unique key|foreign key) ?/;

/** SCHEMA_DRIFT, with the statements that would mend it. */
export const unfitTables = (target: string, drift: readonly Drift[]): LockstepError =>
  new LockstepError(
    'SCHEMA_DRIFT',
    `${target} has ${new Set(drift.map((d) => d.table)).size === 1 ? 'a table' : 'tables'} of another shape: ${drift[0]!.what}${drift.length > 1 ? `, and ${drift.length - 1} more` : ''}. Nothing was written.`,
    {
      hint: 'These statements would mend it (look at them first), or give the table another name with source=target, or leave it out with --exclude-table.',
      details: drift.slice(0, many).flatMap((d) => [`-- ${d.what}`, `${d.fix};`]),
      side: target,
    },
  );

/** Tables that are there and would not take the rows, or hold some: told before anything is written. */
export const refuseUnfit = async ({ target }: CopySides, tables: readonly PlannedTable[], o: Cancel): Promise<void> => {
  const there = tables.filter((t) => t.existing !== undefined);
  if (there.length === 0) return;
  const details = await target.details?.({ ...o, tables: there.map((t) => t.existing!) });
  const drift = there.flatMap((t, i): readonly Drift[] => [
    ...columnDrift(t.source, t.existing!, t.definition, t.draft, target.builder),
    // an index or a default that is missing keeps no row out: the certificate tells it
    ...partDrift(t.existing!, details?.[i], t.definition, t.draft, target.builder).filter((d) => isKey.test(d.what)),
  ]);
  if (drift.length > 0) throw unfitTables(target.name, drift);
  await refuseFilled(target, there, o);
};

/** A table that rows are about to be loaded into must have none: those of somebody else would be doubled or mixed. */
export const refuseFilled = async (
  target: CopySides['target'],
  there: readonly PlannedTable[],
  o: Cancel,
): Promise<void> => {
  if (there.length === 0) return;
  await using reader = await target.snapshot(o);
  for (const t of there) {
    const rows = await reader.count({ table: t.existing!, columns: [], keyWidth: 0 }, o);
    if (rows === 0) continue;
    throw new LockstepError(
      'GUARD',
      `${tableLabel(t.existing!)} of ${target.name} has rows already: a copy goes into empty tables only. Nothing was written.`,
      {
        hint: 'To make the two agree: lockstep sync. To go on with a copy that was interrupted: the same command with --resume RUN.',
        side: target.name,
      },
    );
  }
};

/** Details of tables of the target, in their order. */
export const targetDetails = async (
  { target }: CopySides,
  tables: readonly Table[],
  o: Cancel,
): Promise<readonly (TableDetails | undefined)[]> =>
  (await target.details?.({ ...o, tables })) ?? tables.map(() => undefined);
