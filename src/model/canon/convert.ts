import type { Cell, Text } from '../row.ts';
import type { ColumnType, Kind } from '../schema.ts';
import { canonical } from './canonical.ts';
import { floatAsDecimal, floatAsText } from './float.ts';
import { isMisfit, misfitContent } from './misfit.ts';
import { withoutPadding } from './text.ts';
import { uuidText } from './uuid.ts';

/** Kinds whose canonical text is any text. */
export const isTextual = (kind: Kind): boolean =>
  kind === 'text' || kind === 'enum' || kind === 'opaque' || kind === 'interval';

/**
 * Renders a cell of one type as another: what an engine does in SQL when a column is selected `as` a pair's common
 * type, exactly or as a misfit. Rules beyond reading the text:
 *
 *   float -> decimal, text   the shortest decimal of the float's own width (a 32-bit 0.1 is `0.1`)
 *   bool -> int, decimal     1 and 0
 *   uuid <-> bytes           its sixteen bytes
 *   date -> timestamp, instant   midnight (of UTC)
 *   anything -> text         its canonical text; a text misfit is its text
 *   CHAR(n)                  is trimmed where it is stored, whatever it is rendered as
 */
export const convert = (cell: Cell, from: ColumnType, to: ColumnType): Cell => {
  if (cell === null) return null;
  if (isMisfit(cell)) return reread(cell, to);
  if (from.kind === to.kind && from.kind !== 'text' && from.kind !== 'float') return cell;
  if (from.kind === 'float') {
    if (to.kind === 'float' && to.bits >= from.bits) return cell;
    if (to.kind === 'decimal' || to.kind === 'int') return canonical(to, floatAsDecimal(cell, from.bits));
    return canonical(to, floatAsText(cell, from.bits));
  }
  if (from.kind === 'bool' && (to.kind === 'int' || to.kind === 'decimal'))
    return (cell === 'true' ? '1' : '0') as Text;
  if (from.kind === 'text' && from.padded) return canonical(to, withoutPadding(cell));
  if (from.kind === 'uuid' && to.kind === 'bytes') return cell.replaceAll('-', '') as Text;
  return canonical(to, cell);
};

/** A misfit of one type may be a value of another: no uuid but a text, no integer but a decimal. */
const reread = (cell: Text, to: ColumnType): Text => {
  const { stored, content } = misfitContent(cell);
  if (stored === 'b')
    return to.kind === 'bytes' ? (content as Text) : (((to.kind === 'uuid' && uuidText(content)) || cell) as Text);
  const numeric = to.kind === 'int' || to.kind === 'decimal' || to.kind === 'float' || to.kind === 'json';
  if (stored !== 't' && !(stored === 'n' && numeric)) return cell;
  const again = canonical(to, content);
  return isMisfit(again) ? cell : again;
};
