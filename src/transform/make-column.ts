import { canonical } from '../model/canon/canonical.ts';
import { LockstepError } from '../model/errors.ts';
import type { Cell, Text } from '../model/row.ts';
import type { Column, ColumnType, Table } from '../model/schema.ts';
import type { ColumnSettings, Literal, RuleSettings } from '../model/transform.ts';
import { readable } from './columns.ts';
import { epochMoment, epochOfMoment, momentOfEpoch } from './epoch.ts';
import { compileExpression } from './expression.ts';
import type { Lookup } from './lookup.ts';
import { cast, cellOf, Invalid, quoted, toPlain, toValue } from './value.ts';

/** A row as it is stored, at work: its cells by column, and what was looked up for it. */
export interface StoredRow {
  cell(column: string): Cell;
  lookedUp(lookup: Lookup): Cell;
}

/** A column of the source as it is after transformation. */
export interface MadeColumn {
  readonly column: Column;
  /** Stored columns it may be made of. */
  readonly inputs: readonly string[];
  /** Those that it is made of for certain: what a function looks at nobody knows. */
  readonly named: readonly string[];
  readonly lookup?: Lookup;
  /** Throws Invalid with the reason. */
  make(row: StoredRow): Cell;
  readonly how: string;
  /** Why the value in the target does not tell the source's; undefined when it does. */
  readonly oneWay?: string;
  /** What is to be stored for a value to be made. Throws Invalid with the reason. Absent where it cannot be told. */
  back?(cell: Cell): Cell;
}

interface Made {
  readonly cell: Cell;
  readonly type: ColumnType;
}

const text: ColumnType = { kind: 'text' };
const literal = (value: Literal): Made => ({ cell: value as Cell, type: text });

/** Where a column's value comes from, before it is mapped. */
interface Origin {
  readonly inputs: readonly string[];
  /** Default: all of them. */
  readonly named?: readonly string[];
  readonly lookup?: Lookup;
  read(row: StoredRow): Made;
  /** Of what is read, where it is known before. */
  readonly type?: ColumnType;
  readonly how?: string;
  readonly oneWay?: string;
}

const originOf = (
  name: string,
  stored: Column | undefined,
  settings: ColumnSettings,
  table: Table,
  lookup: Lookup | undefined,
  where: string,
): Origin => {
  const { constant, expr, transform } = settings;
  const given = [constant, expr, transform, lookup].filter((x) => x !== undefined);
  if (given.length > 1)
    throw new LockstepError('CONFIG', `${where}: value, expr, transform and lookup are four ways to make one value`, {
      hint: 'Keep one of them.',
    });
  if (constant) return { inputs: [], read: () => literal(constant.value), how: 'constant', oneWay: 'it is a constant' };
  if (lookup)
    return {
      inputs: lookup.inputs,
      lookup,
      read: (row) => ({ cell: row.lookedUp(lookup), type: lookup.type }),
      type: lookup.type,
      how: 'lookup',
      oneWay: 'it is looked up',
    };
  if (expr !== undefined) {
    const compiled = compileExpression(expr, table.columns, where);
    const types = new Map(table.columns.map((c) => [c.name, c.type]));
    return {
      inputs: compiled.inputs,
      named: compiled.named,
      read: (row) => cellOf(compiled.evaluate((column) => toValue(row.cell(column), column, types.get(column)!))),
      how: 'expr',
      oneWay: 'it is the result of an expression',
    };
  }
  if (transform) {
    const columns = table.columns.filter((c) => c.unreadable === undefined);
    return {
      inputs: columns.map((c) => c.name),
      named: [],
      read: (row) => {
        const result = callFunction(transform, columns, row);
        return result === undefined && stored ? { cell: row.cell(stored.name), type: stored.type } : cellOf(result);
      },
      how: 'function',
      oneWay: 'it is made by a function',
    };
  }
  if (!stored) {
    throw new LockstepError(
      'COLUMN_NOT_FOUND',
      `${where}: the source has no column ${name}, and nothing says what it is made of`,
      {
        hint: `Its columns are: ${table.columns.map((c) => c.name).join(', ')}. A new column needs value, expr, lookup or transform.`,
      },
    );
  }
  const { type } = readable(stored, where);
  return { inputs: [stored.name], type, read: (row) => ({ cell: row.cell(stored.name), type }) };
};

/** Calls a function of the config with a row. What it throws makes the row invalid. */
export const callFunction = (call: (row: never) => unknown, columns: readonly Column[], stored: StoredRow): unknown => {
  const row: object = Object.create(null);
  for (const { name, type } of columns) {
    let value: unknown;
    try {
      value = toPlain(stored.cell(name), name, type);
    } catch (error) {
      // Only a function that looks at it finds it invalid.
      Object.defineProperty(row, name, {
        enumerable: true,
        get: () => {
          throw error;
        },
      });
      continue;
    }
    Object.defineProperty(row, name, { value, enumerable: true });
  }
  let result: unknown;
  try {
    result = call(row as never);
  } catch (error) {
    throw error instanceof Invalid
      ? error
      : new Invalid(`the function threw: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof (result as { then?: unknown } | null)?.then === 'function') {
    (result as Promise<unknown>).then(undefined, () => {});
    throw new LockstepError(
      'CONFIG',
      'a function of the configuration gives a promise: it must give its value at once',
      {
        hint: 'Use a lookup to fetch a value from another table.',
      },
    );
  }
  return result;
};

/** Values as they are written, by the text that the column's type gives them: `1.50` names 1.5. */
const keysOf = (map: ReadonlyMap<string, Literal>, type: ColumnType | undefined): ReadonlyMap<string, Literal> =>
  type === undefined ? map : new Map([...map].map(([key, value]) => [canonical(type, key), value]));

/** `type`: of the values, where it is the same for all. */
const mapped = (settings: ColumnSettings, name: string, type: ColumnType | undefined): ((made: Made) => Made) => {
  const { unmapped } = settings;
  if (settings.map === undefined) return (made) => made;
  const map = keysOf(settings.map, type);
  return (made) => {
    if (made.cell === null) return made;
    const found = map.get(made.cell);
    if (found !== undefined) return literal(found);
    if (unmapped === undefined || unmapped === 'keep') return made;
    if (unmapped === 'quarantine') throw new Invalid(`${name} is ${quoted(made.cell)}, which the map does not name`);
    return literal(unmapped.value);
  };
};

/** Why a map cannot be read backwards. */
const mapIsOneWay = ({ map, unmapped }: ColumnSettings, rule: RuleSettings | undefined): string | undefined => {
  if (map === undefined) return undefined;
  const values = [...map.values()];
  if (new Set(values).size < values.length) return 'several values become one';
  if (typeof unmapped === 'object') return 'all unmapped values become one';
  const mayBeStored = (value: Literal): boolean =>
    !map.has(value ?? '') && (rule?.in === undefined || rule.in.includes(value));
  const clash = unmapped === 'quarantine' ? undefined : values.find((value) => value !== null && mayBeStored(value));
  return clash === undefined ? undefined : `'${clash}' is kept where it is stored and also what another value becomes`;
};

/** The moment that a number stands for, or the number that stands for a moment, where that is declared. */
const counted = ({ from, into }: ColumnSettings, name: string): ((made: Made) => Made) => {
  if (from !== undefined)
    return ({ cell, type }) => ({ cell: momentOfEpoch(cell, name, type, from), type: epochMoment });
  if (into !== undefined)
    return ({ cell, type }) => ({ cell: epochOfMoment(cell, name, type, into), type: { kind: 'decimal' } });
  return (made) => made;
};

/** The steps of a column that can be read backwards, in the other direction. */
const backOf = (settings: ColumnSettings, stored: Column, column: Column, type: ColumnType): ((cell: Cell) => Cell) => {
  const { from, into, map, unmapped } = settings;
  const { name } = column;
  const ends = new Map(
    [...(map === undefined ? [] : keysOf(map, type))].flatMap(([key, value]) =>
      value === null ? [] : [[cast(value as Text, text, column, false), key] as const],
    ),
  );
  const nothing = map === undefined ? undefined : [...keysOf(map, type)].find(([, value]) => value === null)?.[0];
  return (cell) => {
    if (cell === null) return nothing === undefined ? null : cast(nothing as Text, type, stored, true);
    const key = ends.get(cell);
    if (key === undefined && map !== undefined && unmapped === 'quarantine')
      throw new Invalid(`${name} is ${quoted(cell)}, which the map names no value for`);
    const made: Made = key === undefined ? { cell, type: column.type } : { cell: key as Text, type };
    if (from !== undefined)
      return cast(epochOfMoment(made.cell, name, made.type, from), { kind: 'decimal' }, stored, true);
    if (into !== undefined) return cast(momentOfEpoch(made.cell, name, made.type, into), epochMoment, stored, true);
    return cast(made.cell, made.type, stored, true);
  };
};

/** Compiles the steps of one column. Throws CONFIG or COLUMN_NOT_FOUND. */
export const makeColumn = (o: {
  /** As the pair names it: the stored column it replaces, or a new one. */
  readonly name: string;
  readonly stored: Column | undefined;
  readonly settings: ColumnSettings;
  readonly table: Table;
  /** Its column in the target, which gives its type; undefined when there is none. */
  readonly partner: Column | undefined;
  readonly lookup: Lookup | undefined;
  readonly rule: RuleSettings | undefined;
  readonly where: string;
}): MadeColumn => {
  const { name, stored, settings, partner, where } = o;
  const origin = originOf(name, stored, settings, o.table, o.lookup, where);
  const as = settings.as ?? (partner && { type: partner.type, native: partner.native });
  if (as === undefined) {
    throw new LockstepError('COLUMN_NOT_FOUND', `${where}: the target has no column ${name}`, {
      hint: 'Name its column of the target with `to`.',
    });
  }
  const column: Column = { name, type: as.type, native: as.native, nullable: true };
  const { from, into } = settings;
  if (from !== undefined && into !== undefined)
    throw new LockstepError('CONFIG', `${where}: from and into are each other’s way back`, {
      hint: 'Keep from where the source has the number, into where the target has it.',
    });
  const toCounted = counted(settings, name);
  const toMapped = mapped(settings, name, from ? epochMoment : into ? { kind: 'decimal' } : origin.type);
  const fallback = settings.default;
  const strict = settings.as !== undefined;
  const how = [
    origin.how,
    from && `from ${from}`,
    into && `into ${into}`,
    settings.map && 'map',
    fallback === undefined ? undefined : 'default',
    settings.as && `as ${settings.as.native}`,
  ].filter((step) => step !== undefined);
  const oneWay =
    origin.oneWay ??
    mapIsOneWay(settings, o.rule) ??
    (fallback === undefined ? undefined : `NULL becomes '${fallback}'`) ??
    (stored && settings.as && !from && !into && stored.type.kind !== settings.as.type.kind
      ? 'it is cast to another type'
      : undefined);
  return {
    column,
    inputs: origin.inputs,
    named: origin.named ?? origin.inputs,
    ...(origin.lookup ? { lookup: origin.lookup } : {}),
    make: (row) => {
      const made = toMapped(toCounted(origin.read(row)));
      const { cell, type } =
        made.cell === null && fallback !== undefined ? { cell: fallback as Text, type: text } : made;
      return cast(cell, type, column, strict);
    },
    how: how.join(', '),
    ...(oneWay === undefined ? {} : { oneWay }),
    ...(oneWay === undefined && stored !== undefined
      ? { back: backOf(settings, stored, column, from ? epochMoment : into ? { kind: 'decimal' } : stored.type) }
      : {}),
  };
};
