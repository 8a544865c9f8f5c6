import { isDeepStrictEqual } from 'node:util';
import type { SchemaBuilder, TableDefinition, TableDetails, TableDraft } from '../model/build.ts';
import { commonType } from '../model/canon/common.ts';
import { type Column, type Table, tableLabel } from '../model/schema.ts';

/** Something in which a table of the target is not what its source makes it. */
export interface Drift {
  readonly table: string;
  /** A full sentence. */
  readonly what: string;
  /** The statement that would mend it. */
  readonly fix: string;
  /** A column that is not there. */
  readonly missing?: true;
}

const sameNames = (a: readonly string[], b: readonly string[]): boolean => isDeepStrictEqual(a, b);
const sameSet = (a: readonly string[], b: readonly string[]): boolean => sameNames([...a].sort(), [...b].sort());

/** Is the target's column as wide as what goes into it, or just what we would have made? */
const holds = (source: Column, target: Column, wanted: TableDraft['columns'][number]): boolean => {
  if (isDeepStrictEqual(target.type, wanted.type)) return true;
  const common = commonType(source, target);
  return common.as !== undefined && isDeepStrictEqual(common.as, target.type);
};

/** Where a table's columns would not take the rows of its source. */
export const columnDrift = (
  source: Table,
  target: Table,
  definition: TableDefinition,
  draft: TableDraft,
  builder: SchemaBuilder,
): readonly Drift[] => {
  const found: Drift[] = [];
  const label = tableLabel(target);
  const add = (what: string, fix: string): void => void found.push({ table: label, what, fix });
  for (const c of definition.columns) {
    const wanted = draft.columns.find((d) => d.name === c.name)!;
    const own = source.columns.find((s) => s.name === c.name)!;
    const there = target.columns.find((x) => x.name === c.name);
    if (there === undefined) {
      const fix = builder.alter(target, c.name, draft, 'add');
      found.push({ table: label, what: `${label} has no column ${c.name}`, fix, missing: true });
      continue;
    }
    if (!holds(own, there, wanted))
      add(
        `${label}.${c.name} is ${there.native}, which does not hold every ${wanted.native}`,
        builder.alter(target, c.name, draft, 'type'),
      );
    if (c.nullable && !there.nullable)
      add(`${label}.${c.name} is not null, its source may be`, builder.alter(target, c.name, draft, 'nullable'));
  }
  for (const c of target.columns) {
    if (definition.columns.some((d) => d.name === c.name)) continue;
    if (c.nullable || c.hasDefault || c.serial || c.generated) continue;
    add(
      `${label}.${c.name} is not null, has no default, and its source has no such column`,
      builder.alter(
        target,
        c.name,
        { ...draft, columns: [{ name: c.name, sql: c.native, native: c.native, type: c.type }] },
        'nullable',
      ),
    );
  }
  return found;
};

/** Keys, indexes, defaults and positions that a table should have and has not. */
export const partDrift = (
  target: Table,
  details: TableDetails | undefined,
  definition: TableDefinition,
  draft: TableDraft,
  builder: SchemaBuilder,
): readonly Drift[] => {
  const label = tableLabel(target);
  const found: Drift[] = [];
  const statement = (part: string): string =>
    [...draft.after, ...draft.foreignKeys].find((s) => s.what === part)?.sql ?? [...draft.create].at(-1)!.sql;
  const missing = (part: string): void =>
    void found.push({ table: label, what: `${label} has no ${part}`, fix: statement(part) });
  const of = ` of ${definition.name}`;
  const { primaryKey } = definition;
  const uniques = target.uniques;
  // a table that has a primary key of its own keeps the rows apart by another key
  const holdsKey = (columns: readonly string[]): boolean =>
    uniques.some((u) => u.primary && sameNames(u.columns, columns)) ||
    (uniques.some((u) => u.primary) && uniques.some((u) => u.total && sameSet(u.columns, columns)));
  if (primaryKey && !holdsKey(primaryKey.columns)) missing(`primary key${of}`);
  for (const i of definition.indexes) {
    const there = i.unique
      ? uniques.some((u) => sameSet(u.columns, i.columns))
      : (details?.indexes ?? []).some((x) => sameNames(x.columns, i.columns)) ||
        target.indexes.some((columns) => sameNames(columns.slice(0, i.columns.length), i.columns));
    if (!there && [...draft.after].some((s) => s.what.endsWith(`${i.name}${of}`)))
      missing(`${i.unique ? 'unique key' : 'index'} ${i.name}${of}`);
  }
  for (const key of definition.foreignKeys) {
    const there = target.foreignKeys.some(
      (k) =>
        sameNames(k.columns, key.columns) &&
        k.references.name === key.references.name &&
        sameNames(k.referencedColumns, key.referencedColumns),
    );
    if (!there) missing(`foreign key ${key.name}${of}`);
  }
  if (details === undefined) return found;
  for (const other of definition.others)
    if (!details.others.some((x) => x.kind === other.kind && x.name === other.name))
      missing(`${other.kind} ${other.name}${of}`);
  for (const c of definition.columns) {
    const own = target.columns.find((x) => x.name === c.name);
    if (own?.nullable && !c.nullable && c.identity === undefined)
      found.push({
        table: label,
        what: `${label}.${c.name} may be NULL, its source may not`,
        fix: `-- make ${c.name} not null`,
      });
    if (own?.type.kind === 'enum' && c.type.kind === 'enum' && c.native && !sameNames(own.type.labels, c.type.labels))
      found.push({
        table: label,
        what: `${label}.${c.name} has the labels ${own.type.labels.join(', ')}, its source ${c.type.labels.join(', ')}`,
        fix: `-- make the labels of ${own.native} those of the source, in their order`,
      });
    const there = details.columns.get(c.name);
    if (there === undefined) continue;
    const wanted = c.default;
    if (wanted !== undefined && wanted.kind !== 'native' && !isDeepStrictEqual(there.default, wanted))
      found.push({
        table: label,
        what: `${label}.${c.name} has not the default of its source`,
        fix: builder.alter(target, c.name, draft, 'default'),
      });
    if (c.position !== undefined && there.position !== undefined && there.position < c.position)
      found.push({
        table: label,
        what: `the next ${label}.${c.name} is ${there.position}, that of its source ${c.position}`,
        fix: `-- let the counter of ${c.name} go on at ${c.position}`,
      });
  }
  return found;
};
