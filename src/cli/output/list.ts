import type { Out } from '../io.ts';
import { styleOf } from '../style.ts';
import { columnsOf, displayWidth, wrapped } from './text.ts';

/** Columns that a line may take: those of the terminal, or any number where it is none. */
export const roomOf = (out: Pick<Out, 'isTTY' | 'columns'>): number =>
  out.isTTY ? out.columns : Number.POSITIVE_INFINITY;

/** Parts with a separator between them, on as many lines of `width` columns as they need; a longer part is broken at blanks. */
export const flowed = (parts: readonly string[], separator: string, width: number): readonly string[] => {
  const lines: string[] = [];
  let line = '';
  for (const part of parts) {
    const longer = line === '' ? part : line + separator + part;
    if (displayWidth(longer) <= width) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    const broken = wrapped(part, width);
    lines.push(...broken.slice(0, -1));
    line = broken.at(-1)!;
  }
  return [...lines, line];
};

/**
 * A list as a table under its head, each line beginning two columns in. Where the terminal has not the room for that, each row is its first
 * cell, and below it the others by their names.
 */
export const writeList = async (
  out: Out,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: (column: number) => boolean = () => false,
): Promise<void> => {
  const style = styleOf(out.color);
  const indented = [head, ...rows].map(([first = '', ...rest]) => [`  ${first}`, ...rest]);
  const lines = columnsOf(indented, right);
  const room = roomOf(out);
  if (lines.every((line) => displayWidth(line) <= room)) {
    await out.write(`${[style.dim(lines[0]!), ...lines.slice(1)].join('\n')}\n`);
    return;
  }
  for (const [first = '', ...rest] of rows) {
    const named = rest.flatMap((cell, i) => (cell === '' ? [] : [`${style.dim(head[i + 1]!.toLowerCase())} ${cell}`]));
    const below = flowed(named, ' · ', Math.max(20, room - 4)).map((line) => `    ${line}\n`);
    await out.write(`  ${style.bold(first)}\n${below.join('')}`);
  }
};
