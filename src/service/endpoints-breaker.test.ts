import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../lib/clock.ts';
import { type ErrorCode, LockstepError } from '../model/errors.ts';
import { type BreakerChange, openBreaker } from './endpoints-breaker.ts';

const setUp = (failures = 3) => {
  let at = 1_000_000;
  const clock: Clock = { now: () => at, elapsed: () => at, sleep: () => Promise.resolve() };
  const changes: BreakerChange[] = [];
  const breaker = openBreaker({
    endpoint: 'crm',
    rule: () => ({ failures, resetAfterMs: 60_000 }),
    clock,
    changed: (change) => changes.push(change),
  });
  const failing = async (code: ErrorCode, side = 'crm'): Promise<void> => {
    await assert.rejects(
      breaker.attempt(() => Promise.reject(new LockstepError(code, `crm: ${code}`, { side }))),
      { code },
    );
  };
  const pass = (ms: number): void => {
    at += ms;
  };
  return { breaker, changes, failing, pass, fine: () => breaker.attempt(() => Promise.resolve('fine')) };
};

test('opens after so many failures in a row, refuses with the time, half-opens, closes', async () => {
  const { breaker, changes, failing, pass, fine } = setUp();
  for (const code of ['CONNECT', 'CONNECTION_LOST', 'STATEMENT_TIMEOUT'] as const) await failing(code);
  assert.equal(breaker.state, 'open');
  pass(18_000);
  await assert.rejects(fine(), (error: LockstepError) => {
    assert.equal(error.code, 'CIRCUIT_OPEN');
    assert.match(
      error.message,
      /^crm: circuit breaker is open after 3 failures in a row; tried again at 1970-.*, in 42 s$/,
    );
    assert.equal(error.retryAfterMs, 42_000);
    assert.deepEqual(error.details, ['the last failure: crm: STATEMENT_TIMEOUT']);
    return true;
  });
  pass(42_000);
  assert.equal(await fine(), 'fine');
  assert.equal(breaker.state, 'closed');
  assert.deepEqual(
    changes.map((c) => c.state),
    ['open', 'half_open', 'closed'],
  );
});

test('a success in between, or an answer that refuses, starts the count again', async () => {
  const { breaker, failing, fine } = setUp();
  for (const between of [fine, () => failing('DATABASE'), () => failing('AUTH'), () => failing('CONTENTION')]) {
    await failing('CONNECT');
    await failing('CONNECT');
    await between();
  }
  assert.equal(breaker.state, 'closed');
  assert.equal(breaker.failures, 0);
});

test('what failed elsewhere, or was stopped, counts for nothing', async () => {
  const { breaker, failing } = setUp();
  await failing('CONNECT');
  await failing('CONNECT');
  await failing('CONNECT', 'billing');
  await failing('ABORTED');
  await assert.rejects(breaker.attempt(() => Promise.reject(new Error('ours'))));
  assert.equal(breaker.failures, 2);
});

test('half-open: one attempt at a time; a failure opens it anew, a refusal of the database closes it', async () => {
  const { breaker, changes, failing, pass, fine } = setUp(1);
  await failing('CONNECT');
  pass(60_000);
  const gate = Promise.withResolvers<string>();
  const probing = breaker.attempt(() => gate.promise);
  assert.equal(breaker.state, 'half_open');
  await assert.rejects(fine(), { code: 'CIRCUIT_OPEN', message: /one attempt is being made now/ });
  gate.reject(new LockstepError('CONNECT', 'crm: still down', { side: 'crm' }));
  await assert.rejects(probing, { code: 'CONNECT' });
  assert.equal(breaker.state, 'open');
  await assert.rejects(fine(), { code: 'CIRCUIT_OPEN', message: /in 60 s/ });
  pass(60_000);
  await failing('AUTH');
  assert.equal(breaker.state, 'closed');
  assert.deepEqual(
    changes.map((c) => c.state),
    ['open', 'half_open', 'open', 'half_open', 'closed'],
  );
});

test('where connecting shows nothing, what is heard next decides', async () => {
  const { breaker, changes, pass } = setUp(2);
  const lost = new LockstepError('CONNECT', 'crm: away', { side: 'crm' });
  const connect = (): Promise<string> =>
    breaker.attempt(
      () => Promise.resolve('lazy'),
      () => false,
    );
  for (const error of [lost, lost]) {
    await connect();
    breaker.heard(error);
  }
  assert.equal(breaker.state, 'open');
  pass(60_000);
  await connect();
  assert.equal(breaker.state, 'half_open');
  await assert.rejects(connect(), { code: 'CIRCUIT_OPEN' });
  breaker.heard(lost);
  assert.equal(breaker.state, 'open');
  pass(60_000);
  await connect();
  breaker.heard(undefined);
  assert.equal(breaker.state, 'closed');
  assert.equal(breaker.failures, 0);
  // one that nothing is heard of does not keep it half-open for ever
  for (const error of [lost, lost]) {
    await connect();
    breaker.heard(error);
  }
  pass(60_000);
  await connect();
  pass(60_000);
  await connect();
  breaker.heard(undefined);
  assert.deepEqual(
    changes.map((c) => c.state).join(' '),
    'open half_open open half_open closed open half_open half_open closed',
  );
});

test('an attempt that was stopped leaves the next one its turn; a straggler decides nothing', async () => {
  const { breaker, failing, pass, fine } = setUp(1);
  await failing('CONNECT');
  breaker.heard(undefined);
  assert.equal(breaker.state, 'open');
  pass(60_000);
  await failing('ABORTED');
  assert.equal(breaker.state, 'open');
  assert.equal(breaker.passable, true);
  await fine();
  assert.equal(breaker.state, 'closed');
});
