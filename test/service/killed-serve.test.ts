import assert from 'node:assert/strict';
import { test } from 'node:test';
import { killedServe } from './killed-serve.ts';

/** Numbers that a seed makes, 0 <= x < 1. */
const seeded = (seed: number) => (): number => {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return seed / 2_147_483_648;
};

// The long form: npm run soak -- --scenario service
test('a server that is killed while it works loses no run, doubles none, and the databases agree in the end', async (t) => {
  const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 100_000);
  t.diagnostic(`LOCKSTEP_TEST_SEED=${seed}`);
  const { kills, runs } = await killedServe({ seconds: 6, random: seeded(seed), tell: (text) => t.diagnostic(text) });
  assert.ok(kills > 0);
  assert.ok(runs['done']! > 0);
});
