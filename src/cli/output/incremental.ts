import { count, grouped } from '../../lib/grouped.ts';
import { visibleText } from '../../model/canon/show.ts';
import type { CompareReport, IncrementalFacts, PairReport } from '../../model/report.ts';

interface Looked {
  readonly pair: PairReport;
  readonly facts: IncrementalFacts;
}

const sum = (looked: readonly Looked[], of: (l: Looked) => number): number => looked.reduce((n, l) => n + of(l), 0);
const larger = (rows: { readonly source: number; readonly target: number } | undefined): number =>
  Math.max(rows?.source ?? 0, rows?.target ?? 0);

/** Rows of the whole tables, as far as they are known. */
const tableRows = (pair: PairReport): number => larger(pair.incremental?.table_rows ?? pair.rows);

const changes = (looked: readonly Looked[], facts: IncrementalFacts): string => {
  const by = [...new Set([facts.by.source, facts.by.target])].filter((name) => name !== null).join(' and ');
  const rows = `${grouped(sum(looked, (l) => larger(l.pair.rows)))} of ${count(
    sum(looked, (l) => tableRows(l.pair)),
    'row',
  )}`;
  const keys = facts.deletes === 'keys' ? ' The keys of all rows were compared.' : '';
  return `${rows} looked at; by ${by}, the others have not changed since run ${facts.since?.run}, when they agreed.${keys} All rows were last compared in run ${facts.full?.run}, ${facts.full?.at}`;
};

/** What was looked at, and what stands for the rest; pairs of which the same is to be said, together. */
export const incrementalLines = (report: CompareReport): readonly string[] => {
  const all = report.pairs.flatMap((pair): Looked[] =>
    pair.incremental === undefined ? [] : [{ pair, facts: pair.incremental }],
  );
  const same = ({ facts: f }: Looked): string =>
    f.mode === 'full' ? `full ${f.why}` : JSON.stringify([f.by, f.deletes, f.since, f.full]);
  return [...Map.groupBy(all, same).values()].map((looked) => {
    const [{ pair, facts }] = looked as [Looked, ...Looked[]];
    const name = looked.length === 1 ? visibleText(pair.source) : count(looked.length, 'pair');
    return `${name}: ${facts.mode === 'full' ? `all rows were compared: ${facts.why}` : changes(looked, facts)}`;
  });
};
