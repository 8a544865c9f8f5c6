import type { Cell, Text } from '../row.ts';

/**
 * A misfit is a stored value that its column's type cannot read (text in an INTEGER column of SQLite, a blob in a text
 * column): kept whole, equal only to the same misfit, never equal to a value of the type. It is written as U+DC00,
 * a letter for what was stored (`t` text, `n` number, `b` blob as hex), and the content. `c` stands for a value that is
 * concealed, and is never one of a database (see `concealed.ts`).
 */
const mark = '\udc00';

export type Misfit = Text & { readonly __misfit: never };

export const misfit = (stored: 't' | 'n' | 'b' | 'c', content: string): Misfit =>
  `${mark}${stored}${content}` as Misfit;

export const isMisfit = (cell: Cell): cell is Misfit => cell !== null && cell.charCodeAt(0) === 0xdc00;

/** What was stored; only for a misfit. */
export const misfitContent = (cell: Text): { readonly stored: 't' | 'n' | 'b' | 'c'; readonly content: string } => ({
  stored: cell[1] as 't' | 'n' | 'b' | 'c',
  content: cell.slice(2),
});
