import type { LeftOut } from '../copy/definitions.ts';
import { type Shape, shapedSource, shapedTable } from '../copy/shape.ts';
import { findTable } from '../diff/find-table.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import { type Column, type ColumnType, type Schema, type Table, tableLabel } from '../model/schema.ts';
import type { ColumnSettings, TransformSettings } from '../model/transform.ts';
import type { PairRequest } from './compare.ts';
import type { CopyRequest } from './copy-plan.ts';

/** A copy as pairs say it: what to copy, as what, and how it is read. */
export interface ShapedCopy {
  readonly source: Endpoint;
  readonly request: CopyRequest & { readonly tables: NonNullable<CopyRequest['tables']> };
  /** By label of the source. */
  readonly pairs: ReadonlyMap<string, PairRequest>;
  /** What the pairs leave out. */
  readonly leftOut: readonly LeftOut[];
}

/** The table of this name; undefined: there is none yet. */
const existing = (schema: Schema, name: string, endpoint: string): Table | undefined => {
  const bare = name.split('.').at(-1)!.toLowerCase();
  return schema.tables.some((t) => t.name.toLowerCase() === bare || t.name.toLowerCase() === name.toLowerCase())
    ? findTable(schema, name, endpoint)
    : undefined;
};

const columnNamed = (table: Table, name: string): Column | undefined => {
  const exact = table.columns.find((c) => c.name === name);
  if (exact !== undefined) return exact;
  const alike = table.columns.filter((c) => c.name.toLowerCase() === name.toLowerCase());
  return alike.length === 1 ? alike[0] : undefined;
};

const long: ColumnType = { kind: 'int', bits: 64 };
const moment: ColumnType = { kind: 'instant', fraction: 6 };

/** The type that a made column has where the target has none for it yet. */
const madeType = (
  settings: ColumnSettings,
  stored: Column | undefined,
  lookedUp: ColumnType | undefined,
): ColumnType | undefined => {
  if (settings.as !== undefined) return settings.as.type;
  if (settings.from !== undefined) return moment;
  if (settings.into !== undefined) return long;
  if (settings.lookup !== undefined) return lookedUp;
  if (settings.constant !== undefined) return stored?.type ?? { kind: 'text' };
  return settings.expr === undefined && settings.transform === undefined ? stored?.type : undefined;
};

interface World {
  readonly source: Endpoint;
  readonly target: Pick<Endpoint, 'name'>;
  readonly from: Schema;
  readonly into: Schema;
}

/** The target's table as far as what is made needs it: its own, or the one that will be made. */
const partnerTable = (
  w: World,
  source: Table,
  there: Table | undefined,
  settings: TransformSettings,
  toName: (column: string) => string,
): Table => {
  const made = Object.entries(settings.columns).flatMap(([name, column]): Column[] => {
    const stored = columnNamed(source, name);
    const to = toName(stored?.name ?? name);
    if (there !== undefined && columnNamed(there, to) !== undefined) return [];
    const { lookup } = column;
    const looked = lookup && findTable(lookup.endpoint === 'source' ? w.from : w.into, lookup.table, w.source.name);
    const type = madeType(column, stored, looked && columnNamed(looked, lookup.value)?.type);
    if (type === undefined)
      throw new LockstepError(
        'CONFIG',
        `${tableLabel(source)}.${name} is to be made in ${w.target.name}, and nothing says of which type it is`,
        { hint: `Add its type to the column: ${name}: { as: text, … }.` },
      );
    return [{ name: to, type, native: type.kind, nullable: true }];
  });
  return { ...(there ?? { ...source, columns: [] }), columns: [...(there?.columns ?? []), ...made] };
};

const keyColumns = (pair: PairRequest): readonly (readonly [string, string])[] =>
  (pair.key ?? []).map((part) => (typeof part === 'string' ? [part, part] : part));

const namesOf = (pair: PairRequest, source: Table, there: Table | undefined): ((column: string) => string) => {
  const keys = keyColumns(pair).filter(([a, b]) => a !== b);
  const map = new Map(
    [...Object.entries(pair.map ?? {}), ...keys].map(([a, b]) => [columnNamed(source, a)?.name ?? a, b]),
  );
  return (column) => {
    const wanted = map.get(column) ?? column;
    return there === undefined ? wanted : (columnNamed(there, wanted)?.name ?? wanted);
  };
};

const shapeOf = async (
  w: World,
  pair: PairRequest,
  source: Table,
  there: Table | undefined,
): Promise<{ readonly shape: Shape; readonly leftOut: readonly LeftOut[] }> => {
  const label = tableLabel(source);
  const toName = namesOf(pair, source, there);
  const key = keyColumns(pair).map(([name]) => columnNamed(source, name)?.name ?? name);
  const settings = pair.transform;
  const { transformed } = settings ? await import('../transform/transform.ts') : {};
  const made =
    settings &&
    transformed?.({
      source,
      target: partnerTable(w, source, there, settings, toName),
      settings,
      map: Object.fromEntries(source.columns.map((c) => [c.name, toName(c.name)])),
      key,
      lookupTable: (side, name) =>
        findTable(side === 'source' ? w.from : w.into, name, side === 'source' ? w.source.name : w.target.name),
    });
  const read = made?.table ?? source;
  const madeNames = new Set(read.columns.filter((c) => !source.columns.includes(c)).map((c) => c.name));
  if (made !== undefined && key.length === 0 && !read.uniques.some((u) => u.total))
    throw new LockstepError('KEY_MISSING', `${label} is transformed or validated, and has no key to read it by`, {
      hint: 'Name columns that identify a row: key: [a, b].',
    });
  const excluded = new Set((pair.exclude ?? []).map((n) => n.toLowerCase()));
  const only = pair.columns && new Set([...pair.columns, ...key].map((n) => n.toLowerCase()));
  const inKey = (name: string): boolean => read.uniques.some((u) => u.total && u.columns.includes(name));
  const leftOut: LeftOut[] = [];
  const columns = new Map<string, string>();
  for (const { name } of read.columns) {
    const to = toName(name);
    const gone =
      excluded.has(name.toLowerCase()) ||
      excluded.has(to.toLowerCase()) ||
      (only !== undefined && !only.has(name.toLowerCase()) && !inKey(name));
    if (gone) {
      leftOut.push({ table: label, kind: 'column', name, reason: 'its pair leaves it out' });
      continue;
    }
    if (columns.has(to))
      throw new LockstepError('USAGE', `two columns of ${label} would become ${to}`, {
        hint: 'Give one of them another name with `to`, or leave it out with exclude.',
      });
    columns.set(to, name);
  }
  for (const { name } of source.columns)
    if (!read.columns.some((c) => c.name === name))
      leftOut.push({ table: label, kind: 'column', name, reason: 'it only serves to make other columns' });
  const primary = source.uniques.find((u) => u.primary);
  if (primary !== undefined && !primary.columns.every((c) => [...columns.values()].includes(c) && !madeNames.has(c)))
    leftOut.push({
      table: label,
      kind: 'primary key',
      name: primary.name,
      reason: 'its columns are not copied as they are',
    });
  const filter = pair.filter?.source;
  if (filter !== undefined)
    leftOut.push({
      table: label,
      kind: 'rows',
      name: label,
      reason: 'its pair leaves out rows that do not meet its condition',
      definition: filter,
    });
  return {
    shape: {
      read,
      columns,
      made: new Set([...columns].flatMap(([to, name]) => (madeNames.has(name) ? [to] : []))),
      ...(made === undefined ? {} : { transform: made.transform }),
      ...(filter === undefined ? {} : { filter }),
      key,
    },
    leftOut,
  };
};

const lostReferences = (shape: Shape, shapes: ReadonlyMap<string, Shape>): readonly LeftOut[] => {
  const kept = new Set(shapedTable(shape, shapes).foreignKeys.map((k) => k.name));
  const table = tableLabel(shape.read);
  return shape.read.foreignKeys
    .filter((k) => !kept.has(k.name))
    .map(({ name }) => ({
      table,
      kind: 'foreign key',
      name,
      reason: 'a column of it, or one that it refers to, is not copied',
    }));
};

/** Source columns under their names in the target. */
const declaredTypes = (
  request: CopyRequest,
  pairs: readonly { readonly pair: PairRequest; readonly source: Table; readonly shape: Shape }[],
): ReadonlyMap<string, ColumnType> => {
  const types = new Map(request.types);
  for (const { pair, source, shape } of pairs) {
    const label = tableLabel(source);
    const said = new Map<string, ColumnType>();
    for (const to of shape.made) said.set(to, shape.read.columns.find((c) => c.name === shape.columns.get(to))!.type);
    for (const [to, from] of shape.columns) {
      for (const name of [`${source.name}.${from}`, `${label}.${from}`]) {
        const type = types.get(name);
        if (type === undefined) continue;
        types.delete(name);
        said.set(to, type);
      }
      const own = Object.entries(pair.types ?? {}).find(([name]) => name.toLowerCase() === from.toLowerCase());
      if (own !== undefined && !said.has(to)) said.set(to, own[1]);
    }
    for (const [to, type] of said) types.set(`${label}.${to}`, type);
  }
  return types;
};

/**
 * What a copy by pairs is: the source with its tables as they are to be, and what to copy of it. Reads the catalogues
 * only. Throws what `alignPair` throws, but needs no table in the target.
 */
export const shapedCopy = async (
  o: Cancel & {
    readonly source: Endpoint;
    readonly target: Pick<Endpoint, 'name' | 'inspect'>;
    /** Where look-ups of the target are made. */
    readonly lookups?: Endpoint;
  },
  request: Omit<CopyRequest, 'tables'> & { readonly pairs: readonly PairRequest[] },
): Promise<ShapedCopy> => {
  const { signal } = o;
  const from = await o.source.inspect({ signal });
  const schemas = [...new Set([...from.tables.flatMap((t) => t.schema ?? []), ...request.pairs.flatMap(schemaNamed)])];
  const into = await o.target.inspect({ signal, schemas });
  const w: World = { source: o.source, target: o.target, from, into };
  const shaped = [];
  for (const pair of request.pairs) {
    const source = findTable(from, pair.source, o.source.name);
    const there = existing(into, pair.target ?? pair.source, o.target.name);
    shaped.push({ pair, source, there, ...(await shapeOf(w, pair, source, there)) });
  }
  for (const [label, same] of Map.groupBy(shaped, (s) => tableLabel(s.source)))
    if (same.length > 1)
      throw new LockstepError('USAGE', `${label} is paired more than once`, {
        hint: 'Pair each source table once: use a sync of the config for each of the others.',
      });
  const shapes = new Map(shaped.map((s) => [tableLabel(s.source), s.shape] as const));
  return {
    source: shapedSource(o.source, o.lookups, shapes),
    request: {
      tables: shaped.map(({ pair, source, there }) => {
        const target = there === undefined ? pair.target : tableLabel(there);
        return { source: tableLabel(source), ...(target === undefined ? {} : { target }) };
      }),
      excludeTables: request.excludeTables,
      types: declaredTypes({ ...request }, shaped),
    },
    pairs: new Map(shaped.map((s) => [tableLabel(s.source), s.pair] as const)),
    leftOut: shaped.flatMap((s) => [...s.leftOut, ...lostReferences(s.shape, shapes)]),
  };
};

const schemaNamed = ({ target }: PairRequest): readonly string[] =>
  target?.includes('.') ? [target.slice(0, target.indexOf('.'))] : [];
