import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '../config/config.ts';
import { usesByRuns } from './endpoints-fare.ts';

const syncs = { ab: { source: 'a', target: 'b' }, bc: { source: 'b', target: 'c' } } as unknown as Config['syncs'];
const run = (
  finished: number,
  sync: string | null,
  failure?: readonly [code: string, message: string],
  kind = 'sync',
) => ({
  sync,
  kind,
  state: failure === undefined ? ('done' as const) : ('failed' as const),
  code: failure?.[0] ?? null,
  message: failure?.[1] ?? null,
  finished,
});
const uses = (...runs: ReturnType<typeof run>[]): Readonly<Record<string, readonly [number, boolean]>> =>
  Object.fromEntries([...usesByRuns(syncs, runs)].map(([name, u]) => [name, [u.at, u.failed]]));

test('the newest run that says something of an endpoint counts, and a failure only against the side it is about', () => {
  const refused = ['CONNECT', 'b: nothing listens at b:5432'] as const;
  assert.deepEqual(uses(run(3, 'ab', refused), run(2, 'bc'), run(1, 'ab')), {
    a: [1, false],
    b: [3, true],
    c: [2, false],
  });
  assert.deepEqual(uses(run(3, 'bc'), run(2, 'ab', refused)), { b: [3, false], c: [3, false] });
  assert.deepEqual(uses(run(2, 'ab', ['GUARD', 'b: too many changes']), run(1, 'gone'), run(1, null)), {});
  assert.deepEqual(uses(run(2, 'ab', undefined, 'apply')), { b: [2, false] });
});
