import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { http } from '../../src/engines/http/index.ts';
import { refusal } from '../../src/lib/net/addresses.ts';
import { LockstepError } from '../../src/model/errors.ts';
import { type Login, startVendorApi } from '../servers/vendor-api.ts';
import { licences } from '../servers/vendor-licences.ts';
import { openApi, rowsOf, signal } from './http-support.ts';

/** Who may be asked, and with which credentials. */

const start = (login?: Login) =>
  startVendorApi({ resources: { licences: licences(100) }, ...(login === undefined ? {} : { login }) });

const failure = async (work: Promise<unknown>): Promise<LockstepError> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.ok(error instanceof LockstepError, `it should have failed with a message, not ${String(error)}`);
  return error;
};

const secret = 'correct-horse-battery';
const logins: readonly (readonly [Login, object, object])[] = [
  [{ bearer: secret }, { bearer: secret }, { bearer: `${secret}?` }],
  [
    { basic: ['ann', `${secret}:%/@`] },
    { basic: { user: 'ann', password: `${secret}:%/@` } },
    { basic: { user: 'ann', password: secret } },
  ],
  [
    { header: ['X-Api-Key', secret] },
    { header: { name: 'x-api-key', value: secret } },
    { header: { name: 'X-Api-Key', value: 'no' } },
  ],
];

for (const [login, right, wrong] of logins) {
  test(`signing in by ${Object.keys(right)[0]}: the right login is let in, the wrong one is AUTH and not repeated`, async () => {
    await using api = await start(login);
    await using endpoint = openApi(api, { http: { auth: right } });
    assert.equal((await rowsOf(endpoint)).length, 100);
    const asked = api.asked.length;
    await using other = openApi(api, { http: { auth: wrong } });
    const error = await failure(rowsOf(other));
    assert.equal(error.code, 'AUTH');
    assert.equal(error.exit, 21);
    assert.match(error.message, /401 Unauthorized: Refused: sign in first/);
    assert.ok(!JSON.stringify([error.message, error.hint, error.details]).includes(secret));
    assert.equal(api.asked.length, asked + 1);
  });
}

test('a login in the URL is a basic login, and not shown', async () => {
  await using api = await start({ basic: ['ann', 'p@ss'] });
  const url = api.url.replace('http://', 'http://ann:p%40ss@');
  await using endpoint = openApi({ url });
  assert.equal((await rowsOf(endpoint)).length, 100);
  assert.ok(!endpoint.fingerprint.address.includes('ann'));
});

for (const send of ['header', 'body'] as const) {
  test(`a token is fetched once for many requests, and again when it has ended (client in the ${send})`, async () => {
    await using api = await start({ oauth2: { id: 'us', secret, uses: 2 } });
    const auth = { oauth2: { token_url: `${api.url}/oauth/token`, client_id: 'us', client_secret: secret, send } };
    await using endpoint = openApi(api, { http: { auth, concurrency: 1 } });
    assert.equal((await rowsOf(endpoint)).length, 100);
    assert.equal(api.tokens.issued, 2, 'three pages at two requests a token');
    await using other = openApi(api, { http: { auth: { oauth2: { ...auth.oauth2, client_secret: 'wrong' } } } });
    const error = await failure(rowsOf(other));
    assert.equal(error.code, 'AUTH');
    assert.match(error.message, /no token from 127\.0\.0\.1:\d+: status 401 \(invalid_client\)/);
  });
}

test('a token that is refused at once is fetched again once, not for ever', async () => {
  await using api = await start({ oauth2: { id: 'us', secret, uses: 0 } });
  const auth = { oauth2: { token_url: `${api.url}/oauth/token`, client_id: 'us', client_secret: secret } };
  await using endpoint = openApi(api, { http: { auth } });
  assert.equal((await failure(rowsOf(endpoint))).code, 'AUTH');
  assert.equal(api.tokens.issued, 2);
});

test('a redirect on the same host is followed; one to another host is refused, and gets nothing', async () => {
  await using api = await start({ bearer: secret });
  let stolen = 0;
  const thief = createServer((_, res) => {
    stolen++;
    res.end('{}');
  });
  await new Promise<void>((resolve) => thief.listen(0, '127.0.0.1', resolve));
  try {
    const elsewhere = `http://127.0.0.1:${(thief.address() as AddressInfo).port}`;
    await using endpoint = openApi(api, { http: { auth: { bearer: secret } } });
    const away = (status: number, location: string): void => {
      api.fault = (a) => (a.path === '/licences' ? { status, headers: { location } } : undefined);
    };
    away(302, '/v2/licences?limit=100');
    assert.equal((await rowsOf(endpoint)).length, 100);
    for (const location of [
      `${elsewhere}/v2/licences`,
      `//${elsewhere.slice(7)}/x`,
      `http://ann:x@${api.url.slice(7)}/licences?limit=9`,
    ]) {
      away(307, location);
      assert.match((await failure(rowsOf(endpoint))).message, /leads to another address/);
    }
    away(302, '/v2/licences');
    assert.match((await failure(rowsOf(endpoint))).message, /without end/);
    api.fault = undefined;
    api.distort = (body) => ({ ...body, meta: { ...body.meta, next_url: `${elsewhere}/more` } });
    await using byUrl = openApi(api, {
      http: {
        auth: { bearer: secret },
        resources: {
          licences: {
            list: { path: '/licences', items: '/data', page: { by: 'url', next: '/meta/next_url' } },
            key: ['id'],
            columns: { id: 'int' },
          },
        },
      },
    });
    assert.match((await failure(rowsOf(byUrl))).message, /leads to another address/);
    assert.equal(stolen, 0, 'the other host was asked');
  } finally {
    thief.close();
  }
});

test('addresses of this machine, private networks and metadata services are told from public ones', () => {
  const inside = [
    '127.0.0.1',
    '127.9.9.9',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '0.0.0.0',
    '::1',
    '::',
    'fc00::1',
    'fd12::1',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '64:ff9b::7f00:1',
    '224.0.0.1',
  ];
  for (const address of inside) {
    assert.equal(refusal(address, false), 'private', address);
    assert.equal(refusal(address, true), undefined, address);
  }
  for (const address of [
    '169.254.169.254',
    '169.254.170.2',
    '::ffff:169.254.169.254',
    'fe80::1',
    'fd00:ec2::254',
    '100.100.100.200',
  ])
    for (const allowed of [true, false]) assert.equal(refusal(address, allowed), 'metadata', address);
  for (const address of ['1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:1.1.1.1'])
    assert.equal(refusal(address, false), undefined, address);
});

test('a private address is refused before anything is sent, by number in every spelling and by name', async () => {
  await using api = await start();
  const { port } = new URL(api.url);
  for (const host of ['127.0.0.1', 'localhost', '0x7f.1', '2130706433', '017700000001', '[::ffff:127.0.0.1]']) {
    await using endpoint = openApi({ url: `http://${host}:${port}/v2` }, { http: { allow_private: false } });
    const error = await failure(rowsOf(endpoint));
    assert.equal(error.code, 'CONFIG', host);
    assert.match(error.message, /an address of this machine or a private network\. Nothing was sent/);
    assert.match(error.hint!, /allow_private: true/);
  }
  assert.equal(api.asked.length, 0);
});

test('the metadata service is not asked, also where private addresses are allowed', async () => {
  await using endpoint = openApi({ url: 'http://169.254.169.254/latest' });
  assert.match((await failure(rowsOf(endpoint))).message, /metadata service/);
});

test('a host that nobody knows, and a port that nobody listens on, are CONNECT', async () => {
  await using api = await start();
  const gone = api.url;
  await api[Symbol.asyncDispose]();
  await using endpoint = openApi({ url: gone });
  const error = await failure(rowsOf(endpoint));
  assert.equal(error.code, 'CONNECT');
  assert.match(error.message, /cannot connect to 127\.0\.0\.1/);
  await using unknown = openApi({ url: 'http://nobody.invalid/v2' });
  assert.equal((await failure(rowsOf(unknown))).code, 'CONNECT');
});

test('TLS is always verified', async () => {
  const { createServer: createTls } = await import('node:https');
  const { readFileSync } = await import('node:fs');
  const { join } = await import('node:path');
  const file = (name: string): string => readFileSync(join(import.meta.dirname, 'postgres-certificates', name), 'utf8');
  const server = createTls({ key: file('server.key'), cert: file('server.crt') }, (_, res) => {
    res.setHeader('content-type', 'application/json');
    res.end('[{"id":1}]');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const config = {
      url: `https://localhost:${(server.address() as AddressInfo).port}`,
      http: { allow_private: true, resources: { t: { list: '/t' } } },
    };
    const open = (tls?: object) =>
      http.connect(http.parse({ ...config, ...(tls ? { tls } : {}) }), { name: 'vendor', writable: false, signal });
    await using bad = await open();
    const error = await failure(rowsOf(bad, 't'));
    assert.equal(error.code, 'TLS');
    await using good = await open({ ca: file('ca.crt') });
    assert.deepEqual(await rowsOf(good, 't'), [['1']]);
    assert.throws(() => http.parse({ ...config, tls: { mode: 'require' } }), /certificate is always checked/);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
