import { closest } from '../lib/suggest.ts';
import { approvalsOf } from './approvals.ts';
import { type ApplySettings, defaultGuards, defaultSettleMs, type Guards, type Sync } from './config.ts';
import { conflictsOf } from './conflict.ts';
import { typesOf } from './copy-types.ts';
import { differencesOf } from './differences.ts';
import { incrementalOf } from './incremental.ts';
import { sloOf } from './monitoring.ts';
import { pairOf } from './pair-of.ts';
import { readSection } from './read-section.ts';
import { durationAt, lineOf, numberAt, type Path, type Reading, shareAt } from './read-value.ts';
import { checkWhole, sampleShare } from './sample.ts';
import { scheduleOf } from './schedule.ts';
import type { ConfigFile } from './schema.ts';
import { checkTwoWayPair } from './two-way.ts';
import { configError } from './validate.ts';

type FileSync = NonNullable<ConfigFile['syncs']>[string];
type Syncs = Readonly<Record<string, FileSync>>;

const guardsOf = (r: Reading, guards: FileSync['guards'], path: Path): Guards => ({
  maxChanges:
    guards?.max_changes === undefined
      ? defaultGuards.maxChanges
      : numberAt(r, guards.max_changes, [...path, 'guards', 'max_changes'], 0),
  maxChangeRatio:
    guards?.max_change_ratio === undefined
      ? defaultGuards.maxChangeRatio
      : shareAt(r, guards.max_change_ratio as string | number, [...path, 'guards', 'max_change_ratio']),
  maxDeletes:
    guards?.max_deletes === undefined
      ? defaultGuards.maxDeletes
      : numberAt(r, guards.max_deletes, [...path, 'guards', 'max_deletes'], 0),
  emptySource: guards?.empty_source ?? defaultGuards.emptySource,
});

const applyOf = (r: Reading, apply: FileSync['apply'], path: Path): ApplySettings => {
  const at = (key: string): Path => [...path, 'apply', key];
  return {
    ...(apply?.batch_size === undefined ? {} : { batchSize: numberAt(r, apply.batch_size, at('batch_size'), 1) }),
    ...(apply?.batch_delay === undefined ? {} : { batchDelayMs: durationAt(r, apply.batch_delay, at('batch_delay')) }),
    ...(apply?.concurrency === undefined ? {} : { concurrency: numberAt(r, apply.concurrency, at('concurrency'), 1) }),
    ...(apply?.atomic === undefined ? {} : { atomic: apply.atomic }),
  };
};

/** When it is started by itself. */
const startsOf = (r: Reading, name: string, sync: FileSync, others: Syncs): Pick<Sync, 'schedule' | 'after'> => {
  const path: Path = ['syncs', name];
  const { after, schedule } = sync;
  if (after !== undefined && others[after] === undefined)
    throw configError(r.document, [...path, 'after'], `there is no sync \`${after}\``, {
      hint: `Syncs: ${Object.keys(others).join(', ')}.`,
    });
  const seen = new Set<string>();
  for (let at: string | undefined = name; at !== undefined; at = others[at]?.after) {
    if (seen.has(at)) throw configError(r.document, [...path, 'after'], `\`${name}\` would wait for itself`);
    seen.add(at);
  }
  return {
    ...(after === undefined ? {} : { after }),
    ...(schedule === undefined
      ? {}
      : {
          schedule: scheduleOf(schedule, {
            duration: (value, key) => durationAt(r, value, [...path, 'schedule', key]),
            wrong: (key, what, hint) =>
              configError(r.document, [...path, 'schedule', ...(key === undefined ? [] : [key])], what, { hint }),
          }),
        }),
  };
};

/** A sync as it is used. Throws CONFIG at the place of what cannot be. */
export const syncOf = (r: Reading, name: string, sync: FileSync, endpoints: readonly string[], others: Syncs): Sync => {
  const path: Path = ['syncs', name];
  for (const side of ['source', 'target'] as const) {
    if (endpoints.includes(sync[side])) continue;
    const meant = closest(sync[side], endpoints);
    throw configError(r.document, [...path, side], `there is no endpoint \`${sync[side]}\``, {
      note: meant === undefined ? undefined : `did you mean ${meant}?`,
      hint: `Endpoints: ${endpoints.join(', ') || 'none'}.`,
    });
  }
  if (sync.other_tables === 'ignore' && sync.pairs === undefined) {
    throw configError(r.document, [...path, 'other_tables'], '`other_tables: ignore` needs pairs', {
      hint: 'Without pairs every table is meant. Name those to leave out: exclude_tables: [a, b].',
    });
  }
  checkWhole(sync, r.document, path);
  const conflicts = conflictsOf(
    { document: r.document, duration: (value, at) => durationAt(r, value, at) },
    sync,
    path,
  );
  if (sync.mode === 'two_way')
    for (const [i, pair] of (sync.pairs ?? []).entries()) checkTwoWayPair(r.document, pair, [...path, 'pairs', i]);
  return {
    name,
    source: sync.source,
    target: sync.target,
    mode: sync.mode ?? 'mirror',
    settleMs: sync.settle === undefined ? defaultSettleMs : durationAt(r, sync.settle as string, [...path, 'settle']),
    ...(sync.slo === undefined ? {} : { slo: sloOf(r, sync.slo, [...path, 'slo']) }),
    ...(sync.approvals === undefined
      ? {}
      : {
          approvals: approvalsOf(
            sync.approvals,
            [name, 'approvals'],
            sync.mode,
            readSection('syncs', r.document, r.around),
          ),
        }),
    ...startsOf(r, name, sync, others),
    guards: guardsOf(r, sync.guards, path),
    apply: applyOf(r, sync.apply, path),
    ...(sync.incremental === undefined
      ? {}
      : {
          incremental: incrementalOf(sync.incremental, (value, key) =>
            durationAt(r, value, [...path, 'incremental', key]),
          ),
        }),
    differences: differencesOf(sync.differences, (value) => durationAt(r, value, [...path, 'differences', 'history'])),
    ...(conflicts.sync === undefined ? {} : { conflicts: conflicts.sync }),
    ...(sync.sample === undefined
      ? {}
      : { sample: sampleShare(sync.sample as string | number, r.document, [...path, 'sample']) }),
    pairs: sync.pairs?.map((p, i) => pairOf(r, p, [...path, 'pairs', i], conflicts.pairs[i])),
    excludeTables: sync.exclude_tables ?? [],
    types: typesOf(sync.types, r.document, [...path, 'types']),
    otherTables: sync.other_tables ?? 'ignore',
    line: lineOf(r, path),
  };
};
