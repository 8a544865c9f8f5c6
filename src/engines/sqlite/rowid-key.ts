import type { Selection } from '../../model/endpoint.ts';
import { findTable } from './catalogue.ts';
import { orderOf } from './read-plan.ts';
import type { Snapshot } from './reading.ts';

/** Is the key the rowid, so that a range of it is read alone? */
export const isRowid = (s: Snapshot, selection: Selection): boolean =>
  selection.keyWidth === 1 &&
  selection.columns[0]!.name === findTable(s.db, selection.table.name).rowidAlias &&
  orderOf(s.db, selection, s.orders).plain;
