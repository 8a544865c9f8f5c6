import { count, grouped } from '../../lib/grouped.ts';
import { visibleText } from '../../model/canon/show.ts';
import type { AssessedTable, Assessment } from '../../work/assess.ts';
import type { Out } from '../io.ts';
import { keyText, notCarriedLines } from './certificate-view.ts';
import { duration } from './text.ts';

const tableLines = (t: AssessedTable): readonly string[] => [
  `  ${visibleText(t.table)}: ${grouped(t.rows)} rows, key ${t.key.length === 0 ? '(none)' : t.key.map(visibleText).join(', ')}, read in ${duration(t.scan.elapsed_ms)} (${grouped(t.scan.rows_per_second)} rows/s)${t.exists ? ', the target has it already' : ''}`,
  `    ${changesText(t.changes)}`,
  ...t.refused.flatMap((r) => [
    `    ${visibleText(r.column)}: ${count(r.count, 'row')} would be refused`,
    ...r.examples.map((e) => `      ${keyText(e.key)}: ${visibleText(e.reason)}`),
  ]),
  ...t.hints.map(
    (h) =>
      `    ${visibleText(h.column)}: all ${grouped(h.count)} values look like ${h.looks}; they stay what they are, unless ${h.looks.includes('1970') ? 'the pair of a sync says ' : ''}${visibleText(h.fix)}`,
  ),
  ...t.notes.map((n) => `    ${visibleText(n)}`),
];

/** How often rows are written, and by what that is known. */
const changesText = (c: AssessedTable['changes']): string => {
  switch (c.by) {
    case 'column': {
      const seen = c.sees === 'writes' ? 'deletes are not seen' : 'it shows new rows only';
      return `changes: ${grouped(c.last_hour)} in the last hour, ${grouped(c.last_day)} in the last day, by ${visibleText(c.column)} (${seen}; the latest is ${c.latest === null ? 'none' : visibleText(c.latest)})`;
    }
    case 'counters':
      return `changes: ${c.at_most ? 'at most ' : ''}${grouped(c.per_hour)} an hour, ${grouped(c.per_day)} a day, by the server’s counters over ${grouped(c.over_hours)} hours`;
    case 'versions':
      return `changes: at most ${count(c.rows, 'row')} in the ${duration(c.over_ms)} that this took, by ${visibleText(c.name)}`;
    case null:
      return `changes: not known, ${visibleText(c.reason)}`;
  }
};

/** What a copy would meet, for people. */
export const assessText = async (out: Out, a: Assessment): Promise<void> => {
  const rows = a.tables.reduce((n, t) => n + t.rows, 0);
  const lines = [
    `${a.source.name}: ${a.source.version}, ${grouped(a.tables.length)} tables, ${grouped(rows)} rows${a.target === null ? '' : `; into ${a.target.name} (${a.target.engine})`}`,
    a.refused_rows === 0
      ? 'Every row can be copied as it is.'
      : `${count(a.refused_rows, 'row')} would be refused: the target cannot hold them exactly. The rest would be copied.`,
    '',
    ...a.tables.flatMap(tableLines),
    `  all: ${grouped(a.baseline.rows)} rows read in ${duration(a.baseline.elapsed_ms)} (${grouped(a.baseline.rows_per_second)} rows/s)`,
    ...(a.not_carried.length === 0 ? [] : ['', 'Would not be carried over']),
    ...notCarriedLines(a.not_carried),
    ...(a.findings.length === 0 ? [] : ['', 'About the source']),
    ...a.findings.map((f) => `  ${f.level}: ${visibleText(f.message)}${f.fix === undefined ? '' : `\n    ${f.fix}`}`),
  ];
  await out.write(`${lines.join('\n')}\n`);
};
