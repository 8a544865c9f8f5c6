import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { systemClock } from '../lib/clock.ts';
import { redactor } from '../lib/redact.ts';
import type { Log } from '../telemetry/log.ts';
import type { Api, Routes } from './api.ts';
import { buildApp } from './app.ts';
import { addAccess } from './auth.ts';
import { typed } from './typed.ts';

const { signal } = new AbortController();
const noted: unknown[] = [];
const api = {
  ...{ version: '0', clock: systemClock, redactor: redactor(), signal },
  failures: { note: (what: unknown) => void noted.push(what) },
} as unknown as Api;
const nothing = (): void => {};
const silent: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => silent };
/** Everybody may do everything, as with `server.auth.mode: none`. */
const open = { authenticator: undefined, clock: systemClock, signal, rateLimit: () => undefined };
const appOf = async (...routes: Routes[]) =>
  (await buildApp(api, { routes, access: (app) => addAccess(app, open) })).app;

test('a route that names no scope keeps the server from starting', async () => {
  const app = await appOf((a) => void a.get('/api/v1/forgotten', async () => ({})));
  await assert.rejects(async () => await app.ready(), { message: /GET \/api\/v1\/forgotten/ });
});

test('an answer holds what its schema names and nothing else, and one that does not fit is a defect', async () => {
  const app = await appOf((a) => {
    const routes = typed(a);
    const schema = { response: { 200: z.object({ id: z.string() }) } };
    const config = { scope: 'any' } as const;
    routes.get('/more', { config, schema }, async () => ({ id: 'x', password: 'y' }));
    routes.get('/wrong', { config, schema }, async () => ({ id: 7 as unknown as string }));
    routes.get('/broken', { config, schema }, async () => {
      throw new TypeError('secret words');
    });
  });
  assert.equal((await app.inject('/more')).payload, '{"id":"x"}');
  for (const url of ['/wrong', '/broken']) {
    const reply = await app.inject(url);
    assert.deepEqual([reply.statusCode, reply.json().code], [500, 'INTERNAL']);
    assert.doesNotMatch(reply.payload, /secret words/);
  }
  assert.equal((await app.inject('/more')).headers['cache-control'], 'no-store');
});

test('without tokens, pages of others get nothing through a browser of this machine', async () => {
  const app = await appOf(
    (a) => void a.post('/api/v1/write', { config: { scope: 'syncs:operate' } }, async () => ({})),
  );
  const ask = async (headers: Record<string, string>): Promise<number> =>
    (await app.inject({ method: 'POST', url: '/api/v1/write', headers })).statusCode;
  for (const host of ['127.0.0.1:8000', 'localhost:8000', '[::1]:8000', 'localhost'])
    assert.equal(await ask({ host }), 200, host);
  const host = 'localhost:8000';
  assert.equal(await ask({ host, origin: 'http://localhost:8000', 'sec-fetch-site': 'same-origin' }), 200);
  for (const headers of [
    { host: 'evil.example:8000' },
    { host: 'localhost.evil.example' },
    { host, 'sec-fetch-site': 'cross-site' },
    { host, 'sec-fetch-site': 'same-site' },
    { host, origin: 'https://evil.example' },
    { host, origin: 'null' },
    { host, origin: 'http://localhost:3000' },
  ])
    assert.equal(await ask(headers), 403, JSON.stringify(headers));
});

test('whoever has what HEAD asks for is told so', async () => {
  const app = await appOf((a) => {
    a.get('/tagged', { config: { scope: 'any', etag: true } }, async (_request, reply) => reply.send('text'));
  });
  const first = await app.inject({ method: 'HEAD', url: '/tagged' });
  const headers = { 'if-none-match': first.headers.etag as string };
  for (const method of ['HEAD', 'GET'] as const) {
    const again = await app.inject({ method, url: '/tagged', headers });
    assert.deepEqual([again.statusCode, again.payload, again.headers['content-type']], [304, '', undefined], method);
  }
});

test('a path that cannot be decoded is told so with the headers and the line of any other answer', async () => {
  const lines: unknown[] = [];
  const log = { ...silent, info: (_message: string, fields?: object) => void lines.push(fields) };
  const { app } = await buildApp(api, { routes: [], access: (a) => addAccess(a, open), log });
  const { statusCode, headers } = await app.inject({ url: '/%', headers: { 'x-request-id': 'mine-1' } });
  assert.equal(statusCode, 400);
  assert.deepEqual([headers['x-content-type-options'], headers['cache-control']], ['nosniff', 'no-store']);
  assert.deepEqual(lines, [{ correlation: 'mine-1', method: 'GET', route: 'none', status: 400, ms: 0 }]);
});
