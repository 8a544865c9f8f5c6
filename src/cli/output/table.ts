import { count, grouped } from '../../lib/grouped.ts';
import { visibleCell, visiblePair, visibleText } from '../../model/canon/show.ts';
import type { Difference } from '../../model/change.ts';
import type { CompareReport, PairReport } from '../../model/report.ts';
import { type ShownPair, shownDifference, shownKey } from '../../work/shown-difference.ts';
import type { Out } from '../io.ts';
import { type Style, styleOf } from '../style.ts';
import type { DiffOutput } from './diff-output.ts';
import { pairLines } from './pair-lines.ts';
import { Sections } from './sections.ts';
import { explainLines, histogram, pairLabel, remarks, verdictLine, workDone } from './summary.ts';
import { besideOrBelow, columnsOf, cut, cutPair, displayWidth, labelled, padEnd, wrapped } from './text.ts';

interface Layout {
  readonly style: Style;
  readonly width: number;
  /** Where remarks are wrapped; a pipe has no width. */
  readonly wrap: number;
  readonly source: string;
  readonly target: string;
}

const labelRoom = (width: number): number => (width < 70 ? 10 : 22);
const valueRoom = (width: number): number => Math.max(8, Math.min(50, Math.floor((width - labelRoom(width) - 10) / 2)));

const keyText = (pair: ShownPair, d: Difference): string => {
  if (pair.keyWidth === 0) return 'a row without a key';
  const cells = shownKey(pair, d.key).map((cell) => visibleCell(cell));
  return pair.keyWidth === 1
    ? cells[0]!
    : cells.map((c, i) => `${visibleText(pair.columns[i]!.source)} ${c}`).join(', ');
};

/** One difference as a block: the key, then each differing cell with what each side holds. */
const block = (pair: ShownPair, d: Difference, layout: Layout): string => {
  const { style, width } = layout;
  const shown = shownDifference(pair, d);
  const key = cut(keyText(pair, d), Math.max(20, width - (d.kind === 'different' ? 6 : 30)));
  if (d.kind !== 'different') {
    const side = d.kind === 'only_in_source' ? layout.source : layout.target;
    const mark = d.kind === 'only_in_source' ? style.green('+') : style.red('-');
    const cells = shown.cells
      .slice(pair.keyWidth)
      .map(
        (c) => `${visibleText(c.column)} ${visibleCell((d.kind === 'only_in_source' ? c.source : c.target) ?? null)}`,
      );
    const text = cut(cells.join(' · '), Math.max(20, width - 6));
    return `  ${mark} ${style.bold(key)}  only in ${side}\n${text === '' ? '' : `      ${style.dim(text)}\n`}`;
  }
  const room = valueRoom(width);
  const labels = labelRoom(width);
  const lines = shown.cells.map((c) => {
    const [a, b] = cutPair(...visiblePair(c.source ?? null, c.target ?? null), room);
    return `      ${padEnd(cut(visibleText(c.column), labels), labels)}  ${padEnd(a, room)}  ${b}\n`;
  });
  return `  ${style.yellow('~')} ${style.bold(key)}\n${lines.join('')}`;
};

/** The result for people: verdict with coverage, seven buckets per pair, columns, differences cell by cell. */
export const tableOutput = (
  out: Out,
  o: { readonly source: string; readonly target: string; readonly sync: string | null },
): DiffOutput => {
  const style = styleOf(out.color);
  const layout: Layout = {
    style,
    width: out.isTTY ? Math.max(40, out.columns) : 120,
    wrap: out.isTTY ? Math.max(40, out.columns) : Number.POSITIVE_INFINITY,
    source: visibleText(o.source),
    target: visibleText(o.target),
  };
  const sections = new Sections();

  const section = async (p: PairReport, shown: number, limited: boolean): Promise<void> => {
    const differing = p.different + p.only_in_source + p.only_in_target;
    if (differing === 0) return;
    const columns = histogram(p);
    const head = `  ${style.bold(pairLabel(p))} · ${count(differing, 'differing row')}`;
    const beside = displayWidth(head) + displayWidth(columns) + 5 <= layout.wrap;
    const below = wrapped(columns, layout.wrap - 4).map((line) => `    ${line}\n`);
    const tail = columns === '' ? '\n' : beside ? `     ${columns}\n` : `\n${below.join('')}`;
    await out.write(`\n${head}${tail}`);
    if (p.different > 0 && shown > 0) {
      const room = valueRoom(layout.width);
      const names = `${' '.repeat(labelRoom(layout.width) + 8)}${padEnd(cut(layout.source, room), room)}  ${cut(layout.target, room)}`;
      await out.write(`${style.dim(names)}\n`);
    }
    for (const text of sections.read(p.source, shown)) await out.write(text);
    const more = differing - shown;
    // Of a run that shows none, the counts above say all there is to say.
    if (more > 0 && limited)
      await out.write(style.dim(`    ${grouped(more)} ${shown > 0 ? 'more' : 'not shown'}: --limit all\n`));
  };

  const colored = (line: string): string =>
    line.startsWith('✓') ? style.green(line) : line.startsWith('✗') ? style.red(line) : style.yellow(line);

  return {
    async difference(pair, d) {
      sections.add(pair.name, block(pair, d, layout));
    },
    async end(report: CompareReport, facts) {
      const sides = [report.source, report.target].map((side, i) => [
        i ? '  target' : '  source',
        style.bold(visibleText(side.name)),
        side.version,
        facts.explain && side.position !== undefined ? `at ${side.position}` : '',
      ]);
      if (o.sync !== null) await out.write(`  ${style.bold(o.sync)}\n`);
      await out.write(`${columnsOf(sides, () => false).join('\n')}\n`);
      await out.write(`  compared   ${workDone(report, facts.elapsedMs)}\n\n`);
      if (report.pairs.length) {
        await out.write(`${pairLines(report, layout.width, style).join('\n')}\n`);
      }
      const some = [...facts.shares.values()].some((n) => n > 0);
      for (const p of report.pairs) await section(p, facts.shares.get(p.source) ?? 0, some);
      const notes = remarks(report);
      if (notes.length) {
        await out.write(
          `\n${notes.map(([label, text]) => labelled(`  ${style.cyan(padEnd(label, 13))}`, text, 17, layout.wrap)).join('\n')}\n`,
        );
      }
      if (facts.explain)
        await out.write(
          `${explainLines(report)
            .map((l) => `  ${l}`)
            .join('\n')}\n`,
        );
      const run = facts.run === null ? [] : [`run ${facts.run}`];
      await out.write(`\n${besideOrBelow([colored(verdictLine(report)), ...run], layout.wrap)}\n`);
      for (const next of facts.next) await out.write(`  ${style.dim('next:')} ${next}\n`);
    },
    async [Symbol.asyncDispose]() {
      sections[Symbol.dispose]();
    },
  };
};
