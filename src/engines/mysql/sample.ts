import type { Selection } from '../../model/selected.ts';
import type { ColumnSql } from './columns.ts';
import { render } from './render.ts';
import { plainSql } from './select.ts';
import type { Session, StatementOptions } from './session.ts';

const reach = 5;

/**
 * A query for the keys of about `rows` rows, spread over the table, the same at each repeat. One integer key: the rows
 * that follow points spread over its index. Otherwise rows chosen by a checksum of their keys.
 */
export const sampleSql = async (
  session: Session,
  selection: Selection,
  keys: readonly ColumnSql[],
  rows: number,
  o: StatementOptions,
): Promise<string | undefined> => {
  if (keys.length === 0 || rows <= 0) return undefined;
  const outputs = keys.map((c) => render(c).sql).join(', ');
  const [only] = keys;
  if (keys.length === 1 && only!.column.stored.kind === 'int') {
    const key = only!.raw;
    const [bounds] = await session.query(plainSql(selection, `min(${key}) + 0, max(${key}) + 0`), o);
    if (bounds?.[0] == null || bounds[1] == null) return undefined;
    const [min, max] = [BigInt(bounds[0]), BigInt(bounds[1])];
    const points = Math.max(1, Math.min(200, Math.ceil(rows / reach)));
    const step = (max - min) / BigInt(points) + 1n;
    const each = Math.max(1, Math.ceil(rows / points));
    return Array.from({ length: points }, (_, i) => {
      const from = min + BigInt(i) * step;
      return `(${plainSql(selection, outputs, `${key} >= ${from}`, `${key} < ${from + step}`)} order by ${key} limit ${each})`;
    }).join(' union all ');
  }
  const [counted] = await session.query(plainSql(selection, 'count(*)'), o);
  const every = Math.max(1, Math.floor(Number(counted![0]) / rows));
  const sum = `crc32(concat_ws('|', ${keys.map((c) => c.raw).join(', ')}))`;
  return `${plainSql(selection, outputs, `${sum} % ${every} = 0`)} limit ${rows * 2}`;
};
