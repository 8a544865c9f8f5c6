import type { ApplySettings, EndpointEntry, Guards } from '../config/config.ts';
import type { ShownDifferences } from '../config/differences.ts';
import { defaultIncremental } from '../config/incremental.ts';
import { durationFlag } from '../config/units.ts';
import type { PairOptions } from '../diff/align.ts';
import { LockstepError } from '../model/errors.ts';
import type { IncrementalRule } from '../model/incremental.ts';
import type { SqlDifferences } from '../work/save-diff.ts';
import type { Incremental } from '../work/standings.ts';
import type { Flags } from './context.ts';
import { listFlag, mapFlag, numberFlag, toleranceFlag, whereFlags } from './read-flags.ts';

/** What flags say about a job, each over what the config says. */

/** What the flags say about every pair. */
export const optionsOf = (flags: Flags): PairOptions => {
  const key = listFlag(flags.key);
  const columns = listFlag(flags.columns);
  const exclude = listFlag(flags.exclude);
  const map = mapFlag(flags.map);
  const tolerances = toleranceFlag(flags.tolerance);
  const filter = whereFlags(flags);
  if (key?.length === 0) throw new LockstepError('USAGE', '--key is empty', { hint: 'Name the columns: --key a,b.' });
  return {
    ...(key ? { key } : {}),
    ...(columns ? { columns } : {}),
    ...(exclude ? { exclude } : {}),
    ...(map ? { map } : {}),
    ...(tolerances ? { tolerances } : {}),
    ...(filter ? { filter } : {}),
  };
};

/** `--max-changes` given by hand replaces the ratio too. */
export const guardsWith = (guards: Guards, flags: Flags): Guards => ({
  ...guards,
  ...(flags.maxChanges === undefined
    ? {}
    : { maxChanges: numberFlag('--max-changes', flags.maxChanges), maxChangeRatio: null }),
  ...(flags.allowDeletes === undefined ? {} : { maxDeletes: numberFlag('--allow-deletes', flags.allowDeletes) }),
  ...(flags.emptySource === undefined ? {} : { emptySource: flags.emptySource as Guards['emptySource'] }),
});

/** How it is written, where flags say more than the config. */
export const applyWith = (apply: ApplySettings, flags: Flags): ApplySettings => ({
  ...apply,
  ...(flags.batchSize === undefined ? {} : { batchSize: numberFlag('--batch-size', flags.batchSize, 1) }),
  ...(flags.atomic === undefined ? {} : { atomic: flags.atomic as 'batch' | 'run' }),
});

/** How fast and how long one side may be read. */
export const limitsOf = (
  flags: Flags,
  entry?: EndpointEntry,
): { rowsPerSecond?: number; statementTimeoutMs?: number } => {
  const rows =
    flags.rowsPerSecond === undefined ? entry?.rowsPerSecond : numberFlag('--rows-per-second', flags.rowsPerSecond, 1);
  const timeout =
    flags.statementTimeout === undefined
      ? entry?.statementTimeoutMs
      : durationFlag('--statement-timeout', flags.statementTimeout);
  return {
    ...(rows === undefined ? {} : { rowsPerSecond: rows }),
    ...(timeout === undefined ? {} : { statementTimeoutMs: timeout }),
  };
};

/** Incrementally, where the config or a flag says so; `--full` compares all rows and keeps where that ended. */
export const incrementalWith = (rule: IncrementalRule | undefined, flags: Flags): Incremental | undefined => {
  if (rule === undefined && !flags.incremental) return undefined;
  return { rule: rule ?? defaultIncremental, ...(flags.full ? { full: 'asked for by --full' } : {}) };
};

/** Differences are shown in SQL as configured: flags that narrow or widen what counts would make rows come and go. */
export const publishWith = (
  shown: ShownDifferences | undefined,
  flags: Flags,
  whole: boolean,
): SqlDifferences | 'flags' | undefined => {
  if (shown === undefined) return undefined;
  const asConfigured = Object.keys(optionsOf(flags)).length === 0 && !flags.excludeTable?.length;
  return asConfigured ? { ...shown, whole } : 'flags';
};
