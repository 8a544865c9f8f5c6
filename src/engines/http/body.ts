import type { Change } from '../../model/change.ts';
import type { Row } from '../../model/row.ts';
import type { SelectedColumn } from '../../model/selected.ts';
import { type Json, type JsonObject, jsonOf } from './json.ts';
import { valueAt, withValue } from './pointer.ts';
import type { HttpColumn, ItemRoute } from './resource.ts';
import type { Shape } from './shape.ts';
import { sentValue } from './values.ts';

/** The columns of a native row, as the resource declares them. */
export const columnsOf = (shape: Shape, selected: readonly SelectedColumn[]): readonly HttpColumn[] =>
  selected.map((s) => shape.columns.find((c) => c.name === s.name)!);

/**
 * What is sent for an insert or update. Of an item that exists either everything, as it is now with the changes in it, or
 * the members that change, each whole: an API that replaces members and one that merges them do the same with that.
 */
export const bodyFor = (
  route: ItemRoute,
  columns: readonly HttpColumn[],
  change: Extract<Change, { readonly after: Row }>,
  item: JsonObject | undefined,
): { readonly text: string } | { readonly refused: string } => {
  let whole: Json = item ?? {};
  const members = new Set<string>();
  for (const at of change.columns) {
    const column = columns[at]!;
    if (column.readOnly) continue;
    const sent = sentValue(column, change.after[at]!, item === undefined ? undefined : valueAt(item, column.field));
    if ('refused' in sent) return sent;
    whole = withValue(whole, column.field, sent.value);
    members.add(column.field[0] ?? '');
  }
  const body =
    item === undefined || route.whole
      ? whole
      : Object.fromEntries(Object.entries(whole as JsonObject).filter(([name]) => members.has(name)));
  return { text: jsonOf(withValue({}, route.wrap, body)) };
};
