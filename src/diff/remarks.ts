import { grouped } from '../lib/grouped.ts';
import type { Key } from '../model/row.ts';
import { keyIsMade, rejectionOf } from '../model/transform.ts';
import type { Side, Work } from './context.ts';
import { namedKey } from './key.ts';
import { shownKeys } from './report.ts';
import { type AnyKey, asKey } from './runs.ts';
import type { Tally } from './tally.ts';

/** Keys that cannot be compared, for people. */
export interface Remarks {
  duplicate(key: AnyKey, source: number, target: number): void;
  nullKey(side: Side): (rows: number, example: Key) => void;
  list(): readonly string[];
}

/** Counts keys that cannot be compared, with examples. */
export const remarksOn = (work: Work, tally: Tally): Remarks => {
  const { pair: table, endpoints } = work;
  const duplicates: string[] = [];
  const nulls = { source: 0, target: 0 };
  const examples: { source?: string; target?: string } = {};
  const describe = (key: AnyKey): string => namedKey(table, asKey(key, table.keyWidth));
  return {
    duplicate: (key, source, target) => {
      tally.duplicateKeys++;
      tally.apart.source += source;
      tally.apart.target += target;
      work.open?.add(asKey(key, table.keyWidth), 'apart');
      if (duplicates.length >= shownKeys) return;
      const places = [
        source > 1 ? `${grouped(source)} times in ${endpoints.source.name}` : '',
        target > 1 ? `${grouped(target)} times in ${endpoints.target.name}` : '',
      ];
      duplicates.push(
        `key ${describe(key)} appears ${places.filter(Boolean).join(' and ')}; its rows are not compared`,
      );
    },
    nullKey: (side) => (rows, example) => {
      examples[side] ??= rejectionOf(example, table.columns.length)?.reasons.join('; ') ?? describe(example);
      nulls[side] += rows;
      if (side === 'source' && keyIsMade(table)) tally.unkeyed += rows;
      else tally.nullKeys += rows;
      tally.apart[side] += rows;
    },
    list: () => [
      ...duplicates,
      ...(['source', 'target'] as const)
        .filter((side) => nulls[side] > 0)
        .map(
          (side) =>
            `${grouped(nulls[side])} ${nulls[side] === 1 ? 'row' : 'rows'} in ${endpoints[side].name} with a NULL in the key (${examples[side]}) cannot be paired`,
        ),
    ],
  };
};
