import type { Cancel } from '../../model/cancel.ts';
import type { NewConflict } from '../../model/conflicts.ts';
import type { Pair } from '../../model/pair.ts';
import type { Progress } from '../../model/report.ts';
import type { Store } from '../../model/store.ts';
import type { ConflictType } from '../../model/two-way.ts';
import type { OpenTwoWayRun, WrittenRow } from '../../model/two-way-runs.ts';
import { bothSides } from './context.ts';
import { conflictColumns } from './decide.ts';
import { type Following, followed, isDone, type Refused, takeDown } from './follow.ts';
import { seenFrom, turnedBack } from './turned.ts';

/** What became of a run's writes. */
export interface Followed {
  /** Keys whose writes got through where they were to be made. */
  readonly agreed: number;
  /** Keys that are decided again by the next run, since a side had moved or refused its row. */
  readonly left: number;
  /** Of these, rows that a database refused because of other rows: they wait in the inbox. */
  readonly refused: number;
}

/** Rows that a database refused because of other rows are conflicts; everything else is told as rejected. */
const typeOf = ({ moved, reason, sqlState }: Refused): ConflictType | undefined => {
  if (moved) return 'moved';
  if (sqlState === '23503' || /foreign key/i.test(reason)) return 'foreign_key';
  if (sqlState === '23505' || /\b(unique|duplicate)\b/i.test(reason)) return 'unique';
  return undefined;
};

/**
 * Lets the archive follow the writes of a run that has ended, however it ended, and closes what they have settled. To be
 * called once nothing of it is under way; again after an interruption is harmless.
 */
export const followArchive = async (
  o: Cancel & {
    readonly store: Pick<Store, 'journal' | 'plans' | 'twoWayRuns' | 'conflicts'>;
    /** Keeps what was agreed, with the hashes of the rows as they are. */
    keep(pair: Pair, rows: readonly Following[], run: string): Promise<void>;
    /** Of a pair that has become another one since the run decided, only what overruled somebody is taken down. */
    isNew?(pair: Pair): boolean;
    readonly at: number;
    readonly onProgress?: ((progress: Progress) => void) | undefined;
  },
  run: OpenTwoWayRun,
  pairs: readonly Pair[],
): Promise<Followed> => {
  const { store } = o;
  const byName = new Map(pairs.map((p) => [p.name, p]));
  const refused = new Map<string, Refused[]>();
  for (const side of bothSides) {
    if (run.children[side] === null) continue;
    await takeDown(o, { run, side, pairs: pairs.map((pair) => seenFrom(side, pair)) }, (rows) => {
      for (const row of rows) {
        const list = refused.get(row.pair) ?? [];
        if (typeOf(row) !== undefined && list.length < mostRefused) list.push(row);
        refused.set(row.pair, list);
      }
    });
  }
  const found = { agreed: 0, left: 0, refused: 0 };
  for (const name of await store.twoWayRuns.pairs(run.run, o)) {
    const pair = byName.get(name);
    if (pair === undefined) continue;
    for await (const batch of store.twoWayRuns.rows(run.run, name, o)) {
      const rows = batch.map((row) => whole(row, pair));
      const keep: Following[] = [];
      const closed: string[] = [];
      const ruled: NewConflict[] = [];
      for (const row of rows) {
        const following = followed(row);
        const done = bothSides.every((side) => isDone(row, side));
        if (done) found.agreed++;
        else found.left++;
        const written = bothSides.some((side) => row.written[side].state === 'stored');
        // What a person chose has overwritten something on one side, whatever the other one said: that is on record.
        if ((done || written) && row.conflict !== undefined) closed.push(row.conflict);
        if (row.ruling !== undefined && (done || written)) ruled.push(ruledConflict(run, pair, row, row.ruling));
        if (following !== undefined) keep.push(following);
      }
      // First of all: what overruled somebody's edit is never without its record.
      if (ruled.length > 0) await store.conflicts.record(ruled, o.at, o);
      if (keep.length > 0 && o.isNew?.(pair) !== true) await o.keep(pair, keep, run.run);
      if (closed.length > 0) {
        await store.conflicts.close(closed, { state: 'resolved', run: run.run, at: o.at }, o);
      }
      o.onProgress?.({ pair: '', phase: 'agree', rows: found.agreed + found.left });
    }
    if (o.isNew?.(pair) === true) continue;
    found.refused += await record(o, run, pair, refused.get(name) ?? []);
  }
  await store.twoWayRuns.end(run.run, o.at, o);
  return found;
};

const ruledConflict = (
  run: OpenTwoWayRun,
  pair: Pair,
  row: WrittenRow,
  ruling: NonNullable<WrittenRow['ruling']>,
): NewConflict => ({
  sync: run.sync,
  pair: pair.name,
  run: run.run,
  key: row.key,
  type: ruling.type,
  columns: columnsOf(pair, row, ruling.columns),
  keyWidth: pair.keyWidth,
  base: ruling.base,
  source: row.source,
  target: row.target,
  state: 'ruled',
  result: row.result,
  policy: ruling.policy,
  reason: ruling.reason,
});

/** The columns of a row that was decided when the pair may have had others. */
const columnsOf = (pair: Pair, row: WrittenRow, disputed: readonly number[]): NewConflict['columns'] => {
  const columns = conflictColumns(pair, disputed);
  const width = (row.source ?? row.target)?.length ?? columns.length;
  return Array.from({ length: width }, (_, i) => {
    const name = `column ${i + 1}`;
    return columns[i] ?? { column: name, target: name, disputed: disputed.includes(i) };
  });
};

/** The source's row as it was written, with what follows from it by a transformation. */
const whole = (row: WrittenRow, pair: Pair): WrittenRow => {
  const { source } = row.written;
  if (source.state !== 'stored' || source.row === null) return row;
  return { ...row, written: { ...row.written, source: { ...source, row: turnedBack(source.row, row.result, pair) } } };
};

/** More are found again by the next run. */
const mostRefused = 10_000;

const record = async (
  o: Parameters<typeof followArchive>[0],
  run: OpenTwoWayRun,
  pair: Pair,
  refused: readonly Refused[],
): Promise<number> => {
  if (refused.length === 0) return 0;
  const byKey = new Map(refused.map((r) => [JSON.stringify(r.key), r]));
  const rows = await o.store.twoWayRuns.find(
    run.run,
    pair.name,
    [...byKey.values()].map((r) => r.key),
    o,
  );
  const conflicts = rows.map((row): NewConflict => {
    const why = byKey.get(JSON.stringify(row.key))!;
    const name = why.side === 'target' ? pair.target.name : pair.source.name;
    return {
      sync: run.sync,
      pair: pair.name,
      run: run.run,
      key: row.key,
      type: typeOf(why)!,
      columns: conflictColumns(pair, []),
      keyWidth: pair.keyWidth,
      base: null,
      source: row.source,
      target: row.target,
      state: 'pending',
      reason: why.moved
        ? `the row of ${name} had moved when it was to be written; the next run decides it again`
        : `${name} refused the row: ${why.reason}`,
    };
  });
  const decided = await chosenBefore(o, rows);
  const isChosen = (c: NewConflict): boolean => decided.has(JSON.stringify(c.key));
  // What a person chose was refused: it waits for another choice, not for a run that can do nothing else.
  for (const c of conflicts.filter(isChosen)) {
    const { source, target, reason } = c;
    await o.store.conflicts.reopen(
      decided.get(JSON.stringify(c.key))!,
      { source, target, reason, run: run.run },
      o.at,
      o,
    );
  }
  const others = conflicts.filter((c) => !isChosen(c));
  if (others.length > 0) await o.store.conflicts.record(others, o.at, o);
  return conflicts.length;
};

/** The conflicts of these rows of which a person's choice waits to be written, by key. */
const chosenBefore = async (
  o: Parameters<typeof followArchive>[0],
  rows: readonly WrittenRow[],
): Promise<ReadonlyMap<string, string>> => {
  const found = new Map<string, string>();
  for (const row of rows) {
    const conflict = row.conflict === undefined ? undefined : await o.store.conflicts.get(row.conflict, o);
    if (conflict?.state === 'decided') found.set(JSON.stringify(row.key), conflict.id);
  }
  return found;
};
