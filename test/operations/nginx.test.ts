import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { nginxBinary, startNginx } from '../servers/nginx.ts';
import { textOf } from './read.ts';

const asked: string[] = [];
let streaming: ServerResponse | undefined;

/** Stands where an instance of the API stands, and tells what reaches it. */
const answer = (req: IncomingMessage, res: ServerResponse): void => {
  asked.push(`${req.method} ${req.url}`);
  if (req.url === '/api/v1/events') {
    streaming = res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write('id: 1\ndata: first\n\n');
  } else if (req.url === '/breaks') req.socket.destroy();
  else res.end(JSON.stringify(req.headers));
};

const instance = async (): Promise<{ readonly server: Server; readonly address: string }> => {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, address: `127.0.0.1:${(server.address() as AddressInfo).port}` };
};

const binary = await nginxBinary();
if (binary !== undefined) {
  const [one, two] = await Promise.all([instance(), instance()]);
  const nginx = await startNginx(binary, textOf('deploy/nginx.conf'), {
    'api-1:8000': one.address,
    'api-2:8000': two.address,
  });
  after(async () => {
    await nginx[Symbol.asyncDispose]();
    for (const { server } of [one, two]) {
      server.closeAllConnections();
      server.close();
    }
  });

  test('what a client says of where it comes from is not passed on', async () => {
    const claims = { 'x-forwarded-for': '6.6.6.6', 'x-forwarded-proto': 'https', forwarded: 'for=6.6.6.6' };
    const response = await fetch(`${nginx.url}/api/v1/me?a=1`, { headers: { ...claims, authorization: 'Bearer x' } });
    const seen = (await response.json()) as Record<string, string>;
    assert.equal(seen['x-forwarded-for'], '127.0.0.1');
    assert.equal(seen['x-forwarded-proto'], 'http');
    assert.equal(seen['forwarded'], undefined);
    assert.equal(seen['host'], new URL(nginx.url).host, 'links and cursors lead back here');
    assert.equal(seen['authorization'], 'Bearer x');
    assert.equal(asked.at(-1), 'GET /api/v1/me?a=1');
  });

  test('an event is here before the next one is there', async () => {
    const question = request(`${nginx.url}/api/v1/events`).end();
    const [response] = (await once(question, 'response')) as [IncomingMessage];
    const [first] = await once(response, 'data');
    assert.equal(String(first), 'id: 1\ndata: first\n\n');
    assert.equal(streaming?.writableEnded, false, 'the stream goes on');
    streaming!.write('id: 2\ndata: second\n\n');
    const [second] = await once(response, 'data');
    assert.match(String(second), /second/);
    question.destroy();
  });

  test('metrics are not let out', async () => {
    const before = asked.length;
    for (const path of ['/metrics', '/%6detrics', '//metrics', '/x/../metrics'])
      assert.equal((await fetch(`${nginx.url}${path}`)).status, 404, path);
    assert.equal(asked.length, before, 'nobody was asked');
  });

  test('a write is tried once, however it ends', async () => {
    const before = asked.length;
    const { status } = await fetch(`${nginx.url}/breaks`, { method: 'POST', body: 'x' });
    assert.equal(status, 502);
    assert.deepEqual(asked.slice(before), ['POST /breaks']);
  });

  test('the proxy of the example does the same', async () => {
    const parts = textOf('deploy/nginx.conf').match(/^(\w*pid|.*_temp_path) .*;$/gm)!;
    const [pid, ...folders] = parts;
    assert.ok(folders.length >= 5);
    const own = textOf('examples/transactions-api/nginx.conf');
    const text = `${pid}\nevents {}\nhttp {\n${folders.join('\n')}\naccess_log off;\n${own}}\n`;
    await using proxy = await startNginx(binary, text, { 'api:8000': two.address });
    const response = await fetch(`${proxy.url}/api/v1/me`, { headers: { 'x-forwarded-for': '6.6.6.6' } });
    assert.equal(((await response.json()) as Record<string, string>)['x-forwarded-for'], '127.0.0.1');
    assert.equal((await fetch(`${proxy.url}/metrics`)).status, 404);
  });

  test('while one instance is gone the other one answers', async () => {
    one.server.closeAllConnections();
    one.server.close();
    await once(one.server, 'close');
    for (let i = 0; i < 6; i++) assert.equal((await fetch(`${nginx.url}/api/v1/me`)).status, 200);
  });
}
