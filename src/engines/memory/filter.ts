import { canonical } from '../../model/canon/canonical.ts';
import { LockstepError } from '../../model/errors.ts';
import { compareCells } from '../../model/order.ts';
import type { Cell, Row } from '../../model/row.ts';
import type { Table } from '../../model/schema.ts';

const term = /^\s*("(?:[^"]|"")+"|\w+)\s*(?:(=|<>|<=|>=|<|>)\s*('(?:[^']|'')*'|-?[\d.]+)|is\s+(not\s+)?null)\s*$/i;

const judges: Readonly<Record<string, (order: number) => boolean>> = {
  '=': (o) => o === 0,
  '<>': (o) => o !== 0,
  '<': (o) => o < 0,
  '<=': (o) => o <= 0,
  '>': (o) => o > 0,
  '>=': (o) => o >= 0,
};

/** A condition on whole rows: comparisons of a column with a literal, and `is [not] null`, joined by `and`. */
export const parseFilter = (table: Table, filter: string): ((row: Row) => boolean) => {
  const tests = filter.split(/\s+and\s+/i).map((part) => {
    const m = term.exec(part);
    if (!m) throw new LockstepError('FILTER', `The condition "${part}" cannot be read.`);
    const name = m[1]!.startsWith('"') ? m[1]!.slice(1, -1).replaceAll('""', '"') : m[1]!;
    const at = table.columns.findIndex((c) => c.name === name);
    const column = table.columns[at];
    if (!column) throw new LockstepError('FILTER', `The condition names an unknown column: ${name}.`);
    if (m[2] === undefined) return (row: Row): boolean => (row[at] === null) !== (m[4] !== undefined);
    const literal = m[3]!.startsWith("'") ? m[3]!.slice(1, -1).replaceAll("''", "'") : m[3]!;
    const value = canonical(column.type, literal);
    const holds = judges[m[2]]!;
    return (row: Row): boolean => {
      const cell: Cell = row[at] ?? null;
      return cell !== null && holds(compareCells(column.type, cell, value));
    };
  });
  return (row) => tests.every((t) => t(row));
};
