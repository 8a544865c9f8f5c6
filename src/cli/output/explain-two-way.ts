import { shownCell, visibleCell, visibleText } from '../../model/canon/show.ts';
import type { Conflict } from '../../model/conflicts.ts';
import type { Cell, Row } from '../../model/row.ts';
import type { TwoWayDecision } from '../../model/two-way.ts';
import type { Explained } from '../../work/explain.ts';
import { shownConflict, shownReason } from '../../work/two-way/shown-conflict.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import type { Style } from '../style.ts';
import { roomOf } from './list.ts';
import { labelled, utc } from './text.ts';

type BothWays = NonNullable<Explained['twoWay']>;

/** What was agreed last, as the source showed it; a value that is not kept is undefined. */
export const baseCell = ({ base }: BothWays, i: number): Cell | undefined => {
  const cell = base?.source[i];
  return cell === undefined || (cell !== null && typeof cell === 'object') ? undefined : cell;
};

const rowObject = (e: Explained, row: Row | null): unknown =>
  row && Object.fromEntries(e.pair.columns.map((c, i) => [c.source.name, shownCell(row[i] ?? null, c.as)]));

const nextJson = (e: Explained, next: TwoWayDecision, unfit: BothWays['unfit']): unknown => {
  switch (next.kind) {
    case 'agreed':
      return { kind: 'agreed' };
    case 'ask':
      return { kind: 'waits', type: next.type, reason: next.reason };
    default:
      return {
        kind: next.kind,
        row: rowObject(e, next.result),
        type: next.ruling?.type ?? null,
        policy: next.ruling?.policy ?? null,
        reason: next.ruling?.reason ?? null,
        does_not_fit: unfit,
      };
  }
};

/** Members that the JSON of `lockstep explain` has for a sync that keeps an archive. */
export const explainedBothJson = (e: Explained): Readonly<Record<string, unknown>> => {
  const { twoWay } = e;
  if (twoWay === undefined) return {};
  const { base } = twoWay;
  const cells = e.pair.columns.flatMap((c, i) => {
    const cell = baseCell(twoWay, i);
    return cell === undefined ? [] : [[c.source.name, shownCell(cell, c.as)]];
  });
  return {
    base: base ? { row: Object.fromEntries(cells), at: utc(base.at), run: base.run } : null,
    conflicts: twoWay.conflicts.map(shownConflict),
    ...(twoWay.next === undefined ? {} : { next: nextJson(e, twoWay.next, twoWay.unfit) }),
  };
};

/** The cells of a row that a side does not show yet. */
export const changesTo = (e: Explained, result: Row, side: 'source' | 'target', names: Names): string | undefined => {
  const row = e[side];
  if (row === null) return `+ ${visibleText(names[side])}`;
  const cells = e.pair.columns.flatMap((c, i) =>
    result[i] === row[i] || (e.source !== null && e.target !== null && !e.columns.includes(c.source.name))
      ? []
      : [`${visibleText(c[side].name)} → ${visibleCell(shownCell(result[i] ?? null, c.as))}`],
  );
  return cells.length === 0 ? undefined : `~ ${visibleText(names[side])}: ${cells.join(', ')}`;
};

interface Names {
  readonly source: string;
  readonly target: string;
}

const nextText = (
  e: Explained,
  { next, unfit }: BothWays & { readonly next: TwoWayDecision },
  open: Conflict | undefined,
  names: Names,
): string => {
  if (open?.state === 'decided') return 'write what was decided, unless the row moves before';
  switch (next.kind) {
    case 'agreed':
      return e.columns.length > 0 || e.source === null || e.target === null
        ? 'nothing: this is what was agreed'
        : 'nothing';
    case 'ask':
      return `wait for a person: ${inert(next.reason)}`;
    default: {
      const { result, ruling } = next;
      const leaves = next.kind === 'settled' ? next.leaves : undefined;
      const sides = (['source', 'target'] as const).flatMap((side) => {
        const misfit = unfit.find((u) => u.side === side);
        if (misfit !== undefined) return `${visibleText(names[side])} is not written: ${inert(misfit.reason)}`;
        return result === null
          ? e[side] === null || leaves === side
            ? []
            : [`- ${visibleText(names[side])}`]
          : leaves === side
            ? []
            : (changesTo(e, result, side, names) ?? []);
      });
      const what = sides.length === 0 ? 'nothing is to be written' : sides.join('   ');
      return ruling === undefined
        ? `${what}   (only one side changed, or each other columns)`
        : `${what}   because ${inert(ruling.reason)}`;
    }
  }
};

const toldConflict = (c: Conflict): string => {
  const columns = c.columns.filter((x) => x.disputed).map((x) => visibleText(x.column));
  const about = columns.length === 0 ? 'the row' : columns.join(', ');
  const { resolution: r } = c;
  if (c.state === 'ruled') return `${about} ruled: ${inert(shownReason(c))}`;
  if (r !== null)
    return `${about} ${c.state}: ${r.take}, by ${inert(r.by)}${r.why === null ? '' : ` (${inert(r.why)})`}`;
  return `${about} ${c.state}: ${inert(shownReason(c))}`;
};

/** Base, what decided, what waits, and what the next run would do. */
export const explainedBothTable = async (out: Out, e: Explained, names: Names, style: Style): Promise<void> => {
  const { twoWay } = e;
  if (twoWay === undefined) return;
  const { base, conflicts, next } = twoWay;
  const line = (label: string, text: string): Promise<void> =>
    out.write(`${labelled(`  ${label}`, text, 14, roomOf(out))}\n`);
  await out.write('\n');
  if (base === undefined) await line('agreed', 'nothing yet: the sync has not run, or its pair has changed since');
  else if (base === null) await line('agreed', 'nothing: both sides never agreed on this row, or that it is gone');
  else {
    const changed = e.pair.columns.flatMap((c, i) => {
      const cell = baseCell(twoWay, i);
      if (cell === undefined || (cell === e.source?.[i] && cell === e.target?.[i])) return [];
      return [`${visibleText(c.source.name)} ${visibleCell(shownCell(cell, c.as))}`];
    });
    const cells = changed.length === 0 ? 'what both sides show' : changed.slice(0, 8).join(', ');
    await line('agreed', `${cells}   ${utc(base.at)}, run ${base.run}`);
  }
  const open = conflicts.find((c) => c.state === 'pending' || c.state === 'decided');
  for (const c of conflicts.slice(0, 5))
    await line(c === open ? style.yellow('conflict') : 'decided by', `${c.id}   ${utc(c.found)}   ${toldConflict(c)}`);
  if (next !== undefined) await line('next run', nextText(e, { ...twoWay, next }, open, names));
  if (open?.state === 'pending') await line('', `lockstep conflicts show ${open.id}`);
};
