import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Cell } from '../model/row.ts';
import { type Column, type Table, tableLabel } from '../model/schema.ts';
import type { PairTransform, RuleSettings, TransformSettings } from '../model/transform.ts';
import { findColumn, readable } from './columns.ts';
import { compileExpression } from './expression.ts';
import { compileLookup } from './lookup.ts';
import { callFunction, type MadeColumn, makeColumn, type StoredRow } from './make-column.ts';
import type { Check, Program } from './program.ts';
import { transformedReader } from './reading.ts';
import { columnRules } from './rule.ts';
import { toValue } from './value.ts';

/** The source table as it is after transformation, and the way there. */
export interface Transformed {
  readonly table: Table;
  readonly transform: PairTransform;
}

interface Options {
  readonly source: Table;
  readonly target: Table;
  readonly settings: TransformSettings;
  /** Source column -> target column, where the names differ. */
  readonly map: Readonly<Record<string, string>>;
  /** Source columns of the key, if it is given. */
  readonly key: readonly string[];
  /** Source columns whose values are not shown. */
  readonly concealed?: readonly string[];
  /** Finds the table of a look-up; throws TABLE_NOT_FOUND. */
  lookupTable(endpoint: 'source' | 'target', name: string): Table;
}

/**
 * Compiles what a pair's configuration says of its columns and rules, or undefined when it says nothing. Throws CONFIG,
 * COLUMN_NOT_FOUND or TABLE_NOT_FOUND.
 */
export const transformed = (o: Options): Transformed | undefined => {
  const { source, settings } = o;
  const label = tableLabel(source);
  if (Object.keys(settings.columns).length === 0 && Object.keys(settings.validate).length === 0) return undefined;
  const validate = Object.entries(settings.validate).map(
    ([name, rule]) => [findColumn(source, name)?.name ?? name, rule] as const,
  );
  const partners = new Map(Object.entries(o.map));
  const made = Object.entries(settings.columns).map(([written, column]) => {
    const stored = findColumn(source, written);
    const name = stored?.name ?? written;
    const where = `${label}.${name}`;
    const { lookup } = column;
    return makeColumn({
      name,
      stored,
      settings: column,
      table: source,
      partner: findColumn(o.target, partners.get(written) ?? partners.get(name) ?? name),
      lookup: lookup && compileLookup(lookup, o.lookupTable(lookup.endpoint, lookup.table), source, `${where}: lookup`),
      rule: validate.find(([column]) => column === name)?.[1],
      where,
    });
  });
  for (const [name, same] of Map.groupBy(made, (m) => m.column.name))
    if (same.length > 1) throw new LockstepError('CONFIG', `${label}: columns names ${name} twice`);
  const checks = validate.map(([name, rule]) => checkOf(source, made, name, rule));
  const program: Program = {
    raw: source,
    made,
    checks,
    lookups: made.flatMap((m) => (m.lookup ? [m.lookup] : [])),
    concealed: (o.concealed ?? []).map((name) => findColumn(source, name)?.name ?? name),
  };
  return { table: tableAfter(o, made), transform: transformOf(program, settings) };
};

const checkOf = (source: Table, made: readonly MadeColumn[], name: string, settings: RuleSettings): Check => {
  const where = `${tableLabel(source)}: validate ${name}`;
  const stored = findColumn(source, name);
  const column = stored ?? made.find((m) => m.column.name === name)?.column;
  if (column === undefined) {
    throw new LockstepError('COLUMN_NOT_FOUND', `${where}: there is no such column in the source, and none is made`, {
      hint: `Its columns are: ${source.columns.map((c) => c.name).join(', ')}.`,
    });
  }
  const rules = columnRules(readable(column, where), settings, where);
  const check = wholeRowCheck(source, settings, where);
  const own = settings.message;
  return {
    name,
    inputs: [...(stored ? [stored.name] : []), ...check.inputs],
    reasons: (row, madeCell) => {
      const cell = stored ? row.cell(stored.name) : (madeCell(name) as ReturnType<StoredRow['cell']>);
      const found = rules.flatMap((rule) => rule(cell) ?? []);
      const reason = check.reason(row);
      const all = reason === undefined ? found : [...found, reason];
      return all.length > 0 && own !== undefined ? [own] : all;
    },
  };
};

interface WholeRow {
  readonly inputs: readonly string[];
  reason(row: StoredRow): string | undefined;
}

const wholeRowCheck = (source: Table, { check }: RuleSettings, where: string): WholeRow => {
  if (check === undefined) return { inputs: [], reason: () => undefined };
  if (typeof check === 'function') {
    const columns = source.columns.filter((c) => c.unreadable === undefined);
    return {
      inputs: columns.map((c) => c.name),
      reason: (row) => {
        const result = callFunction(check, columns, row);
        return result === true ? undefined : typeof result === 'string' ? result : 'its check is not true';
      },
    };
  }
  const compiled = compileExpression(check, source.columns, where);
  const types = new Map(source.columns.map((c) => [c.name, c.type]));
  return {
    inputs: compiled.inputs,
    reason: (row) =>
      compiled.evaluate((column) => toValue(row.cell(column), column, types.get(column)!)) === true
        ? undefined
        : `${check} is not true`,
  };
};

/** The table as the comparison sees it: made columns in place of stored ones, new ones at the end. */
const tableAfter = (o: Options, made: readonly MadeColumn[]): Table => {
  const { source, target } = o;
  const madeOf = new Map(made.map((m) => [m.column.name, m.column]));
  const used = new Set(made.flatMap((m) => m.named));
  const named = new Set([...Object.keys(o.map), ...o.key].map((name) => findColumn(source, name)?.name));
  // What only serves to make other columns is compared through them.
  const servesOnly = (c: Column): boolean =>
    used.has(c.name) && !madeOf.has(c.name) && !named.has(c.name) && findColumn(target, c.name) === undefined;
  const stored = source.columns.filter((c) => !servesOnly(c)).map((c) => madeOf.get(c.name) ?? c);
  const fresh = made.map((m) => m.column).filter((c) => !source.columns.some((s) => s.name === c.name));
  return {
    ...source,
    columns: [...stored, ...fresh],
    uniques: source.uniques.filter((u) => u.columns.every((c) => !madeOf.has(c))),
  };
};

const signatureOf = (settings: TransformSettings): string =>
  JSON.stringify(settings, (_key, value: unknown) =>
    typeof value === 'function' ? String(value) : value instanceof Map ? [...value] : value,
  );

const transformOf = (program: Program, settings: TransformSettings): PairTransform => {
  const { raw, made, checks } = program;
  return {
    raw,
    signature: signatureOf(settings),
    backwards: made.flatMap((m) => {
      const { back } = m;
      if (back === undefined) return [];
      const forth = (stored: Cell): Cell => m.make({ cell: () => stored, lookedUp: () => null });
      return [{ column: m.column.name, forth, back }];
    }),
    oneWay: made.flatMap((m) => (m.oneWay === undefined ? [] : [{ column: m.column.name, why: m.oneWay }])),
    description: [
      ...made.map((m) => `${m.column.name}: ${m.how}`),
      ...(checks.length > 0 ? [`validated: ${checks.map((c) => c.name).join(', ')}`] : []),
    ].join(' · '),
    reading: (source, target): Endpoint => ({
      name: source.name,
      engine: source.engine,
      version: source.version,
      fingerprint: source.fingerprint,
      inspect: (o) => source.inspect(o),
      snapshot: async (o) => transformedReader(await source.snapshot(o), program, { source, target }),
      [Symbol.asyncDispose]: async () => {},
    }),
    over: (reader, source, target) => transformedReader(reader, program, { source, target }, true),
  };
};
