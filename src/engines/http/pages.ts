import { createHash } from 'node:crypto';
import { LockstepError } from '../../model/errors.ts';
import type { Answer, ApiClient } from './client.ts';
import { incompleteList } from './incomplete.ts';
import { isList, isNumber, isObject, type Json, type JsonObject, jsonOf, scalarText } from './json.ts';
import { pointerText, valueAt } from './pointer.ts';
import type { ListSpec } from './resource.ts';
import { besides, failureIn, mayBeNull, moreIn, moreThan } from './signs.ts';

export interface Page {
  readonly items: readonly Json[];
  /** Announced number of items in all. */
  readonly total?: number;
  readonly bytes: number;
}

/** The target of `rel="next"` in a Link header (RFC 8288). */
const linkNext = (header: string | readonly string[] | undefined): string | undefined => {
  const text = Array.isArray(header) ? header.join(', ') : ((header as string | undefined) ?? '');
  for (const [, target, parameters] of text.matchAll(/<([^>]*)>([^<]*)/g)) {
    const rel = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(parameters!);
    if (rel !== null && (rel[1] ?? rel[2]!).toLowerCase().split(/\s+/).includes('next')) return target;
  }
  return undefined;
};

const isEmpty = (value: Json): boolean => isList(value) && value.length === 0;

const hasNullItems = (body: JsonObject): boolean =>
  Object.entries(body).some(([name, value]) => value === null && !mayBeNull.test(name));

const itemsOf = (side: string, list: ListSpec, { body }: Answer): readonly Json[] => {
  if (list.items !== undefined) {
    const items = valueAt(body, list.items);
    if (isList(items)) return items;
    const names = isObject(body)
      ? Object.keys(body).slice(0, 8).join(', ')
      : Array.isArray(body)
        ? 'a list'
        : 'no object';
    throw new LockstepError(
      'DATABASE',
      `${side}: GET ${list.label} answered without a list at ${pointerText(list.items)} (the body has: ${names || 'nothing'})`,
      { side, hint: 'Check `list.items` of the resource. An answer without a list is not an empty list.' },
    );
  }
  if (isList(body)) return body;
  const lists = isObject(body) ? Object.entries(body).filter(([n, v]) => isList(v) && !besides.has(n)) : [];
  // Where the items are null, an empty list beside them is not theirs.
  const doubtful = lists.length === 1 && isEmpty(lists[0]![1]) && hasNullItems(body as JsonObject);
  if (lists.length === 1 && !doubtful) return lists[0]![1] as readonly Json[];
  throw new LockstepError('DATABASE', `${side}: it is not plain where the items of GET ${list.label} are`, {
    side,
    hint: `Say so: list: { path: ${list.label}, items: /… }. The body has ${
      isObject(body) ? Object.keys(body).slice(0, 8).join(', ') || 'no members' : 'neither a list nor members'
    }.`,
  });
};

const numberOf = (value: Json | undefined): number | undefined => {
  const n = Number(isNumber(value) ? value.rawJSON : typeof value === 'string' && value !== '' ? value : Number.NaN);
  return Number.isSafeInteger(n) && n >= 0 ? n : undefined;
};

const totalOf = (side: string, list: ListSpec, { body, headers }: Answer): number | undefined => {
  if (list.total === undefined && list.totalHeader === undefined) return undefined;
  const header = list.totalHeader === undefined ? undefined : headers[list.totalHeader];
  const total =
    list.total === undefined ? numberOf((header as string | undefined) ?? '') : numberOf(valueAt(body, list.total));
  if (total === undefined)
    throw incompleteList(
      side,
      list.label,
      `its total is not at ${list.total === undefined ? list.totalHeader : pointerText(list.total)}`,
      'Check `total` or `total_header` of the list.',
    );
  return total;
};

/** What tells the next page; undefined: there is none. */
interface Next {
  readonly url: URL;
}

/**
 * The pages of a list in their order, until the API says that there are no more (or gives an empty page, where it says
 * nothing). Throws INCOMPLETE when a page or a place comes again, or when the API contradicts itself.
 */
export async function* pages(
  client: ApiClient,
  list: ListSpec,
  o: { readonly signal: AbortSignal; readonly query?: Readonly<Record<string, string>>; readonly cached?: true },
): AsyncGenerator<Page> {
  const { paging } = list;
  const { side } = client;
  const start = client.locate(list.path);
  for (const [name, value] of Object.entries({ ...list.query, ...o.query })) start.searchParams.set(name, value);
  if (list.size) start.searchParams.set(list.size.param, String(list.size.rows));
  const at = (param: string, value: string): URL => {
    const url = new URL(start);
    url.searchParams.set(param, value);
    return url;
  };
  let url = paging.by === 'page' ? at(paging.param, String(paging.start)) : start;
  let number = paging.by === 'page' ? paging.start : 0;
  let seen = 0;
  const asked = new Set<string>();
  const contents = new Set<string>();
  let last = '';
  /** As many items as announced are there: what comes now must be nothing. */
  let beyond = false;
  /** There is no next page, says what is declared; the body must not say otherwise. */
  const ended = (answer: Answer, alone: boolean): undefined => {
    const known = list.total !== undefined || list.totalHeader !== undefined || list.part || o.query !== undefined;
    const hint = moreIn(answer) ?? (alone && !known ? moreThan(answer, seen) : undefined);
    if (hint === undefined) return undefined;
    throw incompleteList(
      side,
      list.label,
      `${list.declared ? 'by what is declared of its paging it ends' : 'its paging is not declared'}, and ${hint} of the answer speaks of more pages`,
      'Declare the paging under `list.page`, or `page: { by: none }` if there are no more.',
    );
  };
  for (let page = 1; ; page++) {
    if (asked.has(url.href))
      throw incompleteList(
        side,
        list.label,
        `after page ${page - 1} the API leads back to a page that was read already`,
      );
    asked.add(url.href);
    const answer = await client.read(url, {
      signal: o.signal,
      ...(o.cached ? { cached: true } : {}),
      ...(beyond ? { mayMiss: 'page' } : {}),
    });
    if (answer === undefined) return;
    const items = itemsOf(side, list, answer);
    const failure = failureIn(answer.body, list.items?.[0]);
    if (failure !== undefined)
      throw incompleteList(
        side,
        list.label,
        `the answer says at ${failure} that it failed`,
        'See what the API says of it.',
      );
    const total = totalOf(side, list, answer);
    if (items.length > 0) {
      const content = createHash('sha256').update(jsonOf(items)).digest('base64');
      // Some APIs show the last page again when asked for one behind it.
      if (beyond && content === last) return;
      if (contents.has(content))
        throw incompleteList(
          side,
          list.label,
          `page ${page} repeats a page that was read already, after ${seen} items`,
        );
      contents.add(content);
      last = content;
    }
    seen += items.length;
    yield { items, bytes: answer.bytes, ...(total === undefined ? {} : { total }) };
    const next = nextOf(answer, items, total, page);
    if (next === undefined) return;
    url = next.url;

    function nextOf(answer: Answer, items: readonly Json[], total: number | undefined, page: number): Next | undefined {
      const flag = list.more === undefined ? undefined : valueAt(answer.body, list.more);
      const more = flag === true ? true : flag === false || flag === null ? false : undefined;
      const follow = (target: string): Next => ({ url: client.locate(target, answer.url) });
      const contradiction = (): LockstepError =>
        incompleteList(side, list.label, `page ${page} says that there are more, and not where`);
      switch (paging.by) {
        case 'none':
          return undefined;
        case 'link': {
          const target = linkNext(answer.headers.link as string | undefined);
          if (target !== undefined) return follow(target);
          return list.declared ? undefined : ended(answer, page === 1);
        }
        case 'url': {
          const target = valueAt(answer.body, paging.next);
          if (target === undefined || target === null || target === '' || target === false)
            return ended(answer, page === 1 && target === undefined);
          if (typeof target !== 'string') throw contradiction();
          return follow(target);
        }
        case 'cursor': {
          const told = valueAt(answer.body, paging.next);
          if (more === false) return undefined;
          if (told === undefined || told === null || told === '' || told === false) {
            if (more) throw contradiction();
            return ended(answer, page === 1 && told === undefined);
          }
          const cursor = scalarText(told);
          if (cursor === undefined) throw contradiction();
          return { url: at(paging.param, cursor) };
        }
        case 'last_item': {
          if (more === false || (items.length === 0 && more === undefined)) return undefined;
          const cursor = items.length === 0 ? undefined : scalarText(valueAt(items.at(-1), paging.field));
          if (cursor === undefined || cursor === '') throw contradiction();
          return { url: at(paging.param, cursor) };
        }
        case 'page':
        case 'offset': {
          if (more === false || (items.length === 0 && more === undefined)) return undefined;
          if (items.length === 0) throw contradiction();
          beyond = more === undefined && total !== undefined && seen >= total;
          number = paging.by === 'page' ? number + 1 : seen;
          return { url: at(paging.param, String(number)) };
        }
      }
    }
  }
}
