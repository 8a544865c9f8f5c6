import { closest } from '../lib/suggest.ts';
import { LockstepError } from '../model/errors.ts';
import type { NotCompared } from '../model/pair.ts';
import { type Schema, type Table, tableLabel } from '../model/schema.ts';

/**
 * The table a user means by `name`: the exact qualified name, then the exact unqualified name (the default schema
 * first), then a unique match without regard to case. Throws TABLE_NOT_FOUND with candidates.
 */
export const findTable = (schema: Schema, name: string, endpoint: string): Table => {
  const found = lookup(schema.tables, schema.defaultSchema, name);
  if (found.length === 1) return found[0]!;
  const labels = schema.tables.map(tableLabel);
  if (found.length > 1) {
    throw new LockstepError('TABLE_NOT_FOUND', `${name} is not one table in ${endpoint}`, {
      side: endpoint,
      hint: `Write the full name: ${found.map(tableLabel).join(' or ')}.`,
    });
  }
  const near = closest(name, [...labels, ...schema.tables.map((t) => t.name)]);
  throw new LockstepError('TABLE_NOT_FOUND', `there is no table ${name} in ${endpoint}`, {
    side: endpoint,
    hint: near
      ? `Did you mean ${near}?`
      : labels.length === 0
        ? 'No table is visible to this user.'
        : 'Name one of these tables.',
    details: labels.slice(0, 30).concat(labels.length > 30 ? [`… and ${labels.length - 30} more`] : []),
  });
};

/** All tables that the first rule with a match finds. */
const lookup = (tables: readonly Table[], defaultSchema: string | undefined, name: string): readonly Table[] => {
  const lower = name.toLowerCase();
  const preferDefault = (found: readonly Table[]): readonly Table[] => {
    const preferred = found.filter((t) => t.schema === defaultSchema);
    return preferred.length > 0 ? preferred : found;
  };
  const rules: readonly (() => readonly Table[])[] = [
    () => tables.filter((t) => tableLabel(t) === name),
    () => preferDefault(tables.filter((t) => t.name === name)),
    () => tables.filter((t) => tableLabel(t).toLowerCase() === lower),
    () => preferDefault(tables.filter((t) => t.name.toLowerCase() === lower)),
  ];
  for (const rule of rules) {
    const found = rule();
    if (found.length > 0) return found;
  }
  return [];
};

/** What pairing whole databases found. */
export interface PairedTables {
  readonly pairs: readonly { readonly source: Table; readonly target: Table }[];
  readonly notCompared: readonly NotCompared[];
}

/**
 * Pairs all tables of two databases by the rules of `findTable`, each target table once: exact names are served
 * before looser ones. Tables without a partner, or with several, are not compared. Views are paired by name only.
 */
export const pairAllTables = (
  source: Schema,
  target: Schema,
  names: { source: string; target: string },
): PairedTables => {
  const free = new Set(target.tables.filter((t) => t.kind !== 'view'));
  const open = new Set(source.tables.filter((t) => t.kind !== 'view'));
  const partners = new Map<Table, Table>();
  const unclear = new Map<Table, readonly Table[]>();
  const rules: readonly ((s: Table, t: Table) => boolean)[] = [
    (s, t) => tableLabel(s) === tableLabel(t),
    (s, t) => s.name === t.name && isDefault(s, source) && isDefault(t, target),
    (s, t) => s.name === t.name,
    (s, t) => tableLabel(s).toLowerCase() === tableLabel(t).toLowerCase(),
    (s, t) => s.name.toLowerCase() === t.name.toLowerCase(),
  ];
  for (const rule of rules) {
    for (const s of [...open]) {
      const mine = [...free].filter((t) => rule(s, t));
      if (mine.length === 0) continue;
      const rivals = [...open].filter((other) => rule(other, mine[0]!));
      if (mine.length === 1 && rivals.length === 1) {
        partners.set(s, mine[0]!);
        free.delete(mine[0]!);
        open.delete(s);
      } else unclear.set(s, mine);
    }
  }
  const notCompared: NotCompared[] = [];
  for (const s of open) {
    const several = (unclear.get(s) ?? []).filter((t) => free.has(t));
    notCompared.push({
      what: tableLabel(s),
      reason:
        several.length > 0
          ? `several tables could be its partner: ${several.map(tableLabel).join(', ')}`
          : `${names.target} has no table of this name`,
      fix: leftOutBy(tableLabel(s), `${tableLabel(s)}=<table of ${names.target}>`),
    });
  }
  for (const t of free) {
    notCompared.push({
      what: tableLabel(t),
      reason: `only ${names.target} has this table`,
      fix: leftOutBy(tableLabel(t), `<table of ${names.source}>=${tableLabel(t)}`),
    });
  }
  const pairs = source.tables.flatMap((s) => {
    const t = partners.get(s);
    return t ? [{ source: s, target: t }] : [];
  });
  return { pairs, notCompared };
};

const leftOutBy = (label: string, pair: string): string =>
  `Leave it out on purpose with --exclude-table ${label} (exclude_tables in a config), or name its partner: ${pair}.`;

const isDefault = (table: Table, schema: Schema): boolean => table.schema === schema.defaultSchema;
