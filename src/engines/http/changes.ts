import type { Cancel } from '../../model/cancel.ts';
import { canonical } from '../../model/canon/canonical.ts';
import { convert } from '../../model/canon/convert.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import { compareCells } from '../../model/order.ts';
import { inRange } from '../../model/ranges.ts';
import type { Changes } from '../../model/reader.ts';
import type { Batch, Cell, Row, Text } from '../../model/row.ts';
import type { TableName } from '../../model/schema.ts';
import type { SelectedColumn } from '../../model/selected.ts';
import { keyTypes } from '../../model/selection.ts';
import { enumerate } from './enumerate.ts';
import { type JsonObject, parseJson, scalarText } from './json.ts';
import { type ReaderContext, rowMaker } from './rows.ts';
import type { Shape } from './shape.ts';
import type { Spool } from './spool.ts';
import { sentValue } from './values.ts';

/** The declared `since` parameter that asks for rows changed from a value on; undefined: only the whole list will do. */
const sinceQuery = (shape: Shape, column: SelectedColumn, from: Text): Readonly<Record<string, string>> | undefined => {
  const { since } = shape.resource;
  const own = shape.columns.find((c) => c.name === column.name);
  if (since === undefined || since.column !== column.name || own === undefined) return undefined;
  const cell = convert(from, column.as, own.type);
  if (cell === null || isMisfit(cell)) return undefined;
  const sent = sentValue(own, cell, undefined);
  const text = 'refused' in sent ? undefined : scalarText(sent.value);
  return text === undefined ? undefined : { [since.param]: text };
};

/** The API's own time, as a column of times would hold it. */
const nowAs = ({ as }: SelectedColumn, clockMs: number | undefined): Text | undefined =>
  clockMs === undefined || (as.kind !== 'instant' && as.kind !== 'timestamp' && as.kind !== 'date')
    ? undefined
    : canonical({ kind: 'instant', fraction: 6 }, new Date(clockMs).toISOString());

/** Changed rows by a column: the API's own `since` parameter where one is declared, else a look through the whole list. */
export const changesOver = (
  x: ReaderContext,
  o: {
    alone<T>(o: Cancel, work: () => Promise<T>): Promise<T>;
    /** The whole list; kept by the reader. */
    whole(shape: Shape, signal: AbortSignal): Promise<Spool>;
    /** Was it read already? */
    held(shape: Shape): boolean;
  },
): Changes => {
  /** The list from a value on, or the whole one. */
  const reading = async (
    shape: Shape,
    column: SelectedColumn,
    from: Text | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly spool: Spool; readonly own: boolean }> => {
    const query = from === undefined || o.held(shape) ? undefined : sinceQuery(shape, column, from);
    if (query === undefined) return { spool: await o.whole(shape, signal), own: false };
    return { spool: await enumerate(x, shape, { signal, query }), own: true };
  };

  async function* rowsOf(
    shape: Shape,
    columns: readonly SelectedColumn[],
    spool: Spool,
    signal: AbortSignal,
  ): AsyncGenerator<Batch<Row>> {
    const make = rowMaker(shape, columns, x.client.side);
    for await (const chunk of spool.chunks(signal)) yield chunk.map(({ json }) => make(parseJson(json) as JsonObject));
  }

  const latest = async (
    table: TableName,
    column: SelectedColumn,
    from: Text | undefined,
    signal: AbortSignal,
  ): Promise<Cell> => {
    const shape = await x.shape(table, { signal });
    const { spool, own } = await reading(shape, column, from, signal);
    let greatest: Cell = null;
    try {
      for await (const rows of rowsOf(shape, [column], spool, signal))
        for (const [cell] of rows) {
          if (cell === null || cell === undefined || isMisfit(cell)) continue;
          if (greatest === null || compareCells(column.as, cell, greatest) > 0) greatest = cell;
        }
    } finally {
      if (own) spool[Symbol.dispose]();
    }
    return greatest;
  };

  return {
    columns: {
      latest: (table, column, { signal, from }) =>
        o.alone({ signal }, async () => {
          const value = await latest(table, column, from, signal);
          const now = nowAs(column, x.client.clockMs);
          return now === undefined ? { value } : { value, now };
        }),
      since: async function* (selection, column, from, { signal }) {
        const shape = await x.shape(selection.table, { signal });
        const read = await o.alone({ signal }, () => reading(shape, column, from, signal));
        try {
          for await (const rows of rowsOf(shape, [...selection.columns, column], read.spool, signal)) {
            const changed = rows.filter((row) => {
              const cell = row.at(-1)!;
              return cell === null || isMisfit(cell) || compareCells(column.as, cell, from) >= 0;
            });
            const keys = changed.map((row) => row.slice(0, -1));
            const { range } = selection;
            const inside = range === undefined ? keys : keys.filter((key) => inRange(keyTypes(selection), range, key));
            if (inside.length > 0) yield inside;
          }
        } finally {
          if (read.own) read.spool[Symbol.dispose]();
        }
      },
    },
  };
};
