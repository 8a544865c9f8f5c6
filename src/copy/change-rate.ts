import { canonical } from '../model/canon/canonical.ts';
import { isMisfit, misfitContent } from '../model/canon/misfit.ts';
import type { Row } from '../model/row.ts';
import type { Column, Table } from '../model/schema.ts';

/** How often rows of a table are written, and by what that is known. Numbers of rows, rounded. */
export type ChangeRate =
  /** By a column that says when a row was written: rows whose last write was in the last hour, and day. */
  | {
      readonly by: 'column';
      readonly column: string;
      /** `inserts`: the column is set once, when the row is made. */
      readonly sees: 'writes' | 'inserts';
      readonly last_hour: number;
      readonly last_day: number;
      /** The latest value, as the column has it; null: none can be read. */
      readonly latest: string | null;
    }
  /** By the server's counters, deletes and repeated writes of one row counted too. */
  | {
      readonly by: 'counters';
      readonly per_hour: number;
      readonly per_day: number;
      /** Hours that were counted. */
      readonly over_hours: number;
      /** The counters may be older than that: the true rate is lower. */
      readonly at_most: boolean;
    }
  /** By the versions that the engine keeps with rows: at most so many were written while they were looked at. */
  | { readonly by: 'versions'; readonly name: string; readonly rows: number; readonly over_ms: number }
  | { readonly by: null; readonly reason: string };

const written = /(?:^|_)(?:updat|modif|chang|mtime|last_?(?:write|edit|seen_change)|row_?version_?time)/i;
const made = /(?:^|_)(?:creat|insert|added|ctime|regist)/i;
const moment = { kind: 'instant', fraction: 6 } as const;
const hourMs = 3_600_000;

/** Text of a cell as milliseconds since 1970, of what any engine or program keeps as a time; undefined: none. */
const millisOf = (text: string, column: Column): number | undefined => {
  if (column.type.kind === 'int' || column.type.kind === 'decimal' || column.type.kind === 'float') {
    const n = Number(text);
    // 1990 to 2065 in seconds, or in milliseconds
    if (n >= 631_152_000 && n < 3_000_000_000) return n * 1000;
    return n >= 631_152_000_000 && n < 3_000_000_000_000 ? n : undefined;
  }
  const read = canonical(moment, text);
  if (isMisfit(read)) return undefined;
  const ms = Date.parse(`${read.slice(0, 10)}T${read.slice(11, 23)}Z`);
  return Number.isNaN(ms) ? undefined : ms;
};

const kinds = new Set(['instant', 'timestamp', 'text', 'int', 'decimal', 'float']);

/** The column that tells when rows were written: the one that is named, else one whose name says so. */
const watermarkOf = (
  table: Table,
  named: string | undefined,
): { readonly column: Column; readonly sees: 'writes' | 'inserts' } | undefined => {
  const usable = table.columns.filter((c) => c.unreadable === undefined && kinds.has(c.type.kind));
  const own = usable.find((c) => c.name === named);
  if (own !== undefined) return { column: own, sees: 'writes' };
  const writes = usable.find((c) => written.test(c.name));
  if (writes !== undefined) return { column: writes, sees: 'writes' };
  const inserts = usable.find((c) => made.test(c.name));
  return inserts && { column: inserts, sees: 'inserts' };
};

/**
 * Counts by a watermark column while the rows go by; undefined: no column tells. `columns`: names in the order of the rows'
 * cells. Times without a zone are read as UTC.
 */
export const watermarkCounter = (
  table: Table,
  named: string | undefined,
  columns: readonly string[],
  now: number,
): { add(row: Row, times: number): void; result(): ChangeRate | undefined } | undefined => {
  const found = watermarkOf(table, named);
  const at = found === undefined ? -1 : columns.indexOf(found.column.name);
  if (found === undefined || at < 0) return undefined;
  let hour = 0;
  let day = 0;
  let read = 0;
  let latest: { readonly ms: number; readonly text: string } | undefined;
  return {
    add(row, times) {
      const cell = row[at];
      if (cell == null) return;
      const text = isMisfit(cell) ? misfitContent(cell).content : cell;
      const ms = millisOf(text, found.column);
      if (ms === undefined) return;
      read += times;
      if (latest === undefined || ms > latest.ms) latest = { ms, text };
      if (ms > now - 24 * hourMs) day += times;
      if (ms > now - hourMs) hour += times;
    },
    // a column of another kind than its name says tells nothing
    result: () =>
      read === 0
        ? undefined
        : {
            by: 'column',
            column: found.column.name,
            sees: found.sees,
            last_hour: hour,
            last_day: day,
            latest: latest?.text ?? null,
          },
  };
};
