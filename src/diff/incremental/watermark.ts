import { dateOfDay, momentText, plainDay } from '../../model/canon/calendar.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import { parts, timestampParts } from '../../model/canon/timestamp.ts';
import { compareCells } from '../../model/order.ts';
import type { Cell, Text } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';

/** How far to look back behind the last value: milliseconds for times, a count for numbers. */
export interface Overlap {
  readonly ms: number;
  readonly count: number;
}

const times = new Set(['timestamp', 'instant', 'date']);

/** Can values of this type tell what came later? */
export const isWatermark = (type: ColumnType): boolean => type.kind === 'int' || times.has(type.kind);

/**
 * What is kept of a snapshot: the greatest value in it, but no value of the future: one row dated 2099 would hide every
 * change until then. Undefined: nothing to go by, and the next comparison looks at all rows.
 */
export const markOf = (type: ColumnType, greatest: Cell, now: Text | undefined): Text | undefined => {
  if (greatest === null || isMisfit(greatest)) return undefined;
  if (now === undefined || !times.has(type.kind)) return greatest;
  const latest = type.kind === 'date' ? (now.slice(0, 10) as Text) : now;
  return compareCells(type, greatest, latest) <= 0 ? greatest : latest;
};

const day = 86_400_000;

/** The mark less the overlap: rows from this value on are looked at. Undefined: the mark has no number to count from. */
export const boundOf = (type: ColumnType, mark: Text, overlap: Overlap): Text | undefined => {
  switch (type.kind) {
    case 'int':
      return /^-?\d+$/.test(mark) ? (String(BigInt(mark) - BigInt(overlap.count)) as Text) : undefined;
    case 'date': {
      const days = mark.length === 10 ? plainDay(mark) : Number.NaN;
      if (Number.isNaN(days)) return undefined;
      const { date, bc } = dateOfDay(days - Math.ceil(overlap.ms / day));
      return bc ? undefined : (date as Text);
    }
    default: {
      // Years beyond four digits, or before our era: engines write them each in its own way.
      if (!/^\d{4}-\d\d-\d\d /.test(mark) || mark.endsWith('BC') || timestampParts(mark) !== 0) return undefined;
      const micros = parts.micros - Math.round((overlap.ms % 1000) * 1000);
      const seconds = parts.seconds - Math.floor(overlap.ms / 1000);
      const text = micros < 0 ? momentText(seconds - 1, micros + 1_000_000) : momentText(seconds, micros);
      return text === undefined || text.endsWith('BC') ? undefined : (text as Text);
    }
  }
};
