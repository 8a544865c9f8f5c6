import { LockstepError } from '../../model/errors.ts';
import type { BulkRows } from '../../model/reader.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Selection } from '../../model/selected.ts';
import { isCsv } from '../sql/csv-form.ts';
import { tableId } from '../sql/quote.ts';
import type { RowSink } from './copy-out.ts';
import type { HashingContext } from './hashing-context.ts';
import { segmentSql } from './select.ts';
import type { Session, StatementOptions } from './session.ts';

const wantedBytes = 64 * 1024;

/** Messages of a COPY as they came, heads and all. */
const messages = (): RowSink<{ readonly bytes: Buffer; readonly rows: number }> => {
  let parts: Buffer[] = [];
  let held = 0;
  let rows = 0;
  return {
    row: () => {
      throw new Error('rows are taken by the block');
    },
    block: (bytes, start, ends, count) => {
      const part = bytes.subarray(start, ends[count - 1]!);
      parts.push(part);
      held += part.length;
      rows += count;
    },
    take: (last) => {
      if (held === 0 || (!last && held < wantedBytes)) return undefined;
      const taken = { bytes: parts.length === 1 ? parts[0]! : Buffer.concat(parts, held), rows };
      parts = [];
      held = 0;
      rows = 0;
      return taken;
    },
  };
};

/** Types and whether their binary form means the same in any database: none of the user's own, none that is a number of the catalogue. */
const typesQuery = `
select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
       (t.oid < 16384 and t.typtype = 'b' and t.typname !~ '^_?reg' and t.typname !~ '^_?(aclitem|pg_|oidvector|record)')::text
from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
where a.attrelid = pg_catalog.to_regclass($1) and a.attnum > 0 and not a.attisdropped`;

/**
 * The byte forms of columns, the cheapest first. Their names hold the types with all modifiers: bytes go only where they
 * mean the same and where nothing is rounded or cut on the way in.
 */
export const byteForms = async (
  session: Session,
  table: Selection['table'],
  columns: readonly string[],
  o: StatementOptions,
): Promise<readonly string[]> => {
  const found = new Map((await session.query(typesQuery, [tableId(table)], o)).map((row) => [row[0]!, row]));
  const rows = columns.map((name) => found.get(name));
  if (columns.length === 0 || rows.some((row) => row === undefined)) return [];
  const types = JSON.stringify(rows.map((row) => row![1]));
  const text = `postgres text ${types}`;
  return rows.every((row) => row![2] === 'true') ? [`postgres binary ${types}`, text] : [text];
};

/** The options of COPY for a form. */
export const formOption = (form: string): string => {
  if (isCsv(form)) return ` (format csv, encoding 'UTF8')`;
  return form.startsWith('postgres binary ') ? ' (format binary)' : '';
};

/** Rows as the messages of a COPY. */
export const bulkRowsOf = (x: Omit<HashingContext, 'forms'>): BulkRows => ({
  forms: async (selection, o) => {
    const at = x.statement(selection, 'reading the types of', o);
    return byteForms(
      x.session,
      selection.table,
      selection.columns.map((c) => c.name),
      at,
    );
  },
  read: async function* (selection, segment, form, o): AsyncGenerator<Buffer, void, undefined> {
    const columns = await x.columnsOf(selection, o);
    if (segment.kind !== 'all' && segment.kind !== 'range')
      throw new LockstepError('INTERNAL', `${tableLabel(selection.table)}: bytes are read by ranges`);
    const { sql } = segmentSql(
      selection,
      columns,
      segment,
      columns.map((c) => c.raw),
      { ordered: false },
    );
    const at = x.statement(selection, 'reading', o);
    const batches = x.session.copy(`copy (${sql}) to stdout${formOption(form)}`, messages(), at);
    for await (const { bytes } of x.paced(batches, (b) => b.rows, at)) yield bytes;
  },
});
