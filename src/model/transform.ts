import { hidden } from './canon/concealed.ts';
import type { Endpoint } from './endpoint.ts';
import type { Reader } from './reader.ts';
import type { Cell, Key, Row, Text } from './row.ts';
import type { Column, ColumnType, Table } from './schema.ts';

/** A value as a config file writes it, exactly. Null: SQL NULL. */
export type Literal = string | null;

/** A column's value, made of its row by a function of the config. Numbers that must stay exact are given as bigint or text. */
export type RowFunction = (row: Readonly<Record<string, string | bigint | number | boolean | null>>) => unknown;

/** A value from another table, found by columns of the row. */
export interface LookupSettings {
  readonly endpoint: 'source' | 'target';
  readonly table: string;
  /** Column of the looked-up table -> column of the row. */
  readonly by: Readonly<Record<string, string>>;
  readonly value: string;
  /** When no row is found: the row is invalid (default), or the value is NULL. */
  readonly missing: 'quarantine' | 'null';
}

/** How a moment is kept as a number: seconds or milliseconds since 1970-01-01 UTC. */
export type Epoch = 'epoch_s' | 'epoch_ms';

/** How one column is made, step by step: a value, then `from` or `into`, then `map`, then `default`, then `as`. */
export interface ColumnSettings {
  readonly constant?: { readonly value: Literal };
  readonly expr?: string;
  readonly transform?: RowFunction;
  readonly lookup?: LookupSettings;
  /** The value is such a number, and becomes the moment. */
  readonly from?: Epoch;
  /** The value is a moment, and becomes such a number. */
  readonly into?: Epoch;
  /** Text of the value -> value. */
  readonly map?: ReadonlyMap<string, Literal>;
  /** What becomes of a value that `map` does not name. Default `keep`. NULL is never mapped. */
  readonly unmapped?: 'keep' | 'quarantine' | { readonly value: Literal };
  /** In place of NULL. */
  readonly default?: string;
  readonly as?: { readonly type: ColumnType; readonly native: string };
}

/** What a valid value is. NULL meets every rule but `notNull` and `check`. */
export interface RuleSettings {
  readonly in?: readonly Literal[];
  readonly notNull?: true;
  readonly min?: string;
  readonly max?: string;
  /** RE2 syntax. */
  readonly pattern?: string;
  /** In characters. */
  readonly length?: { readonly min?: number; readonly max?: number };
  /** An expression over the row that is true for a valid one; or a function that gives true, or the reason. */
  readonly check?: string | RowFunction;
  /** The reason, in the user's words. */
  readonly message?: string;
}

/** What a pair does with its source rows before they are compared. Columns by their source names. */
export interface TransformSettings {
  readonly columns: Readonly<Record<string, ColumnSettings>>;
  readonly validate: Readonly<Record<string, RuleSettings>>;
}

/**
 * What becomes of the rows of a source table before they are compared. The pair's `source` is the table as it is
 * afterwards; conditions (`filter`) stay conditions on what is stored.
 */
export interface PairTransform {
  /** The source table as it is stored. */
  readonly raw: Table;
  /**
   * The source as the comparison reads it: readers that show this table's rows transformed, by the same selections as any
   * other table's. An invalid row comes as its key, NULLs, and one cell more (see `rejectionOf`): it is equal to nothing
   * and its key is there. `target` is where some look-ups are made.
   */
  reading(source: Endpoint, target: Endpoint): Endpoint;
  /** The same for one snapshot that is open; closing what it gives leaves `reader` open. */
  over(reader: Reader, source: Endpoint, target: Endpoint): Reader;
  /** What is done, for people: `status: map · total: expr`. */
  readonly description: string;
  /** All that decides what becomes of a row, as text: two of the same do the same, as far as the text of a function tells. */
  readonly signature: string;
  /**
   * Columns that are made, one value of one, so that they can be told backwards: what is stored becomes what is
   * compared, and the other way round. Both throw with the reason where a value has no counterpart.
   */
  readonly backwards: readonly {
    readonly column: string;
    forth(stored: Cell): Cell;
    back(cell: Cell): Cell;
  }[];
  /** Columns whose target values do not tell the source's: the reverse direction cannot write them. */
  readonly oneWay: readonly { readonly column: string; readonly why: string }[];
}

/** Why a row is invalid, and the row as it is stored. */
export interface Rejection {
  readonly reasons: readonly string[];
  /** Source column -> stored value, of the columns that were read. Long values are cut. */
  readonly row: Readonly<Record<string, Cell>>;
}

/** The same where values of some columns are not to be seen: a reason may quote any of the row. */
export const concealedRejection = (rejection: Rejection, concealed: readonly string[]): Rejection =>
  concealed.length === 0
    ? rejection
    : {
        reasons: ['it breaks a rule, and the reason is not kept: it may quote concealed values'],
        row: Object.fromEntries(
          Object.entries(rejection.row).map(([name, cell]) => [
            name,
            cell !== null && concealed.includes(name) ? hidden : cell,
          ]),
        ),
      };

export interface Rejected extends Rejection {
  readonly key: Key;
}

/** The row that stands for an invalid one of `width` columns. */
export const rejectedRow = (key: Key, width: number, rejection: Rejection): Row => [
  ...key,
  ...new Array<Cell>(width - key.length).fill(null),
  JSON.stringify(rejection) as Text,
];

/** Is this a row of `width` columns that was found invalid? Then why. */
export const rejectionOf = (row: Row, width: number): Rejection | undefined =>
  row.length === width + 1 ? (JSON.parse(row[width]!) as Rejection) : undefined;

/** The source as a pair's comparison reads it. */
export const sourceOf = (pair: { readonly transform?: PairTransform }, source: Endpoint, target: Endpoint): Endpoint =>
  pair.transform?.reading(source, target) ?? source;

/** Is a part of the pair's key made of other columns? Then a row may have none. */
export const keyIsMade = (pair: {
  readonly transform?: PairTransform;
  readonly columns: readonly { readonly source: Column }[];
  readonly keyWidth: number;
}): boolean => {
  const { transform } = pair;
  return (
    transform !== undefined &&
    pair.columns.slice(0, pair.keyWidth).some((c) => !transform.raw.columns.includes(c.source))
  );
};
