import { findTable, pairAllTables } from '../diff/find-table.ts';
import { closest } from '../lib/suggest.ts';
import { LockstepError } from '../model/errors.ts';
import type { NotCompared, Pair } from '../model/pair.ts';
import { type Schema, type Table, tableLabel } from '../model/schema.ts';

/** What a comparison leaves out: on purpose, or so that it has to be told. */

interface Names {
  readonly source: string;
  readonly target: string;
}

/** The excluded tables of both sides. A name that neither side knows is an error: it would exclude nothing. */
export const excludedTables = (
  source: Schema,
  target: Schema,
  excluded: readonly string[],
  names: Names,
): ReadonlySet<Table> => {
  const gone = new Set<Table>();
  for (const name of excluded) {
    const found = [source, target].flatMap((schema, i) => {
      try {
        return [findTable(schema, name, i === 0 ? names.source : names.target)];
      } catch (error) {
        if (error instanceof LockstepError && error.code === 'TABLE_NOT_FOUND') return [];
        throw error;
      }
    });
    if (found.length === 0) throw noSuchTable(source, target, name, names);
    for (const table of found) gone.add(table);
  }
  return gone;
};

const noSuchTable = (source: Schema, target: Schema, name: string, names: Names): LockstepError => {
  const labels = [...new Set([source, target].flatMap((schema) => schema.tables.map(tableLabel)))];
  const near = closest(name, labels);
  return new LockstepError(
    'TABLE_NOT_FOUND',
    `there is no table ${name} to leave out, in ${names.source} or ${names.target}`,
    {
      hint: near === undefined ? 'Name one of these tables.' : `Did you mean ${near}?`,
      details: near === undefined ? labels.slice(0, 30) : [],
    },
  );
};

export const without = (schema: Schema, gone: ReadonlySet<Table>): Schema => ({
  ...schema,
  tables: schema.tables.filter((table) => !gone.has(table)),
});

/** Tables of either side that are not `known`: those without a partner, and those that no pair names. */
export const otherTables = (
  source: Schema,
  target: Schema,
  known: ReadonlySet<Table>,
  names: Names,
): readonly NotCompared[] => {
  const found = pairAllTables(without(source, known), without(target, known), names);
  return [
    ...found.pairs.map((p) => ({
      what: tableLabel(p.source),
      reason: 'both sides have it, and it is in no pair',
      fix: `Add it to the pairs of the sync, or leave it out on purpose: exclude_tables: [${tableLabel(p.source)}].`,
    })),
    ...found.notCompared,
  ];
};

/** Tables that inherit from a compared one and are not compared themselves: whoever asks the other sees their rows in it. */
export const uncoveredHeirs = (pairs: readonly Pair[]): readonly NotCompared[] => {
  const missing = new Map<string, NotCompared>();
  for (const side of ['source', 'target'] as const) {
    const compared = new Set(pairs.map((p) => tableLabel(p[side])));
    for (const pair of pairs) {
      for (const heir of pair[side].descendants ?? []) {
        const what = tableLabel(heir);
        if (compared.has(what)) continue;
        const reason = `it inherits from ${tableLabel(pair[side])}, of which only its own rows are compared`;
        missing.set(what, { what, reason, fix: `Compare ${what} as a table of its own.` });
      }
    }
  }
  return [...missing.values()];
};
