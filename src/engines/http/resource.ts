import { LockstepError } from '../../model/errors.ts';
import type { ColumnType } from '../../model/schema.ts';
import { declaredType, type Spelling, typeNames } from './column-type.ts';
import { type Pointer, readPointer } from './pointer.ts';
import type { PageEntry, ResourceEntry, RouteEntry } from './resource-entry.ts';
import { readTemplate, type Template } from './template.ts';

/** How the next page of a list is found. */
export type Paging =
  /** By the Link header where there is one, else there is one page. */
  | { readonly by: 'link' }
  | { readonly by: 'none' }
  /** The body says the next page's address. */
  | { readonly by: 'url'; readonly next: Pointer }
  | { readonly by: 'cursor'; readonly next: Pointer; readonly param: string }
  /** The cursor is a field of the last item. */
  | { readonly by: 'last_item'; readonly field: Pointer; readonly param: string }
  | { readonly by: 'page'; readonly param: string; readonly start: number }
  | { readonly by: 'offset'; readonly param: string };

export interface ListSpec {
  /** Under the base, with its query. */
  readonly path: string;
  /** The path for people: a query may hold a key. */
  readonly label: string;
  readonly query: Readonly<Record<string, string>>;
  /** Absent: the body is the list, or has exactly one member that is a list. */
  readonly items?: Pointer;
  readonly paging: Paging;
  /** Was the paging declared? Otherwise a body that speaks of more pages is an error. */
  readonly declared: boolean;
  readonly size?: { readonly param: string; readonly rows: number };
  /** A flag in the body: are there more pages? */
  readonly more?: Pointer;
  /** Where the body says how many items there are in all. */
  readonly total?: Pointer;
  readonly totalHeader?: string;
  /** Some of the items: what an answer says of all of them means nothing. */
  readonly part?: true;
}

export interface ItemRoute {
  readonly method: string;
  readonly path: Template;
  /** Where the item lies in a reply. */
  readonly item: Pointer;
  /** Where the item lies in what is sent. */
  readonly wrap: Pointer;
  /** Is the whole item sent, or only what changes? */
  readonly whole: boolean;
}

export interface HttpColumn {
  readonly name: string;
  readonly field: Pointer;
  readonly type: ColumnType;
  readonly spelling?: Spelling;
  /** As declared, for people. */
  readonly native: string;
  readonly nullable: boolean;
  readonly readOnly: boolean;
  /** Numbers of new items are sent as texts. */
  readonly asText: boolean;
}

export interface Resource {
  readonly name: string;
  readonly list: ListSpec;
  readonly read?: ItemRoute;
  /** A list of the few items with a key. */
  readonly find?: Template;
  readonly create?: ItemRoute;
  readonly update?: ItemRoute;
  readonly remove?: ItemRoute;
  /** Absent: to be inferred. */
  readonly key?: readonly string[];
  readonly columns?: readonly HttpColumn[];
  readonly since?: { readonly param: string; readonly column: string };
  readonly ifMatch: boolean;
  readonly idempotencyHeader?: string;
}

const wrong = (message: string, hint: string): LockstepError => new LockstepError('CONFIG', message, { hint });

const pointerAt = (text: string, where: string): Pointer => {
  const pointer = readPointer(text);
  if (pointer === undefined)
    throw wrong(`${where}: ${text} is neither a pointer nor a path`, 'Write /data/items, $.data.items, or one name.');
  return pointer;
};

const pathAt = (path: string, where: string): string => {
  if (!path.startsWith('/') || path.startsWith('//'))
    throw wrong(
      `${where}: ${path} is not a path`,
      'Paths start with one /, and are joined to the url of the endpoint.',
    );
  return path;
};

/** What each way of paging needs and may have. */
const pagingFields: Readonly<Record<Paging['by'], readonly (readonly [keyof PageEntry, boolean])[]>> = {
  link: [],
  none: [],
  url: [['next', true]],
  cursor: [
    ['next', true],
    ['param', true],
    ['more', false],
  ],
  last_item: [
    ['field', true],
    ['param', true],
    ['more', false],
  ],
  page: [
    ['param', false],
    ['start', false],
    ['more', false],
  ],
  offset: [
    ['param', false],
    ['more', false],
  ],
};

const pagingOf = (page: PageEntry, where: string): Paging => {
  const fields = pagingFields[page.by];
  if (fields === undefined)
    throw wrong(`${where}.by: ${page.by} is not a way of paging`, `Ways: ${Object.keys(pagingFields).join(', ')}.`);
  for (const [name, needed] of fields)
    if (needed && page[name] === undefined)
      throw wrong(`${where}: paging by ${page.by} needs \`${name}\``, 'See docs/engines/http.md.');
  for (const name of ['next', 'field', 'param', 'start', 'more'] as const)
    if (page[name] !== undefined && !fields.some(([n]) => n === name))
      throw wrong(`${where}: paging by ${page.by} has no \`${name}\``, 'Take it out, or choose another way.');
  switch (page.by) {
    case 'url':
      return { by: 'url', next: pointerAt(page.next!, `${where}.next`) };
    case 'cursor':
      return { by: 'cursor', next: pointerAt(page.next!, `${where}.next`), param: page.param! };
    case 'last_item':
      return { by: 'last_item', field: pointerAt(page.field!, `${where}.field`), param: page.param! };
    case 'page':
      return { by: 'page', param: page.param ?? 'page', start: page.start ?? 1 };
    case 'offset':
      return { by: 'offset', param: page.param ?? 'offset' };
    default:
      return { by: page.by };
  }
};

const listOf = (entry: ResourceEntry['list'], where: string): ListSpec => {
  const e = typeof entry === 'string' ? { path: entry } : entry;
  const { page } = e;
  if ((page?.size === undefined) !== (page?.size_param === undefined))
    throw wrong(`${where}.page: size and size_param go together`, 'For example size_param: limit, size: 200.');
  return {
    path: pathAt(e.path, `${where}.path`),
    label: e.path.replace(/\?.*$/s, ''),
    query: Object.fromEntries(Object.entries(e.query ?? {}).map(([name, value]) => [name, String(value)])),
    ...(e.items === undefined ? {} : { items: pointerAt(e.items, `${where}.items`) }),
    paging: page === undefined ? { by: 'link' } : pagingOf(page, `${where}.page`),
    declared: page !== undefined,
    ...(page?.size === undefined ? {} : { size: { param: page.size_param!, rows: page.size } }),
    ...(page?.more === undefined ? {} : { more: pointerAt(page.more, `${where}.page.more`) }),
    ...(e.total === undefined ? {} : { total: pointerAt(e.total, `${where}.total`) }),
    ...(e.total_header === undefined ? {} : { totalHeader: e.total_header.toLowerCase() }),
  };
};

const routeOf = (entry: RouteEntry, method: string, where: string): ItemRoute => {
  const e = typeof entry === 'string' ? { path: entry } : entry;
  const used = (e.method ?? method).toUpperCase();
  return {
    method: used,
    path: readTemplate(pathAt(e.path, `${where}.path`)),
    item: pointerAt(e.item ?? '', `${where}.item`),
    wrap: pointerAt(e.wrap ?? '', `${where}.wrap`),
    whole: e.send === undefined ? used === 'PUT' : e.send === 'item',
  };
};

const columnsOf = (columns: NonNullable<ResourceEntry['columns']>, key: readonly string[], where: string) =>
  Object.entries(columns).map(([name, entry]): HttpColumn => {
    const e = typeof entry === 'string' ? { type: entry } : entry;
    const declared = declaredType(e.type);
    if (declared === undefined)
      throw wrong(`${where}.${name}: ${e.type} is not a type of a column`, `Types: ${typeNames.join(', ')}.`);
    return {
      name,
      field: e.field === undefined ? [name] : pointerAt(e.field, `${where}.${name}.field`),
      type: declared.type,
      ...(declared.spelling === undefined ? {} : { spelling: declared.spelling }),
      native: e.type.trim().toLowerCase(),
      nullable: key.includes(name) ? false : (e.nullable ?? true),
      readOnly: e.read_only ?? false,
      asText: e.as === 'text',
    };
  });

/** Reads one resource. Throws CONFIG in plain words. */
export const readResource = (name: string, e: ResourceEntry): Resource => {
  const where = `http.resources.${name}`;
  const columns = e.columns === undefined ? undefined : columnsOf(e.columns, e.key ?? [], `${where}.columns`);
  const known = columns?.map((c) => c.name);
  const needs = (used: readonly string[], what: string): void => {
    for (const column of used)
      if (known !== undefined && !known.includes(column))
        throw wrong(
          `${where}.${what} names ${column}, which is not among its columns`,
          `Columns: ${known.join(', ')}.`,
        );
  };
  needs(e.key ?? [], 'key');
  if (e.since !== undefined) needs([e.since.column], 'since');
  const route = (what: 'read' | 'create' | 'update' | 'delete', method: string): ItemRoute | undefined => {
    const entry = e[what];
    if (entry === undefined) return undefined;
    const found = routeOf(entry, method, `${where}.${what}`);
    needs(found.path.columns, what);
    if (what !== 'create' && found.path.columns.length === 0)
      throw wrong(
        `${where}.${what}: its path names no item`,
        'Put the columns that name it in braces: /licenses/{id}.',
      );
    return found;
  };
  const [read, create, update, remove] = [
    route('read', 'GET'),
    route('create', 'POST'),
    route('update', 'PATCH'),
    route('delete', 'DELETE'),
  ];
  const find = e.find === undefined ? undefined : readTemplate(pathAt(e.find, `${where}.find`));
  if (find !== undefined) needs(find.columns, 'find');
  const idempotencyHeader = e.idempotency_key === false ? undefined : (e.idempotency_key ?? 'Idempotency-Key');
  return {
    name,
    list: listOf(e.list, `${where}.list`),
    ...(read === undefined ? {} : { read }),
    ...(find === undefined ? {} : { find }),
    ...(create === undefined ? {} : { create }),
    ...(update === undefined ? {} : { update }),
    ...(remove === undefined ? {} : { remove }),
    ...(e.key === undefined ? {} : { key: e.key }),
    ...(columns === undefined ? {} : { columns }),
    ...(e.since === undefined ? {} : { since: e.since }),
    ifMatch: e.if_match ?? true,
    ...(idempotencyHeader === undefined ? {} : { idempotencyHeader }),
  };
};
