import { bytesFromHex } from '../../model/canon/bytes.ts';
import { convert } from '../../model/canon/convert.ts';
import { withoutPadding } from '../../model/canon/text.ts';
import { uuidFromBytes } from '../../model/canon/uuid.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Cell, Row, Text } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import type { SelectedColumn, Selection } from '../../model/selected.ts';
import { id } from '../sql/quote.ts';
import type { CatalogueColumn } from './catalogue.ts';
import { type Codec, codecOf, isUtf8 } from './charsets.ts';
import { type BytesReader, hexReader, type RawCell, utf8Reader } from './decode.ts';
import type { Quad } from './driver.ts';
import type { RawRow, Session, StatementOptions } from './session.ts';
import { isBlob, isForeign, isOctets } from './types.ts';

/** A selected column as this database holds it. */
export interface ColumnSql {
  readonly column: SelectedColumn;
  readonly facts: CatalogueColumn['facts'];
  readonly computed: boolean;
  /** `t."NAME"` */
  readonly sql: string;
  /**
   * What the column is ordered and compared by; other than `sql` where the table holds the least integer of 64 bits:
   * Firebird's indexes have it between -1 and 0, so that a range read by an index lacks it.
   */
  readonly sorted: string;
  /** What is asked for: one expression, or two for a BLOB (short ones as text, others by address). */
  readonly outputs: readonly string[];
  readonly reader: BytesReader;
  /** The character set's bytes; undefined: only the server reads them, and they arrive as UTF-8. */
  readonly codec: Codec | undefined;
  /** The character set's name, what NONE stands for included. */
  readonly charset: string;
}

/** Bytes of a BLOB that travel in the row itself. */
const inRow = 8000;

/** Longest text or binary that SQL can cast to. */
export const longestCast = 32_765;

const asOctets = (sql: string, bytes: number): string => `cast(${sql} as varchar(${bytes}) character set octets)`;

const isText = (c: CatalogueColumn): boolean => c.facts.charset !== '' && !isOctets(c.facts);

const columnSql = (column: SelectedColumn, c: CatalogueColumn, noneCharset: string): ColumnSql => {
  const { facts } = c;
  const sql = `t.${id(column.name)}`;
  const charset = facts.charset === 'NONE' ? noneCharset : facts.charset;
  const binary = column.stored.kind === 'bytes' || column.stored.kind === 'uuid';
  const codec = isText(c) ? codecOf(charset) : undefined;
  const reader = binary ? hexReader : (codec?.decode ?? utf8Reader);
  const made = (outputs: readonly string[]): ColumnSql => ({
    column,
    facts,
    computed: c.computed,
    sql,
    sorted: sql,
    outputs,
    reader,
    codec,
    charset,
  });
  if (isBlob(facts)) {
    const short = `octet_length(${sql}) <= ${inRow}`;
    // Read by its address a text is converted to UTF-8, what is not valid in it to zeros; joined to bytes it is bytes.
    const converted = isText(c) && codec !== undefined && facts.charset !== 'NONE' && !isUtf8(facts.charset);
    const whole = converted ? `cast(x'' as blob sub_type binary) || ${sql}` : sql;
    return made([`case when ${short} then ${asOctets(sql, inRow)} end`, `case when not (${short}) then ${whole} end`]);
  }
  if (isForeign(facts)) return made([`cast(${sql} as varchar(64) character set ascii)`]);
  // As its own bytes: the server's own conversion stops at, or changes, what is not valid in the character set.
  if (isText(c) && codec && !(isUtf8(facts.charset) && isUtf8(charset)))
    return made([asOctets(sql, Math.max(1, facts.length))]);
  return made([sql]);
};

/** The columns of a selection with the facts of the catalogue; throws COLUMN_NOT_FOUND. */
export const columnsSql = (
  selection: Selection,
  facts: ReadonlyMap<string, CatalogueColumn>,
  o: { readonly side: string; readonly noneCharset: string },
): readonly ColumnSql[] =>
  selection.columns.map((column) => {
    const found = facts.get(column.name);
    if (!found)
      throw new LockstepError(
        'COLUMN_NOT_FOUND',
        `${o.side}: ${tableLabel(selection.table)} has no column ${column.name}.`,
        { side: o.side, hint: 'Was it renamed or dropped meanwhile?' },
      );
    if (found.facts.dimensions > 0)
      throw new LockstepError(
        'NOT_WRITABLE',
        `${o.side}: ${tableLabel(selection.table)}.${column.name} is an array, which is not read: the table can be compared without it, and its rows cannot be guarded.`,
        { side: o.side, hint: 'Leave the table out of what is written (mode: compare).' },
      );
    return columnSql(column, found, o.noneCharset);
  });

/** The outputs of all columns, and how the bytes of each are read. */
export const outputsOf = (
  columns: readonly ColumnSql[],
): { readonly sql: string; readonly texts: readonly BytesReader[] } => ({
  sql: columns.flatMap((c) => c.outputs).join(', '),
  texts: columns.flatMap((c) => c.outputs.map(() => c.reader)),
});

/** What came for a cell, as the canonical text of the column's own type. */
const native = (c: ColumnSql, raw: string): Text => {
  const { stored } = c.column;
  if (stored.kind === 'uuid') return uuidFromBytes(bytesFromHex(raw)) as Text;
  if (stored.kind === 'text' && stored.padded) return withoutPadding(raw) as Text;
  return raw as Text;
};

const rendered = (c: ColumnSql, raw: string): Cell => {
  const { stored, as } = c.column;
  const own = native(c, raw);
  return stored === as ? own : convert(own, stored, as);
};

/** Longest BLOB that fits a cell: a text of JavaScript has at most 2^29 - 24 units, and binary takes two a byte. */
const longestBlob = 250_000_000;

/** Turns rows as they come into rows of cells; BLOBs that did not travel in the row are fetched. */
export const rowReader = (
  session: Session,
  columns: readonly ColumnSql[],
  table: string,
  o: StatementOptions,
): { rows(raw: readonly RawRow[]): Promise<Row[]> } => {
  const plain = columns.every((c) => c.outputs.length === 1);
  const whole = async (c: ColumnSql, address: Quad): Promise<Cell> => {
    const bytes = await session.readBlob(address, o);
    if (bytes.length > longestBlob)
      throw new LockstepError(
        'DATABASE',
        `${session.context.name}: a cell of ${table}.${c.column.name} has ${bytes.length} bytes, more than can be compared (${longestBlob}).`,
        { side: session.context.name, hint: 'Leave the column out (--exclude).' },
      );
    return rendered(c, c.reader(bytes));
  };
  const cell = (c: ColumnSql, raw: RawCell): Cell => (raw === null ? null : rendered(c, raw as string));
  return {
    rows: async (raw) => {
      if (plain) return raw.map((row) => columns.map((c, i) => cell(c, row[i]!)));
      const rows: Row[] = [];
      for (const row of raw) {
        const cells: Cell[] = [];
        let i = 0;
        for (const c of columns) {
          const first = row[i++]!;
          if (c.outputs.length === 1) cells.push(cell(c, first));
          else {
            const address = row[i++]! as Quad | null;
            cells.push(first === null && address !== null ? await whole(c, address) : cell(c, first));
          }
        }
        rows.push(cells);
      }
      return rows;
    },
  };
};
