import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { watchRepeats } from './repeats.ts';

/** What is answered without Node has this body. */
const body = 'x'.repeat(20_000_000);
/** What was asked for, and not read by Node. */
const repeated: string[] = [];
const server = createServer({ keepAliveTimeout: 5000 });
server.timeout = 600_000;
const repeats = watchRepeats(server, {
  answer: ({ url }, told) => {
    repeated.push(url);
    void setImmediate().then(() => told(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`));
    return () => assert.fail();
  },
  closing: new AbortController().signal,
});
server.on('request', (request: IncomingMessage, response: ServerResponse) => {
  repeats.saw(request, response, 'token');
  response.end('read');
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
after(() => server.close());

const open = async (): Promise<{
  readonly client: Socket;
  readonly served: Socket;
  until(text: string): Promise<void>;
}> => {
  const connected = once(server, 'connection');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [served] = (await connected) as [Socket];
  let got = '';
  client.setEncoding('latin1').on('data', (part: string) => {
    got += part;
  });
  const until = async (text: string): Promise<void> => {
    while (!got.endsWith(text)) await once(client, 'data');
    got = '';
  };
  return { client, served, until };
};

test('the body of a request is no request, whatever was told of its fields', { timeout: 60_000 }, async () => {
  const { client, served, until } = await open();
  // some versions of Node tell of 1,000 fields, and go by those behind them nevertheless
  const head = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: here\r\ncontent-length: 100\r\n\r\n`;
  client.write(head('/1'));
  await until('read');
  client.write(head('/2'));
  await once(served, 'data');
  assert.deepEqual(repeated, []);
  client.write(`${' '.repeat(100 - head('/2').length)}GET /3 HTTP/1.1\r\nhost: here\r\n\r\n`);
  await until('read');
  client.destroy();
});

test('who reads an answer slowly has the time for it that an answer has', { timeout: 60_000 }, async () => {
  const { client, served, until } = await open();
  const head = 'GET / HTTP/1.1\r\nhost: here\r\n\r\n';
  client.write(head);
  await until('read');
  while (served.timeout === server.timeout) await setImmediate();
  const idle = served.timeout;
  client.pause();
  client.write(head);
  while (served.writableLength === 0) await setImmediate();
  assert.equal(served.timeout, server.timeout);
  client.resume();
  await until('xx');
  assert.deepEqual(repeated, ['/']);
  while (served.timeout !== idle) await setImmediate();
  client.destroy();
});
