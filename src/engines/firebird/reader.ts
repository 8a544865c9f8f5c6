import type {
  Cancel,
  Digest,
  HashBatch,
  Hashing,
  Position,
  QueryReport,
  Reader,
  Segment,
  Selection,
} from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import { rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import { compareKeys } from '../../model/order.ts';
import type { Batch, Key, Row, Text } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import { id } from '../sql/quote.ts';
import { type TableFacts, tableFacts } from './catalogue.ts';
import { type ColumnSql, columnsSql, rowReader } from './columns.ts';
import { scaled } from './decode.ts';
import { baseSql, orderTypes, partOf, planRead } from './read-plan.ts';
import { sampleKeys } from './sample.ts';
import type { Session, StatementOptions } from './session.ts';
import type { Throttle } from './throttle.ts';

const batchRows = 1000;
/** RDB$FIELD_TYPE of what is kept in 64 bits. */
const bigint = 16;

/** Most rows that are put in order in memory, where the server cannot make the order. */
const mostSorted = 500_000;

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
  readonly #x: ReaderContext;
  readonly #facts = new Map<string, Promise<TableFacts>>();
  readonly #least = new Map<string, Promise<boolean>>();
  #busy = false;

  constructor(x: ReaderContext) {
    this.#x = x;
    this.position = x.position;
    this.hashing = {
      forms: ['bytes', 'hex'],
      supports: (c) => (c.as.kind === 'json' ? 'weak' : 'exact'),
      digest: (selection, partition, hash, o) =>
        this.#alone(async () => {
          const part = partOf(selection, partition);
          return this.#digest(selection, hash, part, o);
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
    const columns = await (ordered ? this.#keyed(selection, o) : this.#columns(selection, o));
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
          if (whole.length > mostSorted) throw this.#tooMany(selection);
        } else {
          if (ordered && selection.keyWidth > 0) {
            for (const row of rows) {
              if (previous && compare(previous, row) > 0) throw this.#disorder(selection);
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

  #tooMany(selection: Selection): LockstepError {
    return new LockstepError(
      'KEY_TYPES',
      `${this.#side}: ${tableLabel(selection.table)} has more than ${mostSorted} rows to be put in an order that the database cannot make (no key, or a key read as another type)`,
      { side: this.#side, hint: 'Give a key of plain columns (--key).' },
    );
  }

  #disorder(selection: Selection): LockstepError {
    return new LockstepError(
      'KEY_TYPES',
      `${this.#side}: the database does not give the rows of ${tableLabel(selection.table)} in the order of their keys`,
      {
        side: this.#side,
        hint: 'Texts that are not valid in their character set have no order there; choose another key (--key), or say what NONE columns hold (none_charset).',
      },
    );
  }

  async *scan(selection: Selection, segment: Segment, o: Cancel): AsyncGenerator<Batch<Row>> {
    this.#enter();
    try {
      if (selection.keyWidth === 0) yield* this.#multiset(selection, segment, o);
      else yield* joined(this.#rows(selection, segment, true, o));
    } finally {
      this.#busy = false;
    }
  }

  /** Distinct rows in the order of all columns, each with how often it occurs. */
  async *#multiset(selection: Selection, segment: Segment, o: Cancel): AsyncGenerator<Batch<Row>> {
    const types = orderTypes(selection);
    let out: Row[] = [];
    let current: Row | undefined;
    let count = 0;
    for await (const rows of this.#rows(selection, segment, true, o)) {
      for (const row of rows) {
        if (current && compareKeys(types, current, row) === 0) {
          count++;
          continue;
        }
        if (current) out.push([...current, String(count) as Text]);
        [current, count] = [row, 1];
      }
      if (out.length >= batchRows) {
        yield out;
        out = [];
      }
    }
    if (current) out.push([...current, String(count) as Text]);
    if (out.length > 0) yield out;
  }

  async #digest(
    selection: Selection,
    hash: HashSpec,
    part: (row: Row) => number,
    o: Cancel,
  ): Promise<readonly Digest[]> {
    const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
    const parts = new Map<number, { rows: number; high: number; low: number; sum: bigint }>();
    for await (const rows of this.#rows(selection, { kind: 'all' }, false, o)) {
      for (const row of rows) {
        hasher.hash(row);
        const p = part(row);
        const d = parts.get(p) ?? { rows: 0, high: 0, low: 0, sum: 0n };
        if (d.rows === 0) parts.set(p, d);
        d.rows++;
        d.high += hasher.out[0]! >>> 0;
        d.low += hasher.out[1]! >>> 0;
        // The two sums stay exact far beyond this.
        if (d.rows % 1_000_000 === 0) fold(d);
      }
    }
    return [...parts].map(([p, d]) => {
      fold(d);
      return { part: p, rows: d.rows, sum: d.sum };
    });
  }

  async *#hashes(selection: Selection, segment: Segment, hash: HashSpec, o: Cancel): AsyncGenerator<HashBatch> {
    this.#enter();
    try {
      const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
      const single = selection.keyWidth === 1 && selection.columns[0]!.as.kind === 'int';
      for await (const rows of joined(this.#rows(selection, segment, true, o))) {
        const hashes = new Int32Array(2 * rows.length);
        for (let i = 0; i < rows.length; i++) {
          hasher.hash(rows[i]!);
          hashes[2 * i] = hasher.out[0]!;
          hashes[2 * i + 1] = hasher.out[1]!;
        }
        // Some other type's text that is no integer of 64 bits is a key like any other.
        const int64 = single && rows.every((row) => isInt64(row[0]!));
        yield {
          count: rows.length,
          keys: int64
            ? { kind: 'int64', values: BigInt64Array.from(rows, (row) => BigInt(row[0]!)) }
            : { kind: 'keys', values: rows.map((row) => row.slice(0, selection.keyWidth)) },
          hashes,
        };
      }
    } finally {
      this.#busy = false;
    }
  }

  count(selection: Selection, o: Cancel): Promise<number> {
    return this.#alone(async () => {
      await this.#tableOf(selection, o);
      const at = this.#statement(selection, 'counting', o);
      const [row] = await this.#x.session.query(`select count(*) from ${baseSql(selection)}`, at);
      return Number(row![0]);
    });
  }

  sample(selection: Selection, rows: number, o: Cancel): Promise<readonly Key[]> {
    return this.#alone(async () => {
      const columns = await this.#columns(selection, o);
      return sampleKeys(this.#x.session, selection, columns, rows, this.#statement(selection, 'sampling', o));
    });
  }

  keyBounds(selection: Selection, o: Cancel): Promise<{ min: bigint; max: bigint } | undefined> {
    return this.#alone(async () => {
      const [key] = await this.#keyed(selection, o);
      const at = this.#statement(selection, 'reading the key bounds of', o);
      const { session } = this.#x;
      // One after the other: each is the end of an index.
      const edge = async (which: 'min' | 'max'): Promise<bigint | undefined> => {
        const [row] = await session.query(`select ${which}(${key!.sorted}) from ${baseSql(selection)}`, at);
        return row![0] === null ? undefined : BigInt(row![0] as string);
      };
      const min = await edge('min');
      return min === undefined ? undefined : { min, max: (await edge('max'))! };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#x.release();
  }
}

const fold = (d: { high: number; low: number; sum: bigint }): void => {
  d.sum = BigInt.asUintN(64, d.sum + (BigInt(d.high) << 32n) + BigInt(d.low));
  d.high = 0;
  d.low = 0;
};

const isInt64 = (cell: string | null): boolean => {
  if (cell === null || !/^-?\d{1,19}$/.test(cell)) return false;
  return cell.length < 19 || BigInt.asIntN(64, BigInt(cell)) === BigInt(cell);
};

/** Small batches made into larger ones. */
async function* joined(batches: AsyncIterable<Row[]>): AsyncGenerator<Row[]> {
  let held: Row[] = [];
  for await (const rows of batches) {
    if (held.length === 0) held = rows;
    else held.push(...rows);
    if (held.length >= batchRows / 2) {
      yield held;
      held = [];
    }
  }
  if (held.length > 0) yield held;
}
