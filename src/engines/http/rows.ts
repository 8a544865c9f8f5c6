import type { Cancel } from '../../model/cancel.ts';
import { convert } from '../../model/canon/convert.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Row } from '../../model/row.ts';
import type { TableName } from '../../model/schema.ts';
import type { SelectedColumn } from '../../model/selected.ts';
import type { Throttle } from '../sql/throttle.ts';
import type { Reading } from './enumerate.ts';
import type { JsonObject } from './json.ts';
import type { LastLists } from './last-lists.ts';
import { valueAt } from './pointer.ts';
import type { HttpColumn } from './resource.ts';
import type { Shape } from './shape.ts';
import { cellOf, exactCellOf } from './values.ts';

export interface ReaderContext extends Reading {
  readonly throttle: Throttle;
  readonly last: LastLists;
  shape(name: TableName, o: Cancel): Promise<Shape>;
}

/** How the cells of a selection are made of an item. */
export const rowMaker = (
  shape: Shape,
  selected: readonly SelectedColumn[],
  side: string,
): ((item: JsonObject) => Row) => {
  const columns = selected.map((s): HttpColumn => {
    const found = shape.columns.find((c) => c.name === s.name);
    if (found) return found;
    throw new LockstepError('COLUMN_NOT_FOUND', `${side}: ${shape.table.name} has no column ${s.name}`, { side });
  });
  return (item) =>
    selected.map((s, i) => {
      const value = valueAt(item, columns[i]!.field);
      return s.exact ? exactCellOf(columns[i]!, value) : convert(cellOf(columns[i]!, value), columns[i]!.type, s.as);
    });
};
