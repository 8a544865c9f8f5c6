/** A path such as `/licenses/{id}?expand=owner`, with columns in braces. */
export interface Template {
  readonly text: string;
  readonly columns: readonly string[];
}

export const readTemplate = (text: string): Template => ({
  text,
  columns: [...text.matchAll(/\{([^{}]+)\}/g)].map((m) => m[1]!),
});

/**
 * The path with cells in it, percent-encoded; undefined when a cell cannot stand in a path without changing what is
 * addressed: NULL, empty, `.` and `..` (which every client and server takes for steps between folders), or no text.
 */
export const filledPath = (
  template: Template,
  cellOf: (column: string) => string | null | undefined,
): string | undefined => {
  let whole = true;
  const path = template.text.replaceAll(/\{([^{}]+)\}/g, (_, column: string) => {
    const cell = cellOf(column);
    if (cell === null || cell === undefined || cell === '' || /^\.{1,2}$/.test(cell) || !cell.isWellFormed()) {
      whole = false;
      return '';
    }
    return encodeURIComponent(cell);
  });
  return whole ? path : undefined;
};
