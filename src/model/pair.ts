import type { Concealment } from './canon/concealed.ts';
import type { Cell } from './row.ts';
import type { Column, ColumnType, Table } from './schema.ts';
import type { Sample } from './selected.ts';
import type { PairTransform } from './transform.ts';

/** Differences that the user declared not to count. Judged on fetched cells, never in a digest, and counted. */
export interface Tolerance {
  /** Each side keeps its own value: no difference counts. */
  readonly any?: true;
  /** Largest absolute difference of two numbers, a decimal text such as `0.01`. */
  readonly numeric?: string;
  /** Digits of the fraction of a second that are compared, 0..6: both sides are cut, not rounded. */
  readonly fraction?: number;
  /** Letters differ only by case (Unicode simple folding). */
  readonly ignoreCase?: true;
  /** Blanks at the ends (U+0020, tab, line ends) do not count. */
  readonly trim?: true;
  readonly nullEqualsEmpty?: true;
}

/** A source column and a target column compared as one type, the wider of the two. */
export interface ColumnPair {
  readonly source: Column;
  readonly target: Column;
  readonly as: ColumnType;
  readonly tolerance?: Tolerance;
  /** Its values are not shown, nor kept in clear. */
  readonly concealed?: Concealment;
}

/** Something a run did not compare. A run that has one is never green. */
export interface NotCompared {
  /** e.g. `public.orders` or `public.orders.total`. */
  readonly what: string;
  readonly reason: string;
  /** What the user can do about it. */
  readonly fix?: string;
}

/** A source table and a target table aligned. */
export interface Pair {
  /** The source table's label: how the pair is named in output. */
  readonly name: string;
  readonly source: Table;
  readonly target: Table;
  /** Key columns first. */
  readonly columns: readonly ColumnPair[];
  /** 0: no key; rows are compared as a multiset and cannot be planned. */
  readonly keyWidth: number;
  /** Conditions in SQL of each side. */
  readonly filter?: { readonly source?: string; readonly target?: string };
  /** Only rows with these keys, on both sides: a pilot. */
  readonly sample?: Sample;
  /** Columns (or the whole pair) left out, other than by the user's own `exclude`. */
  readonly notCompared: readonly NotCompared[];
  /** Source rows are transformed or validated before they are compared: `source` is the table as it is afterwards. */
  readonly transform?: PairTransform;
  /**
   * Of a pair that is seen from its other side: how the cells of a column that its target makes are told from what is
   * stored there, and the other way round; undefined for a column that is compared as it is stored. Both throw.
   */
  readonly rewrites?: readonly ({ forth(stored: Cell): Cell; back(cell: Cell): Cell } | undefined)[];
  /** Things worth saying, e.g. a lossy match. */
  readonly warnings: readonly string[];
}
