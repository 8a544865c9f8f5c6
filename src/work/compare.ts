import type { PairOptions } from '../diff/align.ts';
import { both } from '../diff/concurrent.ts';
import type { DifferenceSink, DiffOptions } from '../diff/context.ts';
import { type Detected, detect } from '../diff/diff-table.ts';
import { findTable, pairAllTables } from '../diff/find-table.ts';
import type { IncrementalRequest } from '../diff/incremental/request.ts';
import { readingSides } from '../diff/sampled.ts';
import { verdictOf } from '../diff/verdict.ts';
import type { Clock } from '../lib/clock.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Standing } from '../model/incremental.ts';
import type { NotCompared, Pair } from '../model/pair.ts';
import type { CompareReport, PairReport, Progress } from '../model/report.ts';
import { type Schema, type Table, tableLabel } from '../model/schema.ts';
import { alignPair } from './align-pair.ts';
import { excludedTables, otherTables, uncoveredHeirs, without } from './left-out.ts';

/** A pair to compare, by the names the user gave. */
export interface PairRequest extends PairOptions {
  readonly source: string;
  /** Absent: the source's name. */
  readonly target?: string;
}

export interface CompareOptions {
  readonly source: Endpoint;
  readonly target: Endpoint;
  /** Absent: all tables of the default schemas and of `schemas`, each compared with `defaults`. */
  readonly pairs?: readonly PairRequest[];
  readonly defaults?: PairOptions;
  /** Tables of either side that are left out on purpose, by any name that `findTable` knows. */
  readonly excludeTables?: readonly string[];
  /**
   * With `pairs`: what about tables in none of them that are not excluded either. `report`: not compared, so the verdict
   * is never green; absent or `ignore`: the pairs are all that is meant.
   */
  readonly otherTables?: 'report' | 'ignore';
  readonly schemas?: { readonly source?: readonly string[]; readonly target?: readonly string[] };
  /** How long after its detection a difference is read again, milliseconds. */
  readonly settleMs: number;
  readonly clock: Clock;
  /** Random per run, 0 <= seed < 2^64. */
  readonly seed: bigint;
  readonly signal: AbortSignal;
  readonly sink: DifferenceSink;
  readonly onProgress?: (progress: Progress) => void;
  /** Takes one way of comparing where it is possible: for measurements and tests. */
  readonly force?: DiffOptions['force'];
  /** Compare what has changed since an earlier comparison: where each pair starts from, and where its next one can. */
  readonly incremental?: {
    request(pair: Pair): Promise<IncrementalRequest>;
    concluded(pair: Pair, standing: Standing | undefined): void;
  };
  /** Compares a pair with the help of others; undefined: this one is compared here, and as a whole. */
  readonly spread?: (options: DiffOptions) => Promise<Detected | undefined>;
  /** Each pair as it ends, in order: to save a run that can be resumed. Awaited. */
  readonly onPair?: (pair: Pair, report: PairReport) => void | Promise<void>;
  /** Reports of an earlier, interrupted attempt, by pair name: those pairs are not compared again. */
  readonly done?: ReadonlyMap<string, PairReport>;
  /** What `standIns` said of the attempts that compared `done`. */
  readonly doneFrom?: readonly NotCompared[];
}

/** Suspected differences that may wait for their confirmation while the next tables are scanned, bytes. */
const waitingBytes = 64 * 1024 * 1024;

/** What `compare` would compare: the pairs, and what has no partner. Reads only the catalogues. */
export const alignAll = async (
  o: Pick<
    CompareOptions,
    'source' | 'target' | 'pairs' | 'defaults' | 'excludeTables' | 'otherTables' | 'schemas' | 'signal'
  >,
): Promise<{ readonly pairs: readonly Pair[]; readonly notCompared: readonly NotCompared[] }> => {
  const { source, target } = o;
  const [inspectedSource, inspectedTarget] = await both(
    o.signal,
    (signal) => source.inspect({ signal, ...(o.schemas?.source ? { schemas: o.schemas.source } : {}) }),
    (signal) => target.inspect({ signal, ...(o.schemas?.target ? { schemas: o.schemas.target } : {}) }),
  );
  const names = { source: source.name, target: target.name };
  const [s, t] = [inspectedSource, inspectedTarget];
  const excluded = excludedTables(s, t, o.excludeTables ?? [], names);
  const found = o.pairs
    ? namedPairs(o.pairs, s, t, o, excluded)
    : withOptions(pairAllTables(without(s, excluded), without(t, excluded), names), o.defaults ?? {});
  const pairs: Pair[] = [];
  for (const p of found.pairs) {
    refuseSameTable(source, target, p.source, p.target);
    pairs.push(await alignPair(p, { source: s, target: t }, names));
  }
  refuseSharedNames(pairs);
  const known = new Set(found.notCompared.map((n) => n.what));
  const inherited = uncoveredHeirs(pairs).filter((n) => !known.has(n.what));
  return { pairs, notCompared: [...found.notCompared, ...inherited] };
};

/** A pair is known by its source table, in plans, records and output: two of one name would take each other's rows. */
const refuseSharedNames = (pairs: readonly Pair[]): void => {
  for (const [name, same] of Map.groupBy(pairs, (pair) => pair.name)) {
    if (same.length === 1) continue;
    throw new LockstepError(
      'USAGE',
      `${name} is paired more than once: with ${same.map((pair) => tableLabel(pair.target)).join(' and ')}`,
      { hint: 'Pair each source table once: use a command, or a sync of the config, for each of the others.' },
    );
  }
};

/** The pairs that were named, without those of excluded tables; and what `otherTables` makes of all others. */
const namedPairs = (
  requests: readonly PairRequest[],
  source: Schema,
  target: Schema,
  o: Pick<CompareOptions, 'source' | 'target' | 'defaults' | 'otherTables'>,
  excluded: ReadonlySet<Table>,
) => {
  const named = requests.map((p) => ({
    source: findTable(source, p.source, o.source.name),
    target: findTable(target, p.target ?? p.source, o.target.name),
    options: { ...o.defaults, ...p } as PairOptions,
  }));
  const pairs = named.filter((p) => !excluded.has(p.source) && !excluded.has(p.target));
  const known = new Set([...excluded, ...named.flatMap((p) => [p.source, p.target])]);
  const names = { source: o.source.name, target: o.target.name };
  return { pairs, notCompared: o.otherTables === 'report' ? otherTables(source, target, known, names) : [] };
};

const withOptions = (found: ReturnType<typeof pairAllTables>, options: PairOptions) => ({
  notCompared: found.notCompared,
  pairs: found.pairs.map((p) => ({ ...p, options })),
});

/**
 * A copy that may be older proves nothing about the server that it stands in for, nor do the pairs that an earlier
 * attempt compared with one.
 */
export const standIns = (o: Pick<CompareOptions, 'source' | 'target' | 'doneFrom'>): readonly NotCompared[] => {
  const now = [o.source, o.target].flatMap(({ name, standIn }) =>
    standIn === undefined
      ? []
      : [
          {
            what: name,
            reason: `its replica was read, which may show older rows: ${standIn.reason}`,
            fix: 'Compare again when the primary is back.',
          },
        ],
  );
  const before = (o.doneFrom ?? []).filter(({ what }) => !now.some((n) => n.what === what));
  return [...now, ...before];
};

/**
 * Compares all pairs. While the differences of one table settle, the next ones are scanned; reports come in order.
 * Throws on the first table that cannot be read: a comparison that skipped one in silence would be worth nothing.
 */
export const compare = async (o: CompareOptions): Promise<CompareReport> => {
  o.onProgress?.({ pair: '', phase: 'inspect', rows: 0 });
  const found = await alignAll(o);
  const aligned = { ...found, notCompared: [...found.notCompared, ...standIns(o)] };
  const reports: PairReport[] = [];
  const positions: { source?: string; target?: string } = {};
  const stop = new AbortController();
  const signal = AbortSignal.any([o.signal, stop.signal]);
  let waiting = 0;
  let confirmed: Promise<void> = Promise.resolve();
  const confirmLater = (pair: Pair, detected: Detected): void => {
    waiting += detected.size;
    confirmed = confirmed.then(async () => {
      const { report, standing } = await detected.confirm();
      waiting -= detected.size;
      o.incremental?.concluded(pair, standing);
      reports.push(report);
      await o.onPair?.(pair, report);
    });
    // Met when it is awaited; meanwhile the scan that runs is stopped.
    confirmed.catch((error: unknown) => stop.abort(error));
  };
  try {
    for (const pair of aligned.pairs) {
      const earlier = o.done?.get(pair.name);
      if (earlier) {
        confirmed = confirmed.then(() => void reports.push(earlier));
        continue;
      }
      const incremental = await o.incremental?.request(pair);
      const options: DiffOptions = {
        pair,
        endpoints: readingSides(pair, o.source, o.target),
        clock: o.clock,
        signal,
        settleMs: o.settleMs,
        seed: o.seed,
        sink: o.sink,
        ...(o.onProgress ? { onProgress: o.onProgress } : {}),
        ...(incremental === undefined ? {} : { incremental }),
        ...(o.force ? { force: o.force } : {}),
      };
      const spread = incremental === undefined ? await o.spread?.(options) : undefined;
      const detected = spread ?? (await detect(options));
      Object.assign(positions, aligned.pairs.length === 1 ? detected.positions : {});
      confirmLater(pair, detected);
      if (waiting > waitingBytes) await confirmed;
    }
    await confirmed;
  } catch (error) {
    // What stopped the others is told, not that they were stopped.
    const first = stop.signal.aborted && !o.signal.aborted ? (stop.signal.reason as unknown) : error;
    stop.abort(error);
    await confirmed.catch(() => {});
    throw first;
  }
  const notCompared = [...aligned.notCompared, ...reports.flatMap((r) => r.not_compared)];
  const verdict = verdictOf(reports, aligned.notCompared);
  const side = (endpoint: Endpoint, position: string | undefined) => ({
    name: endpoint.name,
    engine: endpoint.engine,
    version: endpoint.version,
    ...(position === undefined ? {} : { position }),
  });
  return {
    verdict,
    coverage: {
      complete: notCompared.length === 0 && verdictOf(reports.map(withoutDifferences), []) !== 'incomplete',
      not_compared: notCompared,
    },
    source: side(o.source, positions.source),
    target: side(o.target, positions.target),
    pairs: reports,
  };
};

const withoutDifferences = (report: PairReport): PairReport => ({
  ...report,
  different: 0,
  only_in_source: 0,
  only_in_target: 0,
});

const refuseSameTable = (source: Endpoint, target: Endpoint, a: Table, b: Table): void => {
  const [f, g] = [source.fingerprint, target.fingerprint];
  if (f.server !== g.server || f.database !== g.database || tableLabel(a) !== tableLabel(b)) return;
  throw new LockstepError(
    'SAME_TABLE',
    `${source.name} and ${target.name} are the same table: ${tableLabel(a)} in ${f.database} at ${f.address}`,
    {
      hint: 'Comparing a table with itself proves nothing. Check the two addresses.',
    },
  );
};
