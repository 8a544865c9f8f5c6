import type { Key } from '../../model/row.ts';
import type { Partition, Segment, Selection } from '../../model/selected.ts';
import type { ColumnSql } from './columns.ts';
import { areDirect, keyCondition, orderSql, rangeSql } from './key-sql.ts';
import { tableId } from './quote.ts';
import { textPartSql } from './text-sql.ts';

/** Keys of one statement: short enough that every planner still looks each of them up. */
export const keysPerStatement = 500;

const least = -(2n ** 63n);
const greatest = 2n ** 63n - 1n;

/** Where the rows come from; the condition ends with a line, so that a comment of the user's ends there. */
const from = (selection: Selection, conditions: readonly string[]): string => {
  const all = [...(selection.filter === undefined ? [] : [`(${selection.filter}\n)`]), ...conditions];
  return `from ${tableId(selection.table)} as t${all.length === 0 ? '' : ` where ${all.join(' and ')}`}`;
};

/** Neighbouring parts of a range partition as closed ranges of keys. */
const partRanges = (p: Extract<Partition, { by: 'range' }>, parts: readonly number[]): [bigint, bigint][] => {
  const ranges: [bigint, bigint][] = [];
  for (const part of [...new Set(parts)].sort((a, b) => a - b)) {
    if (part < 0 || part >= p.count) continue;
    const lo = part === 0 ? least : p.origin + BigInt(part) * p.width;
    const hi = part === p.count - 1 ? greatest : p.origin + BigInt(part + 1) * p.width - 1n;
    const last = ranges.at(-1);
    if (last && last[1] + 1n === lo) last[1] = hi;
    else if (lo <= hi) ranges.push([lo, hi]);
  }
  return ranges;
};

export interface Query {
  readonly sql: string;
  /** The statement may deliver rows of other keys: only these (by `keyLabel`) are meant. */
  readonly only?: ReadonlySet<string>;
}

export const keyLabel = (key: Key): string => (key.length === 1 ? key[0]! : JSON.stringify(key));

/**
 * Statements that together deliver the segment's rows (of hash parts: all rows), one after the other in key order when
 * each is `ordered`; keys are given in key order, each once.
 */
export const segmentSql = (
  selection: Selection,
  columns: readonly ColumnSql[],
  segment: Segment,
  outputs: readonly string[],
  o: { readonly ordered: boolean; readonly suffix?: string },
): readonly Query[] => {
  const keys = columns.slice(0, selection.keyWidth);
  const order = o.ordered && keys.length > 0 ? ` order by ${keys.map((c) => orderSql(c)!).join(', ')}` : '';
  const statement = (...conditions: string[]): string =>
    `select ${outputs.join(', ')} ${from(selection, conditions)}${order}${o.suffix ?? ''}`;
  switch (segment.kind) {
    case 'all':
      return [{ sql: statement() }];
    case 'range': {
      const where = rangeSql(keys, segment.from, segment.to);
      return [{ sql: where === undefined ? statement() : statement(where) }];
    }
    case 'keys':
      return keysSql(keys, segment.keys, statement);
    case 'text_parts':
      return segment.parts.length === 0
        ? []
        : [{ sql: statement(`${textPartSql(keys, segment.partition)} in (${segment.parts.join(', ')})`) }];
    case 'parts': {
      const { partition: p, parts } = segment;
      if (parts.length === 0) return [];
      if (p.by === 'hash') return [{ sql: statement() }];
      return partRanges(p, parts).map(([lo, hi]) => ({
        sql: statement(`${keys[0]!.raw} between ${lo} and ${hi}`),
      }));
    }
  }
};

const keysSql = (
  columns: readonly ColumnSql[],
  keys: readonly Key[],
  statement: (...conditions: string[]) => string,
): readonly Query[] => {
  if (keys.length === 0) return [];
  if (!areDirect(columns)) return [{ sql: statement(), only: new Set(keys.map(keyLabel)) }];
  const found = keys.flatMap((key) => {
    const condition = keyCondition(columns, key);
    return condition === undefined ? [] : [{ key, condition }];
  });
  const queries: Query[] = [];
  for (let i = 0; i < found.length; i += keysPerStatement) {
    const some = found.slice(i, i + keysPerStatement);
    // each statement answers for its own keys: a looser equality may show a row in two of them
    queries.push({
      sql: statement(oneOf(some.map((f) => f.condition))),
      only: new Set(some.map((f) => keyLabel(f.key))),
    });
  }
  return queries;
};

/** `a = 1 or a = 2 …` as a list where it can be one, which is parsed and judged faster. */
const oneOf = (conditions: readonly string[]): string => {
  const parts = conditions.map((c) => /^([^(].*) = ([0-9-]+|'[0-9a-zA-Z_-]*')$/.exec(c));
  const left = parts[0]?.[1];
  return left !== undefined && parts.every((m) => m?.[1] === left)
    ? `${left} in (${parts.map((m) => m![2]).join(', ')})`
    : `(${conditions.join(' or ')})`;
};

/** `select outputs` of all rows of a selection, in any order. */
export const plainSql = (selection: Selection, outputs: string, ...conditions: readonly string[]): string =>
  `select ${outputs} ${from(selection, conditions)}`;
