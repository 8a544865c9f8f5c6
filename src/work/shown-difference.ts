import { shownCell } from '../model/canon/show.ts';
import type { Difference } from '../model/change.ts';
import type { Cell, Key, Row } from '../model/row.ts';
import type { ColumnType, TableName } from '../model/schema.ts';

/** A pair as output needs it: known from a running comparison, or from a saved run. */
export interface ShownPair {
  /** The source table's label. */
  readonly name: string;
  /** The target table's label. */
  readonly target: string;
  readonly targetTable: TableName;
  readonly columns: readonly {
    readonly source: string;
    readonly target: string;
    readonly as: ColumnType;
    /** The target column's own type, when it is known. */
    readonly native?: string;
  }[];
  /** 0: rows without a key. */
  readonly keyWidth: number;
}

/** One cell of a difference; the absent side of a row that only one side has is left out. */
export interface ShownCell {
  readonly column: string;
  readonly source?: Cell;
  readonly target?: Cell;
}

/** A difference as CONTRACT's JSON has it. */
export interface ShownDifference {
  readonly pair: string;
  readonly key: Readonly<Record<string, Cell>>;
  readonly kind: Difference['kind'];
  readonly cells: readonly ShownCell[];
}

/** The cells of a key as every output writes them; none where rows have no key. */
export const shownKey = (pair: Pick<ShownPair, 'columns' | 'keyWidth'>, key: Key): readonly Cell[] =>
  pair.columns.slice(0, pair.keyWidth).map((c, i) => shownCell(key[i] ?? null, c.as));

/** Names a difference's key and cells by the source's column names. Rows without a key have an empty one. */
export const shownDifference = (pair: ShownPair, d: Difference): ShownDifference => {
  const cell = (row: Row, i: number): Cell => shownCell(row[i] ?? null, pair.columns[i]!.as);
  const key = Object.fromEntries(shownKey(pair, d.key).map((k, i) => [pair.columns[i]!.source, k]));
  const cells =
    d.kind === 'different'
      ? d.columns.map((i) => ({
          column: pair.columns[i]!.source,
          source: cell(d.source, i),
          target: cell(d.target, i),
        }))
      : pair.columns.map((c, i) =>
          d.kind === 'only_in_source'
            ? { column: c.source, source: cell(d.source, i) }
            : { column: c.source, target: cell(d.target, i) },
        );
  return { pair: pair.name, key, kind: d.kind, cells };
};
