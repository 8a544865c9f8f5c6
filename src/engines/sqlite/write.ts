import { holds } from '../../model/canon/spelling.ts';
import type { Change } from '../../model/change.ts';
import type { Cell, Row } from '../../model/row.ts';
import { sameRow } from '../../model/same-row.ts';
import type { Table } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import { id } from '../sql/quote.ts';
import { bindCell } from './binds.ts';
import { type CatalogueTable, findTable } from './catalogue.ts';
import type { Bind, Database } from './database.ts';
import { isSqliteFailure, resultCode, resultCodes } from './failures.ts';
import { keyBinds } from './key-order.ts';
import { keyName, type Located, locator } from './locate.ts';
import type { BatchArgs, BatchResult } from './operations.ts';
import { orderOf } from './read-plan.ts';
import type { Snapshot } from './reading.ts';
import { spareValue } from './spare-value.ts';
import { referrersOf, takenAlong } from './taken-along.ts';

/** The database's refusal of one change. */
class Refusal extends Error {
  readonly code: string;
  constructor(reason: string, code: string) {
    super(reason);
    this.code = code;
  }
}

/** A row that would take others along when it is deleted. */
class TakenAlong extends Error {
  readonly index: number;
  readonly row: Row;
  constructor(index: number, reason: string, row: Row) {
    super(reason);
    this.index = index;
    this.row = row;
  }
}

const refusing = new Set<number>([resultCodes.CONSTRAINT, resultCodes.MISMATCH, resultCodes.TOOBIG]);

/** A constraint's failure as a refusal in SQLite's words; anything else as it is. */
export const asRefusal = (error: unknown): unknown =>
  isSqliteFailure(error) && refusing.has(resultCode(error)!)
    ? new Refusal(error.message, String(error.errcode))
    : error;

const uniqueFailures = new Set(['1555', '2067', '2579']);

interface Statement {
  readonly sql: string;
  readonly values: readonly Bind[];
}

const run = (db: Database, { sql, values }: Statement): void => {
  let changed: number;
  try {
    changed = db.run(sql, ...values);
  } catch (error) {
    throw asRefusal(error);
  }
  if (changed === 0) throw new Refusal('the database ignored the change (a trigger?)', 'IGNORED');
};

/** Everything one batch needs. */
interface Work {
  readonly s: Snapshot;
  readonly catalogue: CatalogueTable;
  readonly table: Table;
  readonly names: readonly string[];
}

/** `"column" = ?` or `?`, bound; throws a refusal for what SQLite cannot hold. */
const bound = (w: Work, index: number, cell: Cell): { sql: string; value: Bind; column: string } => {
  const name = w.names[index]!;
  const type = w.table.columns.find((c) => c.name === name)!.type;
  const b = bindCell(type, w.catalogue.affinities.get(name) ?? 'BLOB', cell, w.s.db.encoding);
  if ('reason' in b) throw new Refusal(`${name} cannot be stored: ${b.reason}`, 'VALUE');
  return { ...b, column: id(name) };
};

/** `or abort`: a constraint declared `on conflict replace` would delete other rows to make room. */
const insertOf = (w: Work, change: Extract<Change, { op: 'insert' }>): Statement => {
  const cells = change.columns.map((i) => bound(w, i, change.after[i]!));
  const table = id(w.table.name);
  if (cells.length === 0) return { sql: `insert or abort into ${table} default values`, values: [] };
  const columns = cells.map((c) => c.column).join(', ');
  return {
    sql: `insert or abort into ${table} (${columns}) values (${cells.map((c) => c.sql).join(', ')})`,
    values: cells.map((c) => c.value),
  };
};

const updateOf = (w: Work, columns: readonly number[], after: Row, at: Located): Statement => {
  const cells = columns.map((i) => bound(w, i, after[i]!));
  return {
    sql: `update or abort ${id(w.table.name)} set ${cells.map((c) => `${c.column} = ${c.sql}`).join(', ')} where ${at.where}`,
    values: [...cells.map((c) => c.value), ...at.values],
  };
};

/** Columns of any unique index. */
const uniqueColumns = (table: Table): ReadonlySet<string> => new Set(table.uniques.flatMap((u) => u.columns));

interface Pending {
  readonly index: number;
  readonly statement: Statement;
  readonly at: Located;
  readonly change: Extract<Change, { op: 'update' }>;
}

/**
 * SQLite checks unique values row by row, so rows that pass a value on (1 -> 2 -> 3) are written in the order that
 * frees each before it is taken; a closed ring is opened by parking one of its rows at a value of nobody's.
 */
const runUpdates = (w: Work, updates: readonly Pending[], blame: (index: number) => void): void => {
  let waiting = [...updates];
  while (waiting.length > 0) {
    const left: Pending[] = [];
    let reason: unknown;
    for (const update of waiting) {
      blame(update.index);
      try {
        run(w.s.db, update.statement);
      } catch (error) {
        if (!(error instanceof Refusal) || !uniqueFailures.has(error.code)) throw error;
        reason ??= error;
        left.push(update);
      }
    }
    if (left.length === waiting.length) {
      blame(left[0]!.index);
      if (!left.some((update) => park(w, update))) throw reason;
    }
    waiting = left;
  }
};

const parked = new WeakSet<Pending>();

/** Sets the unique columns that an update changes to spare values; false when that has been done or cannot be. */
const park = (w: Work, update: Pending): boolean => {
  if (parked.has(update)) return false;
  parked.add(update);
  const unique = uniqueColumns(w.table);
  const columns = update.change.columns.filter((i) => unique.has(w.names[i]!));
  if (columns.length === 0) return false;
  const values = columns.map((i) => spareValue(w.table.columns.find((c) => c.name === w.names[i])!, update.index));
  const set = columns.map((i) => `${id(w.names[i]!)} = ?`).join(', ');
  try {
    run(w.s.db, {
      sql: `update or abort ${id(w.table.name)} set ${set} where ${update.at.where}`,
      values: [...values, ...update.at.values],
    });
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
};

/** A written cell that reads back as another was changed by the column's affinity: that is not what was planned. */
const refuseChanged = (w: Work, change: Change, stored: Row): void => {
  if (change.op === 'delete' || w.table.triggers.length > 0) return;
  for (const i of change.columns) {
    const column = w.table.columns.find((c) => c.name === w.names[i])!;
    if (holds(column.type, stored[i]!, change.after[i]!)) continue;
    throw new Refusal(
      `${column.name} (${column.native || 'no type'}) cannot hold this value: SQLite stores another one in its place`,
      'VALUE',
    );
  }
};

/** Guards, writes and reads back one batch inside the step's transaction. Leaves the roll-back to the caller. */
export const writeBatch = (s: Snapshot, { table, key, changes }: BatchArgs): BatchResult => {
  const selection = nativeSelection(table, key);
  const catalogue = findTable(s.db, table.name);
  const order = orderOf(s.db, selection, s.orders);
  const rows = locator(s.db, s.slots, catalogue, selection, order);
  const found = rows.find(changes.map((c) => c.key));
  const stale = changes.flatMap((change, index) => {
    const now = found.get(keyName(change.key))?.row ?? null;
    return sameRow(now, change.before) ? [] : [{ index, found: now }];
  });
  if (stale.length > 0) return { stale };

  const w: Work = { s, catalogue, table, names: selection.columns.map((c) => c.name) };
  const referrers = changes.some((c) => c.op === 'delete') ? referrersOf(s.db, table.name) : [];
  let blamed: number | undefined;
  let odd = false;
  try {
    const places: (Located | undefined)[] = [];
    const updates: Pending[] = [];
    changes.forEach((change, index) => {
      blamed = index;
      if (change.op === 'insert') {
        // A key that SQLite would store in another form makes its order something we can no longer rely on.
        if (keyBinds(selection, change.key, s.db) === undefined) {
          s.orders.clear();
          odd = true;
        }
        run(s.db, insertOf(w, change));
        places[index] = rows.inserted(s.db.get('select last_insert_rowid()')![0] as bigint);
        return;
      }
      const at = found.get(keyName(change.key))!;
      places[index] = at;
      if (change.op === 'delete') {
        const reason = takenAlong(s.db, table.name, at, referrers);
        if (reason !== undefined) throw new TakenAlong(index, reason, at.row);
        run(s.db, { sql: `delete from ${id(table.name)} where ${at.where}`, values: at.values });
      } else if (change.columns.length > 0) {
        updates.push({ index, statement: updateOf(w, change.columns, change.after, at), at, change });
      }
    });
    runUpdates(w, updates, (index) => {
      blamed = index;
    });
    const after = odd ? locator(s.db, s.slots, catalogue, selection, { ...order, plain: false }) : rows;
    const stored = changes.map((change, index): Row | null => {
      if (change.op === 'delete') return null;
      blamed = index;
      const place = places[index] ?? after.find([change.key]).get(keyName(change.key));
      const row = place === undefined ? null : rows.again(place);
      if (row !== null) refuseChanged(w, change, row);
      return row;
    });
    return { stored };
  } catch (error) {
    if (error instanceof TakenAlong)
      return { stale: [{ index: error.index, found: error.row, reason: error.message }] };
    if (!(error instanceof Refusal)) throw error;
    return {
      rejected: { ...(blamed === undefined ? {} : { index: blamed }), reason: error.message, code: error.code },
    };
  }
};

/** Commits; a foreign key that is broken now is a refusal, named by the table and row that break it. */
export const commit = (
  db: Database,
  tables: ReadonlySet<string>,
): { readonly table: string; readonly reason: string; readonly code: string } | undefined => {
  try {
    db.exec('commit');
    return undefined;
  } catch (error) {
    const refusal = asRefusal(error);
    if (!(refusal instanceof Refusal)) throw error;
    for (const table of tables) {
      const broken = db.get('select "table", rowid, parent from pragma_foreign_key_check(?)', table);
      if (broken) {
        const row = broken[1] === null ? '' : ` (rowid ${broken[1]})`;
        return {
          table,
          code: refusal.code,
          reason: `${refusal.message}: ${table}${row} refers to a missing row of ${broken[2]}`,
        };
      }
    }
    return { table: [...tables].at(-1) ?? '', reason: refusal.message, code: refusal.code };
  }
};
