import type { Answer } from './client.ts';
import { isList, isNumber, isObject, type Json } from './json.ts';
import { valueAt } from './pointer.ts';

/** Members by which bodies speak of a further page. */
const further = [
  'next',
  'next_page',
  'nextPage',
  'next_page_url',
  'next_url',
  'nextLink',
  '@odata.nextLink',
  'nextRecordsUrl',
  'next_cursor',
  'nextCursor',
  'next_token',
  'nextToken',
  'NextToken',
  'next_page_token',
  'nextPageToken',
  'LastEvaluatedKey',
  'has_more',
  'hasMore',
  'has_next',
  'hasNext',
  'hasNextPage',
  'continue',
];

/** Members that are false while there are more. */
const whole = ['done', 'last'];

const totals = [
  'total',
  'total_count',
  'totalCount',
  'total_items',
  'totalItems',
  'total_results',
  'totalResults',
  'total_records',
  'totalRecords',
  'totalElements',
  'totalSize',
];
const pageCounts = ['total_pages', 'totalPages', 'page_count', 'pageCount', 'last_page'];
const places = [
  '',
  'meta',
  'metadata',
  'links',
  '_links',
  'paging',
  'pagination',
  'page',
  'page_info',
  'pageInfo',
  'response_metadata',
];

/** The first member, of the body or of what it says of its pages, for which `is` holds. */
const memberIn = (body: Json, names: readonly string[], is: (value: Json) => boolean): string | undefined => {
  for (const place of places) {
    const at = place === '' ? body : valueAt(body, [place]);
    if (!isObject(at)) continue;
    const name = names.find((n) => Object.hasOwn(at, n) && is(at[n]!));
    if (name !== undefined) return `/${place === '' ? '' : `${place}/`}${name}`;
  }
  return undefined;
};

const countOf = (value: Json | string | undefined): number => {
  const text = isNumber(value) ? value.rawJSON : typeof value === 'string' ? value.trim() : '';
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
};

/** Where an answer says that this is not the last page. */
export const moreIn = ({ body, headers }: Answer): string | undefined => {
  const { 'x-next-page': header } = headers;
  if (typeof header === 'string' && header.trim() !== '') return 'the header X-Next-Page';
  return (
    memberIn(body, further, (v) => v !== null && v !== false && v !== '') ?? memberIn(body, whole, (v) => v === false)
  );
};

/** Where the only page says that there are more items, or pages, than it holds. */
export const moreThan = ({ body, headers }: Answer, items: number): string | undefined => {
  const { 'x-total-count': count, 'x-total': total, 'x-total-pages': pages } = headers;
  if (countOf(count as string | undefined) > items) return 'the header X-Total-Count';
  if (countOf(total as string | undefined) > items) return 'the header X-Total';
  if (countOf(pages as string | undefined) > 1) return 'the header X-Total-Pages';
  return memberIn(body, totals, (v) => countOf(v) > items) ?? memberIn(body, pageCounts, (v) => countOf(v) > 1);
};

const isFilled = (value: Json | undefined): boolean =>
  typeof value === 'string'
    ? !/^\s*(none|no|ok|0|false|success)?\s*$/i.test(value)
    : isList(value)
      ? value.length > 0
      : isObject(value) && Object.keys(value).length > 0;

/** Where an answer with status 200 says that it failed, all the same: what it shows is not all, or nothing. */
export const failureIn = (body: Json, except?: string): string | undefined => {
  if (!isObject(body)) return undefined;
  for (const name of ['success', 'ok'])
    if (name !== except && Object.hasOwn(body, name) && body[name] === false) return `/${name}`;
  for (const name of ['error', 'errors'])
    if (name !== except && Object.hasOwn(body, name) && isFilled(body[name])) return `/${name}`;
  return undefined;
};

/** Lists beside the items, never the items. */
export const besides: ReadonlySet<string> = new Set([
  'error',
  'errors',
  'warning',
  'warnings',
  'messages',
  'notices',
  'included',
  'links',
]);

/** Members of which null says nothing of the items. */
export const mayBeNull = /next|prev|first|last|cursor|token|page|link|meta|error|message|warning|count|total|url/i;
