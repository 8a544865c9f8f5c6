import { LockstepError } from '../../model/errors.ts';
import type { Key, Row } from '../../model/row.ts';
import type { Selection } from '../../model/selected.ts';
import { plainKey } from '../../model/selection.ts';
import { tableId } from '../sql/quote.ts';
import { type ColumnSql, outputsOf, rowReader } from './columns.ts';
import { hexReader } from './decode.ts';
import { lookups } from './key-sql.ts';
import { keyName } from './read-plan.ts';
import type { Session, StatementOptions } from './session.ts';

/** A row as it is stored, and its address (RDB$DB_KEY, hexadecimal), which names it until the transaction ends. */
export interface Located {
  readonly row: Row;
  readonly address: string;
}

/** Whole native rows by their keys (see `keyName`); absent keys are left out. */
export const locate = async (
  session: Session,
  selection: Selection,
  columns: readonly ColumnSql[],
  keys: readonly Key[],
  o: StatementOptions,
): Promise<Map<string, Located>> => {
  const found = new Map<string, Located>();
  if (keys.length === 0) return found;
  const wanted = new Set(keys.map(keyName));
  const { sql, texts } = outputsOf(columns);
  const read = rowReader(session, columns, selection.table.name, o);
  const select = `select t.rdb$db_key, ${sql} from ${tableId(selection.table)} t`;
  const pieces = lookups(columns.slice(0, selection.keyWidth), keys);
  for (const where of pieces === undefined ? [''] : pieces.map((p) => ` where ${p.where}`)) {
    const raw = await session.query({ sql: select + where, texts: [hexReader, ...texts] }, o);
    const rows = await read.rows(raw.map((row) => row.slice(1)));
    rows.forEach((row, i) => {
      const name = keyName(plainKey(selection, row));
      if (!wanted.has(name)) return;
      const address = raw[i]![0] as string;
      const other = found.get(name);
      // A look-up may find a row twice, where the database takes two keys for the same.
      if (other && other.address !== address)
        throw new LockstepError('DATABASE', `${selection.table.name} has two rows of one key, so neither is written.`, {
          side: session.context.name,
          hint: 'Make the key unique, or leave these rows out.',
        });
      found.set(name, { row, address });
    });
  }
  return found;
};
