import { holds } from '../../model/canon/spelling.ts';
import type { Change } from '../../model/change.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Row, Text } from '../../model/row.ts';
import { sameRow } from '../../model/same-row.ts';
import { tableLabel } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import type { TableChanges } from '../../model/writer.ts';
import { tableId } from '../sql/quote.ts';
import type { ColumnSql } from './columns.ts';
import { type Located, locate } from './locate.ts';
import { keyName } from './read-plan.ts';
import { runAll, runUpdates } from './run-statements.ts';
import { selfLinks } from './self-links.ts';
import type { Session, StatementOptions } from './session.ts';
import { referrersOf, takenAlong } from './taken-along.ts';
import { columnOf, deleteOf, insertOf, Refused, type Statement, updateOf, type Work } from './write-sql.ts';

export type BatchResult =
  | { readonly status: 'written'; readonly stored: readonly (Row | null)[] }
  | {
      readonly status: 'stale';
      readonly rows: readonly { readonly change: Change; readonly found: Row | null; readonly reason?: string }[];
    }
  | { readonly status: 'rejected'; readonly change?: Change; readonly reason: string; readonly sqlState?: string };

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
  const links = selfLinks(w, changes);
  const late = new Map(links.map((l) => [l.change, l.places]));
  for (const change of changes) {
    const places = late.get(change) ?? [];
    if (change.op === 'insert') {
      const after = change.after.map((cell, i) => (places.includes(i) ? null : cell));
      statements.push({ ...(await insertOf(w, { ...change, after })), change });
      continue;
    }
    const { address } = found.get(keyName(change.key))!;
    if (change.op === 'delete') {
      if (places.length > 0) {
        const cells = places.map((i) => [i, null] as const);
        updates.push({ ...(await updateOf(w, change, cells, address)), address });
      }
      statements.push(deleteOf(w, change, address));
    } else if (change.columns.length > 0) {
      const cells = change.columns.map((i) => [i, change.after[i]!] as const);
      updates.push({ ...(await updateOf(w, change, cells, address)), address });
    }
  }
  if (changes[0]!.op === 'delete') await runUpdates(w, updates);
  await runAll(w, statements);
  if (changes[0]!.op === 'update') await runUpdates(w, updates);
  if (changes[0]!.op !== 'insert' || links.length === 0) return;
  const there = await locate(
    w.session,
    w.selection,
    w.columns,
    links.map((l) => l.change.key),
    w.at,
  );
  await runUpdates(
    w,
    await Promise.all(
      links.map(async ({ change, places }) => {
        const { address } = there.get(keyName(change.key))!;
        const cells = places.map((i) => [i, change.after![i]!] as const);
        return { ...(await updateOf(w, change, cells, address)), address };
      }),
    ),
  );
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
