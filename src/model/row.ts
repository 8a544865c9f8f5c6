/**
 * One value in the canonical text that every engine agrees on: two cells of the same column type are equal
 * exactly when their texts are equal. Made only by engines and by `model/canon`.
 *
 * Two ranges of lone surrogates carry what no valid text can be:
 * - U+DC80..U+DCFF: one byte each that is not valid in the text's encoding (0x80..0xFF), kept apart, never replaced;
 * - a leading U+DC00: a misfit, a stored value that its column's type cannot read (see `canon/misfit.ts`).
 */
export type Text = string & { readonly __canon: never };
/** A value, or SQL NULL. NULL and the empty text are different. */
export type Cell = Text | null;
/** Cells in the order of a selection's columns: key cells first. */
export type Row = readonly Cell[];
/** The key cells of a row. Never null, except in keyless tables, where every column is the key. */
export type Key = readonly Cell[];
export type Batch<T> = readonly T[];
