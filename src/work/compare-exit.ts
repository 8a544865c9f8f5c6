import type { CompareReport } from '../model/report.ts';

/** The exit code of a comparison: 0 agrees, 2 differs, 25 incomplete. Nothing that was left out is ever green. */
export const compareExit = (report: CompareReport): number => {
  if (report.verdict === 'differs') return 2;
  if (report.verdict === 'agrees' && report.coverage.complete && report.pairs.length > 0) return 0;
  return 25;
};
