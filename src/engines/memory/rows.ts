import { createHash } from 'node:crypto';
import { LockstepError } from '../../model/errors.ts';
import { compareCells } from '../../model/order.ts';
import type { Cell, Key, Row, Text } from '../../model/row.ts';
import type {
  RowAccess,
  RowCondition,
  RowOrder,
  RowOutcome,
  RowPage,
  RowWrite,
  StoredRow,
  TableRows,
} from '../../model/rows.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { brokenRule } from './rules.ts';
import type { MemoryDatabase } from './store.ts';

/** Rows one by one: each call sees, or replaces, the state as it is. */
export const memoryRows = (database: MemoryDatabase, writable: boolean): RowAccess => ({
  of: async (table, key, { signal }) => {
    signal.throwIfAborted();
    return new MemoryRows(database, table, key, writable);
  },
});

class MemoryRows implements TableRows {
  readonly #database: MemoryDatabase;
  readonly #table: Table;
  readonly #key: readonly string[];
  readonly write?: NonNullable<TableRows['write']>;

  constructor(database: MemoryDatabase, table: Table, key: readonly string[], writable: boolean) {
    this.#database = database;
    this.#table = table;
    this.#key = key;
    if (writable)
      this.write = (writes, { columns, atomic }, { signal }) =>
        database.exclusively(async () => {
          signal.throwIfAborted();
          return this.#write(writes, columns, atomic);
        });
  }

  get #label(): string {
    return tableLabel(this.#table);
  }

  #at(name: string): number {
    const i = this.#table.columns.findIndex((c) => c.name === name);
    if (i < 0) throw new LockstepError('COLUMN_NOT_FOUND', `${this.#label} has no column ${name}`);
    return i;
  }

  #rows(): readonly Row[] {
    return this.#database.state.rows.get(this.#label)!;
  }

  #holds(row: Row, where: readonly RowCondition[]): boolean {
    return where.every((w) => {
      const i = this.#at(w.column);
      const cell = row[i] ?? null;
      if (w.op === 'null') return (cell === null) === w.is;
      if (cell === null) return false;
      if (w.op === 'in') return w.values.includes(cell);
      if (w.op === 'like') return isLike(cell, w.parts);
      const order = compareCells(this.#table.columns[i]!.type, cell, w.value);
      return { eq: order === 0, ne: order !== 0, gt: order > 0, gte: order >= 0, lt: order < 0, lte: order <= 0 }[w.op];
    });
  }

  #picked(row: Row, columns: readonly string[]): Row {
    return columns.map((name) => row[this.#at(name)] ?? null);
  }

  #stored(row: Row, columns: readonly string[]): StoredRow {
    const tag = createHash('sha256').update(JSON.stringify(row)).digest('hex').slice(0, 32);
    return { cells: this.#picked(row, columns), tag };
  }

  #find(rows: readonly Row[], key: Key): number {
    return rows.findIndex((row) => this.#picked(row, this.#key).every((cell, i) => cell === key[i]));
  }

  /** Cells of a full order; NULL is greater than every value. */
  #compare(order: readonly RowOrder[], a: readonly Cell[], b: readonly Cell[]): number {
    for (const [i, { column, descending }] of order.entries()) {
      const { type } = this.#table.columns[this.#at(column)]!;
      const [x, y] = [a[i] ?? null, b[i] ?? null];
      const by = x === null || y === null ? Number(x === null) - Number(y === null) : compareCells(type, x, y);
      if (by !== 0) return descending ? -by : by;
    }
    return 0;
  }

  sortable(column: string): boolean {
    return !['json', 'opaque'].includes(this.#table.columns[this.#at(column)]!.type.kind);
  }

  async list(page: RowPage): Promise<readonly Row[]> {
    const rest = this.#key.filter((k) => !page.order.some((o) => o.column === k));
    const order = [...page.order, ...rest.map((column) => ({ column, descending: false }))];
    const names = order.map((o) => o.column);
    return this.#rows()
      .filter((row) => this.#holds(row, page.where))
      .filter((row) => page.after === undefined || this.#compare(order, this.#picked(row, names), page.after) > 0)
      .sort((a, b) => this.#compare(order, this.#picked(a, names), this.#picked(b, names)))
      .slice(0, page.limit)
      .map((row) => this.#picked(row, page.columns));
  }

  async count(where: readonly RowCondition[]): Promise<number> {
    return this.#rows().filter((row) => this.#holds(row, where)).length;
  }

  async get(
    key: Key,
    q: { readonly columns: readonly string[]; readonly where: readonly RowCondition[] },
  ): Promise<StoredRow | undefined> {
    const row = this.#rows()[this.#find(this.#rows(), key)];
    return row === undefined || !this.#holds(row, q.where) ? undefined : this.#stored(row, q.columns);
  }

  #write(writes: readonly RowWrite[], columns: readonly string[], atomic: boolean): readonly RowOutcome[] {
    const outcomes: RowOutcome[] = [];
    let rows = this.#rows();
    for (const [i, w] of writes.entries()) {
      const { outcome, after } = this.#one(rows, w, columns);
      outcomes.push(outcome);
      if (atomic && outcome.status !== 'done') return writes.map((_, j) => (j === i ? outcome : { status: 'undone' }));
      rows = after;
    }
    const { state } = this.#database;
    this.#database.state = { ...state, rows: new Map([...state.rows, [this.#label, rows]]) };
    return outcomes;
  }

  #one(
    rows: readonly Row[],
    w: RowWrite,
    columns: readonly string[],
  ): { readonly outcome: RowOutcome; readonly after: readonly Row[] } {
    const given = (row: Row, names: readonly string[], cells: Row): Row =>
      row.map((cell, i) => {
        const at = names.indexOf(this.#table.columns[i]!.name);
        return at < 0 ? cell : (cells[at] ?? null);
      });
    if (w.op === 'insert') {
      const { fill = {} } = this.#database.tables.get(this.#label)!;
      const bare = given(
        this.#table.columns.map(() => null),
        w.columns,
        w.cells,
      );
      const named = Object.fromEntries(this.#table.columns.map((c, i) => [c.name, bare[i]!]));
      const row = bare.map((cell, i) => {
        const { name } = this.#table.columns[i]!;
        return w.columns.includes(name) || fill[name] === undefined ? cell : (fill[name](named) as Text | null);
      });
      return this.#ruled(rows, [...rows, row], row, columns);
    }
    const at = this.#find(rows, w.key);
    const found = rows[at];
    if (found === undefined || !this.#holds(found, w.guard.visible))
      return { outcome: { status: 'missing' }, after: rows };
    const stored = this.#stored(found, columns);
    if ((w.guard.tag !== undefined && w.guard.tag !== stored.tag) || !this.#holds(found, w.guard.allowed))
      return { outcome: { status: 'stale', found: stored }, after: rows };
    if (w.op === 'delete') return { outcome: { status: 'done', row: null }, after: rows.toSpliced(at, 1) };
    const row = given(found, w.columns, w.cells);
    return this.#ruled(rows, rows.with(at, row), row, columns);
  }

  /** What the rules of the table say of a new state of it. */
  #ruled(
    before: readonly Row[],
    after: readonly Row[],
    row: Row,
    columns: readonly string[],
  ): { readonly outcome: RowOutcome; readonly after: readonly Row[] } {
    const refused = (kind: Extract<RowOutcome, { status: 'refused' }>['kind']) =>
      ({ outcome: { status: 'refused', kind }, after: before }) as const;
    const rowsOf = (label: string): readonly Row[] =>
      label === this.#label ? after : (this.#database.state.rows.get(label) ?? []);
    if (this.#table.columns.some((c, i) => !c.nullable && row[i] === null)) return refused('not_null');
    if (brokenRule(this.#database, rowsOf, this.#label, row) !== undefined) return refused('check');
    if (brokenRule(this.#database, rowsOf, this.#label, 'batch') !== undefined) return refused('unique');
    return { outcome: { status: 'done', row: this.#stored(row, columns) }, after };
  }
}

const isLike = (text: string, parts: readonly string[]): boolean => {
  const [first = '', ...rest] = parts;
  if (rest.length === 0) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  const last = rest.pop()!;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
};
