import { isMisfit, misfitContent } from '../model/canon/misfit.ts';
import type { Row } from '../model/row.ts';
import type { Table } from '../model/schema.ts';
import { type Refused, type RowWay, refusedRow } from './rows.ts';

/** Values of one column that the target would refuse. */
export interface RefusedValues {
  readonly column: string;
  readonly count: number;
  readonly examples: readonly Refused[];
}

/** What the values of a column look like, where that is not what its type says. */
export interface Hint {
  readonly column: string;
  readonly looks: 'flags' | 'dates' | 'times' | 'seconds since 1970' | 'milliseconds since 1970';
  /** Values that were looked at: all that are not NULL. */
  readonly count: number;
  /** What would give it that type: a flag of `lockstep copy`, or a setting of the column in its pair. */
  readonly fix: string;
}

export interface TableProfile {
  readonly rows: number;
  readonly refusedRows: number;
  readonly refused: readonly RefusedValues[];
  readonly hints: readonly Hint[];
}

const shapes = {
  flags: /^[01]$/,
  dates: /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/,
  times: /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[ T](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?$/,
  // 1990 to 2065, so that hardly a count or a price is taken for a time
  'seconds since 1970': /^(?:6[3-9]|[7-9]\d|1\d\d|2\d\d|300)\d{7}$/,
  'milliseconds since 1970': /^(?:6[3-9]|[7-9]\d|1\d\d|2\d\d|300)\d{10}$/,
} as const;

/** Kinds of types that take a column for what it looks like. */
const becomes: Readonly<Record<keyof typeof shapes, readonly string[]>> = {
  flags: ['bool'],
  dates: ['date'],
  times: ['timestamp', 'instant'],
  'seconds since 1970': ['instant'],
  'milliseconds since 1970': ['instant'],
};

const words: Readonly<Record<string, readonly (keyof typeof shapes)[]>> = {
  int: ['flags', 'seconds since 1970', 'milliseconds since 1970'],
  text: ['dates', 'times'],
};

const fixes: Readonly<Record<Hint['looks'], (table: string, column: string) => string>> = {
  flags: (table, column) => `--type ${table}.${column}=bool`,
  dates: (table, column) => `--type ${table}.${column}=date`,
  times: (table, column) => `--type ${table}.${column}=timestamp`,
  // a number becomes a moment only by a pair, which the comparison knows, too
  'seconds since 1970': (_, column) => `columns: { ${JSON.stringify(column)}: { type: timestamptz, from: epoch_s } }`,
  'milliseconds since 1970': (_, column) =>
    `columns: { ${JSON.stringify(column)}: { type: timestamptz, from: epoch_ms } }`,
};

/** So many values alike are no chance. */
const least = 3;
const keptExamples = 3;

/**
 * Looks at the rows of a table as a copy would: what would be refused and why, and what columns hold other things than
 * their types say.
 */
export const profiler = (source: Table, way: RowWay, into: Pick<Table, 'columns'>) => {
  const refused = new Map<string, { count: number; examples: Refused[] }>();
  const kinds = new Map(into.columns.map((c) => [c.name, c.type.kind]));
  const columns = way.selection.columns.map((c, i) => ({
    name: c.name,
    // A type that is declared, or there already, needs no word any more.
    looks: new Set(
      (words[c.stored.kind] ?? []).filter((shape) => !becomes[shape].includes(kinds.get(way.columns[i]!) ?? '')),
    ),
    seen: 0,
  }));
  const inKeys = new Set([
    ...source.uniques.flatMap((u) => u.columns),
    ...source.foreignKeys.flatMap((k) => k.columns),
  ]);
  let rows = 0;
  let refusedRows = 0;
  const look = (row: Row): void => {
    columns.forEach((c, i) => {
      const cell = row[i];
      if (c.looks.size === 0 || cell == null) return;
      c.seen++;
      const text = isMisfit(cell) ? misfitContent(cell).content : cell;
      for (const shape of c.looks) if (!shapes[shape].test(text)) c.looks.delete(shape);
    });
  };
  return {
    add(row: Row, times: number): void {
      rows += times;
      look(row);
      const made = way.turn(row);
      if (!('reason' in made)) return;
      refusedRows += times;
      const column = made.column ?? '(invalid rows)';
      const known = refused.get(column) ?? { count: 0, examples: [] };
      refused.set(column, known);
      known.count += times;
      if (known.examples.length < keptExamples) known.examples.push(refusedRow(way, row, made.reason, made.column));
    },
    result(): TableProfile {
      const hints = columns.flatMap((c): Hint[] => {
        const [looks] = c.looks;
        if (looks === undefined || c.seen < least || inKeys.has(c.name)) return [];
        return [{ column: c.name, looks, count: c.seen, fix: fixes[looks](source.name, c.name) }];
      });
      return {
        rows,
        refusedRows,
        refused: [...refused].map(([column, r]) => ({ column, ...r })),
        hints,
      };
    },
  };
};
