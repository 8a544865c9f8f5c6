import { canonical } from '../../model/canon/canonical.ts';
import { isMisfit, misfitContent } from '../../model/canon/misfit.ts';
import type { SelectedColumn } from '../../model/endpoint.ts';
import type { Cell, Text } from '../../model/row.ts';

/** A stored cell (canonical text of the column's own type) as the type the selection asks for. */
export const render = (cell: Cell, { stored, as }: SelectedColumn): Cell => {
  if (cell === null || JSON.stringify(stored) === JSON.stringify(as)) return cell;
  const odd: boolean = isMisfit(cell);
  if (odd) {
    const held = misfitContent(cell);
    return stored.kind === as.kind || held.stored === 'b' ? cell : canonical(as, held.content);
  }
  if (stored.kind === as.kind && as.kind !== 'float') return cell;
  if (stored.kind === 'bool' && (as.kind === 'int' || as.kind === 'decimal'))
    return (cell === 'true' ? '1' : '0') as Text;
  if (stored.kind === 'float' && stored.bits === 32 && as.kind === 'decimal')
    return canonical(as, shortest32(Number(cell)));
  if (stored.kind === 'date' && (as.kind === 'timestamp' || as.kind === 'instant')) {
    return (cell.endsWith('infinity') ? cell : cell.replace(/^[\d-]+/, '$& 00:00:00')) as Text;
  }
  return canonical(as, cell);
};

/** The shortest decimal that reads back as the same 32-bit float. */
const shortest32 = (x: number): string => {
  for (let digits = 1; digits < 9; digits++) {
    const text = x.toPrecision(digits);
    if (Math.fround(Number(text)) === x) return text;
  }
  return String(x);
};
