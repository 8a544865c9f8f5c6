import {
  type ApplySettings,
  type Config,
  defaultGuards,
  defaultSettleMs,
  type EndpointEntry,
  type Guards,
  type PairEntry,
  type Retry,
  type Sync,
} from '../config/config.ts';
import type { Mode } from '../config/modes.ts';
import type { PairOptions } from '../diff/align.ts';
import { closest } from '../lib/suggest.ts';
import { LockstepError } from '../model/errors.ts';
import type { CompareOptions, PairRequest } from '../work/compare.ts';
import type { SqlDifferences } from '../work/save-diff.ts';
import type { Incremental } from '../work/standings.ts';
import { configOf } from './config-of.ts';
import { type Context, type Flags, tell } from './context.ts';
import { applyWith, guardsWith, incrementalWith, limitsOf, optionsOf, publishWith } from './job-flags.ts';
import { namesOfUrls } from './names.ts';
import { modeFlag, pairFlag, settleFlag } from './read-flags.ts';
import type { Side } from './side.ts';

/** What is to be compared, and under which rules something may be written: a configured sync, or two URLs and flags. */
export interface Job {
  readonly sync: string | null;
  readonly config: Config | undefined;
  readonly source: Side;
  readonly target: Side;
  readonly mode: Mode;
  readonly settleMs: number;
  /** `--max-changes` given by hand replaces the ratio too. */
  readonly guards: Guards;
  readonly apply: ApplySettings;
  readonly retry: Retry | undefined;
  /** Compare what has changed; undefined: all rows, and nothing is kept of where this comparison stood. */
  readonly incremental: Incremental | undefined;
  /** Differences are shown in SQL. `flags`: not those of this comparison, which flags made another one than configured. */
  readonly publish: SqlDifferences | 'flags' | undefined;
  /** Undefined: all tables of the default schemas, each with `defaults`. */
  readonly pairs: readonly PairRequest[] | undefined;
  readonly defaults: PairOptions;
  readonly excludeTables: readonly string[];
  /** With `pairs`: are tables in none of them told as not compared? */
  readonly otherTables: 'report' | 'ignore';
}

/** What a job looks at, as the use cases are told. */
export const scopeOf = (job: Job): Pick<CompareOptions, 'pairs' | 'defaults' | 'excludeTables' | 'otherTables'> => ({
  ...(job.pairs === undefined ? {} : { pairs: job.pairs }),
  defaults: job.defaults,
  excludeTables: job.excludeTables,
  otherTables: job.otherTables,
});

const urlLike = /^[a-z][a-z0-9+.-]*:/i;
const isAddress = (text: string | undefined): boolean =>
  text !== undefined && (urlLike.test(text) || text.startsWith('${'));
const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

/** Reads `SYNC` or `SOURCE TARGET [table…]` with the flags. `writes`: the command may write to the target. */
export const jobOf = async (context: Context, args: readonly string[], flags: Flags, writes: boolean): Promise<Job> => {
  const [first, second, ...tables] = args;
  // Two URLs need no configuration: a file that happens to lie here, or is broken, changes nothing.
  const plain = isAddress(first) && isAddress(second) && flags.config === undefined;
  const configured = plain ? undefined : await configOf(context, flags);
  if (first === undefined) {
    const names = Object.keys(configured?.syncs ?? {});
    throw usage(
      'what is to be compared?',
      names.length
        ? `Name a sync of ${configured!.file}: ${names.join(', ')}. Or give two URLs.`
        : 'Give two URLs: lockstep diff SOURCE TARGET, or write a config with `lockstep init SOURCE TARGET`.',
    );
  }
  const isSide = (text: string): boolean => isAddress(text) || configured?.endpoints[text] !== undefined;
  const sync = configured?.syncs[first];
  if (sync && !urlLike.test(first)) {
    const idle = configured!.withoutEffect.filter((w) => w.path.startsWith(`syncs.${sync.name}.`)).map((w) => w.path);
    if (idle.length) await tell(context, `note: no effect in this version: ${idle.join(', ')}`);
    return fromSync(
      configured!,
      sync,
      [...(second === undefined ? [] : [second, ...tables]), ...(flags.table ?? [])],
      flags,
      writes,
    );
  }
  if (second !== undefined && isSide(first) && isSide(second)) {
    return fromSides(context, configured, first, second, [...tables, ...(flags.table ?? [])], flags, writes);
  }
  throw notASide(configured, first, second, isSide);
};

const notASide = (
  config: Config | undefined,
  first: string,
  second: string | undefined,
  isSide: (t: string) => boolean,
): LockstepError => {
  if (isSide(first) && second === undefined) return usage('the target is missing', 'Give two URLs: SOURCE TARGET.');
  const wrong = isSide(first) ? second! : first;
  if (/[./\\]/.test(wrong) && /\.(db|sqlite3?|db3)$/i.test(wrong)) {
    return usage(`\`${wrong}\` is not a URL`, `An SQLite file is written sqlite:${wrong}.`);
  }
  if (!config) {
    return usage(
      `\`${wrong}\` is not a URL, and there is no config file here that could name it`,
      'URLs look like postgres://user@host/database or sqlite:file.db. `lockstep init SOURCE TARGET` writes a config.',
    );
  }
  const names = [...Object.keys(config.syncs), ...Object.keys(config.endpoints)];
  const meant = closest(wrong, names);
  return new LockstepError('NOT_FOUND', `${config.file} has no sync or endpoint \`${wrong}\``, {
    hint: `${meant === undefined ? '' : `Did you mean ${meant}? `}Syncs: ${Object.keys(config.syncs).join(', ') || 'none'}. Endpoints: ${Object.keys(config.endpoints).join(', ')}.`,
  });
};

/** A configured endpoint as one side of a job. */
export const sideOfEntry = (config: Config, entry: EndpointEntry, flags: Flags, writable: boolean): Side => ({
  name: entry.name,
  writable,
  connection: entry.connection,
  credentials: entry.credentials,
  where: `${config.file}${entry.line === undefined ? '' : `:${entry.line}`}`,
  baseDir: config.dir,
  ...limitsOf(flags, entry),
});

const requestOf = (pair: PairEntry): PairRequest => ({
  source: pair.source,
  ...(pair.target === undefined ? {} : { target: pair.target }),
  ...(pair.key === undefined ? {} : { key: pair.key }),
  ...(pair.only === undefined ? {} : { columns: pair.only }),
  exclude: pair.exclude,
  map: pair.map,
  tolerances: pair.tolerances,
  ...(pair.where === undefined ? {} : { filter: pair.where }),
  ...(pair.transform === undefined ? {} : { transform: pair.transform }),
});

/** Flags beside a configured pair: they add to lists and maps, and replace key, columns and conditions. */
const combined = (pair: PairRequest, flags: PairOptions): PairRequest => ({
  ...pair,
  ...flags,
  exclude: [...(pair.exclude ?? []), ...(flags.exclude ?? [])],
  map: { ...pair.map, ...flags.map },
  tolerances: { ...pair.tolerances, ...flags.tolerances },
});

const fromSync = (config: Config, sync: Sync, only: readonly string[], flags: Flags, writes: boolean): Job => {
  if (sync.mode === 'two_way' || sync.mode === 'migrate') {
    if (writes)
      throw usage(
        `sync \`${sync.name}\` has mode ${sync.mode}, which this version cannot apply yet`,
        'Compare it with lockstep diff, or set mode: mirror.',
      );
  }
  const source = config.endpoints[sync.source]!;
  const target = config.endpoints[sync.target]!;
  if (writes && !target.writable) throw notWritable(config, target);
  const options = optionsOf(flags);
  const mode = flags.mode === undefined ? sync.mode : modeFlag(flags.mode);
  if (writes && mode === 'compare')
    throw usage(
      `sync \`${sync.name}\` has mode compare: it writes nothing`,
      'Set what it may write, for example `mode: mirror`, in the configuration, or give --mode.',
    );
  const all = sync.pairs?.map((p) => combined(requestOf(p), options));
  return {
    sync: sync.name,
    config,
    source: sideOfEntry(config, source, flags, false),
    target: sideOfEntry(config, target, flags, writes),
    mode,
    settleMs: settleFlag(flags) ?? sync.settleMs,
    incremental: incrementalWith(sync.incremental, flags),
    publish: publishWith(sync.differences, flags, only.length === 0),
    guards: guardsWith(sync.guards, flags),
    apply: applyWith(sync.apply, flags),
    retry: target.retry,
    pairs: only.length ? chosenPairs(sync, all, only, options) : all,
    defaults: options,
    excludeTables: [...sync.excludeTables, ...(flags.excludeTable ?? [])],
    // Of tables that were named, nothing else is meant.
    otherTables: only.length ? 'ignore' : sync.otherTables,
  };
};

const notWritable = (config: Config, target: EndpointEntry): LockstepError =>
  new LockstepError(
    'NOT_WRITABLE',
    `endpoint \`${target.name}\` is read-only (${config.file}${target.line === undefined ? '' : `:${target.line}`})`,
    {
      hint: `To let Lockstep write there, add \`writable: true\` to ${target.name}.`,
    },
  );

/** The pairs of a sync that were named; of a sync that pairs everything, the named tables. */
const chosenPairs = (
  sync: Sync,
  all: readonly PairRequest[] | undefined,
  only: readonly string[],
  options: PairOptions,
): readonly PairRequest[] =>
  only.map((text) => {
    const [source, target] = pairFlag('--table', text, true);
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

const fromSides = async (
  context: Context,
  config: Config | undefined,
  source: string,
  target: string,
  tables: readonly string[],
  flags: Flags,
  writes: boolean,
): Promise<Job> => {
  const { sideOfText, warnOfPasswords } = await import('./side-of-text.ts');
  await warnOfPasswords((text) => tell(context, text), [source, target]);
  const names = namesOfUrls(source, target);
  const side = (text: string, name: string, writable: boolean): Side => {
    const entry = config?.endpoints[text];
    if (entry && config) {
      if (writable && !entry.writable) throw notWritable(config, entry);
      return sideOfEntry(config, entry, flags, writable);
    }
    return { ...sideOfText(context, text, name, writable), ...limitsOf(flags) };
  };
  if (flags.incremental)
    throw usage(
      '--incremental needs a sync of a config file: it starts from where its last comparison ended',
      '`lockstep init SOURCE TARGET` writes one; then: lockstep diff SYNC --incremental.',
    );
  const options = optionsOf(flags);
  const mode = flags.mode === undefined ? 'mirror' : modeFlag(flags.mode);
  if (writes && mode === 'compare') throw usage('--mode compare writes nothing', 'Use lockstep diff.');
  return {
    sync: null,
    config,
    source: side(source, names[0], false),
    target: side(target, names[1], writes),
    mode,
    settleMs: settleFlag(flags) ?? defaultSettleMs,
    incremental: undefined,
    publish: undefined,
    guards: guardsWith(defaultGuards, flags),
    apply: applyWith({}, flags),
    retry: undefined,
    pairs: tables.length
      ? tables.map((text) => {
          const [from, to] = pairFlag('--table', text, true);
          return { source: from, ...(text.includes('=') ? { target: to } : {}), ...options };
        })
      : undefined,
    defaults: options,
    excludeTables: flags.excludeTable ?? [],
    otherTables: 'ignore',
  };
};
