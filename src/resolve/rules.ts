import { readText } from '../model/canon/canonical.ts';
import { isMisfit } from '../model/canon/misfit.ts';
import { parseDecimal } from '../model/judge.ts';
import { compareCells } from '../model/order.ts';
import type { PolicyRule, Side } from '../model/policy.ts';
import type { Cell, Text } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import type { Literal } from '../model/transform.ts';
import type { BaseCell } from '../model/two-way.ts';

/** One column of a conflict. `base` undefined: never agreed. */
export interface Disputed {
  readonly type: ColumnType;
  readonly base: { readonly source: BaseCell; readonly target: BaseCell } | undefined;
  readonly source: Cell;
  readonly target: Cell;
}

/** A value of the configuration as a cell; undefined: the type cannot read it. */
export const literalCell = (type: ColumnType, value: Literal): Cell | undefined =>
  value === null ? null : (readText(type, value) as Text | undefined);

const shown = (value: Literal): string => (value === null ? 'NULL' : value);

type PreferringRule = Extract<PolicyRule, { kind: 'prefer' | 'transitions' }>;

/** The side whose value a rule prefers, and why; undefined: it has no opinion of these two. */
export const preferred = (
  rule: PreferringRule,
  { type, source, target }: Disputed,
): { readonly side: Side; readonly reason: string } | undefined =>
  rule.kind === 'prefer'
    ? byPrecedence(rule.column, rule.values, type, source, target)
    : byTransition(rule.column, rule.transitions, type, source, target);

const byPrecedence = (
  column: string,
  values: readonly Literal[],
  type: ColumnType,
  source: Cell,
  target: Cell,
): ReturnType<typeof preferred> => {
  const cells = values.map((v) => literalCell(type, v));
  const s = cells.indexOf(source);
  const t = cells.indexOf(target);
  if (s < 0 || t < 0 || s === t) return undefined;
  return {
    side: s < t ? 'source' : 'target',
    reason: `${column}: ${shown(values[Math.min(s, t)]!)} beats ${shown(values[Math.max(s, t)]!)}`,
  };
};

/** Everything that can follow a state, in any number of steps. */
const reachable = (from: Cell, next: ReadonlyMap<Cell | undefined, readonly (Cell | undefined)[]>): Set<Cell> => {
  const found = new Set<Cell>();
  const open: (Cell | undefined)[] = [from];
  for (let state = open.pop(); state !== undefined; state = open.pop())
    for (const to of next.get(state) ?? [])
      if (to !== undefined && !found.has(to)) {
        found.add(to);
        open.push(to);
      }
  return found;
};

const byTransition = (
  column: string,
  transitions: ReadonlyMap<string, readonly string[]>,
  type: ColumnType,
  source: Cell,
  target: Cell,
): ReturnType<typeof preferred> => {
  if (source === null || target === null) return undefined;
  const next = new Map(
    [...transitions].map(([from, to]) => [literalCell(type, from), to.map((v) => literalCell(type, v))] as const),
  );
  const on = reachable(source, next).has(target);
  const back = reachable(target, next).has(source);
  if (on === back) return undefined;
  const [before, after] = on ? [source, target] : [target, source];
  return { side: on ? 'target' : 'source', reason: `${column}: ${before} can become ${after}, and not the reverse` };
};

type TakingRule = Extract<PolicyRule, { kind: 'take' }>;

/** The value that is computed of both sides' values; `why`: it cannot be. */
export const taken = (
  { take, column }: TakingRule,
  { type, base, source, target }: Disputed,
): { readonly cell: Cell; readonly reason: string } | { readonly why: string } => {
  if (take === 'sum') return summed(column, { type, base, source, target });
  if (source === null || target === null) return { why: `${column} is NULL on one side` };
  if (isMisfit(source) || isMisfit(target)) return { why: `${column} holds what its type cannot read` };
  const order = compareCells(type, source, target);
  const cell = order >= 0 === (take === 'max') ? source : target;
  return { cell, reason: `${column}: the ${take === 'max' ? 'greater' : 'lesser'} of both` };
};

const summed = (column: string, { type, base, source, target }: Disputed): ReturnType<typeof taken> => {
  if (base === undefined) return { why: `${column} was never agreed, so what each side added is not known` };
  if (typeof base.target === 'object' && base.target !== null)
    return { why: `the agreed value of ${column} is not kept (archive: { values: needed })` };
  const [s, t, b] = [source, target, base.target].map((cell) =>
    typeof cell === 'string' ? parseDecimal(cell) : undefined,
  );
  if (!s || !t || !b) return { why: `${column} has no number on both sides and in what was agreed` };
  // What the source shows is the agreed value and its own share; the target's share comes on top.
  const scale = Math.max(s.scale, t.scale, b.scale);
  const at = (n: typeof s): bigint => n.digits * 10n ** BigInt(scale - n.scale);
  const sum = at(s) + at(t) - at(b);
  const cell = readText(type, decimalOf(sum, scale));
  if (cell === undefined) return { why: `${column}: the sum of both sides’ changes is no ${type.kind}` };
  return { cell: cell as Text, reason: `${column}: what was agreed and the changes of both sides` };
};

const decimalOf = (digits: bigint, scale: number): string => {
  const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0');
  const whole = text.slice(0, text.length - scale);
  return `${digits < 0n ? '-' : ''}${whole}${scale === 0 ? '' : `.${text.slice(-scale)}`}`;
};
