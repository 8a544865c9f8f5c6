import { methodOf } from '../diff/incremental/methods.ts';
import { impossible } from '../diff/incremental/prepare.ts';
import type { Endpoint, Finding } from '../model/endpoint.ts';
import type { IncrementalRule } from '../model/incremental.ts';
import type { Pair } from '../model/pair.ts';
import { tableLabel } from '../model/schema.ts';
import { sourceOf } from '../model/transform.ts';
import type { Diagnosis } from './diagnosis.ts';

/** How each side of a pair tells its changed rows, what cannot be seen, and indexes that would help. */
export const examineIncremental = async (
  about: string,
  pair: Pair,
  rule: IncrementalRule,
  sides: { readonly source: Endpoint; readonly target: Endpoint },
  signal: AbortSignal,
): Promise<readonly Diagnosis[]> => {
  const found: Diagnosis[] = [];
  const add = (level: Finding['level'], code: string, message: string, fix?: string): void =>
    void found.push({ about, level, code, message: `${pair.name}: ${message}`, ...(fix === undefined ? {} : { fix }) });
  const names = { source: sides.source.name, target: sides.target.name };
  await using source = await sourceOf(pair, sides.source, sides.target).snapshot({ signal });
  await using target = await sides.target.snapshot({ signal });
  const readers = { source, target };
  const method = (side: 'source' | 'target') => methodOf(pair, rule, side, readers[side], sides[side].engine);
  const methods = { source: method('source'), target: method('target') };
  const never = impossible(pair, methods, names);
  if (never !== undefined) {
    add('warning', 'incremental', `all rows are compared each time: ${never}`);
    return found;
  }
  for (const side of ['source', 'target'] as const) {
    const m = methods[side];
    if (m.kind === 'none')
      add('warning', 'incremental', `rows written in ${names[side]} alone are not seen: ${m.reason}`, m.fix);
    else add('ok', 'incremental', `${names[side]} tells its changed rows by ${m.name}`);
    // An API has no indexes to make; rows that are transformed first are found by those of the table they come from.
    const makesIndexes = sides[side].rows !== undefined || sides[side].role !== undefined;
    const table = side === 'source' ? (pair.transform?.raw ?? pair.source) : pair.target;
    if (
      m.kind === 'column' &&
      makesIndexes &&
      table.indexes.length > 0 &&
      !table.indexes.some((index) => index[0] === m.name)
    )
      add(
        'advice',
        'index',
        `${names[side]} has no index on ${m.name}; finding changed rows reads the whole table`,
        `create index on ${tableLabel(table)} (${m.name});`,
      );
  }
  return found;
};
