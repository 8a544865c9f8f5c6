import { LockstepError } from '../../model/errors.ts';
import type { RawBatch, RawRows } from '../../model/reader.ts';
import { tableLabel } from '../../model/schema.ts';
import type { HashingContext } from './hashing-context.ts';
import { orderSql } from './key-sql.ts';
import { rawRows } from './raw-rows.ts';
import { segmentSql } from './select.ts';
import { spelledColumn } from './spell.ts';

/** Rows as the bytes of a binary COPY. */
export const rawRowsOf = (x: Omit<HashingContext, 'forms'>, validUtf8: boolean): RawRows => ({
  spellings: async (selection, o) => {
    const columns = await x.columnsOf(selection, o);
    const keys = columns.slice(0, selection.keyWidth);
    if (keys.length === 0 || keys.some((c) => orderSql(c) === undefined)) return undefined;
    return columns.map((c) => spelledColumn(c, validUtf8).map((s) => s.spelling));
  },
  read: async function* (selection, spellings, o): AsyncGenerator<RawBatch, void, undefined> {
    const columns = await x.columnsOf(selection, o);
    const spelled = columns.map((c, i) => {
      const found = spelledColumn(c, validUtf8).find((s) => s.spelling === spellings[i]);
      if (found) return found;
      const what = `${tableLabel(selection.table)}.${c.column.name}`;
      throw new LockstepError('INTERNAL', `${x.session.context.name}: ${what} has no spelling ${spellings[i]}`);
    });
    const outputs = spelled.map((s) => s.sql);
    const { sql } = segmentSql(selection, columns, { kind: 'all' }, outputs, { ordered: true });
    const at = x.statement(selection, 'reading', o);
    const sink = rawRows(spelled.map((s) => s.read));
    yield* x.paced(x.session.copy(`copy (${sql}) to stdout (format binary)`, sink, at), (b) => b.count, at);
  },
});
