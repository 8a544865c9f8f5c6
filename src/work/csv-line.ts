import { visibleText } from '../model/canon/show.ts';
import type { Cell } from '../model/row.ts';

const plainNumber = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const formula = /^[=+\-@\t\r']/;

/**
 * One CSV field (RFC 4180). NULL is an empty field, the empty text is `""`. A text that a spreadsheet would take for a
 * formula (it begins with = + - @ tab or carriage return) gets a `'` in front, and so does one that begins with `'`,
 * so that the mark can be taken off again; plain numbers stay as they are. Control and invisible characters other than
 * line ends and tabs are written out as `\u{1b}`: JSON is the format that keeps every value exactly.
 */
const csvField = (cell: Cell): string => {
  if (cell === null) return '';
  const safe = formula.test(cell) && !plainNumber.test(cell) ? `'${cell}` : (cell as string);
  const whole = safe
    .split(/([\n\r\t])/)
    .map((part, i) => (i % 2 ? part : visibleText(part)))
    .join('');
  return whole === '' || /[",\r\n]/.test(whole) || /^\s|\s$/.test(whole) ? `"${whole.replaceAll('"', '""')}"` : whole;
};

/** One line of CSV, ended by CR LF. */
export const csvLine = (cells: readonly Cell[]): string => `${cells.map(csvField).join(',')}\r\n`;
