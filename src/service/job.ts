import type { ApprovalSettings } from '../config/approvals.ts';
import {
  type ApplySettings,
  type Config,
  defaultGuards,
  type EndpointEntry,
  type Guards,
  type PairEntry,
  type Retry,
  type Sync,
} from '../config/config.ts';
import { defaultIncremental } from '../config/incremental.ts';
import type { Mode } from '../config/modes.ts';
import type { PairOptions } from '../diff/align.ts';
import { closest } from '../lib/suggest.ts';
import { LockstepError } from '../model/errors.ts';
import type { ColumnType } from '../model/schema.ts';
import type { CompareOptions, PairRequest } from '../work/compare.ts';
import type { PlanInput } from '../work/make-plan.ts';
import type { SqlDifferences } from '../work/save-diff.ts';
import type { Incremental } from '../work/standings.ts';
import type { TwoWayRules } from '../work/two-way/context.ts';
import type { Side } from './side.ts';
import { twoWayRulesOf } from './two-way.ts';

/** What is to be compared, and under which rules something may be written: a configured sync, or two sides and overrides. */
export interface Job {
  readonly sync: string | null;
  readonly config: Config | undefined;
  readonly source: Side;
  readonly target: Side;
  readonly mode: Mode;
  /** It keeps an archive of what both sides agreed on; undefined: it does not. */
  readonly twoWay: TwoWayRules | undefined;
  readonly settleMs: number;
  readonly guards: Guards;
  readonly apply: ApplySettings;
  readonly retry: Retry | undefined;
  /** Undefined: nobody has to agree to its plans. */
  readonly approvals: ApprovalSettings | undefined;
  /** Compare what has changed; undefined: all rows, and nothing is kept of where this comparison stood. */
  readonly incremental: Incremental | undefined;
  /** Differences are shown in SQL. `flags`: not those of this comparison, which overrides made another one than configured. */
  readonly publish: SqlDifferences | 'flags' | undefined;
  /** Undefined: all tables of the default schemas, each with `defaults`. */
  readonly pairs: readonly PairRequest[] | undefined;
  readonly defaults: PairOptions;
  readonly excludeTables: readonly string[];
  /** What a copy makes of columns, by `table.column` of the source. */
  readonly types: ReadonlyMap<string, ColumnType>;
  /** With `pairs`: are tables in none of them told as not compared? */
  readonly otherTables: 'report' | 'ignore';
  /** Only some of the sync's tables were named. */
  readonly partial: boolean;
}

/** What whoever asks says otherwise than the configuration. Everything may be left out. */
export interface Overrides {
  /** Pairs by source table, as `[source, target]`; the same name twice where only the source was named. */
  readonly only?: readonly (readonly [source: string, target: string])[];
  /** Said of every pair. */
  readonly options?: PairOptions;
  readonly mode?: Mode;
  readonly settleMs?: number;
  /** Replaces the ratio too. */
  readonly maxChanges?: number;
  readonly allowDeletes?: number;
  readonly emptySource?: Guards['emptySource'];
  readonly apply?: ApplySettings;
  readonly excludeTables?: readonly string[];
  /** Compare incrementally, also where the configuration does not say so. */
  readonly incremental?: boolean;
  /** Compare all rows of an incremental sync, and why. */
  readonly full?: string;
  readonly limits?: Limits;
}

/** How fast and how long one side may be read. */
interface Limits {
  readonly rowsPerSecond?: number;
  readonly statementTimeoutMs?: number;
}

/** How a job writes, as the use cases are told and plans keep it. */
export const applySettingsOf = (job: Job): ApplySettings & { readonly retry?: Retry } => ({
  ...job.apply,
  ...(job.retry === undefined ? {} : { retry: { ...job.retry } }),
});

/** What a job looks at, as the use cases are told. */
export const scopeOf = (job: Job): Pick<CompareOptions, 'pairs' | 'defaults' | 'excludeTables' | 'otherTables'> => ({
  ...(job.pairs === undefined ? {} : { pairs: job.pairs }),
  defaults: job.defaults,
  excludeTables: job.excludeTables,
  otherTables: job.otherTables,
});

/** A copy makes whole tables. Throws USAGE for a job that looks at a sample. */
export const refuseSample = ({ defaults, pairs, sync }: Pick<Job, 'defaults' | 'pairs' | 'sync'>): void => {
  if (![defaults, ...(pairs ?? [])].some(({ sample = 1 }) => sample < 1)) return;
  throw usage(
    `sync \`${sync}\` looks at a sample of its keys, and a copy makes whole tables`,
    'Fill a pilot with `lockstep sync`, over tables that are there; or take `sample` out and copy everything.',
  );
};

/** What plans of a job are made with besides. */
export const approvalsOfJob = ({ approvals }: Job): Pick<PlanInput, 'approvals' | 'lifetimeMs'> =>
  approvals === undefined ? {} : { approvals: approvals.rule, lifetimeMs: approvals.expiresMs };

/** The column by which an incremental job sees what was written, where it is one. */
export const watermarkOf = ({ incremental }: Job): { readonly watermark?: string } => {
  const by = incremental?.rule.by.source;
  return by === undefined || ['auto', 'xmin', 'record_version'].includes(by) ? {} : { watermark: by };
};

const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

/** The limits of an endpoint, where nothing else was said. */
const limitsOf = (entry: EndpointEntry, said: Limits = {}): Limits => {
  const rowsPerSecond = said.rowsPerSecond ?? entry.rowsPerSecond;
  const statementTimeoutMs = said.statementTimeoutMs ?? entry.statementTimeoutMs;
  return {
    ...(rowsPerSecond === undefined ? {} : { rowsPerSecond }),
    ...(statementTimeoutMs === undefined ? {} : { statementTimeoutMs }),
  };
};

/** A configured endpoint as one side of a job. */
export const sideOfEntry = (config: Config, entry: EndpointEntry, writable: boolean, limits?: Limits): Side => ({
  name: entry.name,
  writable,
  connection: entry.connection,
  credentials: entry.credentials,
  where: `${config.file}${entry.line === undefined ? '' : `:${entry.line}`}`,
  baseDir: config.dir,
  ...limitsOf(entry, limits),
});

/** The endpoint must not be written to. */
export const notWritable = (config: Config, target: EndpointEntry): LockstepError =>
  new LockstepError(
    'NOT_WRITABLE',
    `endpoint \`${target.name}\` is read-only (${config.file}${target.line === undefined ? '' : `:${target.line}`})`,
    {
      hint: `To let Lockstep write there, add \`writable: true\` to ${target.name}.`,
    },
  );

const requestOf = (pair: PairEntry, sync: Sync): PairRequest => ({
  ...sampleOf(pair.sample ?? sync.sample),
  source: pair.source,
  ...(pair.target === undefined ? {} : { target: pair.target }),
  ...(pair.key === undefined ? {} : { key: pair.key }),
  ...(pair.only === undefined ? {} : { columns: pair.only }),
  exclude: pair.exclude,
  map: pair.map,
  tolerances: pair.tolerances,
  ...(pair.where === undefined ? {} : { filter: pair.where }),
  ...(pair.types === undefined ? {} : { types: pair.types }),
  ...(pair.concealed === undefined ? {} : { concealed: pair.concealed }),
  ...(pair.transform === undefined ? {} : { transform: pair.transform }),
});

/** All rows are no sample. */
const sampleOf = (sample: number | undefined): Pick<PairOptions, 'sample'> => (sample === undefined ? {} : { sample });

/** Options beside a configured pair: they add to lists and maps, and replace key, columns and conditions. */
const combined = (pair: PairRequest, said: PairOptions): PairRequest => ({
  ...pair,
  ...said,
  exclude: [...(pair.exclude ?? []), ...(said.exclude ?? [])],
  map: { ...pair.map, ...said.map },
  tolerances: { ...pair.tolerances, ...said.tolerances },
});

/** The guards, as far as nothing else was said. */
export const guardsWith = (guards: Guards, o: Overrides): Guards => ({
  ...guards,
  ...(o.maxChanges === undefined ? {} : { maxChanges: o.maxChanges, maxChangeRatio: null }),
  ...(o.allowDeletes === undefined ? {} : { maxDeletes: o.allowDeletes }),
  ...(o.emptySource === undefined ? {} : { emptySource: o.emptySource }),
});

/** Incrementally, where the configuration or an override says so. */
const incrementalWith = (sync: Sync, o: Overrides): Incremental | undefined => {
  if (sync.incremental === undefined && o.incremental !== true) return undefined;
  return { rule: sync.incremental ?? defaultIncremental, ...(o.full === undefined ? {} : { full: o.full }) };
};

/** Differences are shown in SQL as configured: overrides that narrow or widen what counts would make rows come and go. */
const publishWith = (sync: Sync, o: Overrides): SqlDifferences | 'flags' | undefined => {
  if (sync.differences === undefined) return undefined;
  const asConfigured = Object.keys(o.options ?? {}).length === 0 && !o.excludeTables?.length;
  return asConfigured ? { ...sync.differences, whole: !o.only?.length } : 'flags';
};

/** A configured sync with what was said otherwise. `writes`: the job may write to the target. */
export const jobOfSync = (config: Config, sync: Sync, o: Overrides, writes: boolean): Job => {
  const source = config.endpoints[sync.source]!;
  const target = config.endpoints[sync.target]!;
  if (writes && !target.writable) throw notWritable(config, target);
  const mode = o.mode ?? sync.mode;
  if (writes && mode === 'two_way' && !source.writable) throw notWritable(config, source);
  if (writes && mode === 'compare')
    throw usage(
      `sync \`${sync.name}\` has mode compare: it writes nothing`,
      'Set what it may write, for example `mode: mirror`, in the configuration, or give --mode.',
    );
  const options = o.options ?? {};
  const defaults = { ...sampleOf(sync.sample), ...options };
  const all = sync.pairs?.map((p) => combined(requestOf(p, sync), options));
  const only = o.only ?? [];
  return {
    sync: sync.name,
    config,
    source: sideOfEntry(config, source, writes && mode === 'two_way', o.limits),
    target: sideOfEntry(config, target, writes, o.limits),
    mode,
    twoWay: twoWayRulesOf(sync, mode),
    settleMs: o.settleMs ?? sync.settleMs,
    incremental: incrementalWith(sync, o),
    publish: publishWith(sync, o),
    guards: guardsWith(sync.guards, o),
    apply: { ...sync.apply, ...o.apply },
    retry: target.retry,
    approvals: sync.approvals,
    pairs: only.length ? chosenPairs(sync, all, only, defaults) : all,
    defaults,
    excludeTables: [...sync.excludeTables, ...(o.excludeTables ?? [])],
    types: sync.types,
    // Of tables that were named, nothing else is meant.
    otherTables: only.length ? 'ignore' : sync.otherTables,
    partial: only.length > 0,
  };
};

/** The pairs of a sync that were named; of a sync that pairs everything, the named tables. */
const chosenPairs = (
  sync: Sync,
  all: readonly PairRequest[] | undefined,
  only: NonNullable<Overrides['only']>,
  options: PairOptions,
): readonly PairRequest[] =>
  only.map(([source, target]) => {
    if (all === undefined) return { source, ...(target === source ? {} : { target }), ...options };
    const same = (name: string): boolean => name === source || name.split('.').at(-1) === source;
    const found = all.filter((p) => p.source === source);
    const near = found.length ? found : all.filter((p) => same(p.source));
    if (near.length === 1) return near[0]!;
    const names = all.map((p) => p.source);
    const meant = closest(source, names);
    throw new LockstepError('NOT_FOUND', `sync \`${sync.name}\` has no pair \`${source}\``, {
      hint: `${meant === undefined ? '' : `Did you mean ${meant}? `}Pairs: ${names.join(', ')}.`,
    });
  });

/** Two sides without a sync: the defaults, with what was said otherwise. */
export const jobOfSides = (
  config: Config | undefined,
  sides: { readonly source: Side; readonly target: Side },
  pairs: readonly PairRequest[] | undefined,
  o: Overrides & { readonly mode: Mode; readonly settleMs: number },
): Job => ({
  sync: null,
  config,
  source: sides.source,
  target: sides.target,
  mode: o.mode,
  twoWay: undefined,
  settleMs: o.settleMs,
  incremental: undefined,
  publish: undefined,
  guards: guardsWith(defaultGuards, o),
  apply: o.apply ?? {},
  retry: undefined,
  approvals: undefined,
  pairs,
  defaults: o.options ?? {},
  excludeTables: o.excludeTables ?? [],
  types: new Map(),
  otherTables: 'ignore',
  partial: false,
});
