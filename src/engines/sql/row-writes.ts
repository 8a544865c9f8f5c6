import { createHash } from 'node:crypto';
import { holds } from '../../model/canon/spelling.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Cell, Key, Row } from '../../model/row.ts';
import type { RowCondition, RowOutcome, RowWrite, StoredRow } from '../../model/rows.ts';
import type { ColumnType } from '../../model/schema.ts';
import { type Bind, binder, guardSql, keySql, outputsSql, type RowDialect } from './row-sql.ts';

/** One transaction of a session, as the writes of rows need it. */
export interface RowTransaction<V> {
  /** Rows of a `select` of these columns. */
  rows(sql: string, values: readonly V[], columns: readonly string[]): Promise<readonly Row[]>;
  /** How many rows it changed; undefined: the engine does not tell. */
  run(sql: string, values: readonly V[]): Promise<number | undefined>;
  /** Inserts a row; the key that it has then. Undefined: it cannot be known. */
  insert(columns: readonly string[], cells: Row): Promise<Key | undefined>;
  /** A cell as it is written to a column; undefined: it cannot hold it. */
  bound(column: string, cell: Cell, bind: Bind<V>): Promise<string | undefined>;
}

export interface RowTable<C, V> {
  readonly d: RowDialect<C, V>;
  readonly key: readonly string[];
  /** Every column that can be read. */
  readonly all: readonly string[];
  /** Types by column, where what is stored must be what was given: no trigger writes here. */
  readonly types?: ReadonlyMap<string, ColumnType>;
  /** `update` and `delete` of the rows that a condition finds. */
  update(set: string, where: string): string;
  delete(where: string): string;
  /** What locks the rows of a `select`. */
  readonly lock: string;
  readonly place: (n: number) => string;
}

/** Stands for every cell of a row. */
export const tagOf = (cells: Row): string =>
  createHash('sha256').update(JSON.stringify(cells)).digest('hex').slice(0, 32);

/** The row under a key that meets the conditions, with its tag. */
export const findRow = async <C, V>(
  t: RowTable<C, V>,
  x: Pick<RowTransaction<V>, 'rows'>,
  key: Key,
  where: { readonly visible: readonly RowCondition[]; readonly allowed?: readonly RowCondition[] },
  columns: readonly string[],
  lock = '',
): Promise<StoredRow | undefined> => {
  const { bind, values } = binder<V>(t.place);
  const guard = { visible: where.visible, allowed: where.allowed ?? [] };
  // in the order in which they stand in the statement
  const outputs = outputsSql(t.d, t.all);
  const conditions = [keySql(t.d, t.key, key, bind), ...guardSql(t.d, guard, bind)].join(' and ');
  const [cells] = await x.rows(`select ${outputs} from ${t.d.from} where ${conditions}${lock}`, values, t.all);
  if (cells === undefined) return undefined;
  return { cells: columns.map((name) => cells[t.all.indexOf(name)]!), tag: tagOf(cells) };
};

const refusedValue = (column: string): RowOutcome => ({ status: 'refused', kind: 'value', column });

/** One write inside a transaction: look and lock, compare, write, look again. Throws what the database says. */
export const writeRow = async <C, V>(
  t: RowTable<C, V>,
  x: RowTransaction<V>,
  w: RowWrite,
  columns: readonly string[],
): Promise<RowOutcome> => {
  const again = async (
    key: Key,
    given: { readonly columns: readonly string[]; readonly cells: Row },
  ): Promise<RowOutcome> => {
    const row = await findRow(t, x, key, { visible: [] }, [...columns, ...given.columns]);
    if (row === undefined) return { status: 'refused', kind: 'other' };
    const stored = row.cells.slice(columns.length);
    const odd = given.columns.find((name, i) => {
      const type = t.types?.get(name);
      return type !== undefined && !holds(type, stored[i]!, given.cells[i]!);
    });
    if (odd !== undefined) return refusedValue(odd);
    return { status: 'done', row: { cells: row.cells.slice(0, columns.length), tag: row.tag } };
  };
  if (w.op === 'insert') {
    for (const [i, name] of w.columns.entries())
      if ((await x.bound(name, w.cells[i]!, () => '?')) === undefined) return refusedValue(name);
    const key = await x.insert(w.columns, w.cells);
    return key === undefined ? { status: 'refused', kind: 'not_null', column: t.key[0]! } : again(key, w);
  }
  const { visible, allowed, tag } = w.guard;
  const found = await findRow(t, x, w.key, { visible }, columns, t.lock);
  if (found === undefined) return { status: 'missing' };
  if (tag !== undefined && tag !== found.tag) return { status: 'stale', found };
  if (allowed.length > 0 && (await findRow(t, x, w.key, { visible, allowed }, [], t.lock)) === undefined)
    return { status: 'stale', found };
  const { bind, values } = binder<V>(t.place);
  if (w.op === 'delete') {
    const where = keySql(t.d, t.key, w.key, bind);
    await x.run(t.delete(where), values);
    const left = await findRow(t, x, w.key, { visible: [] }, []);
    return left === undefined ? { status: 'done', row: null } : { status: 'refused', kind: 'other' };
  }
  const set: string[] = [];
  for (const [i, name] of w.columns.entries()) {
    const value = await x.bound(name, w.cells[i]!, bind);
    if (value === undefined) return refusedValue(name);
    set.push(`${t.d.raw(t.d.column(name))} = ${value}`);
  }
  await x.run(t.update(set.join(', '), keySql(t.d, t.key, w.key, bind)), values);
  return again(w.key, w);
};

/** All writes of one transaction until one cannot be done; then which, and the others undone. */
export const writeRows = async (
  writes: readonly RowWrite[],
  one: (w: RowWrite) => Promise<RowOutcome>,
  x: { commit(): Promise<void>; rollback(): Promise<void>; refusal(error: unknown, w: RowWrite): RowOutcome },
): Promise<readonly RowOutcome[]> => {
  const outcomes: RowOutcome[] = [];
  const undone = (at: number, outcome: RowOutcome): readonly RowOutcome[] =>
    writes.map((_, i) => (i === at ? outcome : { status: 'undone' }));
  for (const [i, w] of writes.entries()) {
    let outcome: RowOutcome;
    try {
      outcome = await one(w);
    } catch (error) {
      outcome = x.refusal(error, w);
    }
    outcomes.push(outcome);
    if (outcome.status === 'done') continue;
    await x.rollback();
    return undone(i, outcome);
  }
  await x.commit();
  return outcomes;
};

/** A transaction that gave way to another one left nothing behind: it is tried so often. */
const attempts = 3;

/** All writes together where they are `atomic`, else each for itself; what another transaction was in the way of is tried again. */
export const writeInTurn = async (
  writes: readonly RowWrite[],
  atomic: boolean,
  together: (some: readonly RowWrite[]) => Promise<readonly RowOutcome[]>,
): Promise<readonly RowOutcome[]> => {
  const outcomes: RowOutcome[] = [];
  for (const some of atomic ? [writes] : writes.map((w) => [w])) {
    for (let attempt = 1; ; attempt++) {
      try {
        outcomes.push(...(await together(some)));
        break;
      } catch (error) {
        if (attempt < attempts && error instanceof LockstepError && error.code === 'CONTENTION') continue;
        throw error;
      }
    }
  }
  return outcomes;
};
