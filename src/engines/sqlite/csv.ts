import type { Segment, SelectedColumn, Selection } from '../../model/selected.ts';
import { csvForm } from '../sql/csv-form.ts';
import { id } from '../sql/quote.ts';
import { findTable, rowidName } from './catalogue.ts';
import { readChunk } from './chunks.ts';
import type { Bind } from './database.ts';
import type { Affinity } from './declared-type.ts';
import { planRead } from './read-plan.ts';
import type { Snapshot } from './reading.ts';
import { type Meter, whereOf } from './scan.ts';

/**
 * Rows leave SQLite as the CSV that a server loads: one blob of some thousand of them, made by SQLite alone. Each row says
 * whether all its values are what their columns' types say; where one is not, its whole segment is read as cells.
 */
interface CsvColumn {
  /** The value in CSV; NULL or empty for NULL. */
  readonly cell: string;
  /** True for values that the cell says exactly; NULL for NULL. */
  readonly usual: string;
}

const isoDay = '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]';
const isoTime = '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]';
/** Doubles of so many digits are written as their shortest decimal, and there is one. */
const shortDecimal = 16;
const safe = '9007199254740992';

const isNumber = (c: string): string => `+${c} < ''`;
const isText = (c: string, affinity: Affinity): string =>
  affinity === 'TEXT' ? `+${c} < x''` : `(+${c} < x'' and +${c} >= '')`;

const csvColumn = ({ name, as }: SelectedColumn, affinity: Affinity, exactReals: boolean): CsvColumn | undefined => {
  const c = id(name);
  // what a pattern says needs no quotes; a number never looks like it, a blob may
  const pattern = (usual: string): CsvColumn => ({ cell: c, usual: `+${c} < x'' and ${usual}` });
  switch (as.kind) {
    case 'int':
      return { cell: c, usual: isNumber(c) };
    case 'bool':
      return { cell: c, usual: `${isNumber(c)} and ${c} in (0, 1)` };
    case 'decimal': {
      // in either case no more digits than a double keeps
      const real =
        as.scale === undefined
          ? `abs(${c}) < 1e15 and octet_length(${c}) <= ${shortDecimal}`
          : `abs(${c}) < 1e${15 - as.scale} and round(${c}, ${as.scale}) = ${c}`;
      return exactReals
        ? { cell: c, usual: `${isNumber(c)} and (typeof(${c}) = 'integer' or (${real}))` }
        : { cell: c, usual: `typeof(${c}) = 'integer'` };
    }
    case 'float':
      return exactReals
        ? { cell: c, usual: `${isNumber(c)} and (typeof(${c}) = 'real' or abs(${c}) <= ${safe})` }
        : undefined;
    case 'text':
      return {
        cell: `'"' || replace(${c}, '"', '""') || '"'`,
        usual: `${isText(c, affinity)}${as.maxLength === undefined ? '' : ` and length(${c}) <= ${as.maxLength}`}`,
      };
    case 'uuid':
      return pattern(`${c} glob '${[8, 4, 4, 4, 12].map((n) => '[0-9A-Fa-f]'.repeat(n)).join('-')}'`);
    case 'date':
      return pattern(`${c} glob '${isoDay}'`);
    case 'timestamp':
      return pattern(
        `(${c} glob '${isoDay} ${isoTime}' or (octet_length(${c}) between 21 and 26
         and ${c} glob '${isoDay} ${isoTime}.*' and substr(${c}, 21) not glob '*[^0-9]*'))`,
      );
    case 'bytes':
      return { cell: `iif(${c} is null, '', '\\x' || hex(${c}))`, usual: `+${c} >= x''` };
    default:
      return undefined;
  }
};

/** SQLite takes at most 1,000 arguments in one expression. */
const mostColumns = 300;
const targetBytes = 256 * 1024;
const longest = 1 << 20;

interface CsvRead {
  readonly form: string;
  readonly rowid: string;
  readonly line: string;
  readonly usual: string;
}

/** How these columns are read as CSV; undefined where they cannot be. */
const csvRead = (s: Snapshot, selection: Selection): CsvRead | undefined => {
  const { columns } = selection;
  const form = csvForm(columns.map((c) => c.as));
  if (form === undefined || s.db.encoding !== 'UTF-8' || columns.length > mostColumns) return undefined;
  const catalogue = findTable(s.db, selection.table.name);
  const rowid = rowidName(catalogue);
  const made = columns.map((c) => csvColumn(c, catalogue.affinities.get(c.name) ?? 'BLOB', s.db.exactReals));
  if (rowid === undefined || made.includes(undefined)) return undefined;
  const cells = made.map((m) => m!.cell);
  const usual = columns.map((c, i) => `(${id(c.name)} is null or (${made[i]!.usual}))`);
  return {
    form,
    rowid,
    line: `concat(${cells.join(", ',', ")}, char(10))`,
    usual: usual.join(' and '),
  };
};

export const csvFormOf = (s: Snapshot, selection: Selection): string | null => csvRead(s, selection)?.form ?? null;

/** Rows of a segment as CSV, a chunk at a time; `odd`: a row holds what CSV of these types does not say. */
export function* csvRows(
  s: Snapshot,
  selection: Selection,
  segment: Segment,
  meter: Meter,
): Generator<{ readonly csv: Uint8Array; readonly count: number } | { readonly odd: true }> {
  const read = csvRead(s, selection);
  const plan = planRead(s.db, selection, segment, s.orders);
  if (read === undefined || plan.keep !== undefined) {
    yield { odd: true };
    return;
  }
  const { rowid, line, usual } = read;
  for (const piece of plan.pieces) {
    let after: Bind | undefined;
    for (let limit = 100; ; ) {
      const where = whereOf(selection, piece, after === undefined ? '' : `${rowid} > ?`);
      const sql = `select cast(group_concat(iif(octet_length(f) < ${longest}, f, null), '') as blob), count(*),
        count(f), max(n), max(octet_length(f)) from (select ${rowid} as n, iif(${usual}, ${line}, null) as f
        from ${id(selection.table.name)}${where} order by ${rowid} limit ${limit})`;
      meter.sql ||= sql;
      const found = readChunk(s, sql, [...piece.values, ...(after === undefined ? [] : [after])]);
      if (found === undefined || found[1] !== found[2] || Number(found[4] ?? 0) >= longest) {
        yield { odd: true };
        return;
      }
      const rows = Number(found[1]);
      if (rows === 0) break;
      const csv = found[0] as Uint8Array;
      meter.rows += rows;
      meter.bytes += csv.length;
      meter.pace(rows);
      yield { csv, count: rows };
      if (rows < limit) break;
      after = found[3] as Bind;
      limit = Math.max(1, Math.ceil((targetBytes * rows) / csv.length));
    }
  }
}
