import { test } from 'node:test';
import { rowCases } from './cases/rows.ts';
import type { Harness } from './harness.ts';
import { runCase } from './lab.ts';

/** Registers what an engine must do that offers rows one by one. */
export const rowConformance = (harness: Harness): void => {
  for (const c of rowCases) test(`${harness.name}: ${c.name}`, () => runCase(c, harness));
};
