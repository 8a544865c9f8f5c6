import { LockstepError } from '../model/errors.ts';
import type { ColumnPair, Pair } from '../model/pair.ts';
import type { Key } from '../model/row.ts';
import type { Table } from '../model/schema.ts';
import type { Side, Sides } from './context.ts';

/** A column that both sides have. `optional`: only wanted if it is part of the key. */
export interface MatchedColumn {
  readonly pair: ColumnPair;
  readonly optional: boolean;
}

/** Key columns by their source names; none: the rows are compared as a multiset. */
export interface ChosenKey {
  readonly key: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * The key given by the user; else a primary or total unique key of the source whose columns are one on the target too;
 * else none. Throws KEY_MISSING when a column of the given key has no partner.
 */
export const chooseKey = (
  source: Table,
  target: Table,
  columns: readonly MatchedColumn[],
  given: readonly string[] | undefined,
  labels: Sides<string>,
): ChosenKey => {
  const partner = new Map(columns.map((c) => [c.pair.source.name, c.pair.target.name]));
  if (given && given.length > 0) {
    for (const name of given)
      if (!partner.has(name))
        throw new LockstepError(
          'KEY_MISSING',
          `key column ${name} of ${labels.source} has no partner in ${labels.target}`,
          {
            hint: `Name it: --map ${name}=<column of ${labels.target}>.`,
          },
        );
    return { key: [...new Set(given)], warnings: [] };
  }
  const candidates = source.uniques.filter(
    (u) => u.total && u.columns.length > 0 && u.columns.every((c) => partner.has(c)),
  );
  const onBoth = candidates.filter((u) => {
    const there = u.columns.map((c) => partner.get(c)!);
    return target.uniques.some(
      (v) => v.total && v.columns.length === there.length && there.every((c) => v.columns.includes(c)),
    );
  });
  const best = onBoth.find((u) => u.primary) ?? onBoth[0];
  if (best) return { key: best.columns, warnings: [] };
  const hint = candidates[0] ?? mirrored(target, columns);
  const advice = hint ? `; to pair them: --key ${hint.columns.join(',')}` : '; to pair them, name a key: --key …';
  return {
    key: [],
    warnings: [
      `${labels.source} and ${labels.target} have no primary or unique NOT NULL key in common: rows are compared as a multiset, changed rows show as one missing and one added${advice}`,
    ],
  };
};

const mirrored = (
  target: Table,
  columns: readonly MatchedColumn[],
): { readonly columns: readonly string[] } | undefined => {
  const back = new Map(columns.map((c) => [c.pair.target.name, c.pair.source.name]));
  const unique = target.uniques.find((u) => u.total && u.columns.every((c) => back.has(c)));
  return unique && { columns: unique.columns.map((c) => back.get(c)!) };
};

/**
 * Does each side guarantee that keys are unique and not null as they are compared? A unique index guarantees it for
 * the stored values; a rendering as another kind of type may map two of them to one.
 */
export const keyIsGuaranteed = (pair: Pair): boolean =>
  pair.keyWidth > 0 &&
  (['source', 'target'] as const).every((side) => {
    const key = pair.columns.slice(0, pair.keyWidth);
    const names = key.map((c) => c[side].name);
    return (
      key.every((c) => rendersOneToOne(c, side)) &&
      pair[side].uniques.some((u) => u.total && u.columns.every((c) => names.includes(c)))
    );
  });

const rendersOneToOne = (column: ColumnPair, side: 'source' | 'target'): boolean => {
  const { type, loose } = column[side];
  const { as } = column;
  if (type.kind === 'text' && as.kind === 'text') {
    // SQLite keeps the blanks at the end of a CHAR, and tells keys apart by them
    if (loose && (type.padded || as.padded)) return false;
    return !as.padded || type.padded === true;
  }
  if (type.kind === 'int') return as.kind === 'int' || as.kind === 'decimal' || as.kind === 'text';
  return type.kind === as.kind && !loose && type.kind !== 'float' && type.kind !== 'json';
};

/** May a key hold NULL on either side, where nothing forbids it? Such rows cannot be paired, and packed integer keys cannot carry them. */
export const keyMayBeNull = (pair: Pair): boolean =>
  !keyIsGuaranteed(pair) && pair.columns.slice(0, pair.keyWidth).some((c) => c.source.nullable || c.target.nullable);

/** A key of a pair for people: `id=17`. `side`: whose names its columns have. */
export const namedKey = (pair: Pair, key: Key, side: Side = 'source'): string =>
  key.map((cell, i) => `${pair.columns[i]![side].name}=${cell ?? 'NULL'}`).join(', ');

/**
 * How rows are read again between keys that may hold a NULL: rows of such keys, which were counted when they were met
 * first, have no place in the order, and are passed over.
 */
export const passingNullKeys = (pair: Pair): { readonly onNullKey?: () => void } =>
  keyMayBeNull(pair) ? { onNullKey: () => {} } : {};
