import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../service/project.ts';
import { served } from './served.ts';

const { ask, url, admin, token, ended, store, server, count } = await served();

interface Message {
  readonly id?: string;
  readonly event?: string;
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
  readonly data?: any;
}

/** Messages of a stream, as they come; `[Symbol.asyncDispose]` goes away from it. */
const listen = async (path = '', headers: Readonly<Record<string, string>> = {}, bearer = admin) => {
  const abort = new AbortController();
  const reply = await fetch(`${url}/api/v1/events${path}`, {
    headers: { authorization: `Bearer ${bearer}`, accept: 'text/event-stream', ...headers },
    signal: AbortSignal.any([abort.signal, AbortSignal.timeout(60_000)]),
  });
  assert.equal(reply.status, 200, await (reply.status === 200 ? '' : reply.text()));
  assert.match(reply.headers.get('content-type')!, /^text\/event-stream/);
  async function* messages(): AsyncGenerator<Message> {
    let rest = '';
    for await (const chunk of reply.body!.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + chunk).split('\n\n');
      rest = parts.pop()!;
      for (const part of parts) {
        const fields = part
          .split('\n')
          .filter((line) => !line.startsWith(':'))
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const);
        const { id, event, data } = Object.fromEntries(fields);
        if (data !== undefined) yield { ...(id ? { id } : {}), ...(event ? { event } : {}), data: JSON.parse(data) };
      }
    }
  }
  const stream = messages();
  return {
    next: async (): Promise<Message | undefined> => (await stream.next()).value ?? undefined,
    /** Up to and with the first one of this type. */
    until: async (type: string): Promise<readonly Message[]> => {
      const seen: Message[] = [];
      for (;;) {
        const { value } = await stream.next();
        if (value === undefined) return seen;
        seen.push(value);
        if (value.event === type) return seen;
      }
    },
    [Symbol.asyncDispose]: async () => abort.abort(),
  };
};

const run = async (sync: string): Promise<string> => {
  const { body } = await ask('POST', '/api/v1/runs', {
    json: { kind: 'diff', sync },
    headers: { 'x-request-id': 'heard-1' },
  });
  return body.id;
};

test('what happens is told as CloudEvents, and who comes back goes on where they were', async () => {
  await using stream = await listen();
  const id = await run('look');
  const seen = await stream.until('run.finished');
  const types = seen.map((m) => m.event);
  assert.deepEqual([types[0], types.at(-1)], ['run.queued', 'run.finished']);
  const { data } = seen.at(-1)!;
  assert.deepEqual(
    [data.specversion, data.type, data.source, data.subject, data.sync, data.correlation, data.data.run],
    ['1.0', 'lockstep.run.finished', '/api/v1', `runs/${id}`, 'look', 'heard-1', id],
  );
  assert.equal(data.id, seen.at(-1)!.id);
  const ids = seen.map((m) => BigInt(m.id!));
  assert.ok(ids.every((value, i) => i === 0 || value > ids[i - 1]!));
  // Everything after the second one again, by the header and by the parameter.
  const rest = seen.slice(2);
  for (const [path, headers] of [
    ['', { 'last-event-id': seen[1]!.id! }],
    [`?after=${seen[1]!.id}`, {}],
  ] as const) {
    await using again = await listen(path, headers);
    assert.deepEqual(await again.until('run.finished'), rest);
  }
});

test('only what was asked for is told, and to tokens of some syncs only of those', async () => {
  const narrow = await token('ears', { scopes: ['events:read'], syncs: ['look'] });
  await using some = await listen('?types=run.finished&sync=items');
  await using theirs = await listen('', {}, narrow);
  const items = await run('items');
  await ended(items);
  const look = await run('look');
  await ended(look);
  assert.equal((await some.next())?.data.subject, `runs/${items}`);
  for (const message of await theirs.until('run.finished')) assert.equal(message.data.sync, 'look');
});

test('a position that the store has not reached is said to be none of it', async () => {
  await using stream = await listen('', { 'last-event-id': '99999999999' });
  const reset = await stream.next();
  assert.deepEqual(
    [reset?.event, reset?.data.latest],
    ['reset', await store.events.latest({ signal: AbortSignal.timeout(5000) })],
  );
  const wrong = await ask('GET', '/api/v1/events', { headers: { 'last-event-id': 'x' } });
  assert.equal(wrong.status, 400);
});

test('one caller cannot open streams without end, and others are heard meanwhile', async () => {
  const greedy = await token('greedy', { role: 'viewer' });
  const question = { token: greedy, signal: AbortSignal.timeout(20_000) };
  const status = async (): Promise<number> => (await ask('GET', '/api/v1/events', question)).status;
  const streams = await Promise.all(Array.from({ length: 20 }, () => listen('', {}, greedy)));
  const refused = await ask('GET', '/api/v1/events', question);
  assert.deepEqual([refused.status, refused.body.code, refused.headers.get('retry-after')], [429, 'RATE_LIMITED', '5']);
  assert.equal(await status(), 429, 'who was refused is counted');
  await using _other = await listen();
  await streams.pop()![Symbol.asyncDispose]();
  await using _again = await until(() => listen('', {}, greedy).catch(() => undefined));
  for (const stream of streams) await stream[Symbol.asyncDispose]();
});

test('a client that does not read costs no memory, and the end of the server ends the streams', async () => {
  await using slow = await listen('?after=0');
  await using quick = await listen('?after=0&types=test.flood');
  const before = count.events;
  const big = 'x'.repeat(50_000);
  for (let i = 0; i < 14; i++)
    await store.events.append(
      Array.from({ length: 50 }, (_, n) => ({
        ...{ at: Date.now(), type: 'test.flood', subject: 'test', sync: null, correlation: null },
        data: { n: i * 50 + n, big },
      })),
      { signal: AbortSignal.timeout(20_000) },
    );
  for (let n = 0; n < 700; n++) assert.equal((await quick.next())?.data.data.n, n);
  // 35 MB were told. For the one that does not read, what fits into a socket was read from the store, and no more.
  assert.ok(count.events - before < 700 + 450, `${count.events - before} events were read for 700`);
  await server.close();
  let left = 0;
  while ((await slow.next().catch(() => undefined)) !== undefined) left++;
  assert.ok(left < 700, 'the stream did not end with the server');
  assert.equal(await quick.next().catch(() => undefined), undefined);
});
