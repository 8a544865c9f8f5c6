import type { Guards } from '../config/config.ts';
import { durationFlag } from '../config/units.ts';
import type { PairOptions } from '../diff/align.ts';
import { LockstepError } from '../model/errors.ts';
import type { Overrides } from '../service/job.ts';
import type { Flags } from './context.ts';
import {
  listFlag,
  mapFlag,
  modeFlag,
  numberFlag,
  pairFlag,
  sampleFlag,
  settleFlag,
  toleranceFlag,
  whereFlags,
} from './read-flags.ts';

/** What flags say about a job, each over what the config says. */

/** What the flags say about every pair. */
const optionsOf = (flags: Flags): PairOptions => {
  const key = listFlag(flags.key);
  const columns = listFlag(flags.columns);
  const exclude = listFlag(flags.exclude);
  const map = mapFlag(flags.map);
  const tolerances = toleranceFlag(flags.tolerance);
  const filter = whereFlags(flags);
  const sample = sampleFlag(flags);
  if (key?.length === 0) throw new LockstepError('USAGE', '--key is empty', { hint: 'Name the columns: --key a,b.' });
  return {
    ...(key ? { key } : {}),
    ...(columns ? { columns } : {}),
    ...(exclude ? { exclude } : {}),
    ...(map ? { map } : {}),
    ...(tolerances ? { tolerances } : {}),
    ...(filter ? { filter } : {}),
    ...(sample === undefined ? {} : { sample }),
  };
};

/** How it is written, where flags say so. */
const applyOf = (flags: Flags): NonNullable<Overrides['apply']> => ({
  ...(flags.batchSize === undefined ? {} : { batchSize: numberFlag('--batch-size', flags.batchSize, 1) }),
  ...(flags.atomic === undefined ? {} : { atomic: flags.atomic as 'batch' | 'run' }),
});

/** How fast and how long one side may be read, where flags say so. */
export const limitsOf = (flags: Flags): NonNullable<Overrides['limits']> => ({
  ...(flags.rowsPerSecond === undefined
    ? {}
    : { rowsPerSecond: numberFlag('--rows-per-second', flags.rowsPerSecond, 1) }),
  ...(flags.statementTimeout === undefined
    ? {}
    : { statementTimeoutMs: durationFlag('--statement-timeout', flags.statementTimeout) }),
});

/** Everything that flags say otherwise than the configuration; `only`: the tables that were named. */
export const overridesOf = (flags: Flags, only: readonly string[]): Overrides => {
  const settleMs = settleFlag(flags);
  return {
    options: optionsOf(flags),
    ...(flags.mode === undefined ? {} : { mode: modeFlag(flags.mode) }),
    limits: limitsOf(flags),
    ...(settleMs === undefined ? {} : { settleMs }),
    ...(flags.incremental ? { incremental: true } : {}),
    ...(flags.full ? { full: 'asked for by --full' } : {}),
    ...(flags.maxChanges === undefined ? {} : { maxChanges: numberFlag('--max-changes', flags.maxChanges) }),
    ...(flags.allowDeletes === undefined ? {} : { allowDeletes: numberFlag('--allow-deletes', flags.allowDeletes) }),
    ...(flags.emptySource === undefined ? {} : { emptySource: flags.emptySource as Guards['emptySource'] }),
    apply: applyOf(flags),
    only: only.map((text) => pairFlag('--table', text, true)),
    excludeTables: flags.excludeTable ?? [],
  };
};
