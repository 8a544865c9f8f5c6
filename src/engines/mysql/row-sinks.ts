import type { Row, Text } from '../../model/row.ts';
import type { Rendered } from './render.ts';
import type { RowSink } from './row-stream.ts';

/** Batches of decoded rows. */
export const rowSink = (rendered: readonly Rendered[], batchRows: number): RowSink<readonly Row[]> => {
  const decoders = rendered.map((r) => r.decode);
  let rows: Row[] = [];
  return {
    add: ({ bytes, starts, ends }) => {
      const row: (Text | null)[] = [];
      for (let i = 0; i < decoders.length; i++) {
        const end = ends[i]!;
        row.push(end < 0 ? null : decoders[i]!(bytes, starts[i]!, end));
      }
      rows.push(row);
    },
    get full() {
      return rows.length >= batchRows;
    },
    take: () => {
      if (rows.length === 0) return undefined;
      const taken = rows;
      rows = [];
      return taken;
    },
  };
};
