import type { Key, Row } from '../../model/row.ts';
import type { RowCondition, RowOutcome, RowPage, RowWrite, StoredRow } from '../../model/rows.ts';
import type { Table } from '../../model/schema.ts';

/** What is asked of a table's rows, in one message. */
export type RowCall =
  | { readonly call: 'sortable' }
  | { readonly call: 'list'; readonly page: RowPage }
  | { readonly call: 'count'; readonly where: readonly RowCondition[] }
  | {
      readonly call: 'get';
      readonly key: Key;
      readonly columns: readonly string[];
      readonly where: readonly RowCondition[];
    }
  /** One transaction. */
  | {
      readonly call: 'write';
      readonly writes: readonly RowWrite[];
      readonly columns: readonly string[];
    };

export interface RowArgs {
  readonly table: Table;
  readonly key: readonly string[];
  readonly ask: RowCall;
}

export type RowValue =
  | { readonly rows: readonly Row[] }
  | { readonly count: number }
  | { readonly found: StoredRow | null }
  | { readonly outcomes: readonly RowOutcome[] };
