/** A small vendor of licences: a REST API over data in memory, as such APIs are. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface License {
  readonly id: string;
  readonly product: string;
  readonly customer: { readonly name: string };
  readonly status: string;
  readonly seats: number;
  /** Money is text, as careful vendors send it. */
  readonly price: string;
  readonly updated_at: string;
}

export interface Vendor extends AsyncDisposable {
  readonly url: string;
  readonly licenses: Map<string, License>;
  /** Somebody at the vendor's changes a licence, or makes one. */
  put(license: Omit<License, 'updated_at'>): void;
  /** Lists end after their first page, with no word about it. */
  broken: boolean;
  /** Nothing behind its gateway answers. */
  down: boolean;
  /** Each answer takes so much longer. */
  delayMs: number;
  requests: number;
}

const names = ['Ashdown & Co', 'Kvík ehf.', 'Ötztal Energie', 'Nordlys AS', "O'Hara Legal", '株式会社ミナト'];
const licenseOf = (n: number): License => ({
  id: `lic_${String(n).padStart(4, '0')}`,
  product: ['atlas', 'beacon', 'compass'][n % 3]!,
  customer: { name: names[n % names.length]! },
  status: n % 9 === 0 ? 'inactive' : 'active',
  seats: 1 + (n % 25),
  price: `${10 + (n % 90)}.${String((n * 7) % 100).padStart(2, '0')}`,
  updated_at: new Date(Date.UTC(2026, 0, 1) + n * 3_600_000).toISOString(),
});

const pageSize = 50;

const bodyOf = async (request: IncomingMessage): Promise<Partial<License>> => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return JSON.parse(Buffer.concat(pieces).toString()) as Partial<License>;
};

const send = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};

export const startVendor = async (o: {
  readonly count: number;
  readonly token: string;
  readonly port?: number;
}): Promise<Vendor> => {
  const licenses = new Map(Array.from({ length: o.count }, (_, i) => licenseOf(i + 1)).map((l) => [l.id, l]));
  const list = (url: URL, response: ServerResponse): void => {
    const since = url.searchParams.get('updated_since');
    const all = [...licenses.values()].filter((l) => since === null || Date.parse(l.updated_at) >= Date.parse(since));
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const next = from + pageSize < all.length && !vendor.broken ? String(from + pageSize) : null;
    send(response, 200, { data: all.slice(from, from + pageSize), next, total: all.length });
  };
  const one = async (id: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const found = licenses.get(id);
    if (found === undefined) return send(response, 404, { detail: `there is no licence ${id}` });
    if (request.method === 'PATCH') licenses.set(id, { ...found, ...(await bodyOf(request)) });
    send(response, 200, licenses.get(id));
  };
  const server = createServer((request, response) => {
    vendor.requests++;
    if (vendor.down) return send(response, 503, { detail: 'back soon' });
    const url = new URL(request.url ?? '/', 'http://vendor');
    const [, version, resource, id] = url.pathname.split('/');
    if (request.headers.authorization !== `Bearer ${o.token}`) return send(response, 401, { detail: 'who are you?' });
    if (version !== 'v1' || resource !== 'licenses') return send(response, 404, { detail: 'there is nothing here' });
    const answer = (): void => {
      if (id === undefined) list(url, response);
      else one(decodeURIComponent(id), request, response).catch(() => response.destroy());
    };
    if (vendor.delayMs === 0) answer();
    else setTimeout(answer, vendor.delayMs);
  });
  await new Promise<void>((resolve) => server.listen(o.port ?? 0, '127.0.0.1', resolve));
  const vendor: Vendor = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    licenses,
    put: (license) => void licenses.set(license.id, { ...license, updated_at: new Date().toISOString() }),
    broken: false,
    down: false,
    delayMs: 0,
    requests: 0,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return vendor;
};
