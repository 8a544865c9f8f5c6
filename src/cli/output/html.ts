import { createHash } from 'node:crypto';
import { visibleCell, visibleText } from '../../model/canon/show.ts';
import { shownDifference, shownKey } from '../../work/shown-difference.ts';
import type { Out } from '../io.ts';
import type { DiffOutput } from './diff-output.ts';
import { Sections } from './sections.ts';
import { explainLines, histogram, pairLabel, pairTable, remarks, verdictLine, workDone } from './summary.ts';

const esc = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');

const css = `
:root{color-scheme:light dark;font:14px/1.5 system-ui,sans-serif}
body{margin:2rem auto;max-width:75rem;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{border-bottom:1px solid #8886;padding:.25rem .6rem;text-align:left;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
td.v{font-family:ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
.agrees{color:#0a7d33}.differs{color:#c62828}.incomplete{color:#a15c00}
dt{font-weight:600}pre{white-space:pre-wrap;overflow-wrap:anywhere}
`;

/** One page that needs nothing else: no script, no foreign address, every value escaped. */
export const htmlOutput = (out: Out): DiffOutput => {
  const sections = new Sections();
  const hash = createHash('sha256').update(css).digest('base64');
  return {
    async difference(pair, d) {
      const shown = shownDifference(pair, d);
      const key =
        pair.keyWidth === 0
          ? '(no key)'
          : shownKey(pair, d.key)
              .map((c) => visibleCell(c))
              .join(', ');
      const side = (cell: (typeof shown.cells)[number]['source']): string =>
        `<td class="v">${cell === undefined ? '' : cell === null ? '<i>NULL</i>' : esc(visibleCell(cell))}</td>`;
      sections.add(
        pair.name,
        shown.cells
          .map(
            (c, i) =>
              `<tr>${i === 0 ? `<td>${esc(visibleText(pair.name))}</td><td class="v">${esc(key)}</td><td>${d.kind.replaceAll('_', ' ')}</td>` : '<td></td><td></td><td></td>'}<td>${esc(visibleText(c.column))}</td>${side(c.source)}${side(c.target)}</tr>\n`,
          )
          .join(''),
      );
    },
    async end(report, facts) {
      const source = esc(visibleText(report.source.name));
      const target = esc(visibleText(report.target.name));
      await out.write(
        `<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'">\n<meta name="viewport" content="width=device-width,initial-scale=1">\n<title>Lockstep: ${source} and ${target}</title>\n<style>${css}</style></head><body>\n`,
      );
      await out.write(`<h1 class="${report.verdict}">${esc(verdictLine(report))}</h1>\n`);
      await out.write(
        `<p>${source} (${esc(report.source.version)}) → ${target} (${esc(report.target.version)}); ${esc(workDone(report, facts.elapsedMs))}${facts.run === null ? '' : `; run ${esc(facts.run)}`}</p>\n`,
      );
      const table = pairTable(report);
      const right = (i: number): string => (i > 0 && i < 8 ? ' class="n"' : '');
      await out.write(
        `<table><thead><tr>${table.head.map((h, i) => `<th${right(i)}>${esc(h)}</th>`).join('')}</tr></thead><tbody>\n`,
      );
      for (const cells of table.rows)
        await out.write(`<tr>${cells.map((c, i) => `<td${right(i)}>${esc(c)}</td>`).join('')}</tr>\n`);
      await out.write('</tbody></table>\n');
      for (const p of report.pairs) {
        const columns = histogram(p);
        if (columns !== '') await out.write(`<p><b>${esc(pairLabel(p))}</b>: ${esc(columns)}</p>\n`);
      }
      if ([...facts.shares.values()].some((n) => n > 0)) {
        await out.write(
          `<h2>Differences</h2>\n<table><thead><tr><th>pair</th><th>key</th><th>kind</th><th>column</th><th>${source}</th><th>${target}</th></tr></thead><tbody>\n`,
        );
        for (const p of report.pairs)
          for (const text of sections.read(p.source, facts.shares.get(p.source) ?? 0)) await out.write(text);
        await out.write(
          `</tbody></table>\n${facts.truncated ? '<p>More differences were found than are shown here.</p>\n' : ''}`,
        );
      }
      const notes = remarks(report);
      if (notes.length)
        await out.write(
          `<h2>Remarks</h2>\n<dl>${notes.map(([l, t]) => `<dt>${esc(l)}</dt><dd>${esc(t)}</dd>`).join('\n')}</dl>\n`,
        );
      if (facts.explain)
        await out.write(`<h2>How it was compared</h2>\n<pre>${esc(explainLines(report).join('\n'))}</pre>\n`);
      await out.write('</body></html>\n');
    },
    async [Symbol.asyncDispose]() {
      sections[Symbol.dispose]();
    },
  };
};
