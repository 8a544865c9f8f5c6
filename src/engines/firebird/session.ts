import type { Clock } from '../../lib/clock.ts';
import type { QueryReport } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { FirebirdConfig } from './config.ts';
import { type BytesReader, type RawCell, readColumn } from './decode.ts';
import {
  type DriverConnection,
  type Quad,
  type WireParameter,
  type WireStatement,
  type WireTransaction,
  wire,
} from './driver.ts';
import { explainFailure, failureOf } from './failures.ts';

/** Facts that every session of an endpoint shares. */
export interface SessionContext {
  readonly name: string;
  readonly config: FirebirdConfig;
  readonly clock: Clock;
  readonly statementTimeoutMs: number | undefined;
}

export interface StatementOptions {
  readonly signal: AbortSignal;
  /** For messages: `reading ORDERS`. */
  readonly doing: string;
  readonly filtered?: boolean;
  readonly table?: string;
  readonly privilege?: string;
  readonly onQuery?: ((q: QueryReport) => void) | undefined;
}

export type RawRow = readonly RawCell[];

export interface SqlQuery {
  readonly sql: string;
  readonly parameters?: readonly WireParameter[];
  /** How the bytes of the text column at each place are read; UTF-8 where there is none. */
  readonly texts?: readonly (BytesReader | undefined)[];
}

const called = <T>(work: (callback: (error: unknown, result: T) => void) => void): Promise<T> =>
  new Promise((resolve, reject) => work((error, result) => (error ? reject(failureOf(error)) : resolve(result))));

const reportedSql = (sql: string): string =>
  sql.length <= 2000 ? sql : `${sql.slice(0, 1500)} … (${sql.length} characters)`;

/** Rows asked for at once, by how many bytes each takes at most: a batch that is long on its way is read again and again. */
const fetchRows = (s: WireStatement): number => {
  const bytes = s.output.reduce((n, c) => n + c.length + 4, 0);
  return Math.max(20, Math.min(400, Math.floor(400_000 / Math.max(1, bytes))));
};

/** One attachment, used by one at a time, with at most one transaction. */
export class Session implements AsyncDisposable {
  readonly context: SessionContext;
  readonly #connection: DriverConnection;
  #transaction: WireTransaction | undefined;
  #broken = false;

  constructor(context: SessionContext, connection: DriverConnection) {
    this.context = context;
    this.#connection = connection;
  }

  /** Nothing more can be asked here: the connection is gone, or a cancellation may still be on its way to the server. */
  get broken(): boolean {
    return this.#broken;
  }

  get encrypted(): boolean {
    return Boolean(this.#connection.accept.sessionKey);
  }

  explain(error: unknown, o: StatementOptions, timedOutMs?: number): LockstepError {
    const explained = explainFailure(error, {
      side: this.context.name,
      user: this.context.config.user,
      doing: o.doing,
      signal: o.signal,
      timedOutMs,
      table: o.table,
      privilege: o.privilege,
      ...(o.filtered ? { filtered: true } : {}),
    });
    if (explained.code === 'CONNECTION_LOST') this.#broken = true;
    return explained;
  }

  /** Runs one operation of the driver; aborting, or a time-out, cancels it at the server and waits for its answer. */
  async #run<T>(o: StatementOptions, work: (callback: (error: unknown, result: T) => void) => void): Promise<T> {
    const { name } = this.context;
    if (o.signal.aborted) throw new LockstepError('ABORTED', `${name}: ${o.doing} was stopped`, { side: name });
    if (this.#broken) throw new LockstepError('CONNECTION_LOST', `${name}: this session is closed`, { side: name });
    let timedOut: number | undefined;
    const cancel = (): void => {
      this.#broken = true;
      this.#connection.cancelOperation(wire.cancel_raise);
    };
    const limit = this.context.statementTimeoutMs;
    const timer =
      limit === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = limit;
            cancel();
          }, limit);
    o.signal.addEventListener('abort', cancel, { once: true });
    try {
      return await called(work);
    } catch (error) {
      if (timedOut !== undefined) throw this.explain(error, o, timedOut);
      throw error;
    } finally {
      clearTimeout(timer);
      o.signal.removeEventListener('abort', cancel);
      // A cancellation that came too late would hit the next operation: this connection is done with.
      if (this.#broken) this.#connection._socket.destroy();
    }
  }

  /** `#run`, with failures explained. */
  async #explained<T>(o: StatementOptions, work: (callback: (error: unknown, result: T) => void) => void): Promise<T> {
    try {
      return await this.#run(o, work);
    } catch (error) {
      throw this.explain(error, o);
    }
  }

  /**
   * Begins a transaction that sees one state. `write` waits for others' locks at most ten seconds; a row that somebody
   * changed since it began cannot be written by it.
   */
  async begin(mode: 'read' | 'write', o: StatementOptions): Promise<void> {
    this.#transaction = await this.#explained<WireTransaction>(o, (done) =>
      this.#connection.startTransaction(
        {
          isolation: [wire.tpb_concurrency],
          readOnly: mode === 'read',
          wait: mode === 'write',
          waitTimeout: mode === 'write' ? 10 : 0,
        },
        done,
      ),
    );
  }

  get #open(): WireTransaction {
    if (!this.#transaction) throw new LockstepError('INTERNAL', `${this.context.name}: there is no transaction.`);
    return this.#transaction;
  }

  async #prepare(q: SqlQuery, o: StatementOptions): Promise<WireStatement> {
    const t = this.#open;
    const s = await this.#run<WireStatement>(o, (done) => this.#connection.prepare(t, q.sql, false, done));
    s.output = (s.output ?? []).map((c, i) => readColumn(c, q.texts?.[i]));
    return s;
  }

  /** Starts a statement; rows of a singleton (`returning`, a procedure) come at once. */
  async #start(s: WireStatement, q: SqlQuery, o: StatementOptions): Promise<readonly RawRow[]> {
    const t = this.#open;
    const single = s.type === wire.statement_exec_procedure && s.output.length > 0;
    const answer = await this.#run<{ readonly data?: readonly unknown[][] } | undefined>(o, (done) =>
      this.#connection.sendExecute(single ? wire.op_execute2 : wire.op_execute, s, t, done, q.parameters ?? []),
    );
    return (answer?.data ?? []) as readonly RawRow[];
  }

  #free(s: WireStatement): void {
    if (!this.#broken) this.#connection.dropStatement(s, () => {});
  }

  /** Runs one statement; all its rows. Rejects with what the server said, unexplained. */
  async raw(q: SqlQuery, o: StatementOptions): Promise<RawRow[]> {
    const began = this.context.clock.elapsed();
    const s = await this.#prepare(q, o);
    try {
      const rows = [...(await this.#start(s, q, o))];
      if (s.type === wire.statement_select || s.type === wire.statement_select_for_update) {
        for (let done = false; !done; ) {
          const batch = await this.#fetch(s, o);
          for (const row of batch.rows) rows.push(row);
          done = batch.done;
        }
      }
      o.onQuery?.({
        side: this.context.name,
        sql: reportedSql(q.sql),
        rows: rows.length,
        bytes: rows.reduce((n, row) => n + sizeOf(row), 0),
        elapsedMs: this.context.clock.elapsed() - began,
      });
      return rows;
    } finally {
      this.#free(s);
    }
  }

  /** `raw`, with failures explained. */
  async query(q: SqlQuery | string, o: StatementOptions): Promise<RawRow[]> {
    try {
      return await this.raw(typeof q === 'string' ? { sql: q } : q, o);
    } catch (error) {
      throw this.explain(error, o);
    }
  }

  async #fetch(s: WireStatement, o: StatementOptions): Promise<{ rows: RawRow[]; done: boolean }> {
    const t = this.#open;
    const { data, fetched } = await this.#run<{ readonly data: unknown[][]; readonly fetched: boolean }>(o, (done) =>
      this.#connection.fetch(s, t, fetchRows(s), done),
    );
    return { rows: data as RawRow[], done: fetched };
  }

  /** Rows batch by batch; the next batch is on its way while one is used. */
  async *stream(q: SqlQuery, o: StatementOptions): AsyncGenerator<RawRow[], void, undefined> {
    const began = this.context.clock.elapsed();
    let s: WireStatement | undefined;
    let ahead: Promise<{ rows: RawRow[]; done: boolean }> | undefined;
    let [count, bytes] = [0, 0];
    try {
      s = await this.#prepare(q, o);
      await this.#start(s, q, o);
      ahead = this.#fetch(s, o);
      for (;;) {
        const { rows, done }: { rows: RawRow[]; done: boolean } = await ahead;
        ahead = undefined;
        const blobs =
          rows.length > 0 && rows.some((row) => row.some((cell) => typeof cell === 'object' && cell !== null));
        // A BLOB is read from the row's own statement: nothing may be on its way then.
        if (!done && !blobs) {
          ahead = this.#fetch(s, o);
          ahead.catch(() => {});
        }
        count += rows.length;
        if (o.onQuery) bytes += rows.reduce((n, row) => n + sizeOf(row), 0);
        if (rows.length > 0) yield rows;
        if (done) break;
        o.signal.throwIfAborted();
        ahead ??= this.#fetch(s, o);
      }
    } catch (error) {
      throw this.explain(error, o);
    } finally {
      await ahead?.catch(() => {});
      if (s) this.#free(s);
      o.onQuery?.({
        side: this.context.name,
        sql: reportedSql(q.sql),
        rows: count,
        bytes,
        elapsedMs: this.context.clock.elapsed() - began,
      });
    }
  }

  /** The whole of a BLOB. */
  async readBlob(address: Quad, o: StatementOptions): Promise<Buffer> {
    const t = this.#open;
    const blob = await this.#explained<{ readonly handle: number }>(o, (done) =>
      this.#connection.openBlob(address, t, done),
    );
    const pieces: Buffer[] = [];
    for (;;) {
      // 0: more to come · 1: a piece of a segment · 2: the end
      const got = await this.#explained<{ readonly handle: number; readonly buffer?: Buffer }>(o, (done) =>
        this.#connection.getSegment(blob, done),
      );
      const bytes = got.buffer;
      for (let at = 0; bytes && at + 2 <= bytes.length; ) {
        const size = bytes.readUInt16LE(at);
        pieces.push(Buffer.from(bytes.subarray(at + 2, at + 2 + size)));
        at += 2 + size;
      }
      if (got.handle === 2) break;
    }
    this.#connection.closeBlob(blob, () => {}, true);
    return Buffer.concat(pieces);
  }

  /** Stores bytes as a BLOB of this transaction; its address can be a parameter. */
  async writeBlob(bytes: Buffer, o: StatementOptions): Promise<Quad> {
    const t = this.#open;
    const blob = await this.#explained<{ readonly handle: number; readonly oid: Quad }>(o, (done) =>
      this.#connection.createBlob2(t, done),
    );
    for (let at = 0; at < bytes.length; at += 32_768)
      await this.#explained(o, (done) => this.#connection.batchSegments(blob, bytes.subarray(at, at + 32_768), done));
    await this.#explained(o, (done) => this.#connection.closeBlob(blob, done, false));
    return blob.oid;
  }

  /** Rejects with what the server said, unexplained. */
  async commit(o: StatementOptions): Promise<void> {
    const t = this.#open;
    await this.#run(o, (done) => this.#connection.commit(t, done));
    this.#transaction = undefined;
  }

  /** Ends the transaction without a trace; never throws. */
  async rollback(): Promise<void> {
    const t = this.#transaction;
    this.#transaction = undefined;
    if (t && !this.#broken)
      await called((done) => this.#connection.rollback(t, done)).catch(() => (this.#broken = true));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#broken) {
      this.#connection._socket.destroy();
      return;
    }
    const gone = called((done) => this.#connection.detach(done)).catch(() => {});
    // A server that does not answer any more is left.
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, 2000);
    await Promise.race([gone, late.promise]);
    clearTimeout(timer);
    this.#broken = true;
    this.#connection._socket.destroy();
  }
}

const sizeOf = (row: RawRow): number => row.reduce((n, cell) => n + (typeof cell === 'string' ? cell.length : 8), 0);
