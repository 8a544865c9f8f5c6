import type { Cancel } from '../../model/cancel.ts';
import type { QueryReport } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import { partOf } from '../../model/hash/part-of.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import { compareKeys } from '../../model/order.ts';
import type { Changes, HashBatch, Hashing, Position, Reader } from '../../model/reader.ts';
import type { Batch, Key, Row } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import { id } from '../sql/quote.ts';
import type { Throttle } from '../sql/throttle.ts';
import { hasAscendingIndex, type TableFacts, tableFacts } from './catalogue.ts';
import { changesOf } from './changed.ts';
import { type ColumnSql, columnsSql, rowReader } from './columns.ts';
import { scaled } from './decode.ts';
import { outOfOrder } from './failures.ts';
import { digestRows, hashBatches, joined } from './hash-rows.ts';
import { keyColumnSql } from './key-sql.ts';
import { distinctRows, mostSorted, tooManyToSort } from './keyless.ts';
import { baseSql, orderTypes, planRead, rangeWhere } from './read-plan.ts';
import { sampleKeys } from './sample.ts';
import type { Session, StatementOptions } from './session.ts';

const batchRows = 1000;
/** RDB$FIELD_TYPE of what is kept in 64 bits. */
const bigint = 16;

export interface ReaderContext {
  readonly session: Session;
  readonly throttle: Throttle;
  readonly position: Position;
  readonly onQuery: ((q: QueryReport) => void) | undefined;
  /** Gives the session back; the transaction is over. */
  release(): Promise<void>;
}

/** Reads through one snapshot transaction of a session. */
export class FirebirdReader implements Reader {
  readonly position: Position;
  readonly hashing: Hashing;
  readonly changes: Changes;
  readonly #x: ReaderContext;
  readonly #facts = new Map<string, Promise<TableFacts>>();
  readonly #least = new Map<string, Promise<boolean>>();
  #busy = false;
  #released: Promise<void> | undefined;

  constructor(x: ReaderContext) {
    this.#x = x;
    this.position = x.position;
    this.changes = changesOf({
      session: x.session,
      scan: (selection, segment, o) => this.scan(selection, segment, o),
      isView: async (selection, o) => (await this.#tableOf(selection, o)).isView,
      statement: (selection, doing, o) => this.#statement(selection, doing, o),
    });
    this.hashing = {
      forms: ['bytes', 'hex'],
      supports: (c) => (c.as.kind === 'json' ? 'weak' : 'exact'),
      digest: (selection, partition, hash, o) =>
        this.#alone(() => {
          const rows = this.#rows(selection, { kind: 'all' }, false, o);
          return digestRows(rows, selection, hash, partOf(selection, partition));
        }),
      hashes: (selection, segment, hash, o) => this.#hashes(selection, segment, hash, o),
    };
  }

  get #side(): string {
    return this.#x.session.context.name;
  }

  #enter(): void {
    if (this.#busy) throw new LockstepError('INTERNAL', `${this.#side}: calls on one reader overlap.`);
    this.#busy = true;
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    this.#enter();
    try {
      return await work();
    } finally {
      this.#busy = false;
    }
  }

  #statement(selection: Selection, doing: string, { signal }: Cancel): StatementOptions {
    return {
      signal,
      doing: `${doing} ${tableLabel(selection.table)}`,
      table: id(selection.table.name),
      onQuery: this.#x.onQuery,
      ...(selection.filter === undefined ? {} : { filtered: true }),
    };
  }

  async #tableOf(selection: Selection, o: Cancel): Promise<TableFacts> {
    const { name } = selection.table;
    let known = this.#facts.get(name);
    if (!known) {
      known = tableFacts(this.#x.session, selection.table, {
        signal: o.signal,
        doing: `reading the catalogue of ${name}`,
      });
      this.#facts.set(name, known);
      known.catch(() => this.#facts.delete(name));
    }
    return known;
  }

  async #columns(selection: Selection, o: Cancel): Promise<readonly ColumnSql[]> {
    const { noneCharset } = this.#x.session.context.config;
    return columnsSql(selection, (await this.#tableOf(selection, o)).columns, { side: this.#side, noneCharset });
  }

  /** The columns, the key's such that the server orders and compares them right. */
  async #keyed(selection: Selection, o: Cancel): Promise<readonly ColumnSql[]> {
    const columns = await this.#columns(selection, o);
    const keyed: ColumnSql[] = [];
    for (const [i, c] of columns.entries()) {
      const odd = i < selection.keyWidth && c.facts.type === bigint && (await this.#holdsLeast(selection, c, o));
      keyed.push(odd ? { ...c, sorted: `(${c.sql} + 0)` } : c);
    }
    return keyed;
  }

  #holdsLeast(selection: Selection, c: ColumnSql, o: Cancel): Promise<boolean> {
    const name = JSON.stringify([selection.table.name, c.column.name]);
    let known = this.#least.get(name);
    if (!known) {
      const { table } = selection;
      const at = this.#statement({ table, columns: [], keyWidth: 0 }, 'looking at the key of', o);
      const value = `cast('${scaled('-9223372036854775808', c.facts.scale)}' as numeric(18, ${-c.facts.scale}))`;
      known = this.#x.session
        .query(`select first 1 1 from ${id(table.name)} t where ${c.sql} = ${value}`, at)
        .then((rows) => rows.length > 0);
      this.#least.set(name, known);
      known.catch(() => this.#least.delete(name));
    }
    return known;
  }

  /** Rows of a segment; in key order unless nobody asks for it. */
  async *#rows(selection: Selection, segment: Segment, ordered: boolean, o: Cancel): AsyncGenerator<Row[]> {
    const { session, throttle } = this.#x;
    const isCut = ordered || selection.range !== undefined;
    const columns = await (isCut ? this.#keyed(selection, o) : this.#columns(selection, o));
    const at = this.#statement(selection, 'reading', o);
    const { isView } = await this.#tableOf(selection, o);
    const plan = planRead(selection, columns, segment, { isView, ordered });
    const types = orderTypes(selection);
    const cells = rowReader(session, columns, tableLabel(selection.table), at);
    const compare = (a: Row, b: Row): number => compareKeys(types, a, b);
    const pace = (rows: number): Promise<void> =>
      throttle.pass(rows, o.signal).catch((error: unknown) => {
        throw session.explain(error, at);
      });
    const whole: Row[] = [];
    let previous: Row | undefined;
    for (const { sql, texts, keep } of plan.pieces) {
      const piece: Row[] = [];
      for await (const raw of session.stream({ sql, texts }, at)) {
        let rows = await cells.rows(raw);
        if (keep) rows = rows.filter(keep);
        if (plan.keep) rows = rows.filter(plan.keep);
        if (rows.length === 0) continue;
        if (plan.order === 'piece') piece.push(...rows);
        else if (plan.order === 'whole') {
          whole.push(...rows);
          if (whole.length > mostSorted) throw tooManyToSort(this.#side, selection);
        } else {
          if (ordered && selection.keyWidth > 0) {
            for (const row of rows) {
              if (previous && compare(previous, row) > 0) throw outOfOrder(this.#side, tableLabel(selection.table));
              previous = row;
            }
          }
          await pace(rows.length);
          yield rows;
        }
      }
      if (piece.length > 0) {
        await pace(piece.length);
        yield piece.sort(compare);
      }
    }
    whole.sort(compare);
    for (let i = 0; i < whole.length; i += batchRows) {
      const rows = whole.slice(i, i + batchRows);
      await pace(rows.length);
      yield rows;
    }
  }

  async *scan(selection: Selection, segment: Segment, o: Cancel): AsyncGenerator<Batch<Row>> {
    this.#enter();
    try {
      if (selection.keyWidth === 0) yield* distinctRows(this.#rows(selection, segment, true, o), orderTypes(selection));
      else yield* joined(this.#rows(selection, segment, true, o));
    } finally {
      this.#busy = false;
    }
  }

  async *#hashes(selection: Selection, segment: Segment, hash: HashSpec, o: Cancel): AsyncGenerator<HashBatch> {
    this.#enter();
    try {
      yield* hashBatches(joined(this.#rows(selection, segment, true, o)), selection, hash);
    } finally {
      this.#busy = false;
    }
  }

  count(selection: Selection, o: Cancel): Promise<number> {
    return this.#alone(async () => {
      await this.#tableOf(selection, o);
      const at = this.#statement(selection, 'counting', o);
      const where = await this.#rangeWhere(selection, o);
      if (where === undefined) return (await this.#keysInside(selection, o)).length;
      const [row] = await this.#x.session.query(`select count(*) from ${baseSql(selection)}${where}`, at);
      return Number(row![0]);
    });
  }

  sample(selection: Selection, rows: number, o: Cancel): Promise<readonly Key[]> {
    return this.#alone(async () => {
      const columns = await this.#columns(selection, o);
      const where = await this.#rangeWhere(selection, o);
      if (where === undefined) {
        const keys = await this.#keysInside(selection, o);
        const step = Math.max(1, Math.ceil(keys.length / Math.max(1, rows)));
        return rows <= 0 ? [] : keys.filter((_, i) => i % step === 0);
      }
      return sampleKeys(this.#x.session, selection, columns, where, rows, this.#statement(selection, 'sampling', o));
    });
  }

  keyBounds(selection: Selection, o: Cancel): Promise<{ min: bigint; max: bigint } | undefined> {
    return this.#alone(async () => {
      const [key] = await this.#keyed(selection, o);
      const at = this.#statement(selection, 'reading the key bounds of', o);
      const { session } = this.#x;
      const where = await this.#rangeWhere(selection, o);
      if (where === undefined) {
        const keys = await this.#keysInside(selection, o);
        return keys.length === 0 ? undefined : { min: BigInt(keys[0]![0]!), max: BigInt(keys.at(-1)![0]!) };
      }
      // One after the other: each is the end of an index.
      const edge = async (which: 'min' | 'max'): Promise<bigint | undefined> => {
        const [row] = await session.query(`select ${which}(${key!.sorted}) from ${baseSql(selection)}${where}`, at);
        return row![0] === null ? undefined : BigInt(row![0] as string);
      };
      const min = await edge('min');
      return min === undefined ? undefined : { min, max: (await edge('max'))! };
    });
  }

  ranges(selection: Selection, o: Cancel): Promise<boolean> {
    return this.#alone(async () => {
      const keys = (await this.#keyed(selection, o)).slice(0, selection.keyWidth);
      if (keys.length === 0 || (await this.#tableOf(selection, o)).isView) return false;
      const plain = keys.every((c) => {
        const sql = keyColumnSql(c);
        return sql !== undefined && sql.orders.length === 1 && sql.orders[0] === c.sql;
      });
      if (!plain) return false;
      const at = this.#statement(selection, 'looking for an index of', o);
      return hasAscendingIndex(this.#x.session, selection.table.name, keys[0]!.column.name, at);
    });
  }

  /** The range as SQL on `t`, to be put behind `baseSql`; undefined: SQL cannot say it. */
  async #rangeWhere(selection: Selection, o: Cancel): Promise<string | undefined> {
    return selection.range === undefined ? '' : rangeWhere(selection, await this.#keyed(selection, o));
  }

  /** The keys of the selection, in order: for what SQL cannot say. */
  async #keysInside(selection: Selection, o: Cancel): Promise<readonly Key[]> {
    const only = { ...selection, columns: selection.columns.slice(0, selection.keyWidth) };
    const keys: Key[] = [];
    for await (const rows of this.#rows(only, { kind: 'all' }, true, o)) {
      keys.push(...rows);
      if (keys.length > mostSorted) throw tooManyToSort(this.#side, selection);
    }
    return keys;
  }

  /** Once: by a second time the session may read for somebody else. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#released ??= this.#x.release();
    return this.#released;
  }
}
