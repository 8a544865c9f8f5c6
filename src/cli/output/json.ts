import type { CompareReport, PairReport } from '../../model/report.ts';
import { shownDifference } from '../../work/shown-difference.ts';
import type { Out } from '../io.ts';
import type { DiffFacts, DiffOutput } from './diff-output.ts';
import { jsonText } from './json-text.ts';
import { Spool } from './spool.ts';

/** A pair's counts as the JSON document and the jsonl summary have them. `explain` adds the queries. */
const pairJson = (p: PairReport, explain: boolean): unknown => {
  const { explain: how, not_compared, ...rest } = p;
  return { ...rest, not_compared, ...(explain ? { explain: how } : {}) };
};

/** The document without its differences. */
export const summaryJson = (report: CompareReport, facts: DiffFacts): Record<string, unknown> => ({
  schema_version: 1,
  run: facts.run,
  verdict: report.verdict,
  coverage: { complete: report.coverage.complete, not_compared: report.coverage.not_compared },
  source: report.source,
  target: report.target,
  pairs: report.pairs.map((p) => pairJson(p, facts.explain)),
});

/** One JSON document, on its own line, written when the comparison has ended. */
export const jsonOutput = (out: Out): DiffOutput => {
  const spool = new Spool();
  return {
    async difference(pair, d) {
      spool.add((spool.empty ? '' : ',\n') + jsonText(shownDifference(pair, d)));
    },
    async end(report, facts) {
      const head = jsonText(summaryJson(report, facts));
      await out.write(`${head.slice(0, -1)},"differences":[`);
      for (const text of spool.read()) await out.write(text);
      await out.write(`],"truncated":${facts.truncated}}\n`);
    },
    async [Symbol.asyncDispose]() {
      spool[Symbol.dispose]();
    },
  };
};

/** One difference per line as it is confirmed, then one line `{"summary":{…}}`. */
export const jsonlOutput = (out: Out): DiffOutput => ({
  difference: (pair, d) => out.write(`${jsonText(shownDifference(pair, d))}\n`),
  end: (report, facts) =>
    out.write(`${jsonText({ summary: { ...summaryJson(report, facts), truncated: facts.truncated } })}\n`),
  async [Symbol.asyncDispose]() {},
});
