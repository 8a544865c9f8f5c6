import type { LeftOut } from '../copy/definitions.ts';
import type { Drift } from '../copy/drift.ts';
import type { Refused } from '../copy/rows.ts';
import type { NotCompared } from '../model/pair.ts';
import type { CompareReport } from '../model/report.ts';
import type { EndpointFacts } from '../model/runs.ts';
import { type Table, tableLabel } from '../model/schema.ts';
import type { PlannedTable } from './copy-plan.ts';
import type { TableDigest } from './table-digests.ts';

/** What loading one table came to. */
export interface TableLoad {
  readonly table: PlannedTable;
  readonly target: Table;
  /** Rows loaded by this process. */
  readonly loaded: number;
  /** Steps that an earlier, interrupted process had loaded. */
  readonly already: number;
  readonly steps: number;
  /** How the rows went: `postgres binary`, `postgres text` or `rows`. */
  readonly form: string;
  readonly elapsedMs: number;
}

export interface CertifiedTable {
  readonly source: string;
  readonly target: string;
  readonly made: boolean;
  readonly key: readonly string[];
  readonly rows: { readonly source: number; readonly target: number };
  readonly identical: number;
  readonly different: number;
  readonly only_in_source: number;
  readonly only_in_target: number;
  readonly in_flight: number;
  readonly refused: number;
  readonly loaded: { readonly rows: number; readonly as: string; readonly steps: number; readonly elapsed_ms: number };
  /** Null: the two engines have no common hash for all of its columns; every value was compared. */
  readonly digest: Omit<TableDigest, 'source' | 'rows'> | null;
  /** The same columns, with the type they have on each side. */
  readonly columns: readonly { readonly name: string; readonly source: string; readonly target: string }[];
}

/** What a copy proves, in words and numbers that stand for themselves. */
export interface Certificate {
  readonly schema_version: 1;
  readonly verdict: 'certified' | 'incomplete' | 'differs';
  readonly run: string;
  readonly lockstep: string;
  readonly started: string;
  readonly finished: string;
  readonly source: Omit<EndpointFacts, 'fingerprint'>;
  readonly target: Omit<EndpointFacts, 'fingerprint'>;
  readonly coverage: { readonly complete: boolean; readonly not_compared: readonly NotCompared[] };
  /** Differences that were declared not to count, by `table.column`: how many there were. None where no pair says so. */
  readonly tolerances: Readonly<Record<string, number>>;
  readonly tables: readonly CertifiedTable[];
  /** Rows that the target could not hold exactly: counts, and the first of them. */
  readonly refused: readonly {
    readonly table: string;
    readonly count: number;
    readonly examples: readonly Refused[];
  }[];
  readonly schema: {
    readonly agrees: boolean;
    readonly differences: readonly (Drift & { readonly reason?: string })[];
  };
  /** What of the source has no place in the target. */
  readonly not_carried: readonly LeftOut[];
  /** What no copy carries, whatever the engines. */
  readonly never_carried: readonly string[];
  readonly notes: readonly string[];
}

const neverCarried = [
  'users, roles and privileges',
  'comments',
  'views, functions and procedures',
  'storage settings such as tablespaces and fill factors',
];

const shownExamples = 20;

export const certificateOf = (x: {
  readonly run: string;
  readonly started: number;
  readonly finished: number;
  readonly version: string;
  readonly facts: { readonly source: EndpointFacts; readonly target: EndpointFacts };
  readonly report: CompareReport;
  readonly drift: Certificate['schema']['differences'];
  readonly digests: readonly (TableDigest | undefined)[];
  readonly loads: readonly TableLoad[];
  readonly refused: readonly {
    readonly table: string;
    readonly count: number;
    readonly examples: readonly Refused[];
  }[];
  readonly leftOut: readonly LeftOut[];
  readonly notCopied: readonly NotCompared[];
  readonly notes: readonly string[];
  /** Labels of the target's tables that the run made. */
  readonly made: ReadonlySet<string>;
}): Certificate => {
  const refused = [...Map.groupBy(x.refused, (r) => r.table)].map(([table, some]) => ({
    table,
    count: some.reduce((n, r) => n + r.count, 0),
    examples: some.flatMap((r) => r.examples).slice(0, shownExamples),
  }));
  const tables = x.report.pairs.map((pair, i): CertifiedTable => {
    const load = x.loads.find((l) => tableLabel(l.table.source) === pair.source)!;
    const digest = x.digests[i];
    return {
      source: pair.source,
      target: pair.target,
      made: x.made.has(tableLabel(load.table.target)),
      key: pair.key,
      rows: pair.rows,
      identical: pair.identical,
      different: pair.different,
      only_in_source: pair.only_in_source,
      only_in_target: pair.only_in_target,
      in_flight: pair.in_flight,
      refused: refused.find((r) => r.table === pair.source)?.count ?? 0,
      loaded: { rows: load.loaded, as: load.form, steps: load.steps, elapsed_ms: Math.round(load.elapsedMs) },
      digest: digest === undefined ? null : { hash: digest.hash, sum: digest.sum },
      columns: load.table.source.columns.map((c) => ({
        name: c.name,
        source: c.native,
        target: load.target.columns.find((t) => t.name === c.name)?.native ?? '(none)',
      })),
    };
  });
  // the comparison found nothing a moment before: rows have moved since
  const moved = tables.some((t) => t.digest !== null && t.digest.sum.source !== t.digest.sum.target);
  const wrong = x.report.verdict === 'differs' || refused.length > 0 || x.drift.length > 0;
  const side = ({ name, engine, version, description }: EndpointFacts) => ({ name, engine, version, description });
  return {
    schema_version: 1,
    verdict: wrong
      ? 'differs'
      : x.report.verdict === 'agrees' && !moved && x.notCopied.length === 0
        ? 'certified'
        : 'incomplete',
    run: x.run,
    lockstep: x.version,
    started: new Date(x.started).toISOString(),
    finished: new Date(x.finished).toISOString(),
    source: side(x.facts.source),
    target: side(x.facts.target),
    coverage: {
      complete: x.report.coverage.complete && x.notCopied.length === 0,
      not_compared: [...x.notCopied, ...x.report.coverage.not_compared],
    },
    tolerances: Object.fromEntries(
      x.report.pairs.flatMap((p) =>
        Object.entries(p.tolerated).map(([name, n]) => [`${p.source}.${name}`, n] as const),
      ),
    ),
    tables,
    refused,
    schema: { agrees: x.drift.length === 0, differences: x.drift },
    not_carried: x.leftOut,
    never_carried: neverCarried,
    notes: x.notes,
  };
};
