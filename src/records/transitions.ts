import { readText } from '../model/canon/canonical.ts';
import type { Cell, Text } from '../model/row.ts';
import type { RowCondition } from '../model/rows.ts';
import type { Entity } from './entity.ts';
import type { Written } from './validate.ts';

/** The configured values of a column that may follow, as its cells; by the cell before. */
const follow = (entity: Entity, column: string): ReadonlyMap<string, readonly string[]> => {
  const { type } = entity.fields.get(column)!.column;
  const cell = (text: string): string => readText(type, text) ?? text;
  const rules = entity.config.transitions[column]!;
  return new Map(Object.entries(rules).map(([from, to]) => [cell(from), to.map(cell)]));
};

/** A value may stay, or follow one that allows it: what the row must hold for these cells to be written. */
export const allowedBefore = (entity: Entity, { columns, cells }: Written): readonly RowCondition[] =>
  columns.flatMap((column, i): RowCondition[] => {
    if (!Object.hasOwn(entity.config.transitions, column)) return [];
    const to = cells[i]!;
    if (to === null) return [{ column, op: 'null', is: true }];
    const from = [...follow(entity, column)].filter(([, next]) => next.includes(to)).map(([value]) => value);
    return [{ column, op: 'in', values: [...new Set([to, ...from])] as Text[] }];
  });

/** What may follow the value that a row has now. */
export const allowedAfter = (entity: Entity, column: string, now: Cell): readonly string[] =>
  now === null ? [] : (follow(entity, column).get(now) ?? []);
