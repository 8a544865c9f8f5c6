import type { Tolerance } from '../model/pair.ts';
import type { ColumnPolicy, ConflictPolicy, PolicyFunction, PolicyRule, PolicyType } from '../model/policy.ts';
import type {
  WrittenArchive,
  WrittenColumnConflict,
  WrittenConflict,
  WrittenFlapping,
  WrittenOwner,
} from './conflict-schema.ts';
import { type ConflictReading, ofDeletes, stepsOf, whereOf, wrong } from './conflict-steps.ts';
import type { Mode } from './modes.ts';

type Path = readonly PropertyKey[];

/** How a sync settles conflicts. */
export interface SyncConflicts {
  /** Of pairs that say nothing else. Undefined: they are overwritten as if there were none (one-way syncs). */
  readonly policy: ConflictPolicy | undefined;
  /** Values of what was agreed that are kept: all, those that a policy calculates with, or none. */
  readonly archive: 'all' | 'needed' | 'none';
  /** A key that is written so often within so many milliseconds waits for a person. */
  readonly flapping: { readonly writes: number; readonly withinMs: number };
}

interface WrittenColumn {
  readonly owner?: WrittenOwner | undefined;
  readonly conflict?: WrittenColumnConflict | undefined;
}

/** How a pair settles conflicts, as written. */
interface WrittenPairConflicts {
  readonly conflict?: WrittenConflict | undefined;
  readonly atomic?: boolean | undefined;
  readonly columns?: Readonly<Record<string, WrittenColumn | null>> | undefined;
}

/** What a sync and its pairs say of conflicts, as written. */
interface WrittenSync {
  readonly mode?: Mode | undefined;
  readonly conflict?: WrittenConflict | undefined;
  readonly archive?: WrittenArchive | undefined;
  readonly flapping?: WrittenFlapping | undefined;
  readonly pairs?: readonly (string | WrittenPairConflicts)[] | undefined;
  readonly approvals?: unknown;
}

/**
 * How the conflicts of a sync and of each of its pairs are settled. `sync` undefined: none are known, rows of the target
 * are overwritten; `pairs` in the order of the configuration, undefined where that holds of one pair. Throws CONFIG.
 */
export const conflictsOf = (
  r: ConflictReading,
  written: WrittenSync,
  path: Path,
): { readonly sync: SyncConflicts | undefined; readonly pairs: readonly (ConflictPolicy | undefined)[] } => {
  const { conflict, archive, flapping } = written;
  const policy =
    conflict !== undefined
      ? policyOf(r, conflict, [...path, 'conflict'])
      : written.mode === 'two_way'
        ? policyOf(r, {}, path)
        : undefined;
  const sync: SyncConflicts = {
    policy,
    archive: archive?.values ?? 'all',
    flapping: {
      writes: flapping?.writes ?? 5,
      withinMs:
        flapping?.within === undefined ? 600_000 : r.duration(String(flapping.within), [...path, 'flapping', 'within']),
    },
  };
  if (policy !== undefined) checkSums(r, policy, path, sync);
  const pairs = (written.pairs ?? []).map((pair, i) =>
    pairPolicy(r, typeof pair === 'string' ? {} : pair, [...path, 'pairs', i], sync),
  );
  const none = policy === undefined && pairs.every((p) => p === undefined);
  const idle = (['archive', 'flapping'] as const).find((key) => written[key] !== undefined);
  if (none && idle !== undefined)
    throw wrong(
      r,
      [...path, idle],
      'is for syncs that know conflicts',
      'Say how they are settled, for example conflict: manual, or leave it out.',
    );
  // such a run writes what its rules settle: nothing of it would wait for anybody
  if (!none && written.approvals !== undefined && written.mode !== 'two_way')
    throw wrong(
      r,
      [...path, 'approvals'],
      'a sync that settles conflicts does not wait for approvals',
      'Keep one of the two: approvals, or conflict, atomic and owners of columns.',
    );
  return { sync: none ? undefined : sync, pairs };
};

/** Columns of which each side keeps its own value: every difference of them is tolerated. */
export const keptApart = (pair: string | WrittenPairConflicts): Readonly<Record<string, Tolerance>> =>
  typeof pair === 'string'
    ? {}
    : Object.fromEntries(
        Object.entries(pair.columns ?? {}).flatMap(([name, c]) =>
          c?.owner === 'each' ? [[name, { any: true as const }]] : [],
        ),
      );

const pairPolicy = (
  r: ConflictReading,
  pair: WrittenPairConflicts,
  path: Path,
  sync: SyncConflicts,
): ConflictPolicy | undefined => {
  const own = pair.conflict === undefined ? sync.policy : policyOf(r, pair.conflict, [...path, 'conflict']);
  const columns = columnPolicies(r, pair, path);
  if (own === undefined && Object.keys(columns).length === 0 && pair.atomic !== true) return undefined;
  const policy: ConflictPolicy = { ...(own ?? policyOf(r, {}, path)), columns, atomic: pair.atomic === true };
  if (policy.atomic) checkAtomic(r, policy, path);
  checkSums(r, policy, path, sync);
  return policy;
};

const policyOf = (r: ConflictReading, written: WrittenConflict, path: Path): ConflictPolicy => {
  const o: Exclude<WrittenConflict, string | PolicyFunction> =
    typeof written === 'object' ? written : { policy: written };
  const s = stepsOf(r, o, path);
  const on = Object.fromEntries(
    Object.entries(o.by_type ?? {}).flatMap(([type, word]) =>
      word === undefined ? [] : [[type, s.named(ofDeletes(word, type as PolicyType), [...path, 'by_type', type])]],
    ),
  );
  const steps = s.all();
  s.checkUsed();
  if (o.scope !== undefined && o.rules === undefined)
    throw wrong(r, [...path, 'scope'], 'is for rules', 'Leave it out: there are no rules here.');
  return {
    steps,
    on,
    columns: {},
    scope: o.scope ?? 'row',
    atomic: false,
    where: whereOf(r, path),
  };
};

const columnPolicies = (
  r: ConflictReading,
  pair: WrittenPairConflicts,
  path: Path,
): Readonly<Record<string, ColumnPolicy>> =>
  Object.fromEntries(
    Object.entries(pair.columns ?? {}).flatMap(([name, column]): [string, ColumnPolicy][] => {
      const at = [...path, 'columns', name];
      const { owner, conflict } = column ?? {};
      if (owner !== undefined && conflict !== undefined)
        throw wrong(
          r,
          [...at, 'conflict'],
          'the column has an owner, so nothing is in conflict',
          'Keep one of the two.',
        );
      if (owner === 'source' || owner === 'target') return [[name, { owner, where: whereOf(r, [...at, 'owner']) }]];
      if (conflict === undefined) return [];
      const where = whereOf(r, [...at, 'conflict']);
      const s = stepsOf(r, typeof conflict === 'object' ? conflict : { policy: conflict }, [...at, 'conflict'], name);
      const steps = s.all();
      s.checkUsed();
      return [[name, { steps: steps.length ? steps : [{ kind: 'manual', where }], where }]];
    }),
  );

const rulesOf = (policy: ConflictPolicy): readonly PolicyRule[] =>
  [
    ...policy.steps,
    ...Object.values(policy.on).flat(),
    ...Object.values(policy.columns).flatMap((c) => ('steps' in c ? c.steps : [])),
  ].flatMap((step) => (step.kind === 'rules' ? step.rules : []));

const checkAtomic = (r: ConflictReading, policy: ConflictPolicy, path: Path): void => {
  const single =
    Object.keys(policy.columns).length > 0
      ? 'columns with an owner or a policy of their own'
      : policy.scope === 'column'
        ? 'scope: column'
        : rulesOf(policy).some((rule) => rule.kind === 'take')
          ? 'rules that take a value of one column'
          : undefined;
  if (single === undefined) return;
  throw wrong(
    r,
    [...path, 'atomic'],
    `an atomic row has one winner, and this pair has ${single}`,
    'Leave one of the two out.',
  );
};

const checkSums = (r: ConflictReading, policy: ConflictPolicy, path: Path, sync: SyncConflicts): void => {
  const sum = rulesOf(policy).find((rule) => rule.kind === 'take' && rule.take === 'sum');
  if (sum === undefined || sync.archive !== 'none') return;
  throw wrong(
    r,
    path,
    `take: sum of ${sum.column} needs what was agreed (${sum.where}), and archive keeps no values`,
    'archive: { values: needed }.',
  );
};
