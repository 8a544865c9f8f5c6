import type { CompareReport, PairReport } from '../../model/report.ts';
import type { Style } from '../style.ts';
import { marks, pairLabel, pairState, pairTable } from './summary.ts';
import { columnsOf, cut, displayWidth, wrapped } from './text.ts';

/** Buckets that are nearly always empty: left out where there is no room for them, unless they count something. */
const seldom = [5, 6, 7];

const paint = (style: Style, pair: PairReport): ((text: string) => string) =>
  ({ agrees: style.green, differs: style.red, incomplete: style.yellow })[pairState(pair)];

/** Every pair with its numbers: as a table where it fits into `width` columns, else a few lines per pair. */
export const pairLines = (report: CompareReport, width: number, style: Style): readonly string[] => {
  const { head, rows } = pairTable(report);
  const fits = (lines: readonly string[]): boolean => lines.every((line) => displayWidth(line) + 2 <= width);
  const tableOf = (left: readonly number[]): readonly string[] =>
    columnsOf(
      [head, ...rows].map((row) => row.filter((_, i) => !left.includes(i))),
      (i) => i > 0 && i < 8 - left.length,
    );
  const empty = seldom.filter((i) => rows.every((row) => row[i] === '0'));
  const table = [tableOf([]), tableOf(empty)].find(fits);
  if (table) {
    return table.map((line, i) => {
      if (i === 0) return `  ${style.dim(line)}`;
      const pair = report.pairs[i - 1]!;
      const at = line.lastIndexOf(marks[pairState(pair)]);
      return `  ${line.slice(0, at)}${paint(style, pair)(line.slice(at))}`;
    });
  }
  return report.pairs.flatMap((pair, n) => {
    const counted = head.flatMap((label, i) => {
      const number = rows[n]![i]!;
      return i > 0 && i < 8 && (i < 2 || number !== '0')
        ? [`${number} ${i < 3 || i > 4 ? label.toLowerCase() : label.replace('ONLY', 'only')}`]
        : [];
    });
    return [
      `  ${paint(style, pair)(marks[pairState(pair)])} ${cut(pairLabel(pair), width - 4)}`,
      ...wrapped(counted.join(' · '), width - 4).map((line) => `    ${line}`),
    ];
  });
};
