import { visibleCell, visibleText } from '../../model/canon/show.ts';
import type { Cell } from '../../model/row.ts';
import { shownDifference, shownKey } from '../../work/shown-difference.ts';
import type { Out } from '../io.ts';
import type { DiffOutput } from './diff-output.ts';
import { Sections } from './sections.ts';
import { histogram, pairLabel, pairTable, remarks, verdictLine, workDone } from './summary.ts';

/** Text in which nothing is Markdown or HTML. */
const md = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/[\\`*_{}[\]#|~@]|:(?=\/\/)|(?<=www)\.|^[-+=]/gi, (char) => `&#${char.charCodeAt(0)};`)
    .replaceAll(/\r?\n/g, ' ');

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;

/** A report to paste into a pull request. */
export const markdownOutput = (out: Out): DiffOutput => {
  const sections = new Sections();
  return {
    async difference(pair, d) {
      const shown = shownDifference(pair, d);
      const key =
        pair.keyWidth === 0
          ? '(no key)'
          : shownKey(pair, d.key)
              .map((c) => md(visibleCell(c)))
              .join(', ');
      const side = (cell: Cell | undefined): string => (cell === undefined ? '' : md(visibleCell(cell)));
      const lines = shown.cells.map((c) =>
        row([
          md(visibleText(pair.name)),
          key,
          d.kind.replaceAll('_', ' '),
          md(visibleText(c.column)),
          side(c.source),
          side(c.target),
        ]),
      );
      sections.add(pair.name, lines.join(''));
    },
    async end(report, facts) {
      const source = md(visibleText(report.source.name));
      const target = md(visibleText(report.target.name));
      await out.write(`## ${verdictLine(report).replace(/^(.) /, '$1 ')}\n\n`);
      await out.write(
        `${source} (${md(report.source.version)}) → ${target} (${md(report.target.version)}); ${workDone(report, facts.elapsedMs)}${facts.run === null ? '' : `; run ${facts.run}`}\n\n`,
      );
      const table = pairTable(report);
      await out.write(
        row(table.head.map((h) => md(h))) + row(table.head.map((_, i) => (i > 0 && i < 8 ? '--:' : '---'))),
      );
      for (const cells of table.rows) await out.write(row(cells.map((c) => md(c))));
      for (const p of report.pairs) {
        const columns = histogram(p);
        if (columns !== '') await out.write(`\n${md(pairLabel(p))}: ${md(columns)}\n`);
      }
      if ([...facts.shares.values()].some((n) => n > 0)) {
        await out.write(
          `\n${row(['pair', 'key', 'kind', 'column', source, target])}${row(['---', '---', '---', '---', '---', '---'])}`,
        );
        for (const p of report.pairs)
          for (const text of sections.read(p.source, facts.shares.get(p.source) ?? 0)) await out.write(text);
        if (facts.truncated) await out.write('\nMore differences were found than are shown here.\n');
      }
      const notes = remarks(report);
      if (notes.length) await out.write(`\n${notes.map(([label, text]) => `- ${label}: ${md(text)}`).join('\n')}\n`);
    },
    async [Symbol.asyncDispose]() {
      sections[Symbol.dispose]();
    },
  };
};
