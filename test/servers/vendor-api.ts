import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** JSON whose numbers keep their digits. */
export type Value = null | boolean | string | { readonly rawJSON: string } | readonly Value[] | VendorItem;
export interface VendorItem {
  readonly [name: string]: Value;
}

const exact = JSON as unknown as {
  parse(text: string, reviver: (k: string, v: unknown, c: { readonly source?: string }) => unknown): Value;
  rawJSON(text: string): { readonly rawJSON: string };
};
export const number = (digits: string | number): { readonly rawJSON: string } => exact.rawJSON(String(digits));
export const parse = (text: string): Value =>
  exact.parse(text, (_, value, { source }) => (typeof value === 'number' ? exact.rawJSON(source!) : value));

export interface VendorResource {
  /** Members that name an item, in the order of its address. */
  readonly key: readonly string[];
  readonly items: readonly VendorItem[];
  readonly paging?: 'cursor' | 'page' | 'offset' | 'link' | 'url' | 'last_item' | 'none';
  readonly pageSize?: number;
  /** The vendor gives the key: whole numbers, from here on. */
  readonly nextKey?: number;
  /** Members the vendor computes. */
  compute?(item: VendorItem): VendorItem;
  /** Why it refuses an item. */
  refuse?(item: VendorItem, others: readonly VendorItem[]): string | undefined;
  /** `since` compares this member with the parameter of the same name. */
  readonly since?: string;
  readonly etags?: 'strong' | 'weak' | 'none';
  /** Members that an item lies in: in what is sent to it, and in what it answers. */
  readonly wrap?: { readonly sent: string; readonly answered: string };
}

/** What goes wrong with one request. */
export type Fault =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  /** The connection breaks: before anything was done, after all of it, or in the middle of the answer. */
  | 'lost'
  | 'lost reply'
  | 'truncated'
  /** It never answers. */
  | 'silent';

export interface Asked {
  readonly method: string;
  /** Below the base, with its query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Login =
  | { readonly bearer: string }
  | { readonly basic: readonly [string, string] }
  | { readonly header: readonly [string, string] }
  /** Tokens by client credentials; each is good for so many requests. */
  | { readonly oauth2: { readonly id: string; readonly secret: string; readonly uses: number } };

export interface VendorApi extends AsyncDisposable {
  /** Base of the resources. */
  readonly url: string;
  readonly origin: string;
  /** Everything that was asked, in order. */
  readonly asked: readonly Asked[];
  items(resource: string): readonly VendorItem[];
  /** Changes the data as somebody else would. */
  edit(resource: string, change: (items: VendorItem[]) => readonly VendorItem[]): void;
  /** Called for each request, before it is looked at; what it gives goes wrong. */
  fault: ((asked: Asked, n: number) => Fault | undefined) | undefined;
  /** Changes the body of a list on its way. */
  distort: ((body: { data: Value[]; meta: Record<string, Value> }, asked: Asked) => unknown) | undefined;
  readonly tokens: { issued: number };
}

const base = '/v2';
const merged = (item: VendorItem, change: VendorItem): VendorItem => ({ ...item, ...change });
const etagOf = (item: VendorItem): string =>
  `"${createHash('sha256').update(JSON.stringify(item)).digest('hex').slice(0, 16)}"`;
const wrapped = (r: VendorResource, item: VendorItem): VendorItem => (r.wrap ? { [r.wrap.answered]: item } : item);
const unwrapped = (r: VendorResource, body: string): VendorItem => {
  const sent = parse(body) as VendorItem;
  return r.wrap ? (sent[r.wrap.sent] as VendorItem) : sent;
};
const textOf = (value: Value | undefined): string =>
  typeof value === 'string'
    ? value
    : value !== null && typeof value === 'object' && 'rawJSON' in value
      ? String(value.rawJSON)
      : String(value ?? '');

/** A vendor's REST API with real data, and with every fault that such APIs have. Numbers are kept as they were written. */
export const startVendorApi = async (o: {
  readonly resources: Readonly<Record<string, VendorResource>>;
  readonly login?: Login;
}): Promise<VendorApi> => {
  const data = new Map(Object.entries(o.resources).map(([name, r]) => [name, [...r.items]]));
  const asked: Asked[] = [];
  const replies = new Map<string, { readonly status: number; readonly body: string }>();
  const tokens = { issued: 0 };
  const uses = new Map<string, number>();
  const next = new Map(Object.entries(o.resources).map(([name, r]) => [name, r.nextKey ?? 1]));

  const send = (
    res: ServerResponse,
    status: number,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): void => {
    const text = body === undefined ? '' : JSON.stringify(body);
    res.writeHead(status, { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers });
    res.end(text);
  };
  const problem = (res: ServerResponse, status: number, detail: string): void => {
    res.writeHead(status, { 'content-type': 'application/problem+json' });
    res.end(JSON.stringify({ title: 'Refused', detail }));
  };

  const signedIn = (a: Asked): boolean => {
    const { login } = o;
    const given = a.headers.authorization;
    if (login === undefined) return true;
    if ('bearer' in login) return given === `Bearer ${login.bearer}`;
    if ('basic' in login) return given === `Basic ${Buffer.from(login.basic.join(':')).toString('base64')}`;
    if ('header' in login) return a.headers[login.header[0].toLowerCase()] === login.header[1];
    const token = given?.replace('Bearer ', '') ?? '';
    const left = uses.get(token) ?? 0;
    if (left <= 0) return false;
    uses.set(token, left - 1);
    return true;
  };

  const token = (a: Asked, res: ServerResponse): unknown => {
    const login = o.login as {
      readonly oauth2: { readonly id: string; readonly secret: string; readonly uses: number };
    };
    const form = new URLSearchParams(a.body);
    const wanted = `Basic ${Buffer.from(`${login.oauth2.id}:${login.oauth2.secret}`).toString('base64')}`;
    const known =
      a.headers.authorization === wanted ||
      (form.get('client_id') === login.oauth2.id && form.get('client_secret') === login.oauth2.secret);
    if (!known || form.get('grant_type') !== 'client_credentials') return send(res, 401, { error: 'invalid_client' });
    const access = `token-${++tokens.issued}`;
    uses.set(access, login.oauth2.uses);
    send(res, 200, { access_token: access, token_type: 'Bearer', expires_in: 3600 });
  };

  const list = (name: string, url: URL, a: Asked, res: ServerResponse): void => {
    const r = o.resources[name]!;
    const size = Number(url.searchParams.get('limit') ?? r.pageSize ?? 100);
    let items = data.get(name)!;
    for (const [param, value] of url.searchParams) {
      if (param === r.since) items = items.filter((item) => Date.parse(textOf(item[param])) >= Date.parse(value));
      else if (param.startsWith('by_')) items = items.filter((item) => textOf(item[param.slice(3)]) === value);
    }
    const at = (n: number): Value[] => items.slice(n, n + size) as Value[];
    const where = (param: string, value: string | number): string => {
      const to = new URL(url);
      to.searchParams.set(param, String(value));
      return to.pathname + to.search;
    };
    const meta: Record<string, Value> = { total: number(items.length) };
    const headers: Record<string, string> = { 'x-total-count': String(items.length) };
    let page: Value[];
    switch (r.paging ?? 'cursor') {
      case 'none':
        page = [...items];
        break;
      case 'page': {
        const n = Number(url.searchParams.get('page') ?? 1);
        page = at((n - 1) * size);
        break;
      }
      case 'offset':
        page = at(Number(url.searchParams.get('offset') ?? 0));
        break;
      case 'last_item': {
        const after = url.searchParams.get('after');
        const from = after === null ? 0 : items.findIndex((item) => textOf(item[r.key[0]!]) === after) + 1;
        page = at(from);
        meta['has_more'] = from + size < items.length;
        break;
      }
      default: {
        const from = Number(url.searchParams.get('cursor') ?? 0);
        page = at(from);
        const more = from + size < items.length;
        if (r.paging === 'link') {
          if (more) headers['link'] = `<${where('cursor', from + size)}>; rel="next", </other>; rel="prev"`;
        } else if (r.paging === 'url') meta['next_url'] = more ? where('cursor', from + size) : null;
        else meta['next'] = more ? String(from + size) : null;
      }
    }
    const body = { data: page, meta };
    send(res, 200, fixture.distort?.(body, a) ?? body, headers);
  };

  const same = (item: VendorItem, r: VendorResource, key: readonly string[]): boolean =>
    r.key.every((k, i) => textOf(item[k]) === key[i]);

  const conditions = (a: Asked, r: VendorResource, item: VendorItem, res: ServerResponse): boolean => {
    const wanted = a.headers['if-match'];
    if (wanted === undefined || wanted === etagOf(item) || r.etags === 'none') return true;
    problem(res, 412, 'it has changed meanwhile');
    return false;
  };

  const item = (name: string, key: readonly string[], a: Asked, res: ServerResponse): unknown => {
    const r = o.resources[name]!;
    const items = data.get(name)!;
    const at = items.findIndex((i) => same(i, r, key));
    const found = items[at];
    const tag = (i: VendorItem): Record<string, string> =>
      r.etags === 'none' ? {} : { etag: r.etags === 'weak' ? `W/${etagOf(i)}` : etagOf(i) };
    if (found === undefined) return problem(res, 404, 'there is no such item');
    if (a.method === 'GET') {
      if (a.headers['if-none-match'] === etagOf(found)) return send(res, 304, undefined, tag(found));
      return send(res, 200, wrapped(r, found), tag(found));
    }
    if (!conditions(a, r, found, res)) return;
    if (a.method === 'DELETE') {
      items.splice(at, 1);
      return send(res, 204, undefined);
    }
    const change = unwrapped(r, a.body);
    const after = merged(a.method === 'PUT' ? {} : found, change);
    const now = r.compute?.(after) ?? after;
    const refused = r.refuse?.(
      now,
      items.filter((i) => i !== found),
    );
    if (refused !== undefined) return problem(res, 422, refused);
    items[at] = now;
    send(res, 200, wrapped(r, now), tag(now));
  };

  const create = (name: string, a: Asked, res: ServerResponse): unknown => {
    const r = o.resources[name]!;
    const items = data.get(name)!;
    const once = a.headers['idempotency-key'] as string | undefined;
    const before = once === undefined ? undefined : replies.get(once);
    if (before !== undefined) {
      res.writeHead(before.status, { 'content-type': 'application/json', 'idempotency-replayed': 'true' });
      res.end(before.body);
      return;
    }
    let made = unwrapped(r, a.body);
    if (r.nextKey !== undefined) {
      const n = next.get(name)!;
      next.set(name, n + 1);
      made = { ...made, [r.key[0]!]: number(n) };
    }
    made = r.compute?.(made) ?? made;
    const key = r.key.map((k) => textOf(made[k]));
    if (items.some((i) => same(i, r, key))) return problem(res, 409, 'an item with this key exists');
    const refused = r.refuse?.(made, items);
    if (refused !== undefined) return problem(res, 422, refused);
    items.push(made);
    if (once !== undefined) replies.set(once, { status: 201, body: JSON.stringify(wrapped(r, made)) });
    send(res, 201, wrapped(r, made), {
      location: `${base}/${encodeURIComponent(name)}/${key.map(encodeURIComponent).join('/')}`,
    });
  };

  const answer = (a: Asked, res: ServerResponse): unknown => {
    const url = new URL(base + a.path, 'http://vendor');
    if (url.pathname === `${base}/oauth/token`) return token(a, res);
    if (!signedIn(a)) return problem(res, 401, 'sign in first');
    const [name, ...key] = url.pathname
      .slice(base.length + 1)
      .split('/')
      .map(decodeURIComponent);
    const r = o.resources[name!];
    if (r === undefined || (key.length > 0 && key.length !== r.key.length))
      return problem(res, 404, 'there is no such resource');
    if (key.length > 0) return item(name!, key, a, res);
    if (a.method === 'GET') return list(name!, url, a, res);
    if (a.method === 'POST') return create(name!, a, res);
    problem(res, 405, 'not here');
  };

  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const a: Asked = {
        method: req.method!,
        path: req.url!.startsWith(base) ? req.url!.slice(base.length) : req.url!,
        headers: req.headers,
        body: Buffer.concat(chunks).toString('utf8'),
      };
      asked.push(a);
      const fault = fixture.fault?.(a, asked.length);
      if (fault === 'silent') return;
      if (fault === 'lost') {
        req.socket.destroy();
        return;
      }
      if (fault === 'lost reply') {
        res.end = (() => {
          req.socket.destroy();
          return res;
        }) as typeof res.end;
        res.writeHead = (() => res) as typeof res.writeHead;
        answer(a, res);
        return;
      }
      if (fault === 'truncated') {
        res.end = ((text: string) => {
          res.write(text.slice(0, Math.ceil(text.length / 2)), () => req.socket.destroy());
          return res;
        }) as typeof res.end;
        answer(a, res);
        return;
      }
      if (fault !== undefined) {
        res.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
        res.end(fault.body ?? '{}');
        return;
      }
      answer(a, res);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fixture: VendorApi = {
    url: origin + base,
    origin,
    asked,
    tokens,
    fault: undefined,
    distort: undefined,
    items: (name) => data.get(name)!,
    edit: (name, change) => void data.set(name, [...change([...data.get(name)!])]),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fixture;
};
