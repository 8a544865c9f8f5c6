import type { Clock } from '../../lib/clock.ts';
import { closest } from '../../lib/suggest.ts';
import type { Cancel } from '../../model/cancel.ts';
import { canonical } from '../../model/canon/canonical.ts';
import { fit } from '../../model/canon/fit.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import type { Conflict, ConflictFilter, Decision, Resolution } from '../../model/conflicts.ts';
import { LockstepError } from '../../model/errors.ts';
import type { JsonValue } from '../../model/json.ts';
import type { Pair } from '../../model/pair.ts';
import type { Cell } from '../../model/row.ts';
import type { Column, ColumnType } from '../../model/schema.ts';
import type { Store } from '../../model/store.ts';
import type { BaseCell } from '../../model/two-way.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';
import { audited } from '../audited.ts';
import { replacing } from './replace-decision.ts';
import { turned } from './turned.ts';

const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

/** Who chose, and why. */
export interface Chooser {
  readonly actor: string;
  readonly correlation: string;
  readonly why: string | null;
}

interface Work extends Cancel {
  readonly store: Store;
  readonly clock: Clock;
}

/** A conflict by its id; NOT_FOUND. */
export const findConflict = async (store: Pick<Store, 'conflicts'>, id: string, o: Cancel): Promise<Conflict> => {
  const found = await store.conflicts.get(id, o);
  if (found !== undefined) return found;
  throw new LockstepError('NOT_FOUND', `There is no conflict ${id}.`, { hint: 'List them: lockstep conflicts list' });
};

const place = (pair: Pair, name: string): number => {
  for (const side of ['source', 'target'] as const) {
    const at = pair.columns.findIndex((c) => c[side].name === name);
    if (at >= 0) return at;
  }
  const near = pair.columns.flatMap((c, i) => (c.source.name.toLowerCase() === name.toLowerCase() ? [i] : []));
  if (near.length === 1) return near[0]!;
  const names = pair.columns.slice(pair.keyWidth).map((c) => c.source.name);
  const meant = closest(name, names);
  throw new LockstepError('COLUMN_NOT_FOUND', `${pair.name} compares no column ${name}`, {
    hint: meant === undefined ? `Its columns: ${names.join(', ')}.` : `Did you mean ${meant}?`,
  });
};

/**
 * Values given by hand, as the cells that they are; each must be one that both sides can hold. By source column.
 * Throws USAGE or COLUMN_NOT_FOUND.
 */
export const cellsByHand = (
  pair: Pair,
  writes: Writes,
  given: Readonly<Record<string, string | null>>,
): Readonly<Record<string, Cell>> => {
  const back = turned(pair);
  const cells: Record<string, Cell> = {};
  for (const [name, text] of Object.entries(given)) {
    const at = place(pair, name);
    const { as, source, target } = pair.columns[at]!;
    if (at < pair.keyWidth) {
      throw usage(`${source.name} is in the key of ${pair.name}`, 'A key stays as it is: it says which row is meant.');
    }
    const cell = text === null ? null : canonical(as, text);
    if (cell !== null && isMisfit(cell)) {
      throw usage(`${source.name}: ${text} cannot be read as ${as.kind}`, 'Give a value that both sides can hold.');
    }
    const check = (side: TwoWaySide, column: Column, from: ColumnType, value: Cell): void => {
      if (!writes[side]) return;
      const fitted = fit(value, from, column);
      if (!fitted.ok) {
        throw usage(`${column.name} of the ${side}: ${fitted.reason}`, 'Give a value that both sides can hold.');
      }
    };
    check('target', target, as, cell);
    const written = back.columns.indexOf(at);
    if (written < 0) {
      // It follows from what is stored: only the target's can be set, where the source is not written.
      if (writes.source) throw usage(`${source.name} is made by a transformation`, 'Set the columns it is made of.');
    } else {
      const rewrite = back.pair.rewrites?.[written];
      if (rewrite === undefined) check('source', back.pair.columns[written]!.target, as, cell);
      else if (writes.source) told(source.name, () => rewrite.back(cell));
    }
    cells[source.name] = cell;
  }
  return cells;
};

const told = (column: string, work: () => unknown): void => {
  try {
    work();
  } catch (error) {
    throw usage(
      `${column}: ${error instanceof Error ? error.message : String(error)}`,
      'Give a value that both sides can hold.',
    );
  }
};

const isKept = (cell: BaseCell): cell is Cell => cell === null || typeof cell === 'string';

/** The row that a choice makes, in the conflict's columns; null: none. Throws USAGE where it cannot be made. */
export const chosenRow = (conflict: Conflict, choice: Resolution): readonly Cell[] | null => {
  if (choice.take === 'base') {
    const { base } = conflict;
    if (base === null && conflict.type !== 'insert_insert') {
      throw usage(`Of ${conflict.id} it is not recorded what was agreed`, 'Take a side.');
    }
    if (base === null || base.every(isKept)) return base as readonly Cell[] | null;
    throw usage(
      `Of ${conflict.id} the last agreed values are not kept, so they cannot be taken`,
      'Take a side, or give values: --take source --set COLUMN=VALUE.',
    );
  }
  const row = conflict[choice.take];
  if (!('cells' in choice)) return row;
  if (row === null) {
    const other = choice.take === 'source' ? 'target' : 'source';
    throw usage(
      `The ${choice.take} has no such row, so no value of it can be set`,
      `Take the ${other}’s row, with these values.`,
    );
  }
  return row.map((cell, i) => {
    const { column } = conflict.columns[i]!;
    return Object.hasOwn(choice.cells, column) ? (choice.cells[column] as Cell) : cell;
  });
};

type Writes = Readonly<Record<TwoWaySide, boolean>>;

/** A one-way sync inserts what its target lacks: a choice that it stays away would be undone by the next run. */
const comesBack = (conflict: Conflict, choice: Resolution, writes: Writes): boolean =>
  !writes.source && conflict.source !== null && chosenRow(conflict, choice) === null;

/** What the audit says of a choice: which values were given by hand is in the conflict. */
const choiceOf = (choice: Resolution, why: string | null): Readonly<Record<string, JsonValue>> => ({
  take: choice.take,
  ...('cells' in choice ? { columns: Object.keys(choice.cells) } : {}),
  why,
});

/** One row by its id is meant, and many are held to the guards before: neither is counted by them again. */
const decision = (o: Work, choice: Resolution, { actor, why }: Chooser): Decision => ({
  ...choice,
  allowed: true,
  by: actor,
  at: o.clock.now(),
  why,
});

/**
 * One conflict, as it was seen. Nothing is written to a database by this. `replace`: also in place of a choice that is
 * not written yet.
 */
export const resolveConflict = async (
  o: Work & { readonly writes: Writes; readonly replace?: boolean },
  conflict: Conflict,
  choice: Resolution,
  by: Chooser,
): Promise<Conflict> => {
  if (comesBack(conflict, choice, o.writes)) {
    throw usage(
      `${conflict.sync} writes one way, and inserts what the target lacks: the next run would bring this row back`,
      'Take the source’s row, delete it in the source, or leave such rows out by `where` of the pair.',
    );
  }
  const { actor, correlation } = by;
  const before = o.replace === true && conflict.state === 'decided' ? conflict.resolution : null;
  const what = {
    actor,
    correlation,
    action: 'conflict.resolve',
    object: `conflicts/${conflict.id}`,
    after: {
      sync: conflict.sync,
      pair: conflict.pair,
      ...choiceOf(choice, by.why),
      ...(before === null ? {} : { replaces: { ...choiceOf(before, before.why), by: before.by } }),
    },
  };
  const as = { signal: o.signal, version: conflict.version, replace: before !== null };
  const decide = () => o.store.conflicts.decide(conflict.id, decision(o, choice, by), as);
  return audited(o.store.audit, what, o, () => (before === null ? decide() : replacing(o, conflict, decide)));
};

/** What a choice for many would do. */
export interface BulkPreview {
  readonly conflicts: readonly Conflict[];
  /** Meant, and not to be resolved so: the values are not kept, or a one-way sync would bring the row back. */
  readonly impossible: readonly Conflict[];
}

/** More at once are for another policy. */
export const mostAtOnce = 10_000;
const page = 500;

/** The pending conflicts that a filter means. Throws USAGE beyond `mostAtOnce`. */
export const pendingOf = async (
  store: Pick<Store, 'conflicts'>,
  filter: ConflictFilter,
  choice: Resolution,
  o: Cancel & { readonly writes: Writes },
): Promise<BulkPreview> => {
  const wanted: ConflictFilter = { ...filter, states: ['pending'] };
  const all = await store.conflicts.count(wanted, o);
  if (all > mostAtOnce) {
    throw usage(
      `${all} conflicts are meant, and at most ${mostAtOnce} can be resolved at once`,
      'Narrow them by pair, type or column; or let a policy settle them (see lockstep conflicts replay).',
    );
  }
  const conflicts: Conflict[] = [];
  const impossible: Conflict[] = [];
  for (let before: string | undefined; ; ) {
    const some = await store.conflicts.list({ ...wanted, limit: page, ...(before === undefined ? {} : { before }) }, o);
    for (const c of some) {
      const lost = choice.take === 'base' && !(c.base?.every(isKept) ?? c.type === 'insert_insert');
      (lost || comesBack(c, choice, o.writes) ? impossible : conflicts).push(c);
    }
    before = some.at(-1)?.id;
    if (some.length < page) break;
  }
  return { conflicts, impossible };
};

/** Many conflicts of one sync, each as it was seen; those that another has chosen for meanwhile are left. */
export const resolveConflicts = (
  o: Work,
  sync: string,
  conflicts: readonly Conflict[],
  choice: Resolution,
  by: Chooser & { readonly filter: Readonly<Record<string, JsonValue>> },
): Promise<readonly Conflict[]> => {
  const { actor, correlation } = by;
  const after = { filter: by.filter, conflicts: conflicts.length, ...choiceOf(choice, by.why) };
  return audited(
    o.store.audit,
    { actor, correlation, action: 'conflict.resolve', object: `syncs/${sync}`, after },
    o,
    () => o.store.conflicts.decideEach(conflicts, decision(o, choice, by), o),
    (done) => ({ ...after, conflicts: done.length, ids: done.slice(0, 1000).map((c) => c.id) }),
  );
};
