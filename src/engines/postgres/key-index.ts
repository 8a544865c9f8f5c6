import type { TableName } from '../../model/schema.ts';
import { literal, tableId } from '../sql/quote.ts';
import type { ColumnSql } from './columns.ts';
import { orderSql } from './key-sql.ts';
import type { Session, StatementOptions } from './session.ts';

/** Kinds of types whose bounds are compared with the column itself (see `key-sql.ts`), so that its index serves. */
const comparedAsStored = ['int', 'decimal', 'float', 'uuid', 'bytes', 'text', 'date', 'timestamp', 'instant', 'time'];

/** Does an index that is whole, valid and ordered as we order begin with this column? */
export const hasOrderedIndex = async (
  session: Session,
  table: TableName,
  key: ColumnSql,
  o: StatementOptions,
): Promise<boolean> => {
  const { stored, as } = key.column;
  if (stored.kind !== as.kind || !comparedAsStored.includes(stored.kind)) return false;
  if (key.value !== key.raw && stored.kind !== 'text') return false;
  if (orderSql(key) !== key.raw) return false;
  const [row] = await session.query(
    `select exists (
       select 1 from pg_catalog.pg_index i
       join pg_catalog.pg_class c on c.oid = i.indexrelid
       join pg_catalog.pg_am m on m.oid = c.relam
       join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
       where i.indrelid = pg_catalog.to_regclass($1) and i.indisvalid and i.indpred is null
         and m.amname = 'btree' and a.attname = ${literal(key.column.name)} and a.attcollation = i.indcollation[0])::text`,
    [tableId(table)],
    o,
  );
  return row?.[0] === 'true';
};
