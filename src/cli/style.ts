/** Terminal colours; each is the identity where colours are off. Never the only carrier of a meaning. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

const paint =
  (on: boolean, open: number, close: number) =>
  (text: string): string =>
    on && text !== '' ? `\u001b[${open}m${text}\u001b[${close}m` : text;

export const styleOf = (color: boolean): Style => ({
  bold: paint(color, 1, 22),
  dim: paint(color, 2, 22),
  red: paint(color, 31, 39),
  green: paint(color, 32, 39),
  yellow: paint(color, 33, 39),
  cyan: paint(color, 36, 39),
});
