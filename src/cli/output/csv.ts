import type { Cell } from '../../model/row.ts';
import { csvLine } from '../../work/csv-line.ts';
import { shownDifference } from '../../work/shown-difference.ts';
import type { Out } from '../io.ts';
import type { DiffOutput } from './diff-output.ts';

/** One line per cell that differs: `pair,key,kind,column,source,target`. The key is JSON. */
export const csvOutput = (out: Out): DiffOutput => {
  const header = (): Promise<void> =>
    out.write(csvLine(['pair', 'key', 'kind', 'column', 'source', 'target'] as unknown as Cell[]));
  let begun = false;
  return {
    async difference(pair, d) {
      if (!begun) await header();
      begun = true;
      const shown = shownDifference(pair, d);
      const head = [shown.pair, JSON.stringify(shown.key), shown.kind] as unknown as Cell[];
      await out.write(
        shown.cells.map((c) => csvLine([...head, c.column as Cell, c.source ?? null, c.target ?? null])).join(''),
      );
    },
    async end() {
      if (!begun) await header();
    },
    async [Symbol.asyncDispose]() {},
  };
};
