import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { memoryDatabase, memoryEndpoint } from '../../src/engines/memory/endpoint.ts';
import type { Clock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { LockstepError } from '../../src/model/errors.ts';
import { openEndpoints } from '../../src/service/endpoints-open.ts';
import { openTimings } from '../../src/telemetry/timings.ts';
import { idsTable, o } from './support.ts';

const configOf = async (text: string): Promise<Config> => {
  const home = mkdtempSync(join(tmpdir(), 'lockstep-endpoints-'));
  try {
    writeFileSync(join(home, 'lockstep.yaml'), `version: 1\nendpoints:\n${text}`);
    return await loadConfig(join(home, 'lockstep.yaml'), { cwd: home, env: {} });
  } finally {
    rmSync(home, { recursive: true });
  }
};
const away = (): LockstepError => new LockstepError('CONNECT', 'crm: nothing listens', { side: 'crm' });

/** Endpoints over a database in memory; connecting fails as long as `fails` says so. Sleeping takes no time, and is noted. */
const over = async (text: string) => {
  const config = { now: await configOf(text) };
  const database = memoryDatabase([{ table: idsTable, rows: [['1']] }]);
  const slept: number[] = [];
  let at = 1_000_000;
  const clock: Clock = {
    now: () => at,
    elapsed: () => at,
    sleep: (ms, signal) => {
      if (signal.aborted) return Promise.reject(signal.reason);
      slept.push(ms);
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
  const state = {
    lazy: false,
    failing: 0,
    breaking: 0,
    connects: 0,
    disposed: 0,
    limits: [] as (number | undefined)[],
  };
  const failures: string[] = [];
  const timings = openTimings(clock);
  const endpoints = openEndpoints({
    config: () => config.now,
    connect: async (side) => {
      state.connects++;
      state.limits.push(side.statementTimeoutMs);
      if (state.failing-- > 0) throw away();
      const made: Endpoint = memoryEndpoint(database, { name: side.name, writable: side.writable });
      return {
        ...made,
        ...(state.lazy ? { lazy: true as const } : {}),
        inspect: async (c) => {
          if (state.breaking-- > 0) throw new LockstepError('CONNECTION_LOST', 'crm: gone', { side: 'crm' });
          state.breaking = 0;
          return made.inspect(c);
        },
        [Symbol.asyncDispose]: async () => {
          state.disposed++;
        },
      };
    },
    failed: (name, error) => failures.push(`${name} ${error.code}`),
    clock,
    random: () => 0.5,
    timings,
  });
  const pass = (ms: number): void => {
    at += ms;
  };
  return { endpoints, state, slept, config, pass, failures, timings };
};

test('connecting is tried again after random pauses that double; all of it is one failure', async () => {
  const { endpoints, state, slept } = await over(
    '  crm: { url: "sqlite:a.db", retry: { attempts: 4, base: 100ms, max: 250ms }, breaker: { failures: 2 } }\n',
  );
  state.failing = 3;
  await using _endpoint = await endpoints.open('crm', { ...o, writable: false });
  assert.deepEqual(slept, [50, 100, 125]);
  state.failing = 100;
  await assert.rejects(endpoints.open('crm', { ...o, writable: false }), { code: 'CONNECT' });
  assert.equal(endpoints.health()[0]!.failures, 1);
  await assert.rejects(endpoints.open('crm', { ...o, writable: false }), { code: 'CONNECT' });
  assert.equal(endpoints.health()[0]!.breaker, 'open');
  const { connects } = state;
  await assert.rejects(endpoints.shared('crm', o), { code: 'CIRCUIT_OPEN' });
  await assert.rejects(endpoints.probe('crm', o), { code: 'CIRCUIT_OPEN' });
  assert.equal(state.connects, connects);
});

test('it is known when an endpoint was last used, whether it let us in, and whether its secrets are there', async () => {
  const { endpoints, state, pass } = await over(
    '  crm: { url: "sqlite:a.db", retry: { attempts: 1 } }\n  erp: { url: "${env:NOT_SET}" }\n',
  );
  assert.deepEqual(
    endpoints.health().map((h) => [h.name, h.secretMissing, h.lastUse]),
    [
      ['crm', false, undefined],
      ['erp', true, undefined],
    ],
  );
  state.failing = 1;
  await assert.rejects(endpoints.open('crm', { ...o, writable: false }), { code: 'CONNECT' });
  assert.deepEqual(endpoints.health()[0]!.lastUse, { at: 1_000_000, failed: true });
  assert.equal(endpoints.health()[0]!.breaker, 'closed');
  pass(1000);
  await using endpoint = await endpoints.open('crm', { ...o, writable: false });
  assert.deepEqual(endpoints.health()[0]!.lastUse, { at: 1_001_000, failed: false });
  state.breaking = 9;
  await assert.rejects(endpoint.inspect(o), { code: 'CONNECTION_LOST' });
  assert.equal(endpoints.health()[0]!.lastUse!.failed, true);
});

test('a name that is not there, and writing where it is not allowed, are told before anything is connected', async () => {
  const { endpoints, state } = await over('  crm: { url: "sqlite:a.db" }\n');
  await assert.rejects(endpoints.open('toString', { ...o, writable: false }), { code: 'NOT_FOUND' });
  await assert.rejects(endpoints.shared('cmr', o), { code: 'NOT_FOUND', hint: /crm/ });
  await assert.rejects(endpoints.open('crm', { ...o, writable: true }), { code: 'NOT_WRITABLE' });
  assert.equal(state.connects, 0);
});

test('many requests share one connection, which lasts until its entry changes or it fails', async () => {
  const { endpoints, state, config, failures } = await over('  crm: { url: "sqlite:a.db", writable: true }\n');
  const first = await Promise.all([1, 2, 3].map(() => endpoints.shared('crm', o)));
  assert.equal(state.connects, 1);
  // statements of requests have a time-out of their own
  assert.deepEqual(state.limits, [30_000]);
  assert.ok(first[0]!.writer);
  const reader = await first[0]!.snapshot(o);
  config.now = await configOf('  crm: { url: "sqlite:a.db", writable: true, limits: { statement_timeout: 3s } }\n');
  const second = await endpoints.shared('crm', o);
  assert.deepEqual(state.limits, [30_000, 3_000]);
  // the old one is closed when nobody is at it any more
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(state.disposed, 0);
  await reader[Symbol.asyncDispose]();
  while (state.disposed === 0) await new Promise((resolve) => setImmediate(resolve));
  // what breaks under a request, also when it is tried again, is not given to the next one
  state.breaking = 3;
  await assert.rejects(second.inspect(o), { code: 'CONNECTION_LOST' });
  assert.equal(state.breaking, 0);
  await (await endpoints.shared('crm', o)).inspect(o);
  assert.equal(state.connects, 3);
  assert.deepEqual(failures, ['crm CONNECTION_LOST']);
  await endpoints[Symbol.asyncDispose]();
  assert.equal(state.disposed, 3);
});

test('who gives up waiting does not stop the others', async () => {
  const { endpoints, state } = await over('  crm: { url: "sqlite:a.db", retry: { attempts: 2, base: 1ms } }\n');
  state.failing = 1;
  const gone = new AbortController();
  const one = endpoints.shared('crm', { signal: gone.signal });
  const other = endpoints.shared('crm', o);
  gone.abort(new Error('gone'));
  await assert.rejects(one, /gone/);
  assert.equal((await other).name, 'crm');
});

test('requests wait for their turn at an endpoint, readers until they are disposed of', async () => {
  const { endpoints } = await over('  crm: { url: "sqlite:a.db", limits: { concurrency: 1 } }\n');
  const shared = await endpoints.shared('crm', o);
  const first = await shared.snapshot(o);
  // time passes at once here: who waits has waited too long
  await assert.rejects(shared.snapshot(o), { code: 'CONTENTION' });
  await first[Symbol.asyncDispose]();
  await (await shared.snapshot(o))[Symbol.asyncDispose]();
});

test('replicas of an engine that has none are a mistake of the configuration', async () => {
  const { endpoints } = await over('  crm: { url: "sqlite:a.db", replicas: ["sqlite:b.db"] }\n');
  await assert.rejects(endpoints.open('crm', { ...o, writable: false }), {
    code: 'CONFIG',
    message: /work with PostgreSQL/,
  });
});

test('an API that is away opens its breaker, though connecting to it asks nothing; it closes by being read', async () => {
  const { endpoints, state, pass } = await over(
    '  crm: { url: "sqlite:a.db", retry: { attempts: 1 }, breaker: { failures: 2, reset_after: 5s } }\n',
  );
  state.lazy = true;
  const { name, type } = idsTable.columns[0]!;
  const selection = { table: idsTable, columns: [{ name, stored: type, as: type }], keyWidth: 1 };
  const read = async (): Promise<number> => {
    await using endpoint = await endpoints.open('crm', { ...o, writable: false });
    await endpoint.inspect(o);
    await using reader = await endpoint.snapshot(o);
    return await reader.count(selection, o);
  };
  for (const _ of [1, 2]) {
    state.breaking = 1;
    await assert.rejects(read(), { code: 'CONNECTION_LOST' });
  }
  assert.equal(endpoints.health()[0]!.breaker, 'open');
  await assert.rejects(read(), { code: 'CIRCUIT_OPEN' });
  pass(5_000);
  await using endpoint = await endpoints.open('crm', { ...o, writable: false });
  await endpoint.inspect(o);
  assert.equal(endpoints.health()[0]!.breaker, 'half_open');
  await using reader = await endpoint.snapshot(o);
  assert.equal(await reader.count(selection, o), 1);
  assert.equal(endpoints.health()[0]!.breaker, 'closed');
  assert.equal(await read(), 1);
});
