import { holds } from '../../model/canon/spelling.ts';
import type { Change } from '../../model/change.ts';
import type { Selection, TableChanges } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Cell, Row, Text } from '../../model/row.ts';
import { type Column, type Table, tableLabel } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import { id, tableId } from '../sql/quote.ts';
import type { ColumnSql } from './columns.ts';
import type { WireParameter } from './driver.ts';
import { isRefusal, isUniqueFailure, refusalReason } from './failures.ts';
import { written } from './literals.ts';
import { type Located, locate } from './locate.ts';
import { blobParameter, doubleParameter } from './parameters.ts';
import { keyName } from './read-plan.ts';
import type { Session, StatementOptions } from './session.ts';
import { spareValue } from './spare-value.ts';
import { referrersOf, takenAlong } from './taken-along.ts';

export type BatchResult =
  | { readonly status: 'written'; readonly stored: readonly (Row | null)[] }
  | {
      readonly status: 'stale';
      readonly rows: readonly { readonly change: Change; readonly found: Row | null; readonly reason?: string }[];
    }
  | { readonly status: 'rejected'; readonly change?: Change; readonly reason: string; readonly sqlState?: string };

/** What cannot be written, and why. */
class Refused extends Error {
  readonly change: Change | undefined;
  readonly sqlState: string;
  constructor(change: Change | undefined, reason: string, sqlState: string) {
    super(reason);
    this.change = change;
    this.sqlState = sqlState;
  }
}

/** One statement that writes one row. `?` stands for each parameter. */
interface Statement {
  readonly change: Change;
  readonly sql: string;
  readonly parameters: readonly WireParameter[];
  /** A BLOB goes with a statement of its own. */
  readonly alone: boolean;
}

const perBlock = 120;
const longestBlock = 60_000;
const mostParameters = 400;

/** What the steps of one batch share. */
interface Work {
  readonly session: Session;
  readonly table: Table;
  readonly selection: Selection;
  readonly columns: readonly ColumnSql[];
  readonly at: StatementOptions;
}

const columnOf = (w: Work, index: number): Column =>
  w.table.columns.find((c) => c.name === w.columns[index]!.column.name)!;

/** A cell as SQL, its parameter pushed where it needs one. */
const cellSql = async (
  w: Work,
  change: Change,
  index: number,
  cell: Cell,
  out: WireParameter[],
): Promise<{ sql: string; blob: boolean }> => {
  const c = w.columns[index]!;
  const as = written(c, cell);
  if ('reason' in as) throw new Refused(change, `${c.column.name} cannot be stored: ${as.reason}`, 'VALUE');
  if ('sql' in as) return { sql: as.sql, blob: false };
  if ('double' in as) {
    out.push(doubleParameter(as.double));
    return { sql: '?', blob: false };
  }
  out.push(blobParameter(await w.session.writeBlob(as.blob, w.at)));
  // As bytes: a text would be taken for one of the connection's character set.
  return { sql: 'cast(? as blob sub_type binary)', blob: true };
};

const insertOf = async (w: Work, change: Extract<Change, { op: 'insert' }>): Promise<Statement> => {
  const parameters: WireParameter[] = [];
  const names: string[] = [];
  const values: string[] = [];
  let alone = false;
  for (const i of change.columns) {
    const { sql, blob } = await cellSql(w, change, i, change.after[i]!, parameters);
    names.push(id(w.columns[i]!.column.name));
    values.push(sql);
    alone ||= blob;
  }
  const override = w.table.columns.some((c) => c.generated === 'identity') ? ' overriding system value' : '';
  const sql =
    names.length === 0
      ? `insert into ${tableId(w.table)} default values`
      : `insert into ${tableId(w.table)} (${names.join(', ')})${override} values (${values.join(', ')})`;
  return { change, sql, parameters, alone };
};

const updateOf = async (
  w: Work,
  change: Change,
  cells: readonly (readonly [number, Cell])[],
  address: string,
): Promise<Statement> => {
  const parameters: WireParameter[] = [];
  const sets: string[] = [];
  let alone = false;
  for (const [i, cell] of cells) {
    const { sql, blob } = await cellSql(w, change, i, cell, parameters);
    sets.push(`${id(w.columns[i]!.column.name)} = ${sql}`);
    alone ||= blob;
  }
  return {
    change,
    sql: `update ${tableId(w.table)} set ${sets.join(', ')} where rdb$db_key = x'${address}'`,
    parameters,
    alone,
  };
};

const deleteOf = (w: Work, change: Change, address: string): Statement => ({
  change,
  sql: `delete from ${tableId(w.table)} where rdb$db_key = x'${address}'`,
  parameters: [],
  alone: false,
});

/** The server's refusal of a statement, with the change that the words of a block point to. */
const refusal = (error: unknown, statements: readonly Statement[]): unknown => {
  if (!isRefusal(error)) return error;
  const { reason, sqlState } = refusalReason(error);
  const line = Number(/At block line: (\d+)/.exec(error.message)?.[1] ?? Number.NaN);
  const plain = statements.every((s) => !s.sql.includes('\n'));
  const change = statements.length === 1 ? statements[0]!.change : plain ? statements[line - 2]?.change : undefined;
  return new Refused(change, reason.replace(/,? ?At block line: \d+, col: \d+/, ''), sqlState);
};

const run = async (w: Work, statements: readonly Statement[]): Promise<void> => {
  const [only] = statements;
  if (statements.length === 1) {
    await w.session.raw({ sql: only!.sql, parameters: only!.parameters }, w.at);
    return;
  }
  let n = 0;
  const lines = statements.map((s) => `${s.parameters.length === 0 ? s.sql : named(s, () => n++)};`);
  const parameters = statements.flatMap((s) => s.parameters);
  const declared = n === 0 ? '' : ` (${parameters.map((_, i) => `p${i} double precision = ?`).join(', ')})`;
  await w.session.raw({ sql: `execute block${declared} as begin\n${lines.join('\n')}\nend`, parameters }, w.at);
};

/** The statement inside a block: its parameters are the block's. Texts are hexadecimal there, so `?` is nothing else. */
const named = (s: Statement, next: () => number): string => {
  const [head, ...rest] = split(s.sql);
  return rest.reduce((sql, piece) => `${sql}:p${next()}${piece}`, head!);
};

/** Cuts SQL at the places of its parameters, those inside of quotes left alone. */
const split = (sql: string): string[] => {
  const pieces: string[] = [];
  let from = 0;
  for (const m of sql.matchAll(/"[^"]*"|'[^']*'|\?/g)) {
    if (m[0] !== '?') continue;
    pieces.push(sql.slice(from, m.index));
    from = m.index + 1;
  }
  return [...pieces, sql.slice(from)];
};

/** Statements in groups that one block may hold. */
function* blocks(statements: readonly Statement[]): Generator<Statement[]> {
  let group: Statement[] = [];
  let [length, parameters] = [0, 0];
  for (const s of statements) {
    const full =
      group.length >= perBlock ||
      length + s.sql.length > longestBlock ||
      parameters + s.parameters.length > mostParameters;
    if (group.length > 0 && (full || s.alone)) {
      yield group;
      [group, length, parameters] = [[], 0, 0];
    }
    group.push(s);
    length += s.sql.length;
    parameters += s.parameters.length;
    if (s.alone) {
      yield group;
      [group, length, parameters] = [[], 0, 0];
    }
  }
  if (group.length > 0) yield group;
}

const runAll = async (w: Work, statements: readonly Statement[]): Promise<void> => {
  for (const group of blocks(statements)) {
    try {
      await run(w, group);
    } catch (error) {
      throw refusal(error, group);
    }
  }
};

/**
 * Firebird checks unique values row by row, so rows that pass a value on (1 -> 2 -> 3) are written in the order that
 * frees each before it is taken; a closed ring is opened by parking one of its rows at a value of nobody's.
 */
const runUpdates = async (w: Work, updates: readonly (Statement & { readonly address: string })[]): Promise<void> => {
  let waiting = [...updates];
  const parked = new Set<Change>();
  for (const group of blocks(updates)) {
    try {
      await run(w, group);
      const done = new Set(group.map((s) => s.change));
      waiting = waiting.filter((s) => !done.has(s.change));
    } catch (error) {
      // The block left nothing behind; its rows are written one by one below.
      if (!isUniqueFailure(error)) throw refusal(error, group);
    }
  }
  while (waiting.length > 0) {
    const left: typeof waiting = [];
    let first: unknown;
    for (const update of waiting) {
      try {
        await run(w, [update]);
      } catch (error) {
        if (!isUniqueFailure(error)) throw refusal(error, [update]);
        first ??= refusal(error, [update]);
        left.push(update);
      }
    }
    if (left.length === waiting.length) {
      let moved = false;
      for (const update of left) {
        if (parked.has(update.change)) continue;
        parked.add(update.change);
        moved = await park(w, update.change, update.address);
        if (moved) break;
      }
      if (!moved) throw first;
    }
    waiting = left;
  }
};

/** Sets the unique columns that an update changes to spare values; false when that cannot be. */
const park = async (w: Work, change: Change, address: string): Promise<boolean> => {
  if (change.op !== 'update') return false;
  const unique = new Set(w.table.uniques.flatMap((u) => u.columns));
  const cells: [number, Cell][] = [];
  for (const i of change.columns) {
    if (!unique.has(w.columns[i]!.column.name)) continue;
    const spare = spareValue(columnOf(w, i));
    if (spare === undefined) return false;
    cells.push([i, spare]);
  }
  if (cells.length === 0) return false;
  try {
    await run(w, [await updateOf(w, change, cells, address)]);
    return true;
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
};

const sameRow = (a: Row | null, b: Row | null): boolean =>
  a === null || b === null ? a === b : a.length === b.length && a.every((cell, i) => cell === b[i]);

/** A written cell that reads back as another was changed on its way: that is not what was planned. */
const checkStored = (w: Work, change: Change, stored: Row | undefined): void => {
  if (change.op === 'delete') {
    if (stored) throw new Refused(change, 'the row is still there after it was deleted: a trigger kept it', 'KEPT');
    return;
  }
  if (w.table.triggers.length > 0) return;
  if (!stored) throw new Refused(change, 'the row is not there after it was written', 'LOST');
  for (const i of change.columns) {
    const column = columnOf(w, i);
    if (!holds(column.type, stored[i]!, change.after[i] as Text | null))
      throw new Refused(
        change,
        `${column.name} (${column.native}) cannot hold this value: Firebird stores another one in its place`,
        'VALUE',
      );
  }
};

const write = async (w: Work, changes: readonly Change[], found: ReadonlyMap<string, Located>): Promise<void> => {
  const statements: Statement[] = [];
  const updates: (Statement & { readonly address: string })[] = [];
  for (const change of changes) {
    if (change.op === 'insert') statements.push(await insertOf(w, change));
    else {
      const { address } = found.get(keyName(change.key))!;
      if (change.op === 'delete') statements.push(deleteOf(w, change, address));
      else if (change.columns.length > 0) {
        const cells = change.columns.map((i) => [i, change.after[i]!] as const);
        updates.push({ ...(await updateOf(w, change, cells, address)), address });
      }
    }
  }
  await runAll(w, statements);
  await runUpdates(w, updates);
};

/** One batch of one table inside the step's transaction: check every row, then write, then say what is stored. */
export const writeBatch = async (
  session: Session,
  columns: readonly ColumnSql[],
  { table, key, changes }: TableChanges,
  signal: AbortSignal,
): Promise<BatchResult> => {
  const first = changes[0];
  if (!first) return { status: 'written', stored: [] };
  if (table.kind === 'view') throw new LockstepError('NOT_WRITABLE', `${table.name} is a view.`);
  const at: StatementOptions = {
    signal,
    doing: `writing to ${tableLabel(table)}`,
    table: tableId(table),
    privilege: `select, ${first.op}`,
  };
  const selection = nativeSelection(table, key);
  const w: Work = { session, table, selection, columns, at };
  const keys = changes.map((c) => c.key);
  const found = await locate(session, selection, columns, keys, at);
  const stale = changes.flatMap((change) => {
    const now = found.get(keyName(change.key))?.row ?? null;
    return sameRow(now, change.before) ? [] : [{ change, found: now }];
  });
  if (stale.length > 0) return { status: 'stale', rows: stale };
  if (first.op === 'delete') {
    const referrers = await referrersOf(session, table.name, at);
    if (referrers.length > 0) {
      const addresses = new Map(changes.map((c) => [found.get(keyName(c.key))!.address, c]));
      const along = await takenAlong(session, table.name, [...addresses.keys()], referrers, at);
      if (along.size > 0) {
        const rows = [...along].map(([address, reason]) => {
          const change = addresses.get(address)!;
          return { change, found: change.before, reason };
        });
        return { status: 'stale', rows };
      }
    }
  }
  try {
    await write(w, changes, found);
    const after = await locate(session, selection, columns, keys, at);
    const stored = changes.map((change) => {
      const row = after.get(keyName(change.key))?.row;
      checkStored(w, change, row);
      return row ?? null;
    });
    return { status: 'written', stored };
  } catch (error) {
    if (error instanceof Refused)
      return {
        status: 'rejected',
        reason: error.message,
        sqlState: error.sqlState,
        ...(error.change === undefined ? {} : { change: error.change }),
      };
    throw session.explain(error, at);
  }
};
