import { test } from 'node:test';
import { applyCases } from './cases/apply.ts';
import { changeCases } from './cases/changes.ts';
import { flatCases } from './cases/flat.ts';
import { hashingCases } from './cases/hashing.ts';
import { keyCases } from './cases/keys.ts';
import { lockCases } from './cases/locks.ts';
import { rangeCases } from './cases/ranges.ts';
import { snapshotCases } from './cases/snapshot.ts';
import type { Harness } from './harness.ts';
import { type Case, runCase } from './lab.ts';

/** What every engine must do, as plain functions. */
export const cases: readonly Case[] = [
  ...keyCases,
  ...rangeCases,
  ...hashingCases,
  ...snapshotCases,
  ...changeCases,
  ...applyCases,
  ...lockCases,
  ...flatCases,
];

/** Registers every case of the kit as a test of this engine. */
export const engineConformance = (harness: Harness): void => {
  for (const c of cases) {
    if (c.when && !c.when(harness)) continue;
    if (harness.cannot?.(c.name) !== undefined) continue;
    test(`${harness.name}: ${c.name}`, () => runCase(c, harness));
  }
};
