import { partOf } from '../../model/hash/part-of.ts';
import { textHasher } from '../../model/hash/text-hash.ts';
import type { Digest, TextHashing } from '../../model/reader.ts';
import type { Rows } from './rows.ts';
import { plainSql } from './select.ts';
import { noHash, rangePartSql, textPartSql, textSumSql, textSupport, textVector } from './text-sql.ts';

/** Digests by the text hash, made in the database. */
export const textHashing = (rows: Rows): TextHashing => ({
  supports: textSupport,
  works: async (o) => {
    const at = { signal: o.signal, doing: 'trying md5' };
    try {
      const [row] = await rows.session.raw(textVector[0], at);
      return row![0] === textVector[1];
    } catch (error) {
      const told = rows.session.explain(error, at);
      if (o.signal.aborted || rows.session.broken) throw told;
      return false;
    }
  },
  digest: async (within, partition, seed, o) => {
    const selection = await rows.bounded(within, o);
    const columns = await rows.columns(selection, o);
    const keys = columns.slice(0, selection.keyWidth);
    const part =
      partition === undefined
        ? '0'
        : partition.by === 'range'
          ? rangePartSql(keys[0]!, partition)
          : textPartSql(keys, partition);
    const outputs = `${part}, count(*), ${textSumSql(columns, seed)}`;
    const sql = `${plainSql(selection, outputs)}${partition === undefined ? '' : ' group by 1'}`;
    const digests: Digest[] = [];
    for (const [at, count, sum] of await rows.session.query(sql, rows.statement(selection, 'digesting', o))) {
      if (Number(count) === 0) continue;
      if (BigInt(sum!) >= noHash) return digestHere(rows, within, partition, seed, o);
      digests.push({ part: Number(at), rows: Number(count), sum: BigInt.asUintN(64, BigInt(sum!)) });
    }
    return partition === undefined && digests.length === 0 ? [{ part: 0, rows: 0, sum: 0n }] : digests;
  },
});

/** The same on our side: a row's text was larger than the server makes one (max_allowed_packet). */
const digestHere = async (
  rows: Rows,
  ...[selection, partition, seed, o]: Parameters<TextHashing['digest']>
): Promise<readonly Digest[]> => {
  const hasher = textHasher(selection.columns, selection.keyWidth, seed);
  const part = partOf(selection, partition);
  const found = new Map<number, { rows: number; sum: bigint }>();
  for await (const batch of rows.scan(selection, { kind: 'all' }, o)) {
    for (const row of batch) {
      const own = found.get(part(row)) ?? { rows: 0, sum: 0n };
      found.set(part(row), own);
      const times = selection.keyWidth === 0 ? Number(row.at(-1)) : 1;
      own.rows += times;
      own.sum += hasher.row(row) * BigInt(times);
    }
  }
  return [...found].map(([p, d]) => ({ part: p, rows: d.rows, sum: BigInt.asUintN(64, d.sum) }));
};
