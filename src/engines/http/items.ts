import { LockstepError } from '../../model/errors.ts';
import type { Cell } from '../../model/row.ts';
import { enumerate, itemOf, type Reading } from './enumerate.ts';
import { incompleteList } from './incomplete.ts';
import { isObject, type Json, type JsonObject, parseJson, scalarText } from './json.ts';
import { pages } from './pages.ts';
import { pointerText, valueAt } from './pointer.ts';
import type { Shape } from './shape.ts';
import { failureIn } from './signs.ts';
import type { Spool } from './spool.ts';
import { filledPath, type Template } from './template.ts';
import { cellOf, sentValue } from './values.ts';

/** One item as the API shows it now. */
export interface Found {
  readonly item: JsonObject;
  readonly etag?: string;
}

/** Cells by column; null and absent alike cannot stand in a path. */
export type Named = ReadonlyMap<string, Cell>;

const holdsKey = (shape: Shape, item: Json, key: Named): boolean =>
  shape.columns.every((c) => !key.has(c.name) || cellOf(c, valueAt(item, c.field)) === key.get(c.name));

/** Kinds whose values an API spells as we do: a moment or a decimal may stand in its addresses in another way. */
const onceSpelled: ReadonlySet<string> = new Set(['int', 'text', 'uuid', 'bool', 'date', 'bytes']);

/** Cells as they stand in an address; undefined where that is not sure. */
const spelled =
  (shape: Shape, known: Named) =>
  (name: string): string | undefined => {
    const column = shape.columns.find((c) => c.name === name);
    const cell = known.get(name);
    if (column === undefined || cell === undefined || cell === null || !onceSpelled.has(column.type.kind))
      return undefined;
    const sent = sentValue(column, cell, undefined);
    return 'refused' in sent ? undefined : scalarText(sent.value);
  };

/** Where an item is, by its own values; or will be, by the cells of its row. */
export const addressOf = (shape: Shape, path: Template, item: JsonObject | undefined, row: Named): string | undefined =>
  filledPath(
    path,
    item === undefined
      ? spelled(shape, row)
      : (name) => scalarText(valueAt(item, shape.columns.find((c) => c.name === name)?.field ?? [name])),
  );

/** Can items with these columns known be asked for one by one? */
export const canLookUp = (shape: Shape, known: readonly string[]): boolean => {
  const { read, find } = shape.resource;
  const covers = (columns: readonly string[]): boolean => columns.every((c) => known.includes(c));
  return (read !== undefined && covers(read.path.columns)) || (find !== undefined && covers(find.columns));
};

/** The item that an address shows, when it is the one with this key. */
const readItem = async (
  r: Reading,
  shape: Shape,
  target: string,
  key: Named,
  o: { readonly signal: AbortSignal },
): Promise<Found | undefined> => {
  const { read } = shape.resource;
  const answer = await r.client.read(target, { ...o, mayMiss: 'item' });
  if (answer === undefined) return undefined;
  const item = valueAt(answer.body, read!.item);
  if (!isObject(item))
    throw new LockstepError(
      'DATABASE',
      `${r.client.side}: GET ${answer.url.pathname} answered without an item at ${pointerText(read!.item)}`,
      { side: r.client.side, hint: 'Check `read.item` of the resource.' },
    );
  if (!holdsKey(shape, item, key)) {
    const failure = failureIn(answer.body, read!.item[0]);
    if (failure === undefined) return undefined;
    throw new LockstepError(
      'DATABASE',
      `${r.client.side}: GET ${answer.url.pathname} answered without the item, and says at ${failure} that it failed`,
      { side: r.client.side, hint: 'Whether the item is there is not known: try again.' },
    );
  }
  const { etag } = answer.headers;
  return { item, ...(etag === undefined ? {} : { etag }) };
};

/**
 * The items that hold the cells of `key`, past every cache: by an address or a list made of the cells of `known`.
 * `unknown`: there is neither. What is shown and does not hold the key is not what was asked for.
 */
export const lookUp = async (
  r: Reading,
  shape: Shape,
  known: Named,
  key: Named,
  o: { readonly signal: AbortSignal },
): Promise<readonly Found[] | 'unknown'> => {
  const { read, find } = shape.resource;
  const cellsOf = spelled(shape, known);
  if (read !== undefined) {
    const path = filledPath(read.path, cellsOf);
    if (path !== undefined) {
      const found = await readItem(r, shape, path, key, o);
      return found === undefined ? [] : [found];
    }
  }
  if (find === undefined) return 'unknown';
  const path = filledPath(find, cellsOf);
  if (path === undefined) return 'unknown';
  // The API may not know the filter and show everything: each item is looked at, on every page.
  // What the whole list announces says nothing of this one.
  const { total: _total, totalHeader: _header, ...declared } = shape.resource.list;
  const list = { ...declared, part: true as const, path, label: find.text.replace(/\?.*$/s, ''), query: {} };
  const found: Found[] = [];
  for await (const page of pages(r.client, list, o))
    for (const item of page.items) if (isObject(item) && holdsKey(shape, item, key)) found.push({ item });
  return found;
};

/** The items with this key by reading the whole list: for APIs that show no single items. */
export const findInList = async (
  r: Reading,
  shape: Shape,
  key: Named,
  o: { readonly signal: AbortSignal },
): Promise<readonly Found[]> => {
  using spool = await enumerate(r, shape, o);
  const found: Found[] = [];
  for await (const chunk of spool.chunks(o.signal))
    for (const { json } of chunk) {
      const item = parseJson(json);
      if (isObject(item) && holdsKey(shape, item, key)) found.push({ item });
    }
  return found;
};

/**
 * Throws INCOMPLETE when a list that was just read does not show an item that its own address still shows: then it is
 * not known whether the item is there, and neither agreement nor a delete may follow.
 */
export const refuseHidden = async (
  r: Reading,
  shape: Shape,
  list: Spool,
  o: { readonly named: readonly Named[]; readonly items: readonly (readonly Json[])[]; readonly signal: AbortSignal },
): Promise<void> => {
  for (const [i, cells] of o.named.entries()) {
    const hidden = (items: readonly Json[]): boolean =>
      items.some((item) => list.find(itemOf(r.client.side, shape, item).key!) === undefined);
    if (!hidden(o.items[i]!)) continue;
    const again = await lookUp(r, shape, cells, cells, o);
    if (again === 'unknown' || !hidden(again.map(({ item }) => item))) continue;
    throw incompleteList(
      r.client.side,
      shape.resource.list.label,
      `it does not show an item (${[...cells.keys()].join(', ')}) that is shown at its own address`,
      'If the API hides deleted or archived items in the list only, leave `read` and `find` out, or let the list show all.',
    );
  }
};
