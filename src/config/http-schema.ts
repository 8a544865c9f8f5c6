import { z } from 'zod';

/** The shape of an API, as written under `http` of an endpoint. */

const reference = z.string().regex(/\$\{(env|file):[^}]+\}/, { abort: true });
const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' });
const path = z
  .string({ error: 'expected a path such as /licenses' })
  .regex(/^\/(?!\/)/, { error: 'expected a path that starts with one /, such as /licenses' });
const pointer = z
  .string({ error: 'expected a place in the JSON such as /data/items or $.data.items' })
  .describe('A place in the JSON: /data/items, $.data.items, or one name.');
const flag = z.union([z.boolean(), reference], { error: 'expected true or false' });
const number = (what: string, least: number) =>
  z.union([z.number({ error: `expected ${what}` }).min(least, { error: `expected ${what}` }), reference], {
    error: `expected ${what}`,
  });
const names = z.array(text, { error: 'expected a list of names such as [id, line]' }).min(1);

const auth = z
  .strictObject({
    bearer: text.describe('A token: "${env:VENDOR_TOKEN}".').optional(),
    basic: z.strictObject({ user: text, password: text }).optional(),
    header: z.strictObject({ name: text, value: text }).describe('A key in a header of its own.').optional(),
    oauth2: z
      .strictObject({
        token_url: text,
        client_id: text,
        client_secret: text,
        scope: text.optional(),
        audience: text.optional(),
        send: z
          .enum(['header', 'body'], { error: 'expected header or body' })
          .describe('Where id and secret stand in the request for a token. Default header.')
          .optional(),
      })
      .describe('Client credentials; the token is fetched when needed and kept in memory only.')
      .optional(),
  })
  .describe('How to sign in: one of these.');

const page = z
  .strictObject({
    by: z
      .enum(['link', 'none', 'url', 'cursor', 'last_item', 'page', 'offset'], {
        error: 'expected one of link, none, url, cursor, last_item, page, offset',
      })
      .describe(
        'link: the Link header; url: an address in the body; cursor: a value in the body; last_item: a field of the last item; page and offset: numbers; none: there is one page.',
      ),
    next: pointer.describe('url, cursor: where the body says it.').optional(),
    field: pointer.describe('last_item: the field.').optional(),
    param: text.describe('The parameter it goes into. Default page or offset.').optional(),
    start: z.number().int().min(0).describe('page: number of the first page. Default 1.').optional(),
    size_param: text.describe('The parameter for the number of items per page.').optional(),
    size: z.number().int().min(1).describe('Items per page to ask for.').optional(),
    more: pointer.describe('A flag in the body: are there more pages?').optional(),
  })
  .describe('How the next page is found. Default: by the Link header where there is one.');

const list = z.union(
  [
    path,
    z.strictObject({
      path,
      query: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
      items: pointer.describe('Where the items are. Default: the body, or the only list in it.').optional(),
      total: pointer
        .describe('Where the body says how many items there are. A list of another length is incomplete.')
        .optional(),
      total_header: text.describe('The same in a header, e.g. X-Total-Count.').optional(),
      page: page.optional(),
    }),
  ],
  { error: 'expected a path such as /licenses, or { path, items, page, … }' },
);

const route = (method: string, about: string) =>
  z
    .union(
      [
        path,
        z.strictObject({
          path,
          method: z
            .enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], { error: 'expected GET, POST, PUT, PATCH or DELETE' })
            .describe(`Default ${method}.`)
            .optional(),
          item: pointer.describe('Where the item lies in the answer. Default: the whole body.').optional(),
          wrap: pointer.describe('Where the item lies in what is sent. Default: the whole body.').optional(),
          send: z
            .enum(['changes', 'item'], { error: 'expected changes or item' })
            .describe('What an update sends: the members that change, or the whole item. Default: item for PUT.')
            .optional(),
        }),
      ],
      { error: 'expected a path such as /licenses/{id}, or { method, path, … }' },
    )
    .describe(about);

const column = z.union(
  [
    text,
    z.strictObject({
      type: text.describe(
        'int, decimal, decimal(10,2), float, bool, text, text(40), uuid, date, time, timestamp, instant, json, hex, base64, epoch_seconds or epoch_millis.',
      ),
      field: pointer.describe('Where it lies in the item. Default: the member of this name.').optional(),
      nullable: z.boolean().describe('Default true; false for the key.').optional(),
      read_only: z.boolean().describe('The API fills it: it is never sent.').optional(),
      as: z
        .enum(['text', 'number'], { error: 'expected text or number' })
        .describe('How numbers of new items are sent. Default number.')
        .optional(),
    }),
  ],
  { error: 'expected a type such as text, or { type, field, … }' },
);

const resource = z
  .strictObject({
    list: list.describe('The list of all items.'),
    read: route('GET', 'One item: /licenses/{id}. Differences are confirmed and writes guarded there.').optional(),
    find: path
      .describe('A list of the items with a key, where `read` is by another: /licenses?external_id={external_id}.')
      .optional(),
    create: route('POST', 'A new item.').optional(),
    update: route('PATCH', 'A change of an item.').optional(),
    delete: route('DELETE', 'An item is deleted.').optional(),
    key: names.describe('Columns that identify an item. Default: id, where the first page has it.').optional(),
    columns: z
      .record(z.string(), column)
      .describe('Columns by name. Default: inferred from the first page.')
      .optional(),
    since: z
      .strictObject({
        param: text.describe('The parameter of the list.'),
        column: text.describe('The column that it speaks of.'),
      })
      .describe('The list can show what has changed since a value of a column: for incremental comparison.')
      .optional(),
    if_match: z.boolean().describe('Send If-Match where the item has a strong ETag. Default true.').optional(),
    idempotency_key: z
      .union([text, z.literal(false)], { error: 'expected the name of a header, or false' })
      .describe('The header of the key that makes a repeated write one. Default Idempotency-Key.')
      .optional(),
  })
  .describe('A resource of the API: it is compared like a table of this name.');

export const httpSchema = z
  .strictObject({
    auth: auth.optional(),
    headers: z.record(z.string(), z.string()).describe('Sent with each request.').optional(),
    allow_private: flag.describe('May the address be of this machine or a private network? Default false.').optional(),
    requests_per_second: number('a number of requests per second', 0.001).optional(),
    concurrency: number('a number of requests, at least 1', 1).describe('Requests at once. Default 4.').optional(),
    max_bytes: number('a number of bytes', 1024)
      .describe('Largest answer that is read. Default 67108864 (64 MB).')
      .optional(),
    resources: z.record(z.string(), resource).describe('Resources by the name of their table.').optional(),
  })
  .describe('An API: how to sign in, and what its resources look like (docs/engines/http.md).');

export type HttpSection = z.infer<typeof httpSchema>;
