import type { Key } from '../../model/row.ts';
import type { Selection } from '../../model/selected.ts';
import { type ColumnSql, outputsOf, rowReader } from './columns.ts';
import { baseSql } from './read-plan.ts';
import type { Session, StatementOptions } from './session.ts';

/** Places that are looked at in an integer key's range. */
const mostPlaces = 64;

/** About `rows` keys of those that `where` (with the word, or empty) lets through: neighbours at places spread over an integer key, else those whose text hashes to a remainder. */
export const sampleKeys = async (
  session: Session,
  selection: Selection,
  columns: readonly ColumnSql[],
  where: string,
  rows: number,
  o: StatementOptions,
): Promise<readonly Key[]> => {
  const keys = columns.slice(0, selection.keyWidth);
  if (keys.length === 0 || rows <= 0) return [];
  const { sql, texts } = outputsOf(keys);
  const base = baseSql(selection);
  const and = where === '' ? ' where' : `${where} and`;
  const cells = rowReader(session, keys, selection.table.name, o);
  const read = async (query: string): Promise<Key[]> => cells.rows(await session.query({ sql: query, texts }, o));
  const [first] = keys;
  if (first!.column.stored.kind === 'int') {
    const edge = async (which: 'min' | 'max'): Promise<bigint | undefined> => {
      const [row] = await session.query(`select ${which}(${first!.sql}) from ${base}${where}`, o);
      return row![0] === null ? undefined : BigInt(row![0] as string);
    };
    const min = await edge('min');
    if (min === undefined) return [];
    const span = (await edge('max'))! - min + 1n;
    const places = BigInt(Math.min(rows, mostPlaces));
    const each = Math.ceil(rows / Number(places));
    const found: Key[] = [];
    for (let i = 0n; i < places; i++) {
      const from = min + (span * i) / places;
      found.push(
        ...(await read(
          `select first ${each} ${sql} from ${base}${and} ${first!.sql} >= cast('${from}' as bigint) order by ${first!.sql}`,
        )),
      );
    }
    return [...new Map(found.map((key) => [JSON.stringify(key), key])).values()];
  }
  const [row] = await session.query(`select count(*) from ${base}${where}`, o);
  const every = Math.max(1, Math.floor(Number(row![0]) / rows));
  const hash = keys.map((c) => `coalesce(hash(${c.outputs[0]}), 0)`).join(' + ');
  return read(
    every === 1
      ? `select first ${rows} ${sql} from ${base}${where}`
      : `select first ${rows} ${sql} from ${base}${and} mod(bin_and(${hash}, 9223372036854775807), ${every}) = 0`,
  );
};
