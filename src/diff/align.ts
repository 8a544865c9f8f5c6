import { closest } from '../lib/suggest.ts';
import { commonType } from '../model/canon/common.ts';
import type { Concealment } from '../model/canon/concealed.ts';
import { LockstepError } from '../model/errors.ts';
import type { ColumnPair, NotCompared, Pair, Tolerance } from '../model/pair.ts';
import { type Column, type ColumnType, type Table, tableLabel } from '../model/schema.ts';
import type { TransformSettings } from '../model/transform.ts';
import type { Sides } from './context.ts';
import { chooseKey, type MatchedColumn } from './key.ts';

/** How the user wants one pair compared. Column names are the source's unless said otherwise. */
export interface PairOptions {
  /** Key columns; a mapped one may be given as `[source, target]`. Absent: a key that both sides have. */
  readonly key?: readonly (string | readonly [string, string])[];
  /** Only these columns (and the key). Absent: all. */
  readonly columns?: readonly string[];
  /** Columns of either side to leave out. */
  readonly exclude?: readonly string[];
  /** Source column -> target column, where the names differ. */
  readonly map?: Readonly<Record<string, string>>;
  readonly filter?: { readonly source?: string; readonly target?: string };
  /** Only this share of the keys, 0 < share <= 1; see `model/sample.ts`. */
  readonly sample?: number;
  readonly tolerances?: Readonly<Record<string, Tolerance>>;
  /** Source columns whose values are neither shown nor kept in clear. None of them may be of the key. */
  readonly concealed?: Readonly<Record<string, Concealment>>;
  /** What a copy makes of source columns; nothing that is compared. */
  readonly types?: Readonly<Record<string, ColumnType>>;
  /** What is done with source rows before they are compared: `align` is given the table as it is afterwards. */
  readonly transform?: TransformSettings;
}

/**
 * Aligns two tables: matches columns by mapping, exact name, then unique name without regard to case; finds the type
 * each is compared as; chooses the key. What only one side has, or what has no common type, is not compared, and said.
 * Throws COLUMN_NOT_FOUND, KEY_MISSING, KEY_TYPES or USAGE.
 */
export const align = (source: Table, target: Table, options: PairOptions, names: Sides<string>): Pair => {
  const name = tableLabel(source);
  const labels = { source: `${names.source}.${name}`, target: `${names.target}.${tableLabel(target)}` };
  const map = new Map(Object.entries(options.map ?? {}));
  for (const part of options.key ?? []) if (typeof part !== 'string' && part[0] !== part[1]) map.set(part[0], part[1]);
  const keyNames = options.key?.map(
    (part) => findColumn(source, typeof part === 'string' ? part : part[0], labels.source, target).name,
  );
  const matched = matchColumns(source, target, map, labels);
  const excluded = excludedColumns(source, target, options.exclude ?? [], labels, (column) =>
    keyNames?.includes(column) ? matched.get(column)?.name : undefined,
  );
  const wanted = options.columns && new Set(options.columns.map((c) => findColumn(source, c, labels.source).name));

  const notCompared: NotCompared[] = [];
  const warnings: string[] = [];
  const columns: MatchedColumn[] = [];
  for (const column of source.columns) {
    const isKey = keyNames?.includes(column.name) === true;
    if (isKey && excluded.source.has(column.name))
      throw new LockstepError('USAGE', `${name}.${column.name} is in the key and excluded at once`, {
        hint: 'Leave one of the two out.',
      });
    if (
      excluded.source.has(column.name) ||
      (wanted && !wanted.has(column.name) && !isKey && !isPartOfAnyKey(source, column))
    )
      continue;
    const optional = wanted !== undefined && !wanted.has(column.name) && !isKey;
    const partner = matched.get(column.name);
    if (partner && excluded.target.has(partner.name)) continue;
    if (!partner) {
      if (!optional)
        notCompared.push(
          onlyIn(name, column.name, names.source, labels.target, `--exclude ${column.name}`, `--map ${column.name}=…`),
        );
      continue;
    }
    const common = commonType(column, partner);
    if (common.as === undefined) {
      if (isKey)
        throw new LockstepError(
          'KEY_TYPES',
          `key ${column.name}: ${names.source} ${column.native} and ${names.target} ${partner.native} cannot be compared: ${common.reason}`,
          {
            hint: 'Choose key columns whose types have a common form: --key …',
          },
        );
      if (!optional)
        notCompared.push({
          what: `${name}.${column.name}`,
          reason: `${column.native} and ${partner.native}: ${common.reason}`,
          fix: `Leave it out on purpose: --exclude ${column.name}`,
        });
      continue;
    }
    if (common.warning) warnings.push(`${column.name}: ${common.warning}`);
    const tolerance = ofColumn(options.tolerances, source, column, labels.source);
    const concealed = ofColumn(options.concealed, source, column, labels.source);
    columns.push({
      optional,
      pair: {
        source: column,
        target: partner,
        as: common.as,
        ...(tolerance ? { tolerance } : {}),
        ...(concealed ? { concealed } : {}),
      },
    });
  }
  if (!wanted) {
    const taken = new Set([...matched.values()].map((c) => c.name));
    for (const own of keyNames ? ownKey(target, taken) : []) taken.add(own);
    for (const column of target.columns)
      if (!taken.has(column.name) && !excluded.target.has(column.name))
        notCompared.push(
          onlyIn(name, column.name, names.target, labels.source, `--exclude ${column.name}`, `--map …=${column.name}`),
        );
  }
  for (const column of Object.keys({ ...options.tolerances, ...options.concealed }))
    findColumn(source, column, labels.source);

  const chosen = chooseKey(source, target, columns, keyNames, labels);
  warnings.push(...chosen.warnings);
  const key = chosen.key.map((column) => columns.find((c) => c.pair.source.name === column)!.pair);
  if (key.length === 0 && columns.some((c) => c.pair.tolerance))
    warnings.push('tolerances do not apply without a key: rows are compared whole');
  for (const part of key)
    if (part.tolerance)
      throw new LockstepError('USAGE', `${name}.${part.source.name} is a key column and cannot have a tolerance`, {
        hint: 'Rows are paired by their exact key. Choose another key or drop the tolerance.',
      });
  const seen = key.length === 0 ? columns.map((c) => c.pair) : key;
  for (const part of seen)
    if (part.concealed)
      throw new LockstepError('USAGE', `${name}.${part.source.name} is a key column and cannot be concealed`, {
        hint: 'Rows are found, told and written by their keys. Choose another key, or store the column plain.',
      });
  if (keyNames) warnings.push(...unguarded(target, key, labels.target));
  const rest = columns.filter((c) => !c.optional && !chosen.key.includes(c.pair.source.name)).map((c) => c.pair);
  const all: readonly ColumnPair[] = [...key, ...rest];
  if (all.length === 0)
    throw new LockstepError('COLUMN_NOT_FOUND', `${labels.source} and ${labels.target} have no column in common`, {
      hint: 'Map columns with --map source_column=target_column.',
    });
  const filter =
    options.filter && (options.filter.source ?? options.filter.target) !== undefined ? options.filter : undefined;
  return {
    name,
    source,
    target,
    columns: all,
    keyWidth: key.length,
    notCompared,
    warnings,
    ...(filter ? { filter } : {}),
  };
};

const isPartOfAnyKey = (table: Table, column: Column): boolean =>
  table.uniques.some((u) => u.total && u.columns.includes(column.name));

/** What is said of a column by its name. */
const ofColumn = <T>(
  said: Readonly<Record<string, T>> | undefined,
  source: Table,
  column: Column,
  label: string,
): T | undefined => {
  for (const [name, value] of Object.entries(said ?? {}))
    if (findColumn(source, name, label).name === column.name) return value;
  return undefined;
};

/**
 * The target's own primary key, where rows are matched by another column and the database makes it: no column of the
 * source is meant by it, and it stays as it is.
 */
const ownKey = (target: Table, taken: ReadonlySet<string>): readonly string[] => {
  const primary = target.uniques.find((u) => u.primary)?.columns ?? [];
  const own = primary.map((name) => target.columns.find((c) => c.name === name));
  const isMade = (c: Column): boolean =>
    c.serial === true || c.generated !== undefined || (c.hasDefault === true && c.type.kind === 'uuid');
  return own.every((c) => c && !taken.has(c.name) && isMade(c)) ? primary : [];
};

/** What no index keeps unique may occur twice: such rows are told and never written. */
const unguarded = (target: Table, key: readonly ColumnPair[], label: string): readonly string[] => {
  const names = key.map((c) => c.target.name);
  if (target.kind === 'view' || target.uniques.some((u) => u.columns.every((c) => names.includes(c)))) return [];
  const columns = names.join(', ');
  return [
    `${label} has no unique index on ${columns}: two of its rows may carry one key, and one row may be written twice. Better: create a unique index on (${columns})`,
  ];
};

const onlyIn = (
  table: string,
  column: string,
  has: string,
  lacks: string,
  exclude: string,
  map: string,
): NotCompared => ({
  what: `${table}.${column}`,
  reason: `only ${has} has this column; ${lacks} has none of this name`,
  fix: `Leave it out on purpose: ${exclude}, or name its partner: ${map}`,
});

/** The column a user means: exact, then unique without regard to case. */
export const findColumn = (table: Table, name: string, label: string, other?: Table): Column => {
  const exact = table.columns.find((c) => c.name === name);
  if (exact) return exact;
  const loose = table.columns.filter((c) => c.name.toLowerCase() === name.toLowerCase());
  if (loose.length === 1) return loose[0]!;
  const names = table.columns.map((c) => c.name);
  const near = closest(name, names);
  const there = other?.columns.some((c) => c.name === name) ? ` (only ${tableLabel(other)} has it)` : '';
  throw new LockstepError('COLUMN_NOT_FOUND', `${label} has no column ${name}${there}`, {
    hint: near ? `Did you mean ${near}?` : `Its columns are: ${names.join(', ')}.`,
  });
};

const excludedColumns = (
  source: Table,
  target: Table,
  names: readonly string[],
  labels: Sides<string>,
  keyPartner: (column: string) => string | undefined,
): { readonly source: ReadonlySet<string>; readonly target: ReadonlySet<string> } => {
  const excluded = { source: new Set<string>(), target: new Set<string>() };
  for (const name of names) {
    const inTarget = resembling(target, name);
    const inSource = resembling(source, name);
    // Of a key that is called otherwise in the target, the name can only mean another column there.
    const partner = inSource && keyPartner(inSource.name);
    const onlyTarget = inTarget !== undefined && partner !== undefined && partner !== inTarget.name;
    if (inSource && !onlyTarget) excluded.source.add(inSource.name);
    if (inTarget) excluded.target.add(inTarget.name);
    if (!inSource && !inTarget) findColumn(source, name, labels.source);
  }
  return excluded;
};

const resembling = (table: Table, name: string): Column | undefined => {
  const exact = table.columns.find((c) => c.name === name);
  if (exact) return exact;
  const loose = table.columns.filter((c) => c.name.toLowerCase() === name.toLowerCase());
  return loose.length === 1 ? loose[0] : undefined;
};

/** Source column name -> target column, each target column at most once. */
const matchColumns = (
  source: Table,
  target: Table,
  map: ReadonlyMap<string, string>,
  labels: Sides<string>,
): ReadonlyMap<string, Column> => {
  const matched = new Map<string, Column>();
  const taken = new Set<string>();
  const take = (column: string, partner: Column): void => {
    if (taken.has(partner.name))
      throw new LockstepError('USAGE', `${labels.target}.${partner.name} is mapped to two source columns`, {
        hint: 'Map each target column once.',
      });
    matched.set(column, partner);
    taken.add(partner.name);
  };
  for (const [from, to] of map)
    take(findColumn(source, from, labels.source).name, findColumn(target, to, labels.target));
  for (const column of source.columns) {
    if (matched.has(column.name)) continue;
    const exact = target.columns.find((c) => c.name === column.name && !taken.has(c.name));
    if (exact) take(column.name, exact);
  }
  for (const column of source.columns) {
    if (matched.has(column.name)) continue;
    const alike = (c: Column): boolean => c.name.toLowerCase() === column.name.toLowerCase();
    const mine = target.columns.filter((c) => !taken.has(c.name) && alike(c));
    const rivals = source.columns.filter((c) => !matched.has(c.name) && alike(c));
    if (mine.length === 1 && rivals.length === 1) take(column.name, mine[0]!);
  }
  return matched;
};
