/** A comparison of one key column with one bound, as SQL. */
export type CompareColumn = (column: number, operator: '<' | '<=' | '>' | '>=') => string;

/**
 * Predicates for "from a key on" and "before a key" over `width` columns, in the one form of several that every
 * planner turns into an index range: `a >= x and (a > x or b >= y)`.
 */
const bound = (width: number, compare: CompareColumn, wide: '<=' | '>=', last: '<' | '>='): string => {
  const strict = wide === '>=' ? '>' : '<';
  const from = (i: number): string =>
    i === width - 1 ? compare(i, last) : `${compare(i, wide)} and (${compare(i, strict)} or (${from(i + 1)}))`;
  return from(0);
};

/** `key >= bound`, column by column. */
export const keyFrom = (width: number, compare: CompareColumn): string => bound(width, compare, '>=', '>=');

/** `key < bound`, column by column. */
export const keyBefore = (width: number, compare: CompareColumn): string => bound(width, compare, '<=', '<');
