import { grouped } from '../../lib/grouped.ts';
import { hidden } from '../../model/canon/concealed.ts';
import { visibleCell, visiblePair, visibleText } from '../../model/canon/show.ts';
import type { Conflict } from '../../model/conflicts.ts';
import type { Cell } from '../../model/row.ts';
import { csvLine } from '../../work/csv-line.ts';
import { chosenRow } from '../../work/two-way/resolve.ts';
import { conflictKey, type ShownConflictCell, shownConflict, shownReason } from '../../work/two-way/shown-conflict.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { styleOf } from '../style.ts';
import { jsonText } from './json-text.ts';
import { flowed, roomOf, writeList } from './list.ts';
import { columnsOf, cut, cutPair, displayWidth, labelled, utc } from './text.ts';

export const keyText = (c: Conflict): string => Object.values(conflictKey(c)).map(visibleCell).join(', ');

const disputed = (c: Conflict): string => {
  const names = c.columns.filter((x) => x.disputed).map((x) => visibleText(x.column));
  return names.length === 0 ? 'the row' : names.join(', ');
};

/** What stands open, or how it ended, in a few words. */
const standing = (c: Conflict): string => {
  const { resolution: r } = c;
  if (c.state === 'ruled') return `ruled: ${inert(c.policy ?? '')}`;
  if (r === null || c.state === 'pending') return c.state;
  return `${c.state}: ${r.take}, by ${inert(r.by)}`;
};

/** What a list of conflicts is written as, one after the other. */
export interface ConflictList {
  add(conflicts: readonly Conflict[]): Promise<void>;
  /** `total`: that the filter means. */
  end(total: number): Promise<void>;
}

const csvHead = ['id', 'sync', 'pair', 'key', 'type', 'state', 'column', 'disputed', 'base', 'source', 'target'];

const csvLines = (c: Conflict): string => {
  const { id, sync, pair, type, state } = c;
  const key = JSON.stringify(conflictKey(c));
  return shownConflict(c)
    .cells.map((cell) =>
      csvLine([
        ...[id, sync, pair, key, type, state, cell.column, String(cell.disputed)],
        ...[cell.base ?? null, cell.source ?? null, cell.target ?? null],
      ] as Cell[]),
    )
    .join('');
};

export const conflictList = (out: Out, format: 'table' | 'json' | 'jsonl' | 'csv'): ConflictList => {
  let shown = 0;
  const rows: string[][] = [];
  const text = async (conflicts: readonly Conflict[]): Promise<void> => {
    switch (format) {
      case 'csv':
        if (shown === 0) await out.write(csvLine(csvHead as unknown as Cell[]));
        return out.write(conflicts.map(csvLines).join(''));
      case 'jsonl':
        return out.write(conflicts.map((c) => `${jsonText(shownConflict(c))}\n`).join(''));
      case 'json':
        if (shown === 0) await out.write('{"schema_version":1,"conflicts":[');
        return out.write(
          conflicts.map((c, i) => `${shown + i === 0 ? '' : ','}\n${jsonText(shownConflict(c))}`).join(''),
        );
      case 'table':
        for (const c of conflicts)
          rows.push([
            c.id,
            `${visibleText(c.sync)}/${visibleText(c.pair)}`,
            cut(keyText(c), 40),
            c.type,
            cut(disputed(c), 40),
            utc(c.found),
            standing(c),
          ]);
    }
  };
  return {
    add: async (conflicts) => {
      await text(conflicts);
      shown += conflicts.length;
    },
    end: async (total) => {
      if (shown === 0) await text([]);
      if (format === 'jsonl')
        return out.write(`${jsonText({ summary: { conflicts: total, truncated: shown < total } })}\n`);
      if (format === 'json') return out.write(`],"total":${total},"truncated":${shown < total}}\n`);
      if (format === 'csv') return;
      if (total === 0) return out.write('  no conflicts\n');
      await writeList(out, ['ID', 'PAIR', 'KEY', 'TYPE', 'IN DISPUTE', 'SINCE', 'STATE'], rows);
      if (shown < total) await out.write(`\n  ${grouped(total - shown)} more: --limit all\n`);
    },
  };
};

export interface SideNames {
  readonly source: string;
  readonly target: string;
}

/** Of a value, where the terminal has the room. */
const mostWidth = 40;
const leastWidth = 6;

const cellText = (
  c: Conflict,
  cell: ShownConflictCell,
  of: 'base' | 'source' | 'target' | 'result',
  width: number,
): string => {
  const value = cell[of];
  if (value !== undefined) return cut(visibleCell(value), width);
  return of === 'base' && c.base !== null ? '(not kept)' : '';
};

/** Base, source and target beside each other. */
export const conflictCells = async (
  out: Out,
  c: Conflict,
  names: SideNames,
  chosen?: readonly Cell[] | null,
): Promise<void> => {
  const style = styleOf(out.color);
  const { cells } = shownConflict(c);
  const withResult = chosen !== undefined || c.state === 'ruled';
  const result = chosen === undefined ? c.result : chosen;
  const head = [
    '  column',
    'agreed',
    visibleText(names.source),
    visibleText(names.target),
    ...(withResult ? ['chosen'] : []),
  ];
  const rowsOf = (width: number): readonly string[][] =>
    cells.map((cell, i) => {
      const { source, target } = cell;
      const [a, b] =
        source === undefined || target === undefined
          ? [cellText(c, cell, 'source', width), cellText(c, cell, 'target', width)]
          : cutPair(...visiblePair(source, target), width);
      const kept = result?.[i];
      const value = kept != null && c.columns[i]?.concealed ? hidden : kept;
      return [
        `${cell.disputed ? style.yellow('?') : ' '} ${visibleText(cell.column)}`,
        cellText(c, cell, 'base', width),
        a,
        b,
        ...(withResult ? [value === undefined ? '' : cut(visibleCell(value), width)] : []),
      ];
    });
  const whole = columnsOf([head, ...rowsOf(mostWidth)], () => false);
  const room = roomOf(out);
  const named = Math.max(...[head, ...rowsOf(leastWidth)].map(([name]) => displayWidth(name!)));
  const share = Math.floor((room - named) / (head.length - 1)) - 3;
  const lines = whole.every((line) => displayWidth(line) <= room)
    ? whole
    : columnsOf([head, ...rowsOf(Math.max(leastWidth, Math.min(mostWidth, share)))], () => false);
  await out.write(`${[style.dim(lines[0]!), ...lines.slice(1)].join('\n')}\n`);
  const none = [
    c.base === null ? 'nothing was agreed before' : '',
    c.source === null ? `${visibleText(names.source)} has no such row` : '',
    c.target === null ? `${visibleText(names.target)} has no such row` : '',
    withResult && result == null ? 'chosen: no row' : '',
  ].filter((x) => x !== '');
  if (none.length > 0) await out.write(`  ${none.join(' · ')}\n`);
};

export const conflictJson = (out: Out, c: Conflict, names: SideNames): Promise<void> =>
  out.write(`${jsonText({ schema_version: 1, ...shownConflict(c), names })}\n`);

export const conflictTable = async (out: Out, c: Conflict, names: SideNames): Promise<void> => {
  const style = styleOf(out.color);
  const { resolution: r } = c;
  const room = roomOf(out);
  const line = (name: string, text: string): Promise<void> => out.write(`${labelled(`  ${name}`, text, 12, room)}\n`);
  const head = [
    style.bold(c.id),
    `${visibleText(c.sync)}/${visibleText(c.pair)} ${style.bold(keyText(c))}`,
    c.type,
    standing(c),
  ];
  await out.write(`  ${flowed(head, '   ', room - 2).join('\n  ')}\n`);
  await line('found', `${utc(c.found)} by run ${c.run}${c.seen > c.found ? `, seen again until ${utc(c.seen)}` : ''}`);
  await line(c.state === 'pending' ? 'waits' : 'because', inert(shownReason(c)));
  if (r !== null) {
    await line(
      'decided',
      `${r.take}${'cells' in r ? ' with values by hand' : ''}, ${utc(r.at)} by ${inert(r.by)}${r.why === null ? '' : `: ${inert(r.why)}`}`,
    );
  }
  if (c.closedBy !== null && c.closed !== null) await line('closed', `${utc(c.closed)} by run ${c.closedBy}`);
  await out.write('\n');
  await conflictCells(out, c, names, r === null ? undefined : chosenRow(c, r));
  if (c.state === 'pending') {
    const base = c.base === null ? '' : '|base';
    const command = `lockstep conflicts resolve ${c.id} --take source|target${base} --why "…"`;
    const beside = 12 + displayWidth(command) <= room ? ' '.repeat(6) : '\n    ';
    await out.write(`\n  next${beside}${style.bold(command)}\n`);
    await line('', '--set COLUMN=VALUE, with --take source or target, replaces single values of that row');
  }
};
