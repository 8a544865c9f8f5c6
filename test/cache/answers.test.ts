import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { type Answer, packed, unpacked } from '../../src/cache/answer.ts';
import { openAnswers } from '../../src/cache/answers.ts';
import { latest } from '../../src/cache/latest.ts';
import { openMemory } from '../../src/cache/memory.ts';
import { freePort } from '../../src/store/embedded/cluster.ts';

const o = { signal: new AbortController().signal };
const answer = (text: string, at = 0): Answer => ({ body: Buffer.from(text), etag: `"${text}"`, next: undefined, at });
/** Time that stands still until it is moved. */
const held = () => {
  let at = 1000;
  return {
    clock: { now: () => at, elapsed: () => at, sleep: async () => {} },
    pass: (ms: number): void => {
      at += ms;
    },
  };
};

test('memory keeps what was asked for last, no more than it may, and nothing longer than its time', () => {
  const { clock, pass } = held();
  const memory = openMemory(6000, () => clock.elapsed());
  const put = (key: string, ttlMs: number, length = 300): void =>
    memory.put(key, { ...answer(key), body: Buffer.alloc(length) }, ttlMs);
  put('a', 500);
  for (const key of ['b', 'c', 'd', 'e', 'f', 'g']) put(key, 1000);
  assert.equal(memory.size().entries, 7);
  const before = memory.size().bytes;
  put('b', 1000);
  assert.deepEqual(memory.size(), { entries: 7, bytes: before }, 'the same place twice');
  put('x', 1000, 400);
  assert.equal(memory.get('x'), undefined, 'one answer must not drive all others out');
  assert.ok(memory.get('a'));
  for (const key of ['h', 'i', 'j']) put(key, 1000);
  assert.ok(memory.size().bytes <= 6000);
  assert.equal(memory.get('c'), undefined, 'the one that was not asked for the longest');
  assert.ok(memory.get('a'));
  pass(500);
  assert.equal(memory.get('a'), undefined);
  assert.ok(memory.get('j'));
  put('j', 0);
  assert.equal(memory.get('j'), undefined);
});

test('an answer comes back from bytes as it was, and other bytes are none', () => {
  const one: Answer = { body: Buffer.from('{"ä":"\u{1f600}"}'), etag: '"t"', next: 'cur', at: 17 };
  assert.deepEqual(unpacked(packed(one)), one);
  assert.deepEqual(unpacked(packed({ ...one, next: undefined })), { ...one, next: undefined });
  for (const odd of [
    Buffer.alloc(0),
    Buffer.from([0, 0]),
    Buffer.from('\0\0\0\x02[]x'),
    Buffer.from('\0\0\0\x09[9,1,"e"]x'),
  ])
    assert.equal(unpacked(odd), undefined);
});

test('who asks what holds now gets an answer to a question that was asked after they came', async () => {
  const { clock } = held();
  const asked: PromiseWithResolvers<number>[] = [];
  const now = latest<number>(
    () => {
      const one = Promise.withResolvers<number>();
      asked.push(one);
      return one.promise;
    },
    { clock, signal: o.signal },
  );
  const first = now();
  const later = [now(), now(), now()];
  assert.equal(asked.length, 1, 'one question at a time');
  asked[0]!.resolve(1);
  assert.equal(await first, 1);
  await new Promise(setImmediate);
  assert.equal(asked.length, 2, 'one for all who came meanwhile');
  asked[1]!.resolve(2);
  assert.deepEqual(await Promise.all(later), [2, 2, 2]);
});

test('a store that fails is left alone for a moment, and nothing is known meanwhile', async () => {
  const { clock, pass } = held();
  let times = 0;
  const now = latest<number>(
    async () => {
      if (++times === 1) throw new Error('gone');
      return 7;
    },
    { clock, signal: o.signal },
  );
  assert.equal(await now(), undefined);
  assert.equal(await now(), undefined);
  assert.equal(times, 1);
  pass(1000);
  assert.equal(await now(), 7);
});

const answersOf = (clock: ReturnType<typeof held>['clock'], redis?: string) => {
  const said: boolean[] = [];
  const answers = openAnswers({
    maxBytes: 100_000,
    redis: redis === undefined ? undefined : { url: redis, user: undefined, password: undefined, database: undefined },
    generations: { read: async () => undefined },
    clock,
    signal: o.signal,
    redisChanged: (up) => void said.push(up),
  });
  return { answers, said };
};

test('many who ask for the same at once cost the database one read, and who goes away stops it for nobody', async () => {
  const { clock } = held();
  const { answers } = answersOf(clock);
  let reads = 0;
  const read = Promise.withResolvers<Answer>();
  const make = (): Promise<Answer> => {
    reads++;
    return read.promise;
  };
  const leaving = new AbortController();
  const first = answers.fetch('k', { ttlMs: 1000, anew: false, make }, leaving);
  const others = Array.from({ length: 20 }, () => answers.fetch('k', { ttlMs: 1000, anew: false, make }, o));
  leaving.abort(new Error('gone'));
  await assert.rejects(first, /gone/);
  read.resolve(answer('once', clock.now()));
  for (const { answer: found } of await Promise.all(others)) assert.equal(found.etag, '"once"');
  assert.equal(reads, 1);
  assert.equal(answers.kept('k')?.etag, '"once"');
  // what fails is kept for nobody
  const failing = { ttlMs: 1000, anew: false, make: () => Promise.reject(new Error('down')) };
  await assert.rejects(answers.fetch('f', failing, o), /down/);
  const made = await answers.fetch('f', { ...failing, make: async () => answer('up', clock.now()) }, o);
  assert.equal(made.outcome, 'miss');
});

test('an answer that took as long as it may be kept is not kept', async () => {
  const { clock, pass } = held();
  const { answers } = answersOf(clock);
  const at = clock.now();
  const make = async (): Promise<Answer> => {
    pass(1000);
    return answer('slow', at);
  };
  await answers.fetch('k', { ttlMs: 1000, anew: false, make }, o);
  assert.equal(answers.kept('k'), undefined);
});

test('a Redis that is not there, or takes connections and says nothing, is waited for once and then left alone', async () => {
  const open = new Set<Socket>();
  const mute = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  const { port } = mute.address() as { readonly port: number };
  for (const at of [port, await freePort()]) {
    const { clock, pass } = held();
    const { answers, said } = answersOf(clock, `redis://127.0.0.1:${at}`);
    const ask = async (key: string) =>
      (await answers.fetch(key, { ttlMs: 60_000, anew: false, make: async () => answer(key, clock.now()) }, o)).answer;
    assert.equal((await ask('a')).etag, '"a"');
    assert.deepEqual(said, [false]);
    assert.equal(answers.state().redis?.up, false);
    const { failures } = answers.state().redis!;
    assert.equal((await ask('b')).etag, '"b"');
    assert.equal(answers.state().redis!.failures, failures, 'it was asked again at once');
    pass(5000);
    assert.equal((await ask('c')).etag, '"c"');
    assert.ok(answers.state().redis!.failures > failures, 'it was not asked again');
    assert.deepEqual(said, [false], 'told once');
    await answers[Symbol.asyncDispose]();
  }
  for (const socket of open) socket.destroy();
  await new Promise((resolve) => mute.close(resolve));
});
