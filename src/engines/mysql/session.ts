import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Connection, ResultSetHeader, SslOptions } from 'mysql2';
import type { Clock } from '../../lib/clock.ts';
import type { QueryReport } from '../../model/endpoint.ts';
import type { LockstepError } from '../../model/errors.ts';
import type { MysqlConfig } from './config.ts';
import { openClient } from './connect.ts';
import { errorNumber, errorNumbers, explainFailure } from './failures.ts';
import { type RowSink, RowStream } from './row-stream.ts';

/** Facts that every session of an endpoint shares. */
export interface SessionContext {
  readonly name: string;
  readonly config: MysqlConfig;
  readonly tls: SslOptions | undefined;
  readonly clock: Clock;
  readonly statementTimeoutMs: number | undefined;
}

export interface StatementOptions {
  readonly signal: AbortSignal;
  /** For messages: `reading shop.orders`. */
  readonly doing: string;
  readonly filtered?: boolean;
  readonly table?: string;
  readonly privilege?: string;
  readonly onQuery?: ((q: QueryReport) => void) | undefined;
}

export type TextRow = readonly (string | null)[];
type RawRow = readonly (Buffer | null)[];

const reportedSql = (sql: string): string =>
  sql.length <= 2000 ? sql : `${sql.slice(0, 1500)} … (${sql.length} characters)`;

/** Less than any server takes at once. */
const pieceLength = 64_000;

/** Texts as pieces of bytes. */
function* pieces(texts: readonly string[], sent: (bytes: number) => void): Generator<Buffer, void, undefined> {
  let waiting: string[] = [];
  let length = 0;
  for (const text of texts) {
    waiting.push(text);
    length += text.length;
    if (length < pieceLength) continue;
    const bytes = Buffer.from(waiting.join(''));
    sent(bytes.length);
    for (let i = 0; i < bytes.length; i += 4 * pieceLength) yield bytes.subarray(i, i + 4 * pieceLength);
    waiting = [];
    length = 0;
  }
  const bytes = Buffer.from(waiting.join(''));
  sent(bytes.length);
  if (bytes.length > 0) yield bytes;
}

/** One connection to the server, used by one at a time. */
export class Session implements AsyncDisposable {
  readonly context: SessionContext;
  readonly client: Connection;
  readonly #id: number;
  /** The server takes files from this session: only those that `load` makes up, see `openClient`. */
  loads: boolean;
  #broken = false;

  constructor(context: SessionContext, client: Connection, loads = false) {
    this.context = context;
    this.client = client;
    this.loads = loads;
    this.#id = client.threadId;
    const lost = (): void => {
      this.#broken = true;
    };
    client.on('error', (error) => {
      if (error.fatal) lost();
    });
    client.on('end', lost);
  }

  /** The connection is gone: no statement can be sent any more. */
  get broken(): boolean {
    return this.#broken;
  }

  explain(error: unknown, o: StatementOptions): LockstepError {
    return explainFailure(error, {
      side: this.context.name,
      user: this.context.config.user,
      doing: o.doing,
      signal: o.signal,
      statementTimeoutMs: this.context.statementTimeoutMs,
      table: o.table,
      privilege: o.privilege,
      ...(o.filtered ? { filtered: true } : {}),
    });
  }

  /**
   * Ends the running statement by a second connection, again until it has ended: a request that overtakes its
   * statement is lost. When none can be delivered, the connection itself is cut.
   */
  async #cancel(ended: AbortSignal): Promise<void> {
    const { config, tls, name, clock } = this.context;
    for (let failed = 0; !ended.aborted && !this.#broken; ) {
      try {
        const other = await openClient(config, tls, name, ended);
        try {
          await other.promise().query(`kill query ${this.#id}`);
        } finally {
          other.end(() => {});
        }
      } catch {
        if (!ended.aborted && ++failed === 5) this.client.destroy();
      }
      if (!ended.aborted) await clock.sleep(100, ended).catch(() => {});
    }
  }

  /** A request to end a statement that came too late would hit the next one: this one takes it. */
  async #clearKill(): Promise<void> {
    for (let tries = 0; tries < 5 && !this.#broken; tries++) {
      try {
        await this.client.promise().query('do 0');
        return;
      } catch (error) {
        if (errorNumber(error) !== errorNumbers.INTERRUPTED) return;
      }
    }
  }

  /** Runs `work` as the session's one statement; aborting ends it at the server. */
  async #guarded<T>(o: StatementOptions, work: () => Promise<T>): Promise<T> {
    if (o.signal.aborted) throw this.explain(new Error('stopped'), o);
    const ended = new AbortController();
    let cancelling: Promise<void> | undefined;
    const stop = (): void => {
      cancelling ??= this.#cancel(ended.signal);
    };
    o.signal.addEventListener('abort', stop, { once: true });
    try {
      return await work();
    } finally {
      ended.abort();
      o.signal.removeEventListener('abort', stop);
      if (cancelling) {
        await cancelling;
        await this.#clearKill();
      }
    }
  }

  /** Runs one statement. Rejects with what the server (or the driver) threw, unexplained. */
  async raw(sql: string, o: StatementOptions): Promise<TextRow[]> {
    const began = this.context.clock.elapsed();
    const [rows] = await this.#guarded(o, () => this.client.promise().query(sql));
    const texts = Array.isArray(rows)
      ? (rows as unknown as RawRow[]).map((row) => row.map((cell) => cell?.toString('utf8') ?? null))
      : [];
    o.onQuery?.({
      side: this.context.name,
      sql: reportedSql(sql),
      rows: texts.length,
      bytes: texts.reduce((sum, row) => sum + row.reduce((n, cell) => n + (cell?.length ?? 0), 0), 0),
      elapsedMs: this.context.clock.elapsed() - began,
    });
    return texts;
  }

  /** Runs one statement that writes: how many rows it found, and what it warns of. Rejects unexplained. */
  async write(sql: string, o: StatementOptions): Promise<{ readonly affected: number; readonly warnings: number }> {
    const [header] = await this.#guarded(o, () => this.client.promise().query<ResultSetHeader>(sql));
    return { affected: header.affectedRows, warnings: header.warningStatus };
  }

  /** `raw`, with failures explained. */
  async query(sql: string, o: StatementOptions): Promise<TextRow[]> {
    try {
      return await this.raw(sql, o);
    } catch (error) {
      throw this.explain(error, o);
    }
  }

  /**
   * Runs statements that return no rows, one after the other, in one request: how many rows each found. The first that
   * fails ends it; `failed` is then its place and `error` what the server said, unexplained.
   */
  async run(
    statements: readonly string[],
    o: StatementOptions,
  ): Promise<{
    readonly affected: readonly number[];
    readonly failed?: { readonly at: number; readonly error: unknown };
  }> {
    const affected: number[] = [];
    try {
      await this.#guarded(
        o,
        () =>
          new Promise<void>((resolve, reject) => {
            const command = this.client.query(statements.join(';\n'), (error) => (error ? reject(error) : resolve()));
            command.on('result', (header) => {
              affected.push((header as unknown as ResultSetHeader).affectedRows);
            });
          }),
      );
      return { affected };
    } catch (error) {
      return { affected, failed: { at: affected.length, error } };
    }
  }

  /**
   * Runs one LOAD DATA LOCAL statement, of the name of its file: there is no such file, what is sent is `lines`, and
   * only for that name. Rejects unexplained.
   */
  async load(
    sql: (file: string) => string,
    lines: readonly string[],
    o: StatementOptions,
  ): Promise<{ readonly affected: number; readonly warnings: number }> {
    const began = this.context.clock.elapsed();
    const file = `lockstep-${randomUUID()}`;
    const statement = sql(file);
    let bytes = 0;
    let unasked = false;
    let sent: Readable | undefined;
    const infileStreamFactory = (asked: string): Readable => {
      unasked = asked !== file || sent !== undefined;
      sent = Readable.from(unasked ? [] : pieces(lines, (n) => (bytes += n)));
      return sent;
    };
    const header = await this.#guarded(
      o,
      () =>
        new Promise<ResultSetHeader>((resolve, reject) => {
          this.client.query({ sql: statement, infileStreamFactory }, (error, result) => {
            // an answer in the middle of what is still being sent: the two ends no longer agree on where they are
            if (sent !== undefined && !sent.readableEnded) this.client.destroy();
            if (unasked) reject(new Error('the server asked for another file than the one it was to load'));
            else if (error) reject(error);
            else resolve(result as ResultSetHeader);
          });
        }),
    );
    const { affectedRows: affected, warningStatus: warnings } = header;
    o.onQuery?.({
      side: this.context.name,
      sql: reportedSql(statement),
      rows: affected,
      bytes,
      elapsedMs: this.context.clock.elapsed() - began,
    });
    return { affected, warnings };
  }

  /**
   * Streams the rows of one statement. A consumer that stops early ends the statement at the server; the transaction
   * and its snapshot stay.
   */
  async *stream<T>(sql: string, sink: RowSink<T>, o: StatementOptions): AsyncGenerator<T, void, undefined> {
    if (o.signal.aborted) throw this.explain(new Error('stopped'), o);
    const began = this.context.clock.elapsed();
    const rows = new RowStream(this.client, sql, sink);
    const ended = new AbortController();
    let cancelling: Promise<void> | undefined;
    const stop = (): void => {
      cancelling ??= this.#cancel(ended.signal);
      rows.discard();
    };
    o.signal.addEventListener('abort', stop, { once: true });
    try {
      for (;;) {
        const batch = await rows.next();
        if (batch === undefined) break;
        yield batch;
        if (o.signal.aborted) throw new Error('stopped');
      }
      // what came after an abort was let go by: the end that came then is not the end of the rows
      if (cancelling) throw new Error('stopped');
    } catch (error) {
      throw this.explain(error, o);
    } finally {
      if (!rows.ended) {
        stop();
        await rows.end();
      }
      ended.abort();
      o.signal.removeEventListener('abort', stop);
      if (cancelling) {
        await cancelling;
        await this.#clearKill();
      }
      o.onQuery?.({
        side: this.context.name,
        sql: reportedSql(sql),
        rows: rows.count,
        bytes: rows.bytes,
        elapsedMs: this.context.clock.elapsed() - began,
      });
    }
  }

  /** Ends the transaction without a trace; never throws. */
  async rollback(): Promise<void> {
    if (!this.#broken)
      await this.client
        .promise()
        .query('rollback')
        .catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#broken) return;
    await this.client
      .promise()
      .end()
      .catch(() => {});
  }
}
