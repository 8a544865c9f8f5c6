import { closest } from '../../lib/suggest.ts';
import type { IncrementalRule } from '../../model/incremental.ts';
import type { Pair } from '../../model/pair.ts';
import type { Reader } from '../../model/reader.ts';
import { type Column, type ColumnType, type Table, tableLabel } from '../../model/schema.ts';
import type { SelectedColumn } from '../../model/selected.ts';
import type { Side } from '../context.ts';
import { isWatermark } from './watermark.ts';

/** How one side tells its changed rows, or why it cannot. */
export type Method =
  | { readonly kind: 'version'; readonly name: string }
  | { readonly kind: 'column'; readonly name: string; readonly column: SelectedColumn }
  | { readonly kind: 'none'; readonly reason: string; readonly fix: string };

const versionWords = new Set(['auto', 'xmin', 'record_version']);

/** Is this word of a configuration the name of a column? */
export const isColumnWord = (word: string): boolean => !versionWords.has(word);

const columnOf = (table: Table, name: string) =>
  table.columns.find((c) => c.name === name) ?? table.columns.find((c) => c.name.toLowerCase() === name.toLowerCase());

/** The target's name of a source column: its partner's, else the same. */
const nameOn = (pair: Pair, rule: IncrementalRule, side: Side): string => {
  const word = rule.by[side];
  if (side === 'source' || !rule.sameColumn) return word;
  return pair.columns.find((c) => c.source.name === word)?.target.name ?? word;
};

const timesOf = (table: Table): string => {
  const names = table.columns.filter((c) => c.type.kind === 'timestamp' || c.type.kind === 'instant');
  return names.length === 0 ? '' : ` (${names.map((c) => c.name).join(', ')}?)`;
};

const unknown = (pair: Pair, side: Side, engine: string): Method =>
  side === 'source' && pair.transform !== undefined
    ? {
        kind: 'none',
        reason: `its rows are made with values of other tables (${pair.transform.description}), which change by themselves`,
        fix: 'All its rows are compared each time.',
      }
    : { kind: 'none', reason: `${engine} cannot tell them`, fix: 'All its rows are compared each time.' };

/** Where anything can stand in a column, it is read as what it is compared as; its texts, as the times they may be. */
const looseType = (pair: Pair, side: Side, column: Column): ColumnType => {
  const as = pair.columns.find((c) => c[side] === column)?.as ?? column.type;
  return as.kind === 'text' ? { kind: 'instant', fraction: 6 } : as;
};

export const methodOf = (
  pair: Pair,
  rule: IncrementalRule,
  side: Side,
  { changes }: Reader,
  engine: string,
): Method => {
  const table = pair[side];
  const label = tableLabel(table);
  const word = nameOn(pair, rule, side);
  if (!isColumnWord(word)) {
    if (changes?.version !== undefined) return { kind: 'version', name: changes.version.name };
    if (changes === undefined) return unknown(pair, side, engine);
    return {
      kind: 'none',
      reason: `${engine} keeps no version of its rows`,
      fix: `Name a column${timesOf(table)} that every write sets: incremental: { by: { ${side}: <column>, … } }.`,
    };
  }
  const column = columnOf(table, word);
  if (column === undefined) {
    const meant = closest(
      word,
      table.columns.map((c) => c.name),
    );
    return {
      kind: 'none',
      reason: `${label} has no column ${word}`,
      fix: meant === undefined ? `Name a column${timesOf(table)} that every write sets.` : `Did you mean ${meant}?`,
    };
  }
  if (changes?.columns === undefined) return unknown(pair, side, engine);
  const as = column.loose ? looseType(pair, side, column) : column.type;
  if (!isWatermark(as) || column.unreadable !== undefined)
    return {
      kind: 'none',
      reason: `${label}.${column.name} is ${column.native}: only times and whole numbers tell what came later`,
      fix: `Name another column${timesOf(table)} that every write sets.`,
    };
  return {
    kind: 'column',
    name: column.name,
    column: {
      name: column.name,
      stored: column.type,
      as,
      ...(column.loose ? { loose: true as const } : {}),
    },
  };
};
