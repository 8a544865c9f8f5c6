import { grouped } from '../../lib/grouped.ts';
import { timestampText } from '../../model/canon/timestamp.ts';
import type { Standing } from '../../model/incremental.ts';
import { compareCells, compareKeys } from '../../model/order.ts';
import type { Reader, Unable } from '../../model/reader.ts';
import type { Key, Text } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';
import type { Selection } from '../../model/selected.ts';
import type { Side, Work } from '../context.ts';
import type { Method } from './methods.ts';
import { keyName } from './open-keys.ts';
import { boundOf, markOf, type Overlap } from './watermark.ts';

/** Keys up to this many are looked up; beyond, all rows are compared. */
export const mostChanged = (work: Work): number => work.incremental?.limits?.changed ?? 200_000;

/** The key alone, without the filter: a row that has left the filter was written, too. */
export const keySelection = (work: Work, side: Side): Selection => {
  const { filter: _, columns, ...rest } = work.selections[side];
  return { ...rest, columns: columns.slice(0, rest.keyWidth) };
};

type Telling = Exclude<Method, { kind: 'none' }>;

/** What is kept of a column. */
interface ColumnMark {
  readonly value: Text;
  readonly history?: string;
}

/** Why a column's earlier value says nothing about this state, or undefined. `now`: the mark of this snapshot. */
const goneBack = (method: Telling & { kind: 'column' }, then: ColumnMark, now: string | null): string | undefined => {
  if (now === null) return undefined;
  const present = JSON.parse(now) as ColumnMark;
  if (present.history !== then.history)
    return 'it was promoted or restored since, or the table was altered or made anew';
  if (compareCells(method.column.as, present.value, then.value) >= 0) return undefined;
  return `the greatest ${method.name} was ${then.value} and is ${present.value}: rows were deleted, or an earlier state was restored`;
};

/** The keys that a side shows as written since the mark; a reason when it cannot, or when they are too many. */
export const changedSince = async (
  work: Work,
  side: Side,
  reader: Reader,
  method: Telling,
  marks: { readonly before: string; readonly now: string | null },
  overlap: Overlap,
): Promise<readonly Key[] | Unable> => {
  const { signal } = work;
  const selection = keySelection(work, side);
  const name = work.endpoints[side].name;
  let batches: AsyncIterable<readonly Key[]>;
  if (method.kind === 'version') {
    const found = await reader.changes!.version!.since(selection, marks.before, { signal });
    if ('unable' in found) return { unable: `${name}: ${found.unable}` };
    batches = found;
  } else {
    const then = JSON.parse(marks.before) as ColumnMark;
    const back = goneBack(method, then, marks.now);
    if (back !== undefined) return { unable: `${name}: ${back}` };
    const from = boundOf(method.column.as, then.value, overlap);
    if (from === undefined)
      return { unable: `${name}: ${method.name} was ${then.value}, which is not counted back from` };
    batches = reader.changes!.columns!.since(selection, method.column, from, { signal });
  }
  const keys: Key[] = [];
  const most = mostChanged(work);
  let count = 0;
  for await (const batch of batches) {
    count += batch.length;
    // Read to the end all the same: a statement that is cancelled may take the snapshot with it, which is wanted still.
    if (count <= most) for (const key of batch) keys.push(key);
    work.onProgress?.({ pair: work.pair.name, phase: 'probe', rows: count });
  }
  return count <= most ? keys : { unable: `${grouped(count)} rows of ${name} have changed` };
};

/**
 * What stands for this snapshot; null: there is nothing to go by. A column whose values are all gone stands where it
 * stood.
 */
export const markNow = async (
  work: Work,
  side: Side,
  reader: Reader,
  method: Telling,
  earlier: Standing | undefined,
): Promise<string | null | Unable> => {
  const { signal } = work;
  const { table } = work.selections[side];
  if (method.kind === 'version') return reader.changes!.version!.mark(table, { signal });
  const kept = earlier?.marks[side];
  const before = kept == null ? undefined : (JSON.parse(kept) as ColumnMark);
  const { value, now, history } = await reader.changes!.columns!.latest(table, method.column, {
    signal,
    ...(before === undefined ? {} : { from: before.value }),
  });
  // Where the database does not tell the time, ours will do.
  const present = now ?? (timestampText(new Date(work.clock.now()).toISOString()) as Text);
  const mark = markOf(method.column.as, value, present) ?? before?.value;
  return mark === undefined
    ? null
    : JSON.stringify({ value: mark, ...(history === undefined ? {} : { history }) } satisfies ColumnMark);
};

/** All of them, ascending, each once. */
export const union = (types: readonly ColumnType[], lists: readonly (readonly Key[])[]): readonly Key[] => {
  const all = new Map<string, Key>();
  for (const list of lists) for (const key of list) all.set(keyName(key), key);
  return [...all.values()].sort((a, b) => compareKeys(types, a, b));
};
