import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Writer } from '../../src/model/writer.ts';
import { overEndpoint, overWriter } from '../conformance/wrap.ts';
import { type Bench, bench, memoryPair, synced } from './bench.ts';
import { memoryTable, table } from './tables.ts';

/** Batches that are written beside each other may lock each other out: more tries do not help, going alone does. */

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const people = table('people', 'id! name');
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Apply = Writer['apply'];
/** The endpoint, with its steps written as `apply` says; the mark of the plan's use is left alone. */
const writing = (endpoint: Endpoint, apply: (step: number, write: () => ReturnType<Apply>) => ReturnType<Apply>) => {
  const writer = endpoint.writer!;
  return overEndpoint(endpoint, {
    writer: overWriter(writer, {
      apply: (mark, ...rest) => {
        const write = (): ReturnType<Apply> => writer.apply(mark, ...rest);
        return mark.step === 0 ? write() : apply(mark.step, write);
      },
    }),
  });
};
const deadlock = (): LockstepError => new LockstepError('CONTENTION', 'deadlock detected');
const attempts = 4;
const settings = { batchSize: 5, concurrency: 2, retry: { attempts, baseMs: 0, maxMs: 0 } };
const rows = (name: string, n: number): string => Array.from({ length: n }, (_, i) => `${i},${name}`).join(';');
const pair = (n: number) => memoryPair([memoryTable(people, rows('new', n))], [memoryTable(people, rows('old', n))]);

test('a batch that fails beside another one as often as it may is written alone, and what follows too', async () => {
  const p = pair(80);
  let inside = 0;
  let failed = 0;
  let alone = false;
  let most = 0;
  const target = writing(p.target, async (step, write) => {
    inside++;
    try {
      // The first batch stays until the second has failed beside it as often as it may; the others come and go.
      if (step === 1) while (failed < attempts) await turn();
      if (step === 2 && failed < attempts) {
        while (inside < 2) await turn();
        failed++;
        throw deadlock();
      }
      alone ||= step === 2;
      if (alone) for (let i = 0; i < 10; i++) await turn();
      if (alone) most = Math.max(most, inside);
      return await write();
    } finally {
      inside--;
    }
  });
  const done = await synced(b.store, { source: p.source, target, settings });
  assert.deepEqual([done.exit, done.sync.verdict, done.sync.applied.update], [0, 'agrees', 80]);
  assert.deepEqual([failed, alone, most], [attempts, true, 1]);
});

test('two batches that lock each other out again and again are both written, one after the other', async () => {
  const p = pair(10);
  let arrived: (() => void)[] = [];
  const met = new Map<number, number>();
  const target = writing(p.target, async (step, write) => {
    const before = met.get(step) ?? 0;
    if (before === attempts) return write();
    met.set(step, before + 1);
    await new Promise<void>((resolve) => {
      arrived.push(resolve);
      if (arrived.length < 2) return;
      for (const go of arrived) go();
      arrived = [];
    });
    throw deadlock();
  });
  const done = await synced(b.store, { source: p.source, target, settings });
  assert.deepEqual([done.exit, done.sync.verdict, done.sync.applied.update], [0, 'agrees', 10]);
  assert.deepEqual([met.size, met.get(1), met.get(2)], [2, attempts, attempts]);
});

test('a batch that fails alone, too, ends the run', async () => {
  const p = pair(5);
  let tries = 0;
  const target = writing(p.target, async () => {
    tries++;
    throw deadlock();
  });
  const failed = (e: LockstepError): boolean => e.code === 'CONTENTION';
  await assert.rejects(synced(b.store, { source: p.source, target, settings }), failed);
  assert.equal(tries, attempts + 1);
  assert.deepEqual(p.right.state.rows.get('people')!.length, 5);
});
