import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { guardedRequest, RefusedAddress } from './guarded-request.ts';

let hits = 0;
const server = createServer((request, reply) => {
  hits++;
  if (request.url === '/elsewhere') reply.writeHead(302, { location: 'http://169.254.169.254/latest' }).end();
  else if (request.url === '/large') reply.end('x'.repeat(2000));
  else if (request.url === '/silent') request.socket.setKeepAlive(true);
  else reply.end(`${request.method} ${request.headers['x-sign'] ?? ''}`);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
after(() => {
  server.closeAllConnections();
  server.close();
});
const { port } = server.address() as AddressInfo;
const ask = (url: string, more: object = {}) =>
  guardedRequest({
    url: new URL(url),
    method: 'GET',
    allowPrivate: false,
    timeoutMs: 5000,
    maxBytes: 1000,
    signal: new AbortController().signal,
    ...more,
  });

test('no spelling of this machine is asked, and none of a metadata service even where private ones are', async () => {
  const here = [
    '127.0.0.1',
    'localhost',
    '127.1',
    '0x7f000001',
    '2130706433',
    '0177.0.0.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
    '[::]',
  ];
  for (const host of here) await assert.rejects(ask(`http://${host}:${port}/`), RefusedAddress, host);
  for (const host of ['10.1.2.3', '192.168.0.1', '172.16.0.1', '100.64.0.1', '[fd00::1]', '[64:ff9b::7f00:1]'])
    await assert.rejects(ask(`http://${host}/`), RefusedAddress, host);
  for (const host of [
    '169.254.169.254',
    '0xa9fea9fe',
    '2852039166',
    '[::ffff:169.254.169.254]',
    '[fd00:ec2::254]',
    '100.100.100.200',
    '[fe80::1]',
  ])
    await assert.rejects(ask(`http://${host}/`, { allowPrivate: true }), RefusedAddress, host);
  assert.equal(hits, 0);
  for (const url of ['ftp://example.com/', 'file:///etc/passwd', 'data:text/plain,x'])
    await assert.rejects(ask(url), /only http and https/);
});

test('what is meant is asked once, no redirect is followed, and size and time end', async () => {
  const base = `http://127.0.0.1:${port}`;
  const reply = await ask(base, { allowPrivate: true, method: 'POST', body: 'x', headers: { 'x-sign': 's' } });
  assert.deepEqual([reply.status, String(reply.body)], [200, 'POST s']);
  const before = hits;
  assert.equal((await ask(`${base}/elsewhere`, { allowPrivate: true })).status, 302);
  assert.equal(hits, before + 1);
  await assert.rejects(ask(`${base}/large`, { allowPrivate: true }), /larger than 1000 bytes/);
  await assert.rejects(ask(`${base}/silent`, { allowPrivate: true, timeoutMs: 50 }), /did not answer within 0.05 s/);
  await assert.rejects(ask(base, { allowPrivate: true, signal: AbortSignal.abort(new Error('enough')) }), /enough/);
});
