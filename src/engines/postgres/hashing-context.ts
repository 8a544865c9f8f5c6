import type { Cancel } from '../../model/cancel.ts';
import type { Hashing } from '../../model/reader.ts';
import type { Selection } from '../../model/selected.ts';
import type { ColumnSql } from './columns.ts';
import type { Session, StatementOptions } from './session.ts';

/** What hashing in the database needs of the reader it belongs to. */
export interface HashingContext {
  readonly session: Session;
  readonly forms: Hashing['forms'];
  columnsOf(selection: Selection, o: Cancel): Promise<readonly ColumnSql[]>;
  statement(selection: Selection, doing: string, o: Cancel): StatementOptions;
  paced<T>(
    batches: AsyncIterable<T>,
    rowsOf: (batch: T) => number,
    o: StatementOptions,
  ): AsyncGenerator<T, void, undefined>;
}
