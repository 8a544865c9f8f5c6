import type { Cancel } from '../../model/cancel.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { HashBatch } from '../../model/reader.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import { inKeyHashOrder } from '../sql/sort-hashes.ts';
import type { ColumnSql } from './columns.ts';
import { hashQuads } from './copy-rows.ts';
import { keyHashSql, rowHashSql } from './hash-sql.ts';
import type { HashingContext } from './hashing-context.ts';
import { baseSql, hashSegmentSql } from './select.ts';

const batchRows = 8192;

/**
 * The hashes of keys and rows in the order of the key hashes. They are read in the order of the table and sorted here,
 * which is far cheaper than the server's sort (or than walking an index on a random key).
 */
export const byKeyHash = (
  x: HashingContext,
  selection: Selection,
  columns: readonly ColumnSql[],
  segment: Segment,
  hash: HashSpec,
  o: Cancel,
): AsyncGenerator<HashBatch, void, undefined> => {
  const at = x.statement(selection, 'hashing', o);
  const key = keyHashSql(columns.slice(0, selection.keyWidth), hash);
  const sql = `copy (select ${key}, ${rowHashSql(columns, hash)} from ${baseSql(selection, columns)}${hashSegmentSql(key, segment)}) to stdout (format binary)`;
  return inKeyHashOrder(
    x.paced(x.session.copy(sql, hashQuads(batchRows), at), (b) => b.length / 4, at),
    batchRows,
    o,
  );
};
