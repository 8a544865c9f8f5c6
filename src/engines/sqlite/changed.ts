import { type Clock, systemClock } from '../../lib/clock.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import { timestampText } from '../../model/canon/timestamp.ts';
import { compareCells } from '../../model/order.ts';
import type { Changes, Reader } from '../../model/reader.ts';
import type { Cell, Text } from '../../model/row.ts';
import type { SelectedColumn } from '../../model/selected.ts';
import { id, literal } from '../sql/quote.ts';

/** A text that begins as a date does, so that the order of texts is that of times, but for offsets. */
const dated = `'[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'`;
const minute = 60_000;

/**
 * Rows from a time on. Any column holds anything here: what is no text, or is not written as a date, cannot be compared
 * and is shown; so is what has a negative offset, which is later than it looks. The bound is a minute earlier and
 * without seconds, since `2024-05-01` and `2024-05-01 00:00` are what `2024-05-01 00:00:00` is.
 */
const timesFrom = (c: string, from: Text): string => {
  const ms = Date.parse(`${from.slice(0, 10)}T${from.slice(11) || '00:00:00'}Z`);
  const earlier = new Date(ms - minute).toISOString().slice(0, 16).replace('T', ' ');
  return `${c} is null or typeof(${c}) <> 'text' or ${c} not glob ${dated} or ${c} >= ${literal(earlier)} or instr(substr(${c}, 11), '-') > 0`;
};

/** Texts and blobs are greater than every number, so they are shown. */
const numbersFrom = (c: string, from: Text): string => `${c} is null or ${c} >= ${from}`;

const isTime = ({ as }: SelectedColumn): boolean => as.kind !== 'int';

/** SQLite keeps no version of a row: by a column alone. Times are looked for through the whole table. */
export const changesOf = (scan: Reader['scan'], clock: Clock = systemClock): Changes => ({
  columns: {
    latest: async (table, column, o) => {
      const c = id(column.name);
      const now = timestampText(new Date(clock.now()).toISOString()) as Text;
      // Of times, all of the last day as it is written: blanks, a `T` and offsets make another order than time's.
      const filter = isTime(column)
        ? `${c} glob ${dated} and ${c} >= substr((select max(${c}) from ${id(table.name)} where ${c} glob ${dated}), 1, 10)`
        : `${c} = (select max(${c}) from ${id(table.name)})`;
      let value: Cell = null;
      for await (const rows of scan({ table, columns: [column], keyWidth: 1, filter }, { kind: 'all' }, o))
        for (const [cell] of rows)
          if (cell != null && !isMisfit(cell) && (value === null || compareCells(column.as, cell, value) > 0))
            value = cell;
      return isTime(column) ? { value, now } : { value };
    },
    since: (selection, column, from, o) => {
      const c = id(column.name);
      const filter = isTime(column) ? timesFrom(c, from) : numbersFrom(c, from);
      return scan({ ...selection, filter }, { kind: 'all' }, o);
    },
  },
});
