const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
// biome-ignore lint/complexity/useRegexLiterals: the escape character is easier to see here
const colors = new RegExp('\u001b\\[\\d+m', 'g');

/** Columns that a text without control characters takes in a terminal, near enough: wide characters take two, marks none. */
export const displayWidth = (text: string): number => {
  const plain = text.replaceAll(colors, '');
  if (/^[\u0000-\u007f]*$/.test(plain)) return plain.length;
  let width = 0;
  for (const char of plain) {
    if (/\p{Mark}|\p{Cf}/u.test(char)) continue;
    width += wide.test(char) ? 2 : 1;
  }
  return width;
};

export const padEnd = (text: string, width: number): string =>
  text + ' '.repeat(Math.max(0, width - displayWidth(text)));
export const padStart = (text: string, width: number): string =>
  ' '.repeat(Math.max(0, width - displayWidth(text))) + text;

/** Cuts to `width` columns, with an ellipsis when something is lost. */
export const cut = (text: string, width: number): string => {
  if (displayWidth(text) <= width) return text;
  let out = '';
  let used = 0;
  for (const char of text) {
    const w = displayWidth(char);
    if (used + w > width - 1) break;
    out += char;
    used += w;
  }
  return `${out}…`;
};

/** Lines of at most `width` columns, broken at blanks; a longer word stands alone. */
export const wrapped = (text: string, width: number): readonly string[] => {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && displayWidth(line) + 1 + displayWidth(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
};

/** A label and a text beside it, wrapped under itself where the terminal is `width` columns wide. */
export const labelled = (label: string, text: string, room: number, width: number): string => {
  if (width - room < 30) {
    const below = wrapped(text, width - 4).map((l) => `    ${l}`);
    return (label.trim() === '' ? below : [label.trimEnd(), ...below]).join('\n');
  }
  const [first, ...rest] = wrapped(text, width - room);
  return [padEnd(label, room) + first, ...rest.map((l) => ' '.repeat(room) + l)].join('\n');
};

/**
 * Parts on one line where they fit into `width` columns, else one below the other: the first wrapped, the others whole,
 * since they are there to be copied.
 */
export const besideOrBelow = ([first = '', ...rest]: readonly string[], width: number): string => {
  const line = `  ${[first, ...rest].join('      ')}`;
  if (displayWidth(line) <= width) return line;
  return [wrapped(first, width - 4).join('\n    '), ...rest].map((part) => `  ${part}`).join('\n');
};

/** `850 ms`, `11.8 s`, `3 min 20 s`, `2 h 5 min`. */
export const duration = (ms: number): string => {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

/** A time as the command line tells it: to the second, in UTC. */
export const utc = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
export const utcOrNull = (ms: number | null): string | null => (ms === null ? null : utc(ms));

/** `109k`, `1.2M`: for rates. */
export const short = (n: number): string => {
  if (n < 1000) return String(Math.round(n));
  if (n < 1e6) return `${(n / 1e3).toFixed(n < 1e4 ? 1 : 0)}k`;
  return `${(n / 1e6).toFixed(1)}M`;
};

/** Rows of cells as columns two blanks apart; numbers right-aligned where `right` says so. No trailing blanks. */
export const columnsOf = (rows: readonly (readonly string[])[], right: (column: number) => boolean): string[] => {
  const widths: number[] = [];
  for (const row of rows)
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, displayWidth(cell));
  return rows.map((row) =>
    row
      .map((cell, i) => (right(i) ? padStart(cell, widths[i]!) : padEnd(cell, widths[i]!)))
      .join('   ')
      .trimEnd(),
  );
};

/** The two cells cut to `width` around the first character in which they differ. */
export const cutPair = (a: string, b: string, width: number): readonly [string, string] => {
  if (a.length <= width && b.length <= width) return [a, b];
  let first = 0;
  while (first < a.length && first < b.length && a[first] === b[first]) first++;
  if (a === b) first = 0;
  const from = Math.max(0, Math.min(first - 20, Math.max(a.length, b.length) - width));
  const part = (text: string): string => {
    const start = from > 0 && text.length > width ? from : 0;
    const head = start > 0 ? '…' : '';
    const room = width - head.length;
    const rest = text.slice(start);
    return head + (rest.length > room ? `${rest.slice(0, room - 1)}…` : rest);
  };
  return [part(a), part(b)];
};
