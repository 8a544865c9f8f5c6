import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Proof } from '../model/monitoring.ts';
import { serviceLevels } from './service-level.ts';

const hour = 3_600_000;
const slo = { verifiedWithinMs: hour, agree: 0.9, drift: 0, windowMs: 100 * hour };
const now = 1000 * hour;
/** A proof that reaches from `first` to `last`, hours before now. */
const proof = (first: number, last: number, drift: number | null = 0): Proof => ({
  sync: 's',
  pair: 'p',
  first: now - first * hour,
  last: now - last * hour,
  agrees: drift === 0,
  drift,
});
const level = (proofs: readonly Proof[], o = slo) => serviceLevels(proofs, () => o, now)[0]!;
const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}`);

test('proofs that follow each other within the promised time keep the whole promise', () => {
  const all = level([proof(100, 50), proof(49.5, 49.5), proof(48.6, 0)]);
  assert.equal(all.agreement, 1);
  assert.equal(all.budgetLeft, 1);
});

test('time without a proof is taken from the budget', () => {
  // 50 h of proofs, good for one hour more; then nothing for 4 h.
  const { agreement, budgetLeft } = level([proof(100, 5)]);
  near(agreement, 0.96);
  near(budgetLeft, 0.6);
});

test('a comparison that found differences, or was not whole, ends what was proved', () => {
  for (const drift of [0.01, null]) {
    const { agreement } = level([proof(100, 30), proof(30, 30, drift), proof(20, 0)]);
    near(agreement, 0.9);
  }
  assert.equal(level([proof(100, 30), proof(30, 21, 0.01), proof(21, 0)], { ...slo, drift: 0.01 }).agreement, 1);
});

test('more than the budget used is below zero, and without a budget any gap is', () => {
  assert.ok(level([proof(100, 50)]).budgetLeft < 0);
  assert.equal(level([proof(100, 50)], { ...slo, agree: 1 }).budgetLeft, -1);
  assert.equal(level([proof(100, 0)], { ...slo, agree: 1 }).budgetLeft, 1);
});

test('nothing is promised before the first comparison, nor of what has no service level', () => {
  const { agreement, budgetLeft } = level([proof(10, 0)]);
  assert.deepEqual([agreement, budgetLeft], [1, 1]);
  near(level([proof(10, 6)]).agreement, 0.5);
  near(level([proof(10, 6)]).budgetLeft, 0.5);
  assert.deepEqual(
    serviceLevels([proof(10, 0)], () => undefined, now),
    [],
  );
  assert.equal(level([proof(0, 0)]).agreement, 1);
});

test('what lies before the window does not count, but what it proved reaches into it', () => {
  near(level([proof(100.5, 100.5), proof(99, 0)]).agreement, 0.995);
  near(level([proof(300, 300, 0.5), proof(50, 0)]).agreement, 0.5);
});
