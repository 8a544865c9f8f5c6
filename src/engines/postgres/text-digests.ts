import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Digest, TextHashing } from '../../model/reader.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Selection } from '../../model/selected.ts';
import type { HashingContext } from './hashing-context.ts';
import { baseSql, rangePartSql } from './select.ts';
import { textHashSql, textPartSql, textSupport, textVector } from './text-sql.ts';

/** What a digest's query gives for each part: three integers, and whether every row of it has a hash. */
export const partSql = (part: string, sum: string, complete: string): string =>
  `select ${part} as p, pg_catalog.count(*) as n, pg_catalog.sum(${sum}) as s, ${complete} as c`;

/**
 * Runs a digest's query (see `partSql`). Grouped by part: the planner takes each row for a part of its own, and would sort
 * whole rows on disk to group them. All parts come as one text: ten thousand rows cost the driver more than the server.
 * Undefined: a row has no hash.
 */
export const grouping = async (
  { session, statement }: Pick<HashingContext, 'session' | 'statement'>,
  sql: string,
  selection: Selection,
  isGrouped: boolean,
  o: Cancel,
): Promise<readonly Digest[] | undefined> => {
  const at = statement(selection, 'digesting', o);
  const plainly = { signal: o.signal, doing: at.doing };
  if (isGrouped) await session.query('set local enable_sort to off', undefined, plainly);
  const whole = `select pg_catalog.string_agg(pg_catalog.concat_ws(' ', x.p, x.n, x.s), ',')::pg_catalog.text, pg_catalog.bool_and(x.c and x.s is not null)::pg_catalog.text from (${sql}${isGrouped ? ' group by 1' : ''}) as x where x.n > 0`;
  const [row] = await session.query(whole, undefined, at);
  if (isGrouped) await session.query('set local enable_sort to default', undefined, plainly);
  const [parts, complete] = row!;
  if (parts == null) return isGrouped ? [] : [{ part: 0, rows: 0, sum: 0n }];
  if (complete !== 'true') return undefined;
  return parts.split(',').map((text) => {
    const [part, rows, sum] = text.split(' ');
    return { part: Number(part), rows: Number(rows), sum: BigInt.asUintN(64, BigInt(sum!)) };
  });
};

/** A row without a hash is a row that no digest shows. */
export const withoutHash = (selection: Selection, side: string): LockstepError =>
  new LockstepError('INTERNAL', `${side}: a row of ${tableLabel(selection.table)} has no hash`, { side });

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
    const sql = `${partSql(part, textHashSql(columns, seed), 'true')} from ${baseSql(selection, columns)}`;
    const digests = await grouping(x, sql, selection, partition !== undefined, o);
    if (digests === undefined) throw withoutHash(selection, x.session.context.name);
    return digests;
  },
});
