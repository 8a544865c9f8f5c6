import type { Cell, Row, Text } from '../row.ts';
import { type Misfit, misfit } from './misfit.ts';

/**
 * How a column is kept and shown where its value need not come back: `mask`, a keyed hash that equal values share, or
 * `encrypt`, nothing at all. What must come back is encrypted either way.
 */
export type Concealment = 'mask' | 'encrypt';

/** A keyed hash of a value, in hexadecimal digits: the same for equal values of one column of a pair. */
export type Masks = (pair: string, column: string, value: Text) => string;

/** What is shown of a value that is not to be seen. */
export const hidden: Misfit = misfit('c', '•••');

/** A cell as it may be kept and shown; NULL is NULL. `mask` undefined: there is no key at hand, it is hidden. */
export const concealedCell = (how: Concealment | undefined, cell: Cell, mask?: (value: Text) => string): Cell => {
  if (how === undefined || cell === null) return cell;
  return how === 'mask' && mask !== undefined ? misfit('c', `mask:${mask(cell)}`) : hidden;
};

/** The columns of a pair, as far as concealing them goes. */
export interface Concealing {
  readonly name: string;
  readonly columns: readonly { readonly source: { readonly name: string }; readonly concealed?: Concealment }[];
}

/** Is anything of the pair concealed? */
export const conceals = (pair: Concealing): boolean => pair.columns.some((c) => c.concealed !== undefined);

/** A row of the pair's columns as it may be kept and shown. */
export const concealedRow = <R extends Row | null>(pair: Concealing, row: R, masks?: Masks): R =>
  (row === null
    ? null
    : row.map((cell, i) => {
        const { source, concealed } = pair.columns[i]!;
        return concealedCell(concealed, cell, masks && ((value) => masks(pair.name, source.name, value)));
      })) as R;
