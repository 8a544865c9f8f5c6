import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Case } from '../lab.ts';

/** Of all our processes, the database server apart. */
const boundMb = 300;
/** What all rows may take more than a fifth of them: noise of the collector, far below the size of the rows. */
const growthMb = 90;
/** Enough for rows that are kept to show; LOCKSTEP_TEST_ROWS=5000000 for a longer look. */
const asked = Number(process.env['LOCKSTEP_TEST_ROWS'] ?? 0);
const usual = 1_000_000;

export const flatCases: readonly Case[] = [
  {
    name: 'memory stays flat over very many rows, for scan, hashes and digest',
    when: (harness) => harness.bigTable !== undefined,
    run: async (lab) => {
      const rows = asked || (lab.harness.bigRows ?? usual);
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
