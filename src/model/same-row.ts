import type { Row } from './row.ts';

/** Are these one row, to the last cell? No row at all is only itself. */
export const sameRow = (a: Row | null, b: Row | null): boolean =>
  a === null || b === null ? a === b : a.length === b.length && a.every((cell, i) => cell === b[i]);
