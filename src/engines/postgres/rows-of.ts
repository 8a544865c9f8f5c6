import type { TableName } from '../../model/schema.ts';
import { tableId } from '../sql/quote.ts';

/** A table where its rows are read or changed: without those of the tables that inherit from it, where there are any. */
export const rowsOf = (t: TableName): string => (t.only === true ? `only ${tableId(t)}` : tableId(t));
