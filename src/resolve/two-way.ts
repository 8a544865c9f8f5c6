import { within } from '../model/judge.ts';
import type { ColumnPair, Pair } from '../model/pair.ts';
import type { ConflictPolicy, PolicyStep, PolicyType, Side } from '../model/policy.ts';
import type { Cell, Row } from '../model/row.ts';
import { rejectionOf } from '../model/transform.ts';
import type { Ruling, SameAsBase, ThreeWay, TwoWayDecision, TwoWayResolver } from '../model/two-way.ts';
import { askFunction } from './policy-function.ts';
import { ask, type Case } from './two-way-steps.ts';

/** What the decisions of one pair depend on besides its rows. */
export interface TwoWaySettings {
  readonly pair: Pick<Pair, 'name' | 'columns' | 'keyWidth'>;
  /** Checked against the pair by `checkPolicy`. */
  readonly policy: ConflictPolicy;
  /**
   * Which sides may be written. A side that may not be (the source of a one-way sync) decides alone what is agreed:
   * whatever the other one edited on its own is in dispute. At least one may be.
   */
  readonly writes: Readonly<Record<Side, boolean>>;
  readonly same: SameAsBase;
}

type Settings = TwoWaySettings & {
  /** The side that is not written. */
  readonly authority: Side | undefined;
  /** Columns whose changes are added up, by what happened. */
  readonly counters: Readonly<Record<'insert_insert' | 'update_update', ReadonlySet<string>>>;
};
type Present = ThreeWay & { readonly source: Row; readonly target: Row };

const opposite = (side: Side): Side => (side === 'source' ? 'target' : 'source');

/**
 * Decides what becomes of keys that are not as they were agreed. What only one side changed goes to the other, column
 * by column; what both changed to the same (within the tolerances) is agreed; the rest is for the policy, or for a
 * person. Every cell of a result is one that a side shows or that the policy computes, and every edit that does not
 * come through is in a ruling.
 *
 * Two cells within a tolerance of each other count as one value here, whatever either was before: the result carries
 * one of the two texts, and neither side is written for it (what is written is told by `judge`, which knows the
 * tolerance). Sides drift no further apart by that, since it is the sides that are compared, never a side with its past.
 */
export const twoWayResolver = (settings: TwoWaySettings): TwoWayResolver => {
  const { writes, policy } = settings;
  const s: Settings = {
    ...settings,
    authority: !writes.source ? 'source' : !writes.target ? 'target' : undefined,
    counters: {
      insert_insert: countersOf(policy, policy.on.insert_insert ?? policy.steps),
      update_update: countersOf(policy, policy.on.update_update ?? policy.steps),
    },
  };
  return (row) => {
    const { source, target } = row;
    if (source === null && target === null) return { kind: 'agreed' };
    const invalid = rejected(s, row);
    if (invalid) return invalid;
    if (source !== null && target !== null) return bothThere(s, { ...row, source, target });
    return oneThere(s, row, source === null ? 'target' : 'source');
  };
};

/** A row that stands for an invalid one holds NULLs that nobody wrote. */
const rejected = (s: Settings, row: ThreeWay): TwoWayDecision | undefined => {
  const width = s.pair.columns.length;
  for (const side of ['source', 'target'] as const) {
    const rejection = row[side] && rejectionOf(row[side], width);
    if (rejection)
      return {
        kind: 'ask',
        type: typeOf(row),
        columns: [],
        reason: `the ${side}’s row is invalid: ${rejection.reasons.join(', ')}`,
      };
  }
  return undefined;
};

const typeOf = ({ base, source, target }: ThreeWay): PolicyType =>
  source === null
    ? 'delete_update'
    : target === null
      ? 'update_delete'
      : base === null
        ? 'insert_insert'
        : 'update_update';

const leaving = (s: Settings): { readonly leaves?: Side } => (s.authority === undefined ? {} : { leaves: s.authority });

/** What a side did since it was agreed. Of a column that each side keeps for itself nothing counts. */
const changedColumns = (s: Settings, { base }: ThreeWay, side: Side, row: Row): readonly number[] => {
  const changed: number[] = [];
  for (let i = 0; i < row.length; i++) {
    if (s.pair.columns[i]!.tolerance?.any === true) continue;
    if (base === null || !s.same(i, base[side][i]!, row[i]!)) changed.push(i);
  }
  return changed;
};

/** Of rows that one side has and the other has not: inserted here, or deleted there. */
const oneThere = (s: Settings, row: ThreeWay, there: Side): TwoWayDecision => {
  const shown = row[there]!;
  const alone = s.authority !== undefined;
  if (row.base === null) {
    if (alone && there !== s.authority) return byPolicyOfDeletes(s, row, there);
    return { kind: 'settled', result: shown, ...leaving(s) };
  }
  const edited = changedColumns(s, row, there, shown).length > 0;
  // The authority's deletion counts where nothing else happened; a deletion by the other side is an edit of its own.
  const deletedAlone = alone && there === s.authority;
  if (edited || deletedAlone) return byPolicyOfDeletes(s, row, there);
  return { kind: 'settled', result: null, ...leaving(s) };
};

/**
 * A row that goes against a row that was written. Preferences that were declared for values are not asked: an edit that
 * a deletion makes disappear needs a word of its own (`on`), or a function, which sees that the row is gone.
 */
const byPolicyOfDeletes = (s: Settings, row: ThreeWay, there: Side): TwoWayDecision => {
  const type = typeOf(row);
  const { policy, pair } = s;
  const steps = policy.on[type] ?? policy.steps.filter((step) => step.kind === 'function');
  const waits = (why: string, where: string): TwoWayDecision => ({
    kind: 'ask',
    type,
    columns: [],
    reason: `${why} (${where})`,
  });
  const kept = (result: Row | null, by: string, step: PolicyStep): TwoWayDecision => {
    // What the archive knows is rows of both sides: of this one it would know nothing, and the next run would insert it.
    if (result === null && there === s.authority)
      return waits(
        `the ${opposite(there)} deleted it on its own, and a one-way sync inserts what is missing`,
        step.where,
      );
    // It was never agreed, nobody else has it, and it stays.
    if (row.base === null && result === row[there]) return { kind: 'agreed' };
    return {
      kind: 'settled',
      result,
      ruling: {
        type,
        columns: [],
        policy: by,
        reason: `${result === null ? `the ${opposite(there)}’s deletion counts` : `the ${there}’s row is kept`} (${step.where})`,
      },
      ...leaving(s),
    };
  };
  for (const step of steps) {
    if (step.kind === 'manual') return waits('a person decides', step.where);
    if (step.kind === 'prefer') return kept(row[step.side], `prefer ${step.side}`, step);
    if (step.kind !== 'function') continue;
    const answer = askFunction(step.decide, pair, row, type, []);
    if (answer === undefined) continue;
    if (answer.kind === 'ask') return waits(answer.why, step.where);
    if (answer.kind === 'side') return kept(row[answer.side], 'function', step);
    if (answer.cells === null) return kept(null, 'function', step);
    const { cells } = answer;
    return kept(
      row[there]!.map((cell, i) => cells.get(i) ?? (cells.has(i) ? null : cell)),
      'function',
      step,
    );
  }
  const told =
    row.base === null
      ? `only the ${there} has this row, and it was never agreed`
      : `the ${opposite(there)} deleted what the ${there} ${s.authority === there ? 'still has' : 'has changed'}`;
  return waits(`${told}: no policy says what counts`, policy.where);
};

/** What is known of each column before any policy is asked. */
interface Merge {
  readonly cells: Map<number, Cell>;
  readonly disputed: readonly number[];
  /** Columns whose owner overrules an edit of the other side. */
  readonly owned: readonly { readonly index: number; readonly where: string; readonly owner: Side }[];
}

const same = ({ tolerance }: ColumnPair, a: Cell, b: Cell): boolean =>
  a === b || (tolerance !== undefined && within(tolerance, a, b));

const bothThere = (s: Settings, row: Present): TwoWayDecision => {
  const type = typeOf(row);
  const steps = s.policy.on[type] ?? s.policy.steps;
  const { cells, disputed, owned } = merge(s, row);
  const c: Case = { pair: s.pair, row, type, open: new Set(disputed), cells, spoken: [], silent: [] };
  for (const { owner, where, index } of owned)
    c.spoken.push({ policy: 'owner', reason: `${s.pair.columns[index]!.source.name} is the ${owner}’s (${where})` });
  const columns = [...owned.map((o) => o.index), ...disputed].sort((a, b) => a - b);

  const stopped = askColumns(s, c) ?? ask(c, steps, s.policy.scope);
  const ruling = (): Ruling => ({
    type,
    columns,
    policy: c.spoken.at(-1)!.policy,
    reason: c.spoken.map((by) => by.reason).join('; '),
  });
  if (stopped?.kind === 'ask') return { kind: 'ask', type, columns, reason: stopped.reason };
  if (stopped?.kind === 'both') return { kind: 'both', result: stopped.result, other: stopped.other, ruling: ruling() };
  if (stopped?.kind === 'gone') return { kind: 'settled', result: null, ruling: ruling(), ...leaving(s) };
  if (c.open.size > 0) return { kind: 'ask', type, columns, reason: unsettled(s, c) };

  const result = row.source.map((cell, i) => (cells.has(i) ? cells.get(i)! : cell));
  const shows = (side: Side): boolean => result.every((cell, i) => same(s.pair.columns[i]!, cell, row[side][i]!));
  const done = (['source', 'target'] as const).every((side) => !s.writes[side] || shows(side));
  if (c.spoken.length === 0 && done) return { kind: 'agreed' };
  return { kind: 'settled', result, ...(c.spoken.length === 0 ? {} : { ruling: ruling() }), ...leaving(s) };
};

const unsettled = (s: Settings, c: Case): string => {
  const names = [...c.open].map((i) => s.pair.columns[i]!.source.name).join(', ');
  const told =
    c.type === 'insert_insert'
      ? `both sides have this row, and were never agreed on ${names}`
      : s.authority === undefined
        ? `both sides changed ${names}`
        : `the ${opposite(s.authority)} changed ${names} on its own`;
  return `${told}: ${c.silent.length === 0 ? 'no policy says what counts' : [...new Set(c.silent)].join('; ')} (${s.policy.where})`;
};

/** Policies of columns speak first, each of its own column. */
const askColumns = (s: Settings, c: Case): ReturnType<typeof ask> => {
  for (const [name, of] of Object.entries(s.policy.columns)) {
    const index = s.pair.columns.findIndex((p) => p.source.name === name);
    if (!('steps' in of) || !c.open.has(index)) continue;
    const alone: Case = { ...c, open: new Set([index]) };
    const stopped = ask(alone, of.steps, 'column');
    if (stopped) return stopped;
    if (!alone.open.has(index)) c.open.delete(index);
  }
  return undefined;
};

/** Takes over what is not in dispute. */
const merge = (s: Settings, row: Present): Merge => {
  const { columns, keyWidth } = s.pair;
  const cells = new Map<number, Cell>();
  const disputed: number[] = [];
  const owned: { index: number; where: string; owner: Side }[] = [];
  const changed = {
    source: new Set(changedColumns(s, row, 'source', row.source)),
    target: new Set(changedColumns(s, row, 'target', row.target)),
  };
  const whole = s.policy.atomic && isContested(s, changed);
  const counters = s.counters[row.base === null ? 'insert_insert' : 'update_update'];
  for (let i = keyWidth; i < columns.length; i++) {
    const column = columns[i]!;
    const bySource = changed.source.has(i);
    const byTarget = changed.target.has(i);
    if (same(column, row.source[i]!, row.target[i]!)) {
      // Two sides that added the same to a counter have added it twice.
      if (counters.has(column.source.name) && row.base !== null && bySource && byTarget) disputed.push(i);
      else cells.set(i, row[byTarget && !bySource ? 'target' : 'source'][i]!);
      continue;
    }
    const policy = s.policy.columns[column.source.name];
    const owner = policy !== undefined && 'owner' in policy ? policy.owner : undefined;
    if (whole) disputed.push(i);
    else if (owner !== undefined) {
      cells.set(i, row[owner][i]!);
      const overruled = row.base === null || changed[opposite(owner)].has(i);
      if (overruled) owned.push({ index: i, where: policy!.where, owner });
    } else if (bySource !== byTarget && (bySource ? 'source' : 'target') !== rival(s))
      cells.set(i, row[bySource ? 'source' : 'target'][i]!);
    // Sides that were let differ go on as they are.
    else if (!bySource && !byTarget && s.authority !== undefined) cells.set(i, row[opposite(s.authority)][i]!);
    else disputed.push(i);
  }
  return { cells, disputed, owned };
};

/** The side whose own edits are in dispute. */
const rival = (s: Settings): Side | undefined => s.authority && opposite(s.authority);

/** Did both sides change the row, or the one that must not? */
const isContested = (s: Settings, changed: Readonly<Record<Side, ReadonlySet<number>>>): boolean => {
  const own = rival(s);
  return own === undefined ? changed.source.size > 0 && changed.target.size > 0 : changed[own].size > 0;
};

const countersOf = (policy: ConflictPolicy, steps: readonly PolicyStep[]): ReadonlySet<string> => {
  const own = Object.values(policy.columns).flatMap((of) => ('steps' in of ? of.steps : []));
  return new Set(
    [...steps, ...own].flatMap((step) =>
      step.kind === 'rules' ? step.rules.flatMap((r) => (r.kind === 'take' && r.take === 'sum' ? [r.column] : [])) : [],
    ),
  );
};
