import { holds } from '../../model/canon/spelling.ts';
import type { Change } from '../../model/change.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Key, Row } from '../../model/row.ts';
import { sameRow } from '../../model/same-row.ts';
import { tableLabel } from '../../model/schema.ts';
import { nativeSelection, plainKey } from '../../model/selection.ts';
import { errorNumber, errorNumbers, isRefusal, type ServerFailure } from './failures.ts';
import { linesOf, loadLines, loadPlan } from './load-data.ts';
import { tableId } from './quote.ts';
import { render } from './render.ts';
import { rowSink } from './row-sinks.ts';
import { type Pending, settle, takeBytes } from './run-statements.ts';
import { keyLabel, segmentSql } from './select.ts';
import type { Session, StatementOptions } from './session.ts';
import { referrersOf, takenAlong } from './taken-along.ts';
import {
  cellLiteral,
  deleteSql,
  insertSql,
  linkLaterSql,
  parkSql,
  rowLiteral,
  unlinkSql,
  updateSql,
  type WrittenTable,
  writtenColumns,
} from './write-sql.ts';

interface Stale {
  readonly change: Change;
  readonly found: Row | null;
  readonly reason?: string;
}

export type BatchResult =
  | { readonly status: 'written'; readonly stored: readonly (Row | null)[] }
  | { readonly status: 'stale'; readonly rows: readonly Stale[] }
  | { readonly status: 'rejected'; readonly change?: Change; readonly reason: string; readonly sqlState?: string };

type Rejected = Extract<BatchResult, { status: 'rejected' }>;

/** Fewer rows are as quick by an insert. */
const leastLoaded = 100;

const rejected = (change: Change, error: unknown): Rejected => {
  const e = error as ServerFailure;
  return { status: 'rejected', change, reason: e.message, sqlState: e.sqlState ?? 'HY000' };
};

export interface BatchContext {
  readonly session: Session;
  readonly written: WrittenTable;
  readonly changes: readonly Change[];
  readonly maxAllowedPacket: number;
  readonly random: () => number;
}

/** One batch of one table inside the step's transaction: check every row, then write, then say what is stored. */
export const writeBatch = async (x: BatchContext, signal: AbortSignal): Promise<BatchResult> => {
  const { session, written, changes } = x;
  const { table, width, columns } = written;
  const first = changes[0];
  if (!first) return { status: 'written', stored: [] };
  if (changes.some((c) => c.op !== first.op)) throw new LockstepError('INTERNAL', 'a batch holds changes of one kind');
  const at: StatementOptions = {
    signal,
    doing: `writing to ${tableLabel(table)}`,
    table: tableId(table),
    privilege:
      first.op === 'insert' ? 'select, insert' : first.op === 'update' ? 'select, update' : 'select, update, delete',
  };
  const work = new BatchWork(x, at);
  const unstorable = work.firstUnstorable();
  if (unstorable) return unstorable;
  const stale = await work.findStale();
  if (stale.length > 0) return { status: 'stale', rows: stale };
  if (first.op === 'delete') {
    const referrers = await referrersOf(session, table, at);
    const along = await takenAlong(session, table, columns.slice(0, width), changes, referrers, at);
    if (along.length > 0) return { status: 'stale', rows: along.map((a) => ({ ...a, found: a.change.before })) };
  }
  return work.write(first.op);
};

/** What the steps of one batch share. */
class BatchWork {
  readonly #x: BatchContext;
  readonly #at: StatementOptions;
  readonly #key: readonly string[];

  constructor(x: BatchContext, at: StatementOptions) {
    this.#x = x;
    this.#at = at;
    this.#key = x.written.columns.slice(0, x.written.width).map((c) => c.column.name);
  }

  /** A cell that no column of its type can hold, or a row that is too large for the server. */
  firstUnstorable(): Rejected | undefined {
    const { written, changes, maxAllowedPacket } = this.#x;
    for (const change of changes) {
      let bytes = 0;
      for (const i of writtenColumns(written, change)) {
        const c = written.columns[i]!;
        const text = cellLiteral(c, change.after![i] ?? null);
        if (text === undefined) {
          const reason = `${c.column.name}: ${c.facts.native} cannot hold this value (it is not finite, out of the calendar of MySQL, not valid text, or what its type cannot read)`;
          return { status: 'rejected', change, reason, sqlState: '22000' };
        }
        bytes += text.length * (isAscii(text) ? 1 : 3);
      }
      if (bytes + 10_000 > maxAllowedPacket) {
        const reason = `the row is larger than the server takes (max_allowed_packet is ${maxAllowedPacket})`;
        return { status: 'rejected', change, reason, sqlState: '08S01' };
      }
    }
    return undefined;
  }

  /** The rows of these keys as they are now, by key. */
  async #current(keys: readonly Key[], lock: boolean): Promise<ReadonlyMap<string, Row>> {
    const { session, written } = this.#x;
    const selection = nativeSelection(written.table, this.#key);
    const rendered = written.columns.map(render);
    const outputs = rendered.map((r) => r.sql);
    const found = new Map<string, Row>();
    const queries = segmentSql(selection, written.columns, { kind: 'keys', keys }, outputs, {
      ordered: false,
      ...(lock ? { suffix: ' for update' } : {}),
    });
    for (const { sql, only } of queries) {
      for await (const rows of session.stream(sql, rowSink(rendered, 1000), this.#at)) {
        for (const row of rows) {
          const label = keyLabel(plainKey(selection, row));
          if (only?.has(label)) found.set(label, row);
        }
      }
    }
    return found;
  }

  /** Locks the rows and compares each, whole, with the image that was reviewed. */
  async findStale(): Promise<Stale[]> {
    const { changes } = this.#x;
    const found = await this.#current(
      changes.map((c) => c.key),
      true,
    );
    return changes.flatMap((change) => {
      const row = found.get(keyLabel(change.key)) ?? null;
      return sameRow(row, change.before) ? [] : [{ change, found: row }];
    });
  }

  async write(op: Change['op']): Promise<BatchResult> {
    const { changes } = this.#x;
    const refused = op === 'insert' ? await this.#insert() : await this.#each(op);
    if (refused) return refused;
    const now = await this.#current(
      changes.map((c) => c.key),
      false,
    );
    if (op === 'delete') {
      const kept = changes.find((c) => now.has(keyLabel(c.key)));
      return kept
        ? { status: 'rejected', change: kept, reason: 'the row is still there after it was deleted: a trigger kept it' }
        : { status: 'written', stored: changes.map(() => null) };
    }
    const stored: Row[] = [];
    for (const change of changes) {
      const row = now.get(keyLabel(change.key));
      const reason =
        row === undefined
          ? 'the row is not there under its key after it was written: a trigger changed the key'
          : this.#changed(change, row);
      if (reason !== undefined) return { status: 'rejected', change, reason, sqlState: '22000' };
      stored.push(row!);
    }
    return { status: 'written', stored };
  }

  /** A written cell that reads back as another is not what was planned; triggers may do that, types may not. */
  #changed(change: Change, row: Row): string | undefined {
    const { written } = this.#x;
    if (written.table.triggers.length > 0) return undefined;
    const i = writtenColumns(written, change).find(
      (n) => !holds(written.columns[n]!.column.stored, row[n]!, change.after![n] ?? null),
    );
    if (i === undefined) return undefined;
    const { column, facts } = written.columns[i]!;
    return `${column.name} (${facts.native}) cannot hold this value: the database stores another one in its place`;
  }

  /** Updates or deletes, row by row. */
  async #each(op: 'update' | 'delete'): Promise<Rejected | undefined> {
    const { written, changes, random, session } = this.#x;
    const pending = changes.flatMap((change): Pending[] => {
      const sql = op === 'delete' ? deleteSql(written, change) : updateSql(written, change);
      return sql === undefined ? [] : [{ change, sql }];
    });
    let refused = await settle(session, pending, this.#at);
    if (refused && op === 'update' && errorNumber(refused.error) === errorNumbers.DUPLICATE) {
      // a closed ring of values: they step aside first
      const { left } = refused;
      const parks = left.flatMap((p) => parkSql(written, p.change, random) ?? []);
      const parked = await session.run(parks, this.#at);
      if (parked.failed && !isRefusal(parked.failed.error)) throw session.explain(parked.failed.error, this.#at);
      if (parks.length > 0 && !parked.failed) refused = await settle(session, left, this.#at);
    }
    if (refused && op === 'delete') {
      const links = refused.left.flatMap((p) => unlinkSql(written, p.change) ?? []);
      const unlinked = await session.run(links, this.#at);
      if (unlinked.failed && !isRefusal(unlinked.failed.error)) throw session.explain(unlinked.failed.error, this.#at);
      if (links.length > 0 && !unlinked.failed) refused = await settle(session, refused.left, this.#at);
    }
    return refused && rejected(refused.left[0]!.change, refused.error);
  }

  /** Many new rows that name the same columns, as a load; false: nothing is written. */
  async #loaded(group: readonly Change[]): Promise<boolean> {
    const { written, session } = this.#x;
    if (group.length < leastLoaded || !session.loads) return false;
    const columns = writtenColumns(written, group[0]!);
    if (columns.length === 0) return false;
    const plan = loadPlan(
      written.table,
      columns.map((i) => written.columns[i]!),
    );
    const lines = linesOf(
      plan,
      group.map((change) => columns.map((i) => change.after![i] ?? null)),
    );
    return lines !== undefined && loadLines(session, plan, lines, this.#at);
  }

  /** Rows that name the same columns go together; those of a statement that is refused one by one. */
  async #insert(): Promise<BatchResult | undefined> {
    const { written, changes, session } = this.#x;
    const groups = new Map<string, Change[]>();
    for (const change of changes) {
      const label = writtenColumns(written, change).join();
      const group = groups.get(label);
      if (group) group.push(change);
      else groups.set(label, [change]);
    }
    const late: Pending[] = [];
    for (const group of groups.values()) {
      if (await this.#loaded(group)) continue;
      const rows = group.map((change) => ({ change, sql: rowLiteral(written, change) }));
      for (let i = 0; i < rows.length; ) {
        const some = takeBytes(rows, i).map((r) => r.change);
        i += some.length;
        const { failed } = await session.run([insertSql(written, some)], this.#at);
        if (!failed) continue;
        if (!isRefusal(failed.error)) throw session.explain(failed.error, this.#at);
        late.push(...some.map((change) => ({ change, sql: insertSql(written, [change]) })));
      }
    }
    let refused = late.length === 0 ? undefined : await settle(session, late, this.#at);
    if (refused && errorNumber(refused.error) === errorNumbers.NO_REFERENCED) {
      const parts = refused.left.flatMap(({ change }) => {
        const later = linkLaterSql(written, change);
        return later === undefined ? [] : [{ change, ...later }];
      });
      if (parts.length > 0) {
        const linked = new Set(parts.map((p) => p.change));
        const rest = refused.left.filter((p) => !linked.has(p.change));
        refused = await settle(
          session,
          [...parts.map((p) => ({ change: p.change, sql: p.insert })), ...rest],
          this.#at,
        );
        refused ??= await settle(
          session,
          parts.map((p) => ({ change: p.change, sql: p.update })),
          this.#at,
        );
      }
    }
    if (!refused) return undefined;
    const change = refused.left[0]!.change;
    if (errorNumber(refused.error) === errorNumbers.DUPLICATE) {
      // the row may have come since the check
      const found = await this.#current(
        refused.left.map((p) => p.change.key),
        true,
      );
      const rows = refused.left.flatMap((p) => {
        const row = found.get(keyLabel(p.change.key));
        return row === undefined ? [] : [{ change: p.change, found: row }];
      });
      if (rows.length > 0) return { status: 'stale', rows };
    }
    return rejected(change, refused.error);
  }
}

const isAscii = (text: string): boolean => !/[^\0-\u007f]/.test(text);
