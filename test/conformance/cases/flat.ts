import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Case } from '../lab.ts';

const rows = 1_000_000;
/** Of all our processes, the database server apart. */
const boundMb = 300;
/** What a million rows may take more than a fifth of them: noise of the collector, far below the size of the rows. */
const growthMb = 90;

export const flatCases: readonly Case[] = [
  {
    name: 'memory stays flat over a million rows, for scan, hashes and digest',
    when: (harness) => harness.bigTable !== undefined,
    run: async (lab) => {
      await using big = await lab.harness.bigTable!(rows);
      const script = new URL('../flat.ts', import.meta.url).pathname;
      const { stdout } = await promisify(execFile)(process.execPath, [script, lab.harness.name, big.url, String(rows)]);
      const result = JSON.parse(stdout) as Record<string, { rows: number; earlyMb: number; peakMb: number }>;
      for (const what of ['scan', 'hashes', 'digest']) {
        const { rows: seen, earlyMb, peakMb } = result[what]!;
        assert.equal(seen, rows, what);
        assert.ok(peakMb < boundMb, `${what}: ${Math.round(peakMb)} MB`);
        if (what !== 'digest')
          assert.ok(peakMb - earlyMb < growthMb, `${what}: from ${Math.round(earlyMb)} to ${Math.round(peakMb)} MB`);
      }
      assert.ok(result['during digest']!.peakMb < boundMb, `digest: ${Math.round(result['during digest']!.peakMb)} MB`);
    },
  },
];
