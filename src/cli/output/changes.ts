import { visibleCell, visiblePair, visibleText } from '../../model/canon/show.ts';
import type { ChangeOp } from '../../model/change.ts';
import type { ShownChange } from '../../work/shown-change.ts';
import type { Style } from '../style.ts';
import { cut } from './text.ts';

const signs: Readonly<Record<ChangeOp, string>> = { insert: '+', update: '~', delete: '-' };

/** `~ public.orders 17   status "active" → "inactive"`, cut to `width`. */
export const changeLine = (change: ShownChange, style: Style, width: number): string => {
  const paint = { insert: style.green, update: style.yellow, delete: style.red }[change.op];
  const key = Object.values(change.key)
    .map((cell) => visibleCell(cell))
    .join(', ');
  const cells = change.cells
    .filter((c) => change.op === 'update' || !(c.column in change.key))
    .map((c) => {
      if (change.op !== 'update')
        return `${visibleText(c.column)} ${visibleCell((change.op === 'insert' ? c.after : c.before) ?? null)}`;
      const [before, after] = visiblePair(c.before ?? null, c.after ?? null);
      return `${visibleText(c.column)} ${before} → ${after}`;
    });
  const head = `${visibleText(change.table)} ${key}`;
  return `  ${paint(signs[change.op])} ${cut(`${head}   ${cells.join(' · ')}`, Math.max(30, width - 4))}`;
};

/** `+ insert 12   ~ update 39   - delete 0` */
export const countsLine = (counts: Readonly<Record<ChangeOp, number>>, style: Style): string =>
  [
    style.green(`+ insert ${counts.insert}`),
    style.yellow(`~ update ${counts.update}`),
    style.red(`- delete ${counts.delete}`),
  ].join('   ');
