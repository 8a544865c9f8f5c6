import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import { systemClock } from '../../src/lib/clock.ts';
import { testDatabase } from '../servers/postgres.ts';
import { o } from '../store/plain.ts';
import { lineOf, recordsService, seenRequests } from './service.ts';

const database = await testDatabase();
const control = await testDatabase();
await database.query(`
  create table items (id bigint primary key, tenant text not null, name text, secret text);
  insert into items select i, case when i % 2 = 0 then 'acme' else 'other' end,
    case i when 3 then null when 5 then 'Größe 🚲' else 'n' || i end, 's' || i from generate_series(1, 30) i`);
const yaml = (limit: string, cache: string): string => `version: 1
endpoints: { database: { url: "\${env:DATABASE_URL}", writable: true } }
cache: ${cache}
server: { rate_limit: ${limit} }
records:
  items: { table: items, mask: { secret: { unless: records:read_masked } } }
  mine: { table: items, row_filter: "tenant = \${principal.tenant}" }
  none: { table: items, cache: false }
`;
const env = { DATABASE_URL: database.url };
const seen = seenRequests();
const one = await recordsService(yaml('false', '{ ttl: 300s }'), env, [seen.routes], { control });
const limited = await recordsService(yaml('{ requests: 6, per: 1h }', '{ ttl: 300s }'), env, [], { control });
after(async () => {
  await database[Symbol.asyncDispose]();
  await control[Symbol.asyncDispose]();
});
const secrets: Record<string, string> = {};
for (const [name, wish] of Object.entries({
  plain: { scopes: ['records:read'] },
  writer: { scopes: ['records:read', 'records:write'] },
  privileged: { scopes: ['records:read', 'records:read_masked'] },
  acme: { scopes: ['records:read'], claims: { tenant: 'acme' } },
  other: { scopes: ['records:read'], claims: { tenant: 'other' } },
  leaving: { scopes: ['records:read'] },
}))
  secrets[name] = await one.secret(name, wish);

/** What Node has read, of all servers here. */
let read = 0;
subscribe('http.server.request.start', (message) => {
  read += (message as { readonly request: IncomingMessage }).request.url?.startsWith('/api') ? 1 : 0;
});

const head = (who: string, path: string, headers: readonly string[] = [], method = 'GET'): string =>
  [
    `${method} /api/v1/records/${path} HTTP/1.1`,
    'host: here',
    `authorization: Bearer ${secrets[who]}`,
    ...headers,
    '\r\n',
  ].join('\r\n');

const whole = /^HTTP\/1\.1 (\d{3}) [^\r]*\r\n((?:[^\r]+\r\n)*)\r\n/;

interface Reply {
  readonly status: number;
  /** As it was sent. */
  readonly head: string;
  readonly body: string;
}

/** One connection, and the answers that come on it, a byte a character. */
const open = (url = one.url): { readonly socket: Socket; next(bodiless?: boolean): Promise<Reply> } => {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', noDelay: true });
  let text = '';
  let ended = false;
  let moved = Promise.withResolvers<void>();
  const move = (): void => {
    moved.resolve();
    moved = Promise.withResolvers();
  };
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part;
    move();
  });
  socket.on('close', () => {
    ended = true;
    move();
  });
  socket.on('error', () => {});
  const next = async (bodiless = false): Promise<Reply> => {
    for (;;) {
      const [start, status, fields] = whole.exec(text) ?? [];
      const length = bodiless || status === '304' ? 0 : Number(/content-length: (\d+)/i.exec(fields ?? '')?.[1] ?? 0);
      if (start !== undefined && text.length >= start.length + length) {
        const body = text.slice(start.length, start.length + length);
        text = text.slice(start.length + length);
        return { status: Number(status), head: start, body };
      }
      assert.ok(!ended, `the connection ended after ${JSON.stringify(text)}`);
      await moved.promise;
    }
  };
  return { socket, next };
};

const ask = async (c: ReturnType<typeof open>, text: string): Promise<Reply> => {
  c.socket.write(text);
  return c.next(text.startsWith('HEAD'));
};

/** What is alike whoever has read the request: all but what is each answer's own. */
const shown = ({ status, head, body }: Reply) => ({
  status,
  head: head
    .replace(/(?<=\r\n)(x-request-id|date): [^\r]*/gi, '$1')
    .replace(/age: \d+/, 'age')
    .replace(/ttl=\d+/, 'ttl')
    // fields have no order
    .split('\r\n')
    .sort(),
  body: body.replace(/"correlation":"[^"]*"|"next_cursor":"[\w-]+"/g, ''),
});

const idOf = ({ head }: Reply): string => /x-request-id: ([^\r]+)/.exec(head)![1]!;
const paths = ['items/1', 'items/3', 'items/5', 'items?limit=3', 'items?sort=-id&limit=2', 'mine/2', 'mine?limit=2'];
for (const who of Object.keys(secrets)) for (const path of paths) await one.as(secrets[who])('GET', `/records/${path}`);

test('a request that repeats itself is answered as the one before, without Node having read it', async () => {
  for (const who of ['plain', 'privileged', 'acme', 'other']) {
    const c = open();
    await ask(c, head(who, 'items/1'));
    for (const path of paths) {
      if (path.startsWith('mine') && who !== 'acme' && who !== 'other') continue;
      // a connection of its own: the first request on it is read by Node
      const first = await ask(open(), head(who, path));
      read = 0;
      const again = await ask(c, head(who, path));
      assert.equal(again.status === 200, read === 0, `${who} ${path}: ${again.status}, ${read} were read`);
      assert.deepEqual(shown(again), shown(first), `${who} ${path}`);
      assert.notEqual(idOf(again), idOf(first));
      assert.deepEqual(await lineOf(one.lines, idOf(again)), await lineOf(one.lines, idOf(first)));
      // of the table's other half nothing may be seen
      if (path === 'mine?limit=2')
        assert.deepEqual([...new Set([...again.body.matchAll(/"tenant":"(\w+)"/g)].map((m) => m[1]))], [who]);
    }
    c.socket.destroy();
  }
});

test('who says anything else is read, and answered as who they are then', async () => {
  const c = open();
  const of = async (who: string, path: string, headers: readonly string[] = []): Promise<Reply> =>
    ask(c, head(who, path, headers));
  assert.match((await of('acme', 'mine?limit=2')).body, /acme/);
  read = 0;
  assert.match((await of('other', 'mine?limit=2')).body, /other/);
  assert.match((await of('acme', 'mine?limit=2')).body, /acme/);
  assert.match((await of('privileged', 'items/1')).body, /"secret":"s1"/);
  assert.doesNotMatch((await of('plain', 'items/1')).body, /s1/);
  assert.equal(read, 4);
  const { head: told } = await of('plain', 'items/1');
  assert.equal(read, 4);
  const etag = /etag: ([^\r]+)/.exec(told)![1]!;
  assert.equal((await of('plain', 'items/1', [`if-none-match: ${etag}`])).status, 304);
  assert.equal((await of('plain', 'items/1', [`if-none-match: ${etag}`])).status, 304);
  assert.equal((await of('plain', 'items/1', ['accept: text/html'])).status, 406);
  for (const id of ['mine-1', 'mine-2', 'mine-2'])
    assert.match((await of('plain', 'items/1', [`x-request-id: ${id}`])).head, new RegExp(`x-request-id: ${id}`));
  assert.equal(read, 10);
  // what is not kept, not there, or no question about records
  assert.equal((await of('plain', 'none/1')).status, 200);
  assert.equal((await of('plain', 'items/777')).status, 404);
  assert.equal((await of('plain', 'items/x')).status, 404);
  assert.equal((await of('plain', '../syncs')).status, 404);
  assert.equal((await ask(c, head('plain', 'items/1').replace('GET', 'HEAD'))).body, '');
  assert.equal((await of('plain', 'items/1')).status, 200);
  // and a token that is no longer good
  await ask(c, head('leaving', 'items/1'));
  await one.store.tokens.revoke('leaving', systemClock.now(), o);
  while ((await of('leaving', 'items/1')).status !== 401) await setImmediate();
  c.socket.destroy();
});

test('however the bytes come, the answers are those to what was said', async () => {
  const known = ['items/1', 'items/5', 'items?limit=3'];
  const plain = (path: string) => head('plain', path);
  const body = `${plain('items/5')}`;
  const post = `POST /api/v1/records/items HTTP/1.1\r\nhost: here\r\nauthorization: Bearer ${secrets['plain']}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const chunked = `POST /api/v1/records/items HTTP/1.1\r\nhost: here\r\nauthorization: Bearer ${secrets['plain']}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  const request = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...known).map(plain) },
    fc.constantFrom(...known).map((path) => head('other', path)),
    fc.constantFrom(head('plain', 'items/1', [], 'HEAD'), post, chunked, head('plain', 'items/1', ['x-a: b'])),
  );
  const sequences = fc.sample(
    fc.record({
      requests: fc.array(request, { minLength: 2, maxLength: 8 }),
      // where what is sent at once ends: before these shares of the whole; 0: each request alone
      cuts: fc.oneof(fc.constant<number[]>([]), fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 })),
    }),
    { numRuns: 150, seed: 7 },
  );
  let repeated = 0;
  for (const { requests, cuts } of sequences) {
    const each: Reply[] = [];
    for (const text of requests) {
      const c = open();
      each.push(await ask(c, text));
      c.socket.destroy();
    }
    const c = open();
    read = 0;
    const answers: Reply[] = [];
    if (cuts.length === 0) for (const text of requests) answers.push(await ask(c, text));
    else {
      const all = requests.join('');
      const at = [0, ...cuts.map((share) => Math.floor(share * all.length)).sort((a, b) => a - b), all.length];
      for (let i = 1; i < at.length; i++) {
        c.socket.write(all.slice(at[i - 1], at[i]));
        for (let turns = 0; turns < 20; turns++) await setImmediate();
      }
      for (const text of requests) answers.push(await c.next(text.startsWith('HEAD')));
    }
    repeated += requests.length - read;
    assert.deepEqual(answers.map(shown), each.map(shown), JSON.stringify({ requests, cuts }));
    c.socket.destroy();
  }
  assert.ok(repeated > 50, `${repeated} were repeated`);
});

test('a request that is cut anywhere is still one request', async () => {
  const text = head('plain', 'items/5');
  const expected = shown(await ask(open(), text));
  for (let cut = 1; cut < text.length; cut++) {
    const c = open();
    await ask(c, head('plain', 'items/1'));
    c.socket.write(text.slice(0, cut));
    for (let turns = 0; turns < 10; turns++) await setImmediate();
    assert.deepEqual(shown(await ask(c, text.slice(cut))), expected, `cut at ${cut}`);
    c.socket.destroy();
  }
});

test('the next answer shows what was written, and nobody is counted twice', async () => {
  const c = open();
  const writer = one.as(secrets['writer']);
  await ask(c, head('plain', 'items/7'));
  for (let i = 0; i < 10; i++) {
    const etag = (await writer('GET', '/records/items/7')).headers.get('etag')!;
    const { status } = await writer('PATCH', '/records/items/7', {
      body: { name: `new ${i}` },
      headers: { 'if-match': etag },
    });
    assert.equal(status, 200);
    assert.match((await ask(c, head('plain', 'items/7'))).body, new RegExp(`"new ${i}"`));
    assert.match((await ask(c, head('plain', 'items/7'))).body, new RegExp(`"new ${i}"`));
  }
  c.socket.destroy();

  const l = open(limited.url);
  const left: (string | undefined)[] = [];
  for (const path of ['items/1', 'items/1', 'items/2', 'items/1', 'items/777', 'items/2', 'items/1', 'items/1']) {
    const { status, head: told } = await ask(l, head('plain', path));
    left.push(`${status} ${/ratelimit-remaining: (\d+)/.exec(told)?.[1]}`);
  }
  assert.deepEqual(left, ['200 5', '200 4', '200 3', '200 2', '404 1', '200 0', '429 0', '429 0']);
  l.socket.destroy();
});

/** Nobody can say meanwhile whether anything has been written. */
const untold = async <T>(work: () => Promise<T>): Promise<T> => {
  await control.query('begin; lock table lockstep_control.cache_generation in access exclusive mode');
  try {
    return await work();
  } finally {
    await control.query('rollback');
  }
};
const asking = async (): Promise<void> => {
  for (;;) {
    const { rows } = await control.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if (rows.length > 0) return;
  }
};

test('what follows at once is answered after it, and who goes away leaves a line', async () => {
  const c = open();
  const [a, b] = [head('plain', 'items/1'), head('plain', 'items/5')];
  for (const text of [a, b]) await ask(c, text);
  const expected = [shown(await ask(c, a)), shown(await ask(c, b))];
  read = 0;
  const held = await untold(async () => {
    c.socket.write(a);
    await asking();
    assert.equal(read, 0);
    c.socket.write(b);
    while (read < 2) await setImmediate();
    return c;
  });
  assert.deepEqual([shown(await held.next()), shown(await held.next())], expected);
  c.socket.destroy();

  const gone = open();
  await ask(gone, a);
  const before = one.lines.length;
  await untold(async () => {
    gone.socket.write(a);
    await asking();
    gone.socket.destroy();
    for (let turns = 0; turns < 20; turns++) await setImmediate();
  });
  const left = () => one.lines.slice(before).map((line) => JSON.parse(line));
  while (left().length === 0) await setImmediate();
  assert.deepEqual(
    left().map(({ status, route, actor }) => [status, route, actor]),
    [[499, '/api/v1/records/:entity/:key', 'token:plain']],
  );
});

test('where nobody can say whether it still holds, it is read', async () => {
  const c = open();
  await ask(c, head('plain', 'items/1'));
  const text = await untold(async () => ask(c, head('plain', 'items/1')));
  assert.match(text.head, /cache-status: lockstep; fwd=bypass/);
  assert.match(text.body, /"n1"/);
  c.socket.destroy();
});

test('who reads slowly has the whole answer when the server closes, whoever wrote it', async () => {
  await database.query(`insert into items values (99, 'acme', repeat('x', 6000000), 's')`);
  for (const repeated of [false, true]) {
    const three = await recordsService(yaml('false', '{ ttl: 300s }'), env, [], { control });
    // the first makes the entity known, the second one is kept
    for (const path of ['1', '99']) await three.as(secrets['plain'])('GET', `/records/items/${path}`);
    const c = open(three.url);
    if (repeated) await ask(c, head('plain', 'items/1'));
    const [before, lines] = [c.socket.bytesRead, three.lines.length];
    read = 0;
    c.socket.pause();
    c.socket.write(head('plain', 'items/99'));
    while (three.lines.length === lines) await setImmediate();
    assert.equal(read, repeated ? 0 : 1);
    const closed = three.close();
    // so long that it has looked for idle connections
    await setTimeout(300);
    c.socket.resume();
    await once(c.socket, 'close');
    assert.ok(c.socket.bytesRead - before > 6_000_000, `repeated: ${repeated}, ${c.socket.bytesRead - before} bytes`);
    await closed;
  }
});

test('what is in hand when the server closes is answered', async () => {
  const three = await recordsService(yaml('false', '{ ttl: 300s }'), env, [], { control });
  const c = open(three.url);
  await ask(c, head('plain', 'items/1'));
  await ask(c, head('plain', 'items/1'));
  const [closed, reply] = await untold(async () => {
    read = 0;
    c.socket.write(head('plain', 'items/1'));
    await asking();
    assert.equal(read, 0);
    const closed = three.close();
    while (read === 0) await setImmediate();
    return [closed, c.next()] as const;
  }).then(async ([closed, reply]) => [closed, await reply] as const);
  assert.equal(reply.status, 200);
  assert.match(reply.head, /connection: close/i);
  assert.match(reply.body, /"n1"/);
  await closed;
  if (!c.socket.closed) await once(c.socket, 'close');
});
