import type { Cancel, Digest, Selection, TextHashing } from '../../model/endpoint.ts';
import type { HashingContext } from './hashing-context.ts';
import { baseSql, rangePartSql } from './select.ts';
import { textHashSql, textPartSql, textSupport, textVector } from './text-sql.ts';

/**
 * Runs a digest's query. Grouped by part: the planner takes each row for a part of its own, and would sort whole rows on
 * disk to group them.
 */
export const grouping = async (
  { session, statement }: Pick<HashingContext, 'session' | 'statement'>,
  sql: string,
  selection: Selection,
  isGrouped: boolean,
  o: Cancel,
): Promise<readonly (readonly (string | null)[])[]> => {
  const at = statement(selection, 'digesting', o);
  const plainly = { signal: o.signal, doing: at.doing };
  if (isGrouped) await session.query('set local enable_sort to off', undefined, plainly);
  const rows = await session.query(sql, undefined, at);
  if (isGrouped) await session.query('set local enable_sort to default', undefined, plainly);
  return rows;
};

/** Digests by the text hash, made in the database. */
export const textHashing = (x: HashingContext): TextHashing => ({
  supports: textSupport,
  works: async (o) => {
    const at = { signal: o.signal, doing: 'trying md5' };
    await x.session.query('savepoint lockstep_texts', undefined, at);
    const known = await x.session.query(textVector[0], undefined, at).then(
      ([row]) => row![0] === textVector[1],
      (error: unknown) => {
        o.signal.throwIfAborted();
        if (x.session.broken) throw error;
        return false;
      },
    );
    await x.session.query('rollback to savepoint lockstep_texts', undefined, at);
    return known;
  },
  digest: async (selection, partition, seed, o) => {
    const columns = await x.columnsOf(selection, o);
    const keys = columns.slice(0, selection.keyWidth);
    const part =
      partition === undefined
        ? `'0'::pg_catalog.int8`
        : partition.by === 'range'
          ? rangePartSql(keys[0]!.value, partition)
          : textPartSql(keys, partition);
    const sql = `select ${part}, pg_catalog.count(*), pg_catalog.sum(${textHashSql(columns, seed)}) from ${baseSql(selection, columns)}${partition === undefined ? '' : ' group by 1'}`;
    const rows = await grouping(x, sql, selection, partition !== undefined, o);
    const digests = rows.flatMap(([at, count, sum]): Digest[] =>
      Number(count) === 0 ? [] : [{ part: Number(at), rows: Number(count), sum: BigInt.asUintN(64, BigInt(sum!)) }],
    );
    return partition === undefined && digests.length === 0 ? [{ part: 0, rows: 0, sum: 0n }] : digests;
  },
});
