import { isMisfit } from '../../model/canon/misfit.ts';
import type { Change } from '../../model/change.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Cell, Key, Row } from '../../model/row.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import type { TableChanges } from '../../model/writer.ts';
import { tableId } from '../sql/quote.ts';
import type { ColumnSql } from './columns.ts';
import { isRefusal, refusalReason, sqlState } from './failures.ts';
import { isStorableText } from './key-sql.ts';
import { type Rendered, render } from './render.ts';
import { textArray } from './select.ts';
import type { RawRow, Session, StatementOptions } from './session.ts';
import { referrersOf, takenAlong } from './taken-along.ts';
import type { HashedWrites } from './write-hashed.ts';
import { currentRowsSql, deleteSql, insertSql, parkSql, updateSql } from './write-sql.ts';

interface Stale {
  readonly change: Change;
  readonly found: Row | null;
  readonly reason?: string;
}

export type BatchResult =
  | {
      readonly status: 'written';
      /** Absent: each row as its change's `after`, in every cell. */
      readonly stored?: readonly (Row | null)[];
    }
  | { readonly status: 'stale'; readonly rows: readonly Stale[] }
  | { readonly status: 'rejected'; readonly change?: Change; readonly reason: string; readonly sqlState?: string };

/** A table as this session's transaction may write it. */
export interface WrittenTable {
  readonly columns: readonly ColumnSql[];
  readonly hashed: HashedWrites | undefined;
}

const labelOf = (key: Key): string => JSON.stringify(key);

/** One batch of one table inside the step's transaction: check every row, then write, then say what is stored. */
export const writeBatch = async (
  session: Session,
  written: WrittenTable,
  batch: TableChanges,
  signal: AbortSignal,
): Promise<BatchResult> => {
  const { table, changes, key } = batch;
  const first = changes[0];
  if (!first) return { status: 'written', stored: [] };
  if (changes.some((c) => c.op !== first.op)) throw new LockstepError('INTERNAL', 'a batch holds changes of one kind');
  const { columns, hashed } = written;
  const at: StatementOptions = {
    signal,
    doing: `writing to ${tableLabel(table)}`,
    table: tableId(table),
    privilege:
      first.op === 'insert' ? 'select, insert' : first.op === 'update' ? 'select, update' : 'select, update, delete',
  };
  const work = new BatchWork(session, table, columns, key.length, changes, at);
  // Deletes that may take other rows along go the long way: it looks for those while it holds the locks.
  const referrers = first.op === 'delete' ? await referrersOf(session, table, at) : [];
  if (referrers.length === 0 && (await hashed?.write(session, batch, at))) return { status: 'written' };
  const unstorable = work.firstUnstorable();
  if (unstorable) return unstorable;
  const stale = await work.findStale();
  if (stale.length > 0) return { status: 'stale', rows: stale };
  if (referrers.length > 0) {
    const along = await takenAlong(session, table, columns.slice(0, key.length), changes, referrers, at);
    if (along.length > 0) return { status: 'stale', rows: along.map((a) => ({ ...a, found: a.change.before })) };
  }
  const result = await work.write(first.op);
  if (result.status === 'written') hashed?.failedInVain();
  return result;
};

type Rows = Map<string, Row>;

/** What the steps of one batch share. */
class BatchWork {
  readonly #session: Session;
  readonly #table: Table;
  readonly #columns: readonly ColumnSql[];
  readonly #rendered: readonly Rendered[];
  readonly #width: number;
  readonly #changes: readonly Change[];
  readonly #at: StatementOptions;

  constructor(
    session: Session,
    table: Table,
    columns: readonly ColumnSql[],
    width: number,
    changes: readonly Change[],
    at: StatementOptions,
  ) {
    this.#session = session;
    this.#table = table;
    this.#columns = columns;
    this.#rendered = columns.map(render);
    this.#width = width;
    this.#changes = changes;
    this.#at = at;
  }

  /** A cell that PostgreSQL's text cannot hold: the driver would replace it in silence. */
  firstUnstorable(): BatchResult | undefined {
    for (const change of this.#changes) {
      if (change.op === 'delete') continue;
      for (const i of change.columns) {
        const cell = change.after[i];
        if (cell == null || (isStorableText(cell) && !isMisfit(cell))) continue;
        const reason = `${this.#columns[i]!.column.name}: the value holds U+0000, bytes that are not valid UTF-8, or what its type cannot read; PostgreSQL cannot store it`;
        return { status: 'rejected', change, reason, sqlState: '22021' };
      }
    }
    return undefined;
  }

  #keyArrays(changes: readonly Change[]): string[] {
    return Array.from({ length: this.#width }, (_, i) => textArray(changes.map((c) => c.key[i]!)));
  }

  #decode(rows: readonly RawRow[]): Rows {
    const found: Rows = new Map();
    for (const raw of rows) {
      const row = raw.map((cell, i) => {
        const decode = this.#rendered[i]!.decode;
        return cell !== null && decode ? decode(cell) : cell;
      }) as Cell[];
      found.set(labelOf(row.slice(0, this.#width)), row);
    }
    return found;
  }

  async #current(changes: readonly Change[], lock: boolean): Promise<Rows> {
    const sql = currentRowsSql(this.#table, this.#columns, this.#width, lock);
    return this.#decode(await this.#session.query(sql, this.#keyArrays(changes), this.#at));
  }

  /** Locks the rows and compares each, whole, with the image that was reviewed. */
  async findStale(): Promise<{ change: Change; found: Row | null }[]> {
    const found = await this.#current(this.#changes, this.#changes[0]!.op !== 'insert');
    const stale: { change: Change; found: Row | null }[] = [];
    for (const change of this.#changes) {
      const row = found.get(labelOf(change.key)) ?? null;
      const { before } = change;
      const same =
        before === null
          ? row === null
          : row !== null && before.length === row.length && before.every((cell, i) => cell === row[i]);
      if (!same) stale.push({ change, found: row });
    }
    return stale;
  }

  /** Runs `part` in a savepoint; undefined: done, else what the server refused. Other failures are thrown. */
  async #attempt(part: () => Promise<void>): Promise<unknown> {
    const { client } = this.#session;
    await this.#session.query('savepoint lockstep_write', undefined, this.#at);
    try {
      await part();
      await client.query('release savepoint lockstep_write');
      return undefined;
    } catch (error) {
      if (!isRefusal(error)) throw this.#session.explain(error, this.#at);
      await this.#session.query(
        'rollback to savepoint lockstep_write; release savepoint lockstep_write',
        undefined,
        this.#at,
      );
      return error;
    }
  }

  /** Which change is refused, found by halves; rows before it stay written, which the roll-back of the step undoes. */
  async #firstRefused(
    changes: readonly Change[],
    run: (part: readonly Change[]) => Promise<void>,
  ): Promise<{ change: Change; error: unknown } | undefined> {
    let rest = changes;
    while (rest.length > 1) {
      const half = rest.slice(0, rest.length >> 1);
      rest = (await this.#attempt(() => run(half))) === undefined ? rest.slice(half.length) : half;
    }
    const error = await this.#attempt(() => run(rest));
    return error === undefined ? undefined : { change: rest[0]!, error };
  }

  async write(op: Change['op']): Promise<BatchResult> {
    const stored: Rows = new Map();
    const run = async (part: readonly Change[]): Promise<void> => {
      const rows =
        op === 'insert'
          ? await this.#insert(part)
          : op === 'update'
            ? await this.#update(part)
            : await this.#delete(part);
      for (const [label, row] of rows) stored.set(label, row);
    };
    const changes = this.#changes;
    let failure = await this.#attempt(() => run(changes));
    if (failure !== undefined && op === 'insert' && sqlState(failure) === '23505') {
      // the row may have come since the check
      const stale = await this.findStale();
      if (stale.length > 0) return { status: 'stale', rows: stale };
    }
    if (failure !== undefined && op === 'update' && sqlState(failure) === '23505') {
      const park = parkSql(this.#table, this.#columns, this.#width, this.#written(changes));
      const parked =
        park === undefined
          ? failure
          : await this.#attempt(() => this.#session.raw(park, this.#keyArrays(changes), this.#at).then(() => {}));
      if (parked === undefined) failure = await this.#attempt(() => run(changes));
    }
    if (failure !== undefined) {
      const culprit = await this.#firstRefused(changes, run);
      const { reason, sqlState: state } = refusalReason(culprit?.error ?? failure)!;
      return { status: 'rejected', reason, sqlState: state, ...(culprit ? { change: culprit.change } : {}) };
    }
    if (op === 'delete') return { status: 'written', stored: changes.map(() => null) };
    // a trigger that runs after the row may have changed it once more
    const rows = this.#table.triggers.length === 0 ? stored : await this.#current(changes, false);
    const missing = changes.find((c) => !rows.has(labelOf(c.key)));
    if (missing)
      return {
        status: 'rejected',
        change: missing,
        reason: 'the row is not there under its key after it was written: a trigger or rule turned it away',
      };
    return { status: 'written', stored: changes.map((c) => rows.get(labelOf(c.key))!) };
  }

  /** Columns of the changes, in table order, without what the database computes. */
  #written(changes: readonly Change[]): readonly ColumnSql[] {
    const indexes = new Set(changes.flatMap((c) => (c.op === 'delete' ? [] : c.columns)));
    return this.#columns.filter(
      (c, i) => indexes.has(i) && this.#table.columns.find((x) => x.name === c.column.name)?.generated !== 'always',
    );
  }

  #valueArrays(changes: readonly Change[], written: readonly ColumnSql[]): string[] {
    return written.map((c) => {
      const i = this.#columns.indexOf(c);
      return textArray(changes.map((change) => change.after![i] ?? null));
    });
  }

  /** Columns that a row does not name take their default, so rows are sent by what they name. */
  async #insert(changes: readonly Change[]): Promise<Rows> {
    const groups = new Map<string, Change[]>();
    for (const change of changes) {
      if (change.op !== 'insert') continue;
      const label = change.columns.join();
      const group = groups.get(label);
      if (group) group.push(change);
      else groups.set(label, [change]);
    }
    const stored: Rows = new Map();
    for (const group of groups.values()) {
      const written = this.#written(group);
      const sql = insertSql(this.#table, this.#columns, written);
      const { rows } = await this.#session.raw(sql, this.#valueArrays(group, written), this.#at);
      for (const [label, row] of this.#decode(rows)) stored.set(label, row);
    }
    return stored;
  }

  async #update(changes: readonly Change[]): Promise<Rows> {
    const written = this.#written(changes);
    if (written.length === 0) return this.#current(changes, false);
    const sql = updateSql(this.#table, this.#columns, this.#width, written);
    const { rows } = await this.#session.raw(
      sql,
      [...this.#keyArrays(changes), ...this.#valueArrays(changes, written)],
      this.#at,
    );
    return this.#decode(rows);
  }

  async #delete(changes: readonly Change[]): Promise<Rows> {
    const { rowCount } = await this.#session.raw(
      deleteSql(this.#table, this.#columns, this.#width),
      this.#keyArrays(changes),
      this.#at,
    );
    if (rowCount === changes.length) return new Map();
    // fewer: some went with others by a cascade, or something kept them
    const left = await this.#current(changes, false);
    if (left.size > 0) {
      throw Object.assign(new Error('a row is still there after it was deleted: a trigger or rule kept it'), {
        code: 'P0001',
        severity: 'ERROR',
      });
    }
    return new Map();
  }
}
