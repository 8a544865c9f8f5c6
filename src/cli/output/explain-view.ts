import { count } from '../../lib/grouped.ts';
import { shownCell, visibleCell, visiblePair, visibleText } from '../../model/canon/show.ts';
import type { Plan } from '../../model/plans.ts';
import type { Row } from '../../model/row.ts';
import type { Explained, NextWrite } from '../../work/explain.ts';
import { shownChange } from '../../work/shown-change.ts';
import { shownDifference } from '../../work/shown-difference.ts';
import { shownWrite } from '../../work/shown-write.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { styleOf } from '../style.ts';
import { changesTo, explainedBothJson, explainedBothTable } from './explain-two-way.ts';
import { jsonText } from './json-text.ts';
import { flowed, roomOf } from './list.ts';
import { columnsOf, cut, cutPair, displayWidth, labelled, padEnd, utc, wrapped } from './text.ts';

interface Names {
  readonly source: string;
  readonly target: string;
}

/** What happened to the row, oldest first. */
interface Event {
  readonly at: number;
  readonly run: string;
  readonly what: string;
  readonly cells: string;
}

const cellsOf = (
  cells: readonly { readonly column: string; readonly before?: Row[number]; readonly after?: Row[number] }[],
): string =>
  cells
    .slice(0, 6)
    .map((c) => {
      if (c.before === undefined) return `${visibleText(c.column)} ${visibleCell(c.after ?? null)}`;
      if (c.after === undefined) return `${visibleText(c.column)} ${visibleCell(c.before)}`;
      const [before, after] = visiblePair(c.before, c.after);
      return `${visibleText(c.column)} ${before} → ${after}`;
    })
    .join(' · ');

const events = ({ trace, twoWay }: Explained): readonly Event[] => {
  // Of a sync that writes to both sides it is not plain which one was written.
  const where = ({ header }: Plan): string => (twoWay === undefined ? '' : ` in ${visibleText(header.target.name)}`);
  const seen = trace.differences.map(({ run, stored, pair }): Event => {
    const shown = shownDifference({ ...pair, targetTable: { name: pair.target } }, stored.difference);
    const cells = shown.kind === 'different' ? shown.cells : [];
    return {
      at: run.started,
      run: run.id,
      what: `compared: ${shown.kind.replaceAll('_', ' ')}`,
      cells: cells
        .slice(0, 6)
        .map((c) => `${visibleText(c.column)} ${visiblePair(c.source ?? null, c.target ?? null).join(' | ')}`)
        .join(' · '),
    };
  });
  const planned = trace.planned.map(
    ({ plan, item }): Event => ({
      at: plan.header.created,
      run: plan.header.id,
      what: `planned: ${item.change.op}${where(plan)}`,
      cells: cellsOf(shownChange(plan.header, item).cells),
    }),
  );
  const written = trace.written.map((write): Event => {
    const { run, plan, item } = write;
    const { status, reason } = shownWrite(write);
    const ended = reason === undefined ? '' : ` (${status === 'open' ? 'its run failed: ' : ''}${inert(reason)})`;
    const state = status === 'open' ? 'begun, not settled' : status.replace('_', ' ');
    return {
      // A sync makes its plan after it has begun.
      at: Math.max(run.started, plan.header.created),
      run: run.id,
      what: `${run.kind}: ${item.change.op}${where(plan)} ${state}${ended}`,
      cells: cellsOf(shownChange(plan.header, item).cells),
    };
  });
  // The trace has the newest first; of one moment, steps stay in their order.
  return [seen, planned, written].flatMap((some) => some.toReversed()).sort((a, b) => a.at - b.at);
};

const nextText = (e: Explained, next: NextWrite, names: Names): string => {
  const target = visibleText(names.target);
  switch (next.kind) {
    case 'none':
      return e.quarantined ? `nothing: ${target} keeps its row` : 'nothing';
    case 'withheld':
      return `nothing: the mode leaves out ${count(1, next.op)} here`;
    case 'does_not_fit':
      return `${target} is not written: ${inert(next.reason)}`;
    case 'write':
      return e.source === null ? `- ${target}` : (changesTo(e, e.source, 'target', names) ?? `~ ${target}`);
  }
};

const stateOf = (e: Explained): string => {
  if (e.quarantined) return 'is quarantined: its source row is invalid';
  if (e.source === null && e.target === null) return 'is on neither side now';
  if (e.target === null) return 'is only in the source now';
  if (e.source === null) return 'is only in the target now';
  return e.columns.length === 0 ? 'agrees now' : 'differs now';
};

export const explainedJson = (out: Out, e: Explained, names: Names): Promise<void> => {
  const object = (row: Row | null): unknown =>
    row && Object.fromEntries(e.pair.columns.map((c, i) => [c.source.name, shownCell(row[i] ?? null, c.as)]));
  return out.write(
    `${jsonText({
      schema_version: 1,
      pair: e.pair.name,
      key: Object.fromEntries(
        e.pair.columns.slice(0, e.pair.keyWidth).map((c, i) => [c.source.name, shownCell(e.key[i] ?? null, c.as)]),
      ),
      names,
      source: object(e.source),
      target: object(e.target),
      ...(e.stored ? { stored: Object.fromEntries(e.stored.map(({ column, cell }) => [column, cell])) } : {}),
      ...(e.pair.transform ? { transform: e.pair.transform.description, one_way: e.pair.transform.oneWay } : {}),
      ...(e.quarantined ? { quarantined: e.quarantined } : {}),
      ...(e.kept
        ? {
            quarantine: {
              reasons: e.kept.reasons,
              first_run: e.kept.firstRun,
              first_seen: utc(e.kept.firstSeen),
              last_run: e.kept.lastRun,
              last_seen: utc(e.kept.lastSeen),
              attempts: e.kept.attempts,
            },
          }
        : {}),
      different: e.columns,
      tolerated: e.tolerated,
      ...(e.next ? { next: e.next } : {}),
      ...explainedBothJson(e),
      history: events(e).map((x) => ({ at: utc(x.at), run: x.run, what: x.what, cells: x.cells })),
    })}\n`,
  );
};

/** What is stored in the source, what is made of it, and why it is invalid. */
const transformLines = async (out: Out, e: Explained, names: Names): Promise<void> => {
  const { transform } = e.pair;
  if (transform === undefined) return;
  const style = styleOf(out.color);
  if (e.kept)
    await out.write(
      `  ${style.yellow('!')} in quarantine since ${utc(e.kept.firstSeen)} (run ${e.kept.firstRun}), seen ${e.kept.attempts}×\n`,
    );
  for (const reason of e.quarantined ?? []) await out.write(`  ${style.yellow('!')} ${inert(reason)}\n`);
  const how = transform.description === '' ? '' : `   ${inert(transform.description)}`;
  await out.write(`\n  ${style.bold(`stored in ${visibleText(names.source)}`)}${style.dim(how)}\n`);
  const rows = (e.stored ?? []).map(({ column, cell }) => [`  ${visibleText(column)}`, cut(visibleCell(cell), 60)]);
  await out.write(rows.length > 0 ? `${columnsOf(rows, () => false).join('\n')}\n` : '  its key is not stored\n');
  for (const { column, why } of transform.oneWay)
    await out.write(`  ${style.dim(`one way only: ${visibleText(column)}, ${inert(why)}`)}\n`);
};

/** Of a value. */
const mostWidth = 44;
const leastWidth = 8;

/** The values of both sides: shorter where the terminal is narrower, and there without the types. */
const fitting = (
  head: readonly string[],
  rowsOf: (width: number) => readonly string[][],
  room: number,
): readonly string[] => {
  const untyped = (width: number): readonly string[][] =>
    [head.map((cell, i) => (i === 1 || i === 2 ? cut(cell, width) : cell)), ...rowsOf(width)].map((row) =>
      row.slice(0, 4),
    );
  const least = untyped(leastWidth);
  const taken = [0, 3].map((i) => Math.max(...least.map((row) => displayWidth(row[i]!))));
  const width = Math.max(leastWidth, Math.floor((room - taken[0]! - taken[1]! - 9) / 2));
  const tried = [[head, ...rowsOf(mostWidth)], untyped(mostWidth), untyped(Math.min(mostWidth, width))].map((rows) =>
    columnsOf(rows, () => false),
  );
  return tried.find((lines) => lines.every((line) => displayWidth(line) <= room)) ?? tried.at(-1)!;
};

export const explainedTable = async (out: Out, e: Explained, names: Names): Promise<void> => {
  const style = styleOf(out.color);
  const key = e.key.map((cell, i) => visibleCell(shownCell(cell, e.pair.columns[i]!.as))).join(', ');
  await out.write(`  ${visibleText(e.pair.name)} ${style.bold(key)} ${stateOf(e)}\n\n`);
  if (e.source !== null || e.target !== null) {
    const rowsOf = (width: number): readonly string[][] =>
      e.pair.columns.map((c, i) => {
        const [a, b] = [shownCell(e.source?.[i] ?? null, c.as), shownCell(e.target?.[i] ?? null, c.as)];
        const [shownA, shownB] = cutPair(
          ...(e.source && e.target ? visiblePair(a, b) : ([visibleCell(a), visibleCell(b)] as const)),
          width,
        );
        const name = c.source.name;
        const mark = e.columns.includes(name)
          ? '≠'
          : e.tolerated.includes(name)
            ? '≈ tolerated'
            : e.source && e.target
              ? '='
              : '';
        const warning =
          c.source.native === c.target.native ? c.source.native : `${c.source.native} | ${c.target.native}`;
        return [`  ${visibleText(name)}`, e.source ? shownA : '', e.target ? shownB : '', mark, style.dim(warning)];
      });
    const lines = fitting(['  column', names.source, names.target, '', 'type'], rowsOf, roomOf(out));
    await out.write(`${[style.dim(lines[0]!), ...lines.slice(1)].join('\n')}\n`);
  }
  await transformLines(out, e, names);
  await explainedBothTable(out, e, names, style);
  if (e.next) await out.write(`\n${labelled('  next plan', nextText(e, e.next, names), 14, roomOf(out))}\n`);
  const history = events(e);
  await out.write(`\n  ${style.bold('history')}${history.length === 0 ? '   nothing is recorded of this row' : ''}\n`);
  for (const x of history) {
    const line = `  ${utc(x.at)}  ${x.run}  ${padEnd(x.what, 24)}  ${x.cells}`;
    const room = roomOf(out);
    if (displayWidth(line) <= room) await out.write(`${line.trimEnd()}\n`);
    else {
      const below = x.cells === '' ? [] : wrapped(cut(x.cells, 3 * (room - 6)), room - 6).map((l) => `    ${l}`);
      await out.write(`  ${[...flowed([utc(x.at), x.run, x.what], '  ', room - 2), ...below].join('\n  ')}\n`);
    }
  }
};
