import type { Cancel } from '../../model/cancel.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import type { HashBatch } from '../../model/reader.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import { tableId } from '../sql/quote.ts';
import { hashBatches, passRanges, sortByKeyHash } from '../sql/sort-hashes.ts';
import type { ColumnSql } from './columns.ts';
import { hashQuads, int64Hashes } from './copy-rows.ts';
import { keyHashSql, rowHashSql } from './hash-sql.ts';
import type { HashingContext } from './hashing-context.ts';
import { baseSql, hashSegmentSql } from './select.ts';
import type { StatementOptions } from './session.ts';

const batchRows = 8192;
/** Rows sorted here at once: 32 bytes each. A larger table is read in several passes, each for a range of hashes. */
const rowsAtOnce = 2_000_000;
/** More rows than the catalogue promised: then the server sorts. */
const mostAtOnce = 3_000_000;
/** A pass costs a fifth of a scan; from here on the server's sort is cheaper. */
const mostPasses = 4;

/**
 * The hashes of keys and rows in the order of the key hashes. They are read in the order of the table and sorted here,
 * which is far cheaper than the server's sort (or than walking an index on a random key).
 */
export const byKeyHash = async function* (
  x: HashingContext,
  selection: Selection,
  columns: readonly ColumnSql[],
  segment: Segment,
  hash: HashSpec,
  o: Cancel,
): AsyncGenerator<HashBatch, void, undefined> {
  const at = x.statement(selection, 'hashing', o);
  const key = keyHashSql(columns.slice(0, selection.keyWidth), hash);
  const copySql = (part: Segment, order: string): string =>
    `copy (select ${key}, ${rowHashSql(columns, hash)} from ${baseSql(selection, columns)}${hashSegmentSql(key, part)}${order}) to stdout (format binary)`;
  const inOrder = (part: Segment): AsyncGenerator<HashBatch, void, undefined> =>
    x.paced(x.session.copy(copySql(part, ' order by 1'), int64Hashes(batchRows), at), (b) => b.count, at);
  const collect = async (part: Segment): Promise<Int32Array[] | undefined> => {
    const chunks: Int32Array[] = [];
    let rows = 0;
    for await (const chunk of x.paced(
      x.session.copy(copySql(part, ''), hashQuads(batchRows), at),
      (b) => b.length / 4,
      at,
    )) {
      chunks.push(chunk);
      rows += chunk.length / 4;
      if (rows > mostAtOnce) return undefined;
    }
    return chunks;
  };

  const expected = segment.kind === 'keys' ? segment.keys.length : await estimatedRows(x, selection, at);
  const passes = Math.max(1, Math.ceil((expected ?? Number.POSITIVE_INFINITY) / rowsAtOnce));
  if (passes > mostPasses) {
    yield* inOrder(segment);
    return;
  }
  for (const part of segment.kind === 'keys' ? [segment] : passRanges(segment, passes)) {
    const chunks = await collect(part);
    if (chunks) yield* hashBatches(sortByKeyHash(chunks), batchRows);
    else yield* inOrder(part);
  }
};

/** About how many rows the table has; undefined: the catalogue does not know. */
const estimatedRows = async (
  x: HashingContext,
  selection: Selection,
  o: StatementOptions,
): Promise<number | undefined> => {
  const [row] = await x.session.query(
    `select c.reltuples::pg_catalog.text from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass($1)`,
    [tableId(selection.table)],
    o,
  );
  const rows = Number(row?.[0] ?? -1);
  return rows < 0 ? undefined : rows;
};
