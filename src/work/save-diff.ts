import { settingsOf } from '../diff/incremental/request.ts';
import { concealedRow, conceals, type Masks } from '../model/canon/concealed.ts';
import type { Difference } from '../model/change.ts';
import type { DifferencePair } from '../model/differences.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { NotCompared, Pair } from '../model/pair.ts';
import type { Published } from '../model/published.ts';
import type { CompareReport, PairReport } from '../model/report.ts';
import type { EndpointFacts, Run } from '../model/runs.ts';
import { tableLabel } from '../model/schema.ts';
import type { Store } from '../model/store.ts';
import { asConfigured } from './as-configured.ts';
import { alignAll, type CompareOptions, compare, standIns } from './compare.ts';
import { runQuarantine } from './quarantine.ts';
import { type Asked, type Ended, newRun, recorded } from './recorded.ts';
import { type Incremental, runStandings } from './standings.ts';

export interface SaveDiffInput extends Asked, Omit<CompareOptions, 'onPair' | 'done' | 'doneFrom' | 'incremental'> {
  readonly store: Store;
  /** The configured sync; null for two URLs. */
  readonly sync: string | null;
  readonly facts: { readonly source: EndpointFacts; readonly target: EndpointFacts };
  /** Of a configured sync: compare what has changed. */
  readonly incremental?: Incremental;
  /** Of a configured sync that was compared as configured: its differences are shown in SQL. */
  readonly publish?: SqlDifferences;
  /** An interrupted run to go on with: its finished pairs are not compared again. */
  readonly resume?: string;
  /** Told the run's id as soon as it has one. */
  onRun?(run: string): void;
  /** Exit code that the report means. */
  exitOf(report: CompareReport): number;
}

/** How the differences of a sync are shown in SQL. */
export interface SqlDifferences {
  /** A comparison that finds more is not shown. */
  readonly max: number;
  readonly historyMs: number;
  /** All pairs of the sync are compared, not only some of them. */
  readonly whole: boolean;
}

export interface SavedDiff extends Ended {
  readonly run: string;
  readonly compared: CompareReport;
  /** Differences that were found and not kept. */
  readonly notKept: number;
  /** What became of showing them in SQL; undefined: not asked for. `mixed`: it began as another comparison than configured. */
  readonly published?: Published | { readonly status: 'mixed' };
}

/** Differences of one run that are kept with their values, unless SQL shows more; all are counted. */
const usuallyKept = 100_000;

const publish = (
  o: SaveDiffInput,
  run: string,
  compared: CompareReport,
  { whole, max, historyMs }: SqlDifferences,
): Promise<Published> =>
  o.store.published.publish(
    {
      run,
      sync: o.sync!,
      at: o.clock.now(),
      verdict: compared.verdict,
      complete: compared.coverage.complete,
      whole,
      pairs: compared.pairs.map((p) => ({
        name: p.source,
        new: p.only_in_source,
        modified: p.different,
        deleted: p.only_in_target,
      })),
      max,
      historyMs,
    },
    o,
  );

const concealedDifference = (pair: Pair, d: Difference, masks: Masks): Difference =>
  ({
    ...d,
    source: concealedRow(pair, d.source, masks),
    target: concealedRow(pair, d.target, masks),
  }) as Difference;

const differencePair = (pair: Pair): DifferencePair => ({
  name: pair.name,
  target: tableLabel(pair.target),
  columns: pair.columns.map((c) => ({ source: c.source.name, target: c.target.name, as: c.as })),
  keyWidth: pair.keyWidth,
});

/** A report as it is kept: without the statements, which may hold conditions and grow long. */
const kept = (report: PairReport): PairReport => ({ ...report, explain: { ...report.explain, queries: [] } });

const resumable = async (o: SaveDiffInput, id: string): Promise<Run> => {
  const run = await o.store.runs.get(id, o);
  if (run === undefined) throw new LockstepError('NOT_FOUND', `There is no run ${id}.`, { hint: 'See lockstep runs.' });
  const same = (run.kind === 'diff' || run.kind === 'verify') && run.sync === o.sync;
  const sides =
    run.source === null ||
    (run.source?.description === o.facts.source.description && run.target?.description === o.facts.target.description);
  if (!same || !sides) {
    throw new LockstepError(
      'USAGE',
      `Run ${run.id} compared something else: ${run.sync ?? `${run.source?.description} and ${run.target?.description}`}.`,
      {
        hint: 'Resume a run with the arguments it was started with.',
      },
    );
  }
  if (run.state === 'done') {
    throw new LockstepError('USAGE', `Run ${run.id} was finished; there is nothing to go on with.`, {
      hint: `See it: lockstep show ${run.id}`,
    });
  }
  return run;
};

/** Were the pairs that are done compared as configured, as those of this attempt are? */
const begunAlike = (run: Run): boolean => {
  const { done, publish: published } = (run.checkpoint ?? {}) as { done?: readonly unknown[]; publish?: boolean };
  return done === undefined || done.length === 0 || published === true;
};

/**
 * What earlier attempts have ended of these pairs. One that was compared as something else (another target, condition,
 * key or column, by a configuration or a table that has changed since) proves nothing of the pair that is meant now.
 */
const donePairs = (
  run: Run,
  as: ReadonlyMap<string, string>,
): {
  done: ReadonlyMap<string, PairReport>;
  doneFrom: readonly NotCompared[];
  /** Differences that are kept of each. */
  keptOf: Map<string, number>;
} => {
  const checkpoint = (run.checkpoint ?? {}) as {
    done?: readonly PairReport[];
    as?: Readonly<Record<string, string>>;
    kept?: Readonly<Record<string, number>>;
    from?: readonly NotCompared[];
  };
  const same = (checkpoint.done ?? []).filter(
    ({ source }) => as.has(source) && checkpoint.as?.[source] === as.get(source),
  );
  return {
    done: new Map(same.map((report) => [report.source, report])),
    doneFrom: checkpoint.from ?? [],
    keptOf: new Map(same.map(({ source }) => [source, checkpoint.kept?.[source] ?? 0])),
  };
};

/**
 * Compares with a record: the run, each pair's report as soon as it ends, and the differences. A run that was
 * interrupted goes on at the first pair that had not ended.
 */
export const saveDiff = async (o: SaveDiffInput): Promise<SavedDiff> => {
  const { store, clock } = o;
  const keptMost = Math.max(usuallyKept, o.publish?.max ?? 0);
  const earlier = o.resume === undefined ? undefined : await resumable(o, o.resume);
  const begin = earlier === undefined ? newRun('diff', o) : { resume: earlier.id, facts: o.facts };
  return recorded(store, clock, begin, o, async (run): Promise<SavedDiff> => {
    o.onRun?.(run.id);
    const { pairs } = await alignAll(o);
    const as = new Map(pairs.map((pair) => [pair.name, settingsOf(pair, undefined, o)]));
    const { done, doneFrom, keptOf } = donePairs(run, as);
    // also those of pairs that are none any more
    for (const { name } of await store.differences.pairs(run.id, o))
      if (!done.has(name)) await store.differences.clear(run.id, { signal: o.signal, pair: name });
    await using writer = await store.differences.writer(run.id, pairs.map(differencePair), o);
    // The next table is scanned while the last one is confirmed: both may write.
    let last: Promise<void> = Promise.resolve();
    const inTurn = (work: () => Promise<void>): Promise<void> => {
      last = last.then(work);
      return last;
    };
    const reports: PairReport[] = [];
    let count = [...keptOf.values()].reduce((n, kept) => n + kept, 0);
    const concealing = pairs.some(conceals) ? await store.storedKeys.masks(o) : undefined;
    const concealed = (pair: Pair, differences: readonly Difference[]): readonly Difference[] =>
      concealing === undefined || !conceals(pair)
        ? differences
        : differences.map((d) => concealedDifference(pair, d, concealing));
    const keep = (pair: Pair, differences: readonly Difference[]): Promise<void> =>
      inTurn(async () => {
        const some = differences.slice(0, Math.max(0, keptMost - count));
        count += some.length;
        keptOf.set(pair.name, (keptOf.get(pair.name) ?? 0) + some.length);
        if (some.length > 0) await writer.add(pair.name, some, o);
      });
    const { incremental, ...plain } = o;
    const standings =
      incremental === undefined || o.sync === null ? undefined : runStandings({ ...o, sync: o.sync, incremental }, run);
    const invalid = runQuarantine(o, run.id);
    const compared = await compare({
      ...plain,
      ...(standings === undefined ? {} : { incremental: standings.incremental }),
      done,
      doneFrom,
      sink: {
        wanted: (pair) => Math.max(o.sink.wanted(pair), keptMost - count),
        write: async (pair, differences) => {
          const shown = concealed(pair, differences);
          await keep(pair, shown);
          await o.sink.write(pair, shown);
        },
        quarantine: invalid.quarantine,
      },
      onPair: (pair, report) =>
        inTurn(async () => {
          await invalid.ended(pair, report);
          reports.push(kept(report));
          await writer.flush(o);
          const checkpoint = {
            done: [...done.values(), ...reports],
            as: Object.fromEntries(as),
            kept: Object.fromEntries(keptOf),
            from: standIns({ ...o, doneFrom }),
            publish: o.publish !== undefined && begunAlike(run),
          };
          await store.runs.update(run.id, { checkpoint: checkpoint as unknown as JsonValue }, o);
        }),
    });
    await inTurn(() => writer.flush(o));
    await standings?.keep();
    const published =
      o.publish === undefined || o.sync === null
        ? undefined
        : begunAlike(run)
          ? await publish(o, run.id, compared, o.publish)
          : ({ status: 'mixed' } as const);
    const found = compared.pairs.reduce((n, p) => n + p.different + p.only_in_source + p.only_in_target, 0);
    const report = {
      ...compared,
      pairs: compared.pairs.map(kept),
      kept: count,
      ...asConfigured(o),
    };
    return {
      run: run.id,
      compared,
      notKept: found - count,
      ...(published === undefined ? {} : { published }),
      exit: o.exitOf(compared),
      report: report as unknown as JsonValue,
    };
  });
};
