import { count, grouped } from '../lib/grouped.ts';
import type { ChangeOp } from '../model/change.ts';
import { LockstepError } from '../model/errors.ts';

/** Limits that stop a whole apply before its first write. */
export interface Guards {
  /** Most changes of one apply. */
  readonly maxChanges: number;
  /**
   * Most changes as a share of the rows that either side has, 0..1; looked at above 100 changes. 1 therefore allows any
   * plan: no row is changed twice. Null: no such limit.
   */
  readonly maxChangeRatio: number | null;
  readonly maxDeletes: number;
  /** `stop`: a source table without rows stops the apply where rows of the target would be deleted. `keep`: go on, still deleting nothing there. */
  readonly emptySource: 'stop' | 'keep';
}

export const defaultGuards: Guards = { maxChanges: 500, maxChangeRatio: 0.01, maxDeletes: 0, emptySource: 'stop' };

/** The ratio is not looked at up to this many changes. */
const ratioFrom = 100;

/** What one pair would change. */
export interface PairPlanned {
  readonly pair: string;
  readonly target: string;
  readonly counts: Readonly<Record<ChangeOp, number>>;
  /** Of these, what people had allowed when they decided it: no limit counts it. */
  readonly allowed?: Readonly<Record<ChangeOp, number>>;
  readonly rows: { readonly source: number; readonly target: number };
  /** How often each column is written by updates. */
  readonly columns: Readonly<Record<string, number>>;
  /** Rows of the target that the empty source would have deleted. */
  readonly emptySourceDeletes: number;
}

export interface Violation {
  readonly guard: 'max_changes' | 'max_change_ratio' | 'max_deletes' | 'empty_source';
  readonly message: string;
  /** The flag of `plan` and `sync` that would allow it. */
  readonly flag: string;
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;

const sum = (pairs: readonly PairPlanned[], of: (p: PairPlanned) => number): number =>
  pairs.reduce((total, pair) => total + of(pair), 0);

/** What the limits are about. */
const counted = ({ counts, allowed }: PairPlanned, op: ChangeOp): number =>
  Math.max(0, counts[op] - (allowed?.[op] ?? 0));

const total = (p: PairPlanned): number => counted(p, 'insert') + counted(p, 'update') + counted(p, 'delete');

const words = {
  insert: ['an insert', 'inserts', 'into'],
  update: ['an update', 'updates', 'of'],
  delete: ['a delete', 'deletes', 'from'],
} as const;

/** What most of the changes (or only the deletes) are, e.g. `912 of 1,000 changes are updates of public.orders, 900 of them of column status`. */
const topCause = (
  pairs: readonly PairPlanned[],
  ops: readonly ChangeOp[] = ['insert', 'update', 'delete'],
): string | undefined => {
  const kinds = pairs.flatMap((pair) => ops.map((op) => ({ pair, op, n: counted(pair, op) })));
  const top = kinds.toSorted((a, b) => b.n - a.n)[0];
  if (top === undefined || top.n === 0) return undefined;
  const of = count(
    kinds.reduce((n, kind) => n + kind.n, 0),
    ops.length === 1 ? ops[0]! : 'change',
  );
  const [one, many, joined] = words[top.op];
  const what = ops.length === 1 ? joined : `${top.n === 1 ? one : many} ${joined}`;
  const cause = `${grouped(top.n)} of ${of} ${top.n === 1 ? 'is' : 'are'} ${what} ${top.pair.target}`;
  if (top.op !== 'update') return cause;
  const column = Object.entries(top.pair.columns).toSorted((a, b) => b[1] - a[1])[0];
  return column === undefined ? cause : `${cause}, ${grouped(column[1])} of them of column ${column[0]}`;
};

/** Every guard that this plan breaks. */
export const checkGuards = (pairs: readonly PairPlanned[], guards: Guards): readonly Violation[] => {
  const found: Violation[] = [];
  if (guards.emptySource === 'stop') {
    for (const pair of pairs.filter((p) => p.emptySourceDeletes > (p.allowed?.delete ?? 0))) {
      found.push({
        guard: 'empty_source',
        message: `the source of ${pair.pair} has no rows, and ${count(pair.emptySourceDeletes, 'row')} of ${pair.target} would have to go`,
        flag: '--empty-source keep',
      });
    }
  }
  const changes = sum(pairs, total);
  const deletes = sum(pairs, (p) => counted(p, 'delete'));
  if (changes > guards.maxChanges) {
    found.push({
      guard: 'max_changes',
      message: `${count(changes, 'change')} planned, max_changes is ${grouped(guards.maxChanges)}`,
      flag: `--max-changes ${changes}`,
    });
  }
  const rows = sum(pairs, (p) => Math.max(p.rows.source, p.rows.target + p.counts.insert));
  if (guards.maxChangeRatio !== null && changes > ratioFrom && changes > rows * guards.maxChangeRatio) {
    found.push({
      guard: 'max_change_ratio',
      message: `${count(changes, 'change')} planned are ${percent(changes / Math.max(rows, 1))} of ${count(rows, 'row')}, max_change_ratio is ${percent(guards.maxChangeRatio)}`,
      flag: `--max-changes ${changes}`,
    });
  }
  if (deletes > guards.maxDeletes) {
    found.push({
      guard: 'max_deletes',
      message: `${count(deletes, 'delete')} planned, max_deletes is ${grouped(guards.maxDeletes)}`,
      flag: `--allow-deletes ${deletes}`,
    });
  }
  return found;
};

/** What most of each broken limit comes from: deletes of the deletes, anything of the changes. */
const causes = (pairs: readonly PairPlanned[], violations: readonly Violation[]): readonly string[] => {
  const broken = new Set(violations.map((v) => v.guard));
  const found = [
    broken.has('max_changes') || broken.has('max_change_ratio') ? topCause(pairs) : undefined,
    broken.has('max_deletes') ? topCause(pairs, ['delete']) : undefined,
  ];
  return found.flatMap((cause) => (cause === undefined ? [] : [`${cause}.`]));
};

/**
 * The error that stops an apply; undefined when nothing is broken. `allow` says how to go on with the flags that would
 * allow it, in the words of the command at hand.
 */
export const guardError = (
  pairs: readonly PairPlanned[],
  guards: Guards,
  allow: (flags: string) => string,
): LockstepError | undefined => {
  const violations = checkGuards(pairs, guards);
  const first = violations[0];
  if (first === undefined) return undefined;
  const flags = [...new Set(violations.map((v) => v.flag))].join(' ');
  const kept = violations.some((v) => v.guard === 'empty_source')
    ? ' (--empty-source keep goes on and deletes nothing in that table)'
    : '';
  // A limit of changes in the configuration leaves that of their share as it is.
  const ratio = violations.some((v) => v.guard === 'max_change_ratio')
    ? ' (in every run: guards.max_change_ratio of the sync)'
    : '';
  return new LockstepError(
    first.guard === 'empty_source' ? 'EMPTY_SOURCE' : 'GUARD',
    `Nothing was written: ${violations.map((v) => v.message).join('; ')}.`,
    {
      hint: `Look at the differences first. If they are right, ${allow(flags)}${ratio}${kept}`,
      details: causes(pairs, violations),
    },
  );
};
