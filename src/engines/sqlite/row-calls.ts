import { createHash } from 'node:crypto';
import { holds } from '../../model/canon/spelling.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Cell, Key, Row } from '../../model/row.ts';
import type { RefusalKind, RowCondition, RowOutcome, RowWrite, StoredRow } from '../../model/rows.ts';
import type { Table } from '../../model/schema.ts';
import { id } from '../sql/quote.ts';
import { binder, guardSql, keySql, outputsSql, pageSql, whereSql } from '../sql/row-sql.ts';
import { bindCell } from './binds.ts';
import { findTable, rowidName } from './catalogue.ts';
import { rawCell } from './cells.ts';
import type { Bind, Database, Value } from './database.ts';
import { isSqliteFailure, resultCode, resultCodes } from './failures.ts';
import { type RowColumn, rowDialect } from './row-dialect.ts';
import type { RowArgs, RowCall, RowValue } from './row-messages.ts';
import type { Slots } from './scan.ts';

const place = (n: number): string => `?${n}`;

/** Takes back what a write has done so far. */
class Refused extends Error {
  readonly outcome: RowOutcome;
  constructor(outcome: RowOutcome) {
    super('refused');
    this.outcome = outcome;
  }
}

/** Ends the transaction without a trace. */
class Undone extends Error {
  readonly outcomes: readonly RowOutcome[];
  constructor(outcomes: readonly RowOutcome[]) {
    super('undone');
    this.outcomes = outcomes;
  }
}

/** SQLite's extended codes of constraints (sqlite.org/rescode.html). */
const kinds: Readonly<Record<number, RefusalKind>> = {
  1555: 'unique',
  2067: 'unique',
  2579: 'unique',
  1299: 'not_null',
  275: 'check',
  787: 'foreign_key',
  1811: 'other',
};

const columnOf = (message: string): string | undefined => /constraint failed: [^.]+\.([^,]+)$/.exec(message)?.[1];

const refusalOf = (error: unknown, deleting: boolean): RowOutcome => {
  if (!isSqliteFailure(error)) throw error;
  const code = resultCode(error)!;
  if (![resultCodes.CONSTRAINT, resultCodes.MISMATCH, resultCodes.TOOBIG].includes(code as never)) throw error;
  const kind = kinds[error.errcode] ?? (code === resultCodes.CONSTRAINT ? 'other' : 'value');
  const column = kind === 'unique' || kind === 'not_null' ? columnOf(error.message) : undefined;
  const constraint = kind === 'check' ? /constraint failed: (.+)$/.exec(error.message)?.[1] : undefined;
  return {
    status: 'refused',
    kind: kind === 'foreign_key' && deleting ? 'referenced' : kind,
    ...(column === undefined ? {} : { column }),
    ...(constraint === undefined ? {} : { constraint }),
    ...(error.errcode === 1811 ? { words: error.message } : {}),
  };
};

/** The rows of one table, asked for in the process that has the database. */
export const rowCalls = (db: Database, slots: Slots): ((args: RowArgs) => RowValue) => {
  const dialects = new Map<string, ReturnType<typeof rowDialect>>();
  return ({ table, key, ask }) => {
    const name = JSON.stringify([table.name, key, table.columns]);
    const made = dialects.get(name) ?? rowDialect(db, slots, table, key);
    dialects.set(name, made);
    const work = new RowWork(db, table, key, made);
    const writing = ask.call === 'write';
    db.exec(writing ? 'begin immediate' : 'begin');
    try {
      const value = work.answer(ask);
      db.exec('commit');
      return value;
    } catch (error) {
      if (error instanceof Undone) return { outcomes: error.outcomes };
      if (ask.call === 'write' && isSqliteFailure(error) && resultCode(error) === resultCodes.CONSTRAINT) {
        // a foreign key that waits for the commit: it does not say whose it is
        const outcome = refusalOf(error, ask.writes.at(-1)?.op === 'delete');
        return { outcomes: ask.writes.map((_, i) => (i === ask.writes.length - 1 ? outcome : { status: 'undone' })) };
      }
      throw drifted(error, table);
    } finally {
      if (db.inTransaction) db.exec('rollback');
    }
  };
};

const drifted = (error: unknown, table: Table): unknown =>
  isSqliteFailure(error) && /^no such (column|table)/.test(error.message)
    ? new LockstepError('SCHEMA_DRIFT', `${table.name} has been altered.`, { cause: error })
    : error;

class RowWork {
  readonly #db: Database;
  readonly #table: Table;
  readonly #key: readonly string[];
  readonly #all: readonly RowColumn[];
  readonly #d: ReturnType<typeof rowDialect>['dialect'];

  constructor(db: Database, table: Table, key: readonly string[], made: ReturnType<typeof rowDialect>) {
    this.#db = db;
    this.#table = table;
    this.#key = key;
    this.#all = made.all;
    this.#d = made.dialect;
  }

  answer(ask: RowCall): RowValue {
    switch (ask.call) {
      case 'sortable':
        return { rows: [] };
      case 'list': {
        const { bind, values } = binder<Bind>(place);
        const sql = pageSql(this.#d, this.#key, ask.page, bind);
        const read = this.#reader(ask.page.columns);
        return { rows: this.#db.all(sql, ...values).map(read) };
      }
      case 'count': {
        const { bind, values } = binder<Bind>(place);
        const where = whereSql(this.#d, ask.where, bind);
        const sql = `select count(*) from ${this.#d.from}${where === undefined ? '' : ` where ${where}`}`;
        return { count: Number(this.#db.get(sql, ...values)![0]) };
      }
      case 'get':
        return { found: this.#find(ask.key, [ask.where], ask.columns) };
      case 'write':
        return { outcomes: this.#write(ask.writes, ask.columns) };
    }
  }

  #reader(columns: readonly string[]): (values: readonly Value[]) => Row {
    const selected = columns.map((name) => this.#d.column(name).column);
    return (values) => selected.map((c, i) => rawCell(c, values[2 * i]!, values[2 * i + 1]!, this.#db.encoding));
  }

  /** Every cell of the rows that a condition finds, as they are stored. */
  #stored(sql: string, values: readonly Bind[], columns: readonly string[]): StoredRow | null {
    const names = this.#all.map((c) => c.column.name);
    const [raw, ...more] = this.#db.all(
      `select ${outputsSql(this.#d, names)} from ${this.#d.from} where ${sql}`,
      ...values,
    );
    if (raw === undefined) return null;
    if (more.length > 0) throw new LockstepError('DATABASE', `${this.#table.name} has several rows of one key.`);
    const cells = this.#reader(names)(raw);
    // with what each cell is stored as: a value that is spelled anew is another row
    const storage = raw.filter((_, i) => i % 2 === 0);
    const tag = createHash('sha256')
      .update(JSON.stringify([cells, storage]))
      .digest('hex')
      .slice(0, 32);
    return { cells: columns.map((name) => cells[names.indexOf(name)]!), tag };
  }

  #find(key: Key, where: readonly (readonly RowCondition[])[], columns: readonly string[]): StoredRow | null {
    const { bind, values } = binder<Bind>(place);
    const guard = { visible: where[0] ?? [], allowed: where[1] ?? [] };
    const sql = [keySql(this.#d, this.#key, key, bind), ...guardSql(this.#d, guard, bind)].join(' and ');
    return this.#stored(sql, values, columns);
  }

  #write(writes: readonly RowWrite[], columns: readonly string[]): readonly RowOutcome[] {
    const outcomes: RowOutcome[] = [];
    for (const w of writes) {
      let outcome: RowOutcome;
      try {
        outcome = this.#one(w, columns);
      } catch (error) {
        outcome = error instanceof Refused ? error.outcome : refusalOf(error, w.op === 'delete');
      }
      outcomes.push(outcome);
      if (outcome.status !== 'done')
        throw new Undone(writes.map((_, i) => (i === outcomes.length - 1 ? outcome : { status: 'undone' })));
    }
    return outcomes;
  }

  #one(w: RowWrite, columns: readonly string[]): RowOutcome {
    if (w.op === 'insert') return { status: 'done', row: this.#insert(w.columns, w.cells, columns) };
    const found = this.#find(w.key, [w.guard.visible], columns);
    if (found === null) return { status: 'missing' };
    const allowed = this.#find(w.key, [w.guard.visible, w.guard.allowed], []);
    if (allowed === null || (w.guard.tag !== undefined && w.guard.tag !== found.tag)) return { status: 'stale', found };
    const { bind, values } = binder<Bind>(place);
    if (w.op === 'delete') {
      this.#run(`delete from ${id(this.#table.name)} where ${keySql(this.#d, this.#key, w.key, bind)}`, values);
      if (this.#find(w.key, [], []) !== null) throw new Refused({ status: 'refused', kind: 'other' });
      return { status: 'done', row: null };
    }
    const set = w.columns.map((name, i) => `${id(name)} = ${this.#bound(name, w.cells[i]!, bind)}`).join(', ');
    const where = keySql(this.#d, this.#key, w.key, bind);
    this.#run(`update or abort ${id(this.#table.name)} set ${set} where ${where}`, values);
    return { status: 'done', row: this.#back(this.#find(w.key, [], columns), this.#find(w.key, [], w.columns), w) };
  }

  #insert(names: readonly string[], cells: Row, columns: readonly string[]): StoredRow {
    const { bind, values } = binder<Bind>(place);
    const table = id(this.#table.name);
    const given = names.map((name, i) => this.#bound(name, cells[i]!, bind));
    this.#run(
      names.length === 0
        ? `insert or abort into ${table} default values`
        : `insert or abort into ${table} (${names.map(id).join(', ')}) values (${given.join(', ')})`,
      values,
    );
    const rowid = rowidName(findTable(this.#db, this.#table.name));
    const read = (wanted: readonly string[]): StoredRow | null => {
      if (rowid === undefined)
        return this.#find(
          this.#key.map((k) => cells[names.indexOf(k)]!),
          [],
          wanted,
        );
      return this.#stored(`${rowid} = ?1`, [this.#db.get('select last_insert_rowid()')![0]!], wanted);
    };
    return this.#back(read(columns), read(names), { columns: names, cells });
  }

  /** The row as it was stored; refused where SQLite stores another value than the one that was given. */
  #back(
    row: StoredRow | null,
    written: StoredRow | null,
    w: { readonly columns: readonly string[]; readonly cells: Row },
  ): StoredRow {
    if (row === null || written === null) throw new Refused({ status: 'refused', kind: 'other' });
    if (this.#table.triggers.length > 0) return row;
    for (const [i, name] of w.columns.entries()) {
      if (!holds(this.#d.column(name).column.stored, written.cells[i]!, w.cells[i]!))
        throw new Refused({ status: 'refused', kind: 'value', column: name });
    }
    return row;
  }

  #bound(name: string, cell: Cell, bind: (value: Bind) => string): string {
    const { stored } = this.#d.column(name).column;
    const affinity = findTable(this.#db, this.#table.name).affinities.get(name) ?? 'BLOB';
    const b = bindCell(stored, affinity, cell, this.#db.encoding);
    if ('reason' in b) throw new Refused({ status: 'refused', kind: 'value', column: name });
    return b.sql.replace('?', bind(b.value));
  }

  #run(sql: string, values: readonly Bind[]): void {
    if (this.#db.run(sql, ...values) === 0) throw new Refused({ status: 'refused', kind: 'other' });
  }
}
