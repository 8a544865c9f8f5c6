import type { Pair } from '../model/pair.ts';
import type { PolicyStep, PolicyType, Side } from '../model/policy.ts';
import type { Cell, Row } from '../model/row.ts';
import type { ThreeWay } from '../model/two-way.ts';
import { underNewKey } from './new-key.ts';
import { isMoment, later } from './newest.ts';
import { askFunction } from './policy-function.ts';
import { type Disputed, preferred, taken } from './rules.ts';

/** A conflict on its way to a decision: which columns are still open, what was said of the others, and by whom. */
export interface Case {
  readonly pair: Pick<Pair, 'name' | 'columns' | 'keyWidth'>;
  readonly row: ThreeWay & { readonly source: Row; readonly target: Row };
  readonly type: PolicyType;
  readonly open: Set<number>;
  readonly cells: Map<number, Cell>;
  /** Who spoke, in order. */
  readonly spoken: { readonly policy: string; readonly reason: string }[];
  /** Why those that were asked had no opinion. */
  readonly silent: string[];
}

/** How the asking ended, when it was not for a lack of open columns. */
export type Stopped =
  | { readonly kind: 'ask'; readonly reason: string }
  | { readonly kind: 'both'; readonly result: Row; readonly other: Row }
  | { readonly kind: 'gone' }
  | undefined;

const say = (c: Case, policy: string, reason: string, where: string): void => {
  const sentence = `${reason} (${where})`;
  if (!c.spoken.some((s) => s.reason === sentence)) c.spoken.push({ policy, reason: sentence });
};

const take = (c: Case, columns: Iterable<number>, side: Side): void => {
  for (const i of columns) {
    c.cells.set(i, c.row[side][i]!);
    c.open.delete(i);
  }
};

export const disputedCells = (c: Pick<Case, 'pair' | 'row'>, index: number): Disputed => ({
  type: c.pair.columns[index]!.as,
  base: c.row.base === null ? undefined : { source: c.row.base.source[index]!, target: c.row.base.target[index]! },
  source: c.row.source[index]!,
  target: c.row.target[index]!,
});

const indexOf = (c: Case, column: string): number => c.pair.columns.findIndex((p) => p.source.name === column);

/** Values that are computed of both sides' are nobody's: they are set before anybody is preferred. */
export const compute = (c: Case, steps: readonly PolicyStep[]): void => {
  for (const rule of steps.flatMap((s) => (s.kind === 'rules' ? s.rules : []))) {
    const index = indexOf(c, rule.column);
    if (rule.kind !== 'take' || !c.open.has(index)) continue;
    const found = taken(rule, disputedCells(c, index));
    if ('why' in found) {
      c.silent.push(found.why);
      continue;
    }
    c.cells.set(index, found.cell);
    c.open.delete(index);
    say(c, rule.take, found.reason, rule.where);
  }
};

/** Asks policies in turn until nothing is open. `scope`: what one rule decides. */
export const ask = (c: Case, steps: readonly PolicyStep[], scope: 'row' | 'column'): Stopped => {
  compute(c, steps);
  for (const step of steps) {
    if (c.open.size === 0) return undefined;
    const stopped = askOne(c, step, scope);
    if (stopped) return stopped;
  }
  return undefined;
};

const askOne = (c: Case, step: PolicyStep, scope: 'row' | 'column'): Stopped => {
  const { open } = c;
  switch (step.kind) {
    case 'manual':
      return { kind: 'ask', reason: `a person decides (${step.where})` };
    case 'prefer':
      say(c, `prefer ${step.side}`, `the ${step.side} is preferred`, step.where);
      take(c, [...open], step.side);
      return undefined;
    case 'rules':
      for (const rule of step.rules) {
        const index = indexOf(c, rule.column);
        if (rule.kind === 'take' || !open.has(index)) continue;
        const found = preferred(rule, disputedCells(c, index));
        if (found === undefined) {
          c.silent.push(`${rule.column}: its rule prefers neither value`);
          continue;
        }
        say(c, 'rules', found.reason, rule.where);
        take(c, scope === 'row' ? [...open] : [index], found.side);
      }
      return undefined;
    case 'last_write_wins':
      return askTimes(c, step);
    case 'keep_both':
      return askBoth(c, step);
    case 'function':
      return askUser(c, step);
  }
};

type Newest = Extract<PolicyStep, { kind: 'last_write_wins' }>;

/** The pair's columns that hold the time of the last write on each side; -1: there is none of this name. */
export const stampColumns = (pair: Pick<Pair, 'columns'>, { newest }: Newest): Readonly<Record<Side, number>> => {
  const source = pair.columns.findIndex((p) => p.source.name === newest.source);
  const target = newest.target === undefined ? source : pair.columns.findIndex((p) => p.target.name === newest.target);
  return { source, target };
};

const askTimes = (c: Case, step: Newest): Stopped => {
  const at = stampColumns(c.pair, step);
  const s = c.pair.columns[at.source]!;
  const t = c.pair.columns[at.target]!;
  const names = s === t ? s.source.name : `${s.source.name} and ${t.target.name}`;
  const found = later(
    { type: s.as, cell: c.row.source[at.source]! },
    { type: t.as, cell: c.row.target[at.target]! },
    step.skewMs,
  );
  const wins = (side: Side, reason: string): Stopped => {
    say(c, 'last_write_wins', reason, step.where);
    take(c, [...c.open], side);
    return undefined;
  };
  if (found === 'source' || found === 'target')
    return wins(found, `${names}: the ${found} ${isMoment(s.as) ? 'was written later' : 'has the higher version'}`);
  const why = {
    same: `${names}: both are the same`,
    near: `${names}: both lie within the ${step.skewMs} ms that the clocks may differ by`,
    unknown: `${names}: not known on both sides`,
  }[found];
  // Equal times are the target's, unless told otherwise; of others nothing is known, unless told.
  const ties = step.ties ?? (found === 'same' ? 'target' : undefined);
  if (ties === 'manual') return { kind: 'ask', reason: `${why} (${step.where})` };
  if (ties !== undefined) return wins(ties, `${why}, and ties are the ${ties}’s`);
  c.silent.push(why);
  return undefined;
};

const askBoth = (c: Case, step: Extract<PolicyStep, { kind: 'keep_both' }>): Stopped => {
  if (c.type !== 'insert_insert') {
    c.silent.push('both are kept only of rows that both sides inserted');
    return undefined;
  }
  const other = underNewKey(c.pair, step.newKey, c.row.target);
  if (other === undefined) {
    c.silent.push('no new key can be made for the target’s row');
    return undefined;
  }
  say(c, 'keep_both', 'both are kept: the target’s row goes on under a new key', step.where);
  return { kind: 'both', result: c.row.source, other };
};

const askUser = (c: Case, step: Extract<PolicyStep, { kind: 'function' }>): Stopped => {
  const answer = askFunction(step.decide, c.pair, c.row, c.type, [...c.open]);
  if (answer === undefined) {
    c.silent.push('the function has no opinion');
    return undefined;
  }
  if (answer.kind === 'ask') return { kind: 'ask', reason: `${answer.why} (${step.where})` };
  if (answer.kind === 'side') {
    say(c, 'function', `the function chose the ${answer.side}`, step.where);
    take(c, [...c.open], answer.side);
    return undefined;
  }
  say(
    c,
    'function',
    answer.cells === null ? 'the function lets the row go' : 'the function gave the values',
    step.where,
  );
  if (answer.cells === null) return { kind: 'gone' };
  for (const [i, cell] of answer.cells) {
    c.cells.set(i, cell);
    c.open.delete(i);
  }
  return undefined;
};
