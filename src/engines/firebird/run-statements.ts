import type { Change } from '../../model/change.ts';
import type { Cell } from '../../model/row.ts';
import { isRefusal, isUniqueFailure, refusalReason } from './failures.ts';
import { spareValue } from './spare-value.ts';
import { columnOf, Refused, type Statement, updateOf, type Work } from './write-sql.ts';

const perBlock = 120;
const longestBlock = 60_000;
const mostParameters = 400;

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

export const runAll = async (w: Work, statements: readonly Statement[]): Promise<void> => {
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
export const runUpdates = async (
  w: Work,
  updates: readonly (Statement & { readonly address: string })[],
): Promise<void> => {
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
