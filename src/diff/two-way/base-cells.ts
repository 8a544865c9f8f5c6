import { createHmac } from 'node:crypto';
import type { Pair } from '../../model/pair.ts';
import type { Cell, Row } from '../../model/row.ts';
import type { BaseCell, SameAsBase } from '../../model/two-way.ts';

/** What of a row is kept in the archive, and how a row is compared with it. */
export interface BaseCells {
  of(row: Row): readonly BaseCell[];
  readonly same: SameAsBase;
}

/**
 * Cells as they are kept: by value, or as a hash under the store's secret that tells no value and is another one in each
 * column. A key is always kept by value: it is what rows are found by.
 */
export const baseCells = (pair: Pair, kept: (column: number) => 'value' | 'hash', secret: Uint8Array): BaseCells => {
  const hashed = pair.columns.map((_, i) => i >= pair.keyWidth && kept(i) === 'hash');
  const hashOf = (column: number, cell: string): string => {
    const { name } = pair.columns[column]!.source;
    // UTF-16 keeps lone surrogates; the length of the name parts it from the value.
    return createHmac('sha256', secret)
      .update(`${name.length} ${name}`, 'utf16le')
      .update(cell, 'utf16le')
      .digest('base64url')
      .slice(0, 24);
  };
  const any = hashed.includes(true);
  const keep = (cell: Cell, i: number): BaseCell =>
    cell !== null && hashed[i] === true ? { hash: hashOf(i, cell) } : cell;
  return {
    of: (row) => (any ? row.map(keep) : row),
    same: (column, base, cell) => {
      if (base === null || cell === null || typeof base === 'string') return base === cell;
      return base.hash === hashOf(column, cell);
    },
  };
};
