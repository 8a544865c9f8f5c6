import { test } from 'node:test';
import { keyCases } from './cases/keys.ts';
import type { Harness } from './harness.ts';
import { type Case, runCase } from './lab.ts';

/** What every engine must do, as plain functions. */
export const cases: readonly Case[] = [...keyCases];

/** Registers every case of the kit as a test of this engine. */
export const engineConformance = (harness: Harness): void => {
  for (const c of cases) {
    if (c.when && !c.when(harness)) continue;
    test(`${harness.name}: ${c.name}`, () => runCase(c, harness));
  }
};
