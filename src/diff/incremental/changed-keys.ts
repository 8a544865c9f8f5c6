import { timestampText } from '../../model/canon/timestamp.ts';
import type { Reader, Selection, Unable } from '../../model/endpoint.ts';
import type { Standing } from '../../model/incremental.ts';
import { compareKeys } from '../../model/order.ts';
import type { Key, Text } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';
import type { Side, Work } from '../context.ts';
import type { Method } from './methods.ts';
import { keyName } from './open-keys.ts';
import { boundOf, markOf, type Overlap } from './watermark.ts';

/** Changed keys of one side up to this many are looked up; beyond, all rows are compared. */
export const mostChanged = 200_000;

/** The key alone, without the filter: a row that has left the filter was written, too. */
export const keySelection = (work: Work, side: Side): Selection => {
  const { filter: _, columns, ...rest } = work.selections[side];
  return { ...rest, columns: columns.slice(0, rest.keyWidth) };
};

/** The keys that a side shows as written since the mark; a reason when it cannot, or when they are too many. */
export const changedSince = async (
  work: Work,
  side: Side,
  reader: Reader,
  method: Exclude<Method, { kind: 'none' }>,
  mark: string,
  overlap: Overlap,
): Promise<readonly Key[] | Unable> => {
  const { signal } = work;
  const selection = keySelection(work, side);
  const name = work.endpoints[side].name;
  let batches: AsyncIterable<readonly Key[]>;
  if (method.kind === 'version') {
    const found = await reader.changes!.version!.since(selection, mark, { signal });
    if ('unable' in found) return { unable: `${name}: ${found.unable}` };
    batches = found;
  } else {
    const from = boundOf(method.column.as, mark as Text, overlap);
    if (from === undefined) return { unable: `${name}: ${method.name} was ${mark}, which is not counted back from` };
    batches = reader.changes!.columns!.since(selection, method.column, from, { signal });
  }
  const keys: Key[] = [];
  for await (const batch of batches) {
    for (const key of batch) keys.push(key);
    if (keys.length > mostChanged) return { unable: `more than ${mostChanged} rows of ${name} have changed` };
    work.onProgress?.({ pair: work.pair.name, phase: 'probe', rows: keys.length });
  }
  return keys;
};

/**
 * What stands for this snapshot; null: there is nothing to go by. A column whose values are all gone stands where it
 * stood.
 */
export const markNow = async (
  work: Work,
  side: Side,
  reader: Reader,
  method: Exclude<Method, { kind: 'none' }>,
  earlier: Standing | undefined,
): Promise<string | null | Unable> => {
  const { signal } = work;
  const { table } = work.selections[side];
  if (method.kind === 'version') return reader.changes!.version!.mark(table, { signal });
  const before = earlier?.marks[side] as Text | null | undefined;
  const { value, now } = await reader.changes!.columns!.latest(table, method.column, {
    signal,
    ...(before == null ? {} : { from: before }),
  });
  // Where the database does not tell the time, ours will do.
  const present = now ?? (timestampText(new Date(work.clock.now()).toISOString()) as Text);
  return markOf(method.column.as, value, present) ?? before ?? null;
};

/** All of them, ascending, each once. */
export const union = (types: readonly ColumnType[], lists: readonly (readonly Key[])[]): readonly Key[] => {
  const all = new Map<string, Key>();
  for (const list of lists) for (const key of list) all.set(keyName(key), key);
  return [...all.values()].sort((a, b) => compareKeys(types, a, b));
};
