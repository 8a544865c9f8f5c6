import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type ClientRequest, request as plain } from 'node:http';
import { request as tls } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { firstToken, makeToken } from '../../src/access/make-token.ts';
import { mayAccess } from '../../src/access/may-access.ts';
import type { Api, Routes } from '../../src/http/api.ts';
import { prepareAccess } from '../../src/http/prepare-access.ts';
import { health } from '../../src/http/routes/health.ts';
import { startHttp } from '../../src/http/server.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { redactor } from '../../src/lib/redact.ts';
import { LockstepError } from '../../src/model/errors.ts';
import { freshStore } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';
import { selfSigned } from './self-signed.ts';
import { serverConfig } from './server-config.ts';

const { store } = await freshStore();
const secrets = redactor();
/** Routes of one kind each. */
const routes: Routes = (app) => {
  app.get('/open', { config: { scope: 'public' } }, async () => ({}));
  app.get('/who', { config: { scope: 'any' } }, async (request) => ({ name: request.principal.name, ip: request.ip }));
  app.get('/runs', { config: { scope: 'runs:read' } }, async () => ({}));
  app.post('/apply', { config: { scope: 'plans:apply' } }, async () => ({}));
  app.get<{ Params: { sync: string } }>(
    '/syncs/:sync',
    { config: { scope: 'syncs:read', objects: 'checked' } },
    async (request) => {
      if (!mayAccess(request.principal, { sync: request.params.sync }))
        throw new LockstepError('NOT_FOUND', 'there is no such sync');
      return {};
    },
  );
};
const start = async (text: string, more: { host?: string } = {}) => {
  let config = await serverConfig(text);
  const abort = new AbortController();
  const api = {
    version: '0',
    store,
    config: () => config,
    clock: systemClock,
    redactor: secrets,
    signal: abort.signal,
  };
  const access = await prepareAccess({ ...api, ...more });
  const server = await startHttp(api as unknown as Api, { ...access, port: 0, routes: [routes, health] });
  const close = async (): Promise<void> => {
    abort.abort();
    await server.close();
  };
  after(close);
  const reload = async (next: string): Promise<void> => {
    config = await serverConfig(next);
  };
  return { ...access, url: server.url, renew: server.renew, reload, close };
};
const token = async (name: string, wish: object): Promise<string> =>
  (await makeToken(store.tokens, { name, ...wish }, { actor: 'me@laptop' }, systemClock, o)).secret;
const ask = async (url: string, bearer?: string, more: RequestInit = {}) => {
  const headers = { ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }), ...more.headers };
  const reply = await fetch(url, { ...more, headers });
  return { status: reply.status, headers: reply.headers, body: (await reply.json()) as Record<string, string> };
};

const first = await firstToken(store.tokens, systemClock, o);
const viewer = await token('viewer', { role: 'viewer' });
const { url } = await start('');

test('who asks without a token, or with one that is none, is told how to ask', async () => {
  const none = await ask(`${url}/runs`);
  assert.deepEqual(
    [none.status, none.headers.get('www-authenticate'), none.body['code']],
    [401, 'Bearer realm="lockstep"', 'UNAUTHENTICATED'],
  );
  assert.match(none.headers.get('content-type')!, /^application\/problem\+json/);
  const wrong = await ask(`${url}/runs`, `lsk_${'0'.repeat(52)}`);
  assert.equal(wrong.status, 401);
  assert.match(
    wrong.headers.get('www-authenticate')!,
    /^Bearer realm="lockstep", error="invalid_token", error_description="this token is not known here"$/,
  );
  const basic = await ask(`${url}/runs`, undefined, { headers: { authorization: `Basic ${btoa(`x:${viewer}`)}` } });
  assert.match(basic.headers.get('www-authenticate')!, /error="invalid_request"/);
  assert.equal((await ask(`${url}/open`)).status, 200);
});

test('a token is taken from its header only', async () => {
  assert.equal((await ask(`${url}/who?access_token=${viewer}&token=${viewer}`)).status, 401);
  for (const cookie of [`token=${viewer}`, `Authorization=Bearer ${viewer}`, `access_token=${viewer}`])
    assert.equal((await ask(`${url}/who`, undefined, { headers: { cookie } })).status, 401, cookie);
  assert.equal((await ask(`${url}/who`, undefined, { headers: { 'x-api-key': viewer } })).status, 401);
  assert.equal((await ask(`${url}/who`, viewer)).body['name'], 'token:viewer');
});

test('a missing scope is named, and any token may ask who it is', async () => {
  assert.equal((await ask(`${url}/runs`, viewer)).status, 200);
  const apply = await ask(`${url}/apply`, viewer, { method: 'POST' });
  assert.equal(apply.status, 403);
  assert.equal(
    apply.headers.get('www-authenticate'),
    'Bearer realm="lockstep", error="insufficient_scope", scope="plans:apply"',
  );
  assert.match(apply.body['detail']!, /token:viewer does not hold the scope plans:apply/);
  assert.equal((await ask(`${url}/apply`, first, { method: 'POST' })).status, 200);
});

test('who is bound to a sync gets nothing of another, and nothing of a route that does not look', async () => {
  const bound = await token('bound', { role: 'admin', syncs: ['a'] });
  assert.equal((await ask(`${url}/syncs/a`, bound)).status, 200);
  assert.equal((await ask(`${url}/syncs/b`, bound)).status, 404);
  const all = await ask(`${url}/runs`, bound);
  assert.deepEqual([all.status, all.body['code']], [403, 'FORBIDDEN']);
  assert.equal((await ask(`${url}/who`, bound)).status, 200);
});

test('every answer carries the headers of safety, and none lets another origin read it', async () => {
  for (const path of ['/open', '/runs', '/nothing']) {
    const { headers } = await ask(`${url}${path}`, undefined, { headers: { origin: 'https://evil.example' } });
    assert.match(
      headers.get('content-security-policy')!,
      /default-src 'self'.*frame-ancestors 'none'.*require-trusted-types-for/,
      path,
    );
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.equal(headers.get('access-control-allow-origin'), null);
    assert.equal(headers.get('strict-transport-security'), null, 'only by TLS');
  }
  const preflight = await fetch(`${url}/runs`, {
    method: 'OPTIONS',
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET' },
  });
  assert.equal(preflight.headers.get('access-control-allow-origin'), null);
});

test('ten wrong tokens stop an address for a minute, and nobody who was let in before', async () => {
  const own = await start('');
  assert.equal((await ask(`${own.url}/who`, viewer)).status, 200);
  const statuses: number[] = [];
  for (let i = 0; i < 12; i++)
    statuses.push((await ask(`${own.url}/who`, `lsk_${String(i).padStart(52, '0')}`)).status);
  assert.deepEqual(statuses, [...Array<number>(10).fill(401), 429, 429]);
  const stopped = await ask(`${own.url}/who`, first);
  assert.equal(stopped.status, 429);
  const wait = Number(stopped.headers.get('retry-after'));
  assert.ok(wait > 50 && wait <= 60, `retry-after ${wait}`);
  assert.equal((await ask(`${own.url}/who`, viewer)).status, 200);
  await own.close();
});

test('tokens that are good no more are no guesses', async () => {
  const own = await start('');
  const revoked = await token('revoked', { role: 'viewer' });
  await store.tokens.revoke('revoked', Date.now(), o);
  for (let i = 0; i < 12; i++) assert.equal((await ask(`${own.url}/who`, revoked)).status, 401);
  await own.close();
});

test('requests are limited per caller, with headers that say so', async () => {
  const own = await start('server: { rate_limit: { requests: 3, per: 1h } }');
  const one = await ask(`${own.url}/who`, viewer);
  assert.deepEqual(
    ['limit', 'remaining'].map((name) => one.headers.get(`ratelimit-${name}`)),
    ['3', '2'],
  );
  for (let i = 0; i < 2; i++) assert.equal((await ask(`${own.url}/who`, viewer)).status, 200);
  const fourth = await ask(`${own.url}/who`, viewer);
  assert.deepEqual(
    [fourth.status, fourth.body['code'], fourth.headers.get('ratelimit-remaining')],
    [429, 'RATE_LIMITED', '0'],
  );
  assert.match(fourth.headers.get('retry-after')!, /^3[56]\d\d$/);
  assert.equal((await ask(`${own.url}/who`, first)).status, 200, 'another caller');
  await own.reload('server: { rate_limit: { requests: "${env:NOT_SET_HERE}" } }');
  assert.equal((await ask(`${own.url}/who`, viewer)).status, 429, 'the limit before stays');
  await own.reload('server: { rate_limit: { requests: 9, per: 1h } }');
  assert.equal((await ask(`${own.url}/who`, viewer)).status, 200);
  for (const probe of ['/livez', '/readyz'])
    for (let i = 0; i < 4; i++)
      assert.equal((await ask(`${own.url}${probe}`)).status, 200, `${probe} is always answered`);
  await own.close();
  const free = await start('server: { rate_limit: false }');
  assert.equal((await ask(`${free.url}/who`, viewer)).headers.get('ratelimit-limit'), null);
  await free.close();
});

test('who has a token of the identity provider comes in, with the roles that it says', async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const keys = join(mkdtempSync(join(tmpdir(), 'lockstep-keys-')), 'keys.json');
  after(() => rmSync(dirname(keys), { recursive: true }));
  writeFileSync(keys, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }] }));
  const own = await start(
    `server: { auth: { jwt: { issuer: "https://idp.example", audience: lockstep, jwks_file: "${keys}", syncs_claim: syncs } } }`,
  );
  const sign = (claims: object): Promise<string> =>
    new SignJWT({ sub: 'alice', roles: ['operator'], syncs: ['a'], ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setIssuer('https://idp.example')
      .setAudience('lockstep')
      .setExpirationTime('5m')
      .sign(privateKey);
  const alice = await sign({});
  assert.equal((await ask(`${own.url}/who`, alice)).body['name'], 'oidc:alice');
  assert.equal((await ask(`${own.url}/syncs/a`, alice)).status, 200);
  assert.equal((await ask(`${own.url}/syncs/b`, alice)).status, 404);
  assert.equal((await ask(`${own.url}/apply`, alice, { method: 'POST' })).status, 403);
  const other = await ask(`${own.url}/who`, `${alice.slice(0, -4)}AAAA`);
  assert.match(
    other.headers.get('www-authenticate')!,
    /error="invalid_token", error_description="this token is not valid"/,
  );
  assert.equal((await ask(`${own.url}/who`, viewer)).status, 200, 'tokens of Lockstep work beside it');
  assert.equal(await own.welcome(own.url), undefined, 'no first token where somebody else says who may');
  await own.close();
});

test('TLS is served by itself, asked for again, and takes a new certificate', async () => {
  const { cert, key } = selfSigned();
  const indented = (pem: string): string => pem.trim().replaceAll('\n', '\n      ');
  const own = await start(
    `server:\n  tls:\n    cert: |\n      ${indented(cert)}\n    key: |\n      ${indented(key)}\n`,
  );
  assert.match(own.url, /^https:/);
  const seen = (ca: string) =>
    new Promise<{ status: number; hsts: unknown }>((resolve, reject) => {
      const headers = { authorization: `Bearer ${viewer}` };
      tls(`${own.url}/who`, { ca, headers, agent: false }, (reply) => {
        reply.resume();
        resolve({ status: reply.statusCode!, hsts: reply.headers['strict-transport-security'] });
      })
        .on('error', reject)
        .end();
    });
  assert.deepEqual(await seen(cert), { status: 200, hsts: 'max-age=31536000' });
  await assert.rejects(fetch(own.url.replace('https', 'http')), TypeError);
  const next = selfSigned();
  assert.throws(() => own.renew({ cert: next.cert, key }), /key values mismatch/);
  assert.equal((await seen(cert)).status, 200, 'the old one stays');
  own.renew(next);
  assert.equal((await seen(next.cert)).status, 200);
  await assert.rejects(seen(cert), /self-signed certificate|certificate/);
  await own.close();
});

/** A request whose connection comes from another address of this machine. */
const from = (address: string, url: string, headers: Record<string, string>): Promise<{ ip: string; hsts: unknown }> =>
  new Promise((resolve, reject) => {
    const request: ClientRequest = plain(url, { localAddress: address, headers }, async (reply) => {
      let text = '';
      for await (const part of reply) text += String(part);
      resolve({ ip: (JSON.parse(text) as { ip: string }).ip, hsts: reply.headers['strict-transport-security'] });
    });
    request.on('error', reject);
    request.end();
  });

test('X-Forwarded-* are believed from a declared proxy only', async () => {
  const own = await start('server: { proxy: { trusted: ["127.0.0.2"] } }');
  const headers = { authorization: `Bearer ${viewer}`, 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'https' };
  assert.deepEqual(await from('127.0.0.2', `${own.url}/who`, headers), { ip: '203.0.113.7', hsts: 'max-age=31536000' });
  assert.deepEqual(await from('127.0.0.3', `${own.url}/who`, headers), { ip: '127.0.0.3', hsts: undefined });
  await own.close();
});

test('mode none is for this machine, and says so', async () => {
  const own = await start('server: { auth: { mode: none } }');
  assert.match(own.warning!, /every program on this machine may do everything/);
  assert.equal((await ask(`${own.url}/apply`, undefined, { method: 'POST' })).status, 200);
  assert.equal(await own.welcome(own.url), undefined);
  await own.close();
});
