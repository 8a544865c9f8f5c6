import type { EventEmitter } from 'node:events';
import type { ConnectionOptions } from 'node:tls';
import type pg from 'pg';
import type { Clock } from '../../lib/clock.ts';
import type { QueryReport } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import { requestCancel } from './cancel.ts';
import type { PostgresConfig } from './config.ts';
import { CopyIn } from './copy-in.ts';
import { CopyOut, type RowSink } from './copy-out.ts';
import type { CopyStream } from './copy-stream.ts';
import { explainFailure, type FailureContext } from './failures.ts';
import { RowQuery, type Statement } from './row-query.ts';
import { beginning, pinSql, type SessionSettings } from './settings.ts';

/** Facts that every session of an endpoint shares. */
export interface SessionContext extends SessionSettings {
  readonly name: string;
  readonly config: PostgresConfig;
  readonly tls: ConnectionOptions | undefined;
  readonly clock: Clock;
}

export interface StatementOptions {
  readonly signal: AbortSignal;
  /** For messages: `reading public.orders`. */
  readonly doing: string;
  readonly filtered?: boolean;
  readonly table?: string;
  readonly privilege?: string;
  readonly onQuery?: ((q: QueryReport) => void) | undefined;
}

export type RawRow = readonly (string | null)[];

const reportedSql = (sql: string): string =>
  sql.length <= 2000 ? sql : `${sql.slice(0, 1500)} … (${sql.length} characters)`;

/** One connection to the server, used by one at a time. */
export class Session implements AsyncDisposable {
  readonly context: SessionContext;
  readonly client: pg.Client;
  #broken = false;
  /** The server has said that no transaction is open. */
  #idle = true;

  constructor(context: SessionContext, client: pg.Client) {
    this.context = context;
    this.client = client;
    client.on('error', () => {
      this.#broken = true;
    });
    client.on('end', () => {
      this.#broken = true;
    });
    const { connection } = client as unknown as { readonly connection: EventEmitter };
    connection.on('readyForQuery', ({ status }: { readonly status: string }) => {
      this.#idle = status === 'I';
    });
  }

  /** No transaction is open. */
  get idle(): boolean {
    return this.#idle;
  }

  /** The connection is gone: no statement can be sent any more. */
  get broken(): boolean {
    return this.#broken;
  }

  explain(error: unknown, o: StatementOptions): LockstepError {
    const at: FailureContext = {
      side: this.context.name,
      user: this.context.config.user,
      doing: o.doing,
      signal: o.signal,
      statementTimeoutMs: this.context.statementTimeoutMs,
      table: o.table,
      privilege: o.privilege,
      ...(o.filtered ? { filtered: true } : {}),
    };
    return explainFailure(error, at);
  }

  /** Cancels the running statement, again until it has ended: a request that overtakes its statement is lost. */
  async #cancel(ended: AbortSignal): Promise<void> {
    const c = this.client as unknown as { processID: number; secretKey: number };
    while (!ended.aborted && !this.#broken) {
      await requestCancel(this.context.config, this.context.tls, { processId: c.processID, secretKey: c.secretKey });
      if (!ended.aborted) await this.context.clock.sleep(100, ended).catch(() => {});
    }
  }

  /**
   * Runs one statement (with `values`) or several; rows as the server's text. Rejects with what the server (or the
   * driver) threw, unexplained. Aborting cancels it at the server and waits for its answer. `name`: the server keeps the
   * one statement under that, parsed and planned.
   */
  async raw(
    sql: string,
    values: readonly unknown[] | undefined,
    o: StatementOptions,
    name?: string,
  ): Promise<{ rows: RawRow[]; rowCount: number; command: string }> {
    const began = this.context.clock.elapsed();
    return this.#cancelled(o, async () => {
      const result = await this.client.query({
        text: sql,
        rowMode: 'array',
        ...(values ? { values: [...values] } : {}),
        ...(name === undefined ? {} : { name }),
      } as pg.QueryArrayConfig);
      const last = (Array.isArray(result) ? result[result.length - 1] : result) as pg.QueryArrayResult<
        (string | null)[]
      >;
      const rows = last.rows;
      o.onQuery?.({
        side: this.context.name,
        sql: reportedSql(sql),
        rows: rows.length,
        bytes: rows.reduce((sum, row) => sum + row.reduce((n, cell) => n + (cell?.length ?? 0), 0), 0),
        elapsedMs: this.context.clock.elapsed() - began,
      });
      return { rows, rowCount: last.rowCount ?? 0, command: last.command };
    });
  }

  /** Rows of one statement that the server keeps under a name, parsed and planned; without one it is parsed each time. Rejects as `raw` does. */
  prepared(
    name: string | undefined,
    sql: string,
    values: readonly (string | null)[],
    o: StatementOptions,
  ): Promise<RawRow[]> {
    return this.#cancelled(
      o,
      () =>
        new Promise((resolve, reject) => {
          this.client.query(
            new RowQuery([{ name: name ?? '', text: sql, values }], (error, [rows]) =>
              error === undefined ? resolve(rows!) : reject(error),
            ),
          );
        }),
    );
  }

  /**
   * One statement, or several that the server has parsed here, as one message: each a statement of its own with a snapshot
   * of its own (but under an isolation that keeps one), taken after this was called. `end` is told once the session is
   * free for the next one, and must not throw: of the rows of each, or of what the first that failed met, after which
   * none of them counts. No promises: a thousand that wait have none then. What comes back cancels them at the server.
   */
  ask(statements: readonly Statement[], end: (error: unknown, answers: RawRow[][], bytes: number) => void): () => void {
    let over = false;
    let ended: AbortController | undefined;
    let cancelling: Promise<void> | undefined;
    this.client.query(
      new RowQuery(statements, (error, answers, bytes) => {
        over = true;
        if (cancelling === undefined) return end(error, answers, bytes);
        ended?.abort();
        // a cancel that arrives late would hit the session's next statement
        const after = (): void => end(error, answers, bytes);
        return void cancelling.then(after, after);
      }),
    );
    return () => {
      if (over || cancelling !== undefined) return;
      ended = new AbortController();
      cancelling = this.#cancel(ended.signal);
    };
  }

  /** Makes the session one whose statements, each a transaction of its own, give every value one text. */
  async pin(writable: boolean, o: StatementOptions): Promise<void> {
    await this.query(pinSql(this.context, writable), undefined, o);
  }

  /** Sends rows (pieces of COPY's text) to `COPY … FROM STDIN`; how many the server took. Rejects as `raw` does. */
  copyIn(sql: string, pieces: readonly string[], o: StatementOptions): Promise<number> {
    return this.#cancelled(o, () => {
      const copy = new CopyIn(sql, pieces);
      this.client.query(copy);
      return copy.rows;
    });
  }

  /** Sends bytes to `COPY … FROM STDIN`; how many rows the server took. Rejects as `raw` does. */
  copyStream(copy: CopyStream, source: AsyncIterable<Buffer>, o: StatementOptions): Promise<number> {
    return this.#cancelled(o, () => {
      this.client.query(copy);
      return copy.send(source);
    });
  }

  #stopped({ doing }: StatementOptions): LockstepError {
    const { name } = this.context;
    return new LockstepError('ABORTED', `${name}: ${doing} was stopped`, { side: name });
  }

  /** Aborting cancels the statement at the server and waits for its answer. */
  async #cancelled<T>(o: StatementOptions, work: () => Promise<T>): Promise<T> {
    if (o.signal.aborted) throw this.#stopped(o);
    let ended: AbortController | undefined;
    let cancelling: Promise<void> | undefined;
    const stop = (): void => {
      ended ??= new AbortController();
      cancelling ??= this.#cancel(ended.signal);
    };
    o.signal.addEventListener('abort', stop, { once: true });
    try {
      return await work();
    } finally {
      ended?.abort();
      o.signal.removeEventListener('abort', stop);
      // a cancel that arrives late would hit the session's next statement
      await cancelling;
    }
  }

  /** `raw`, with failures explained. */
  async query(sql: string, values: readonly unknown[] | undefined, o: StatementOptions): Promise<RawRow[]> {
    try {
      return (await this.raw(sql, values, o)).rows;
    } catch (error) {
      throw this.explain(error, o);
    }
  }

  /**
   * Streams `COPY (…) TO STDOUT`. Inside a savepoint, so that a consumer that stops early, or a statement that fails,
   * costs the transaction nothing: its snapshot stays.
   */
  async *copy<T>(sql: string, sink: RowSink<T>, o: StatementOptions): AsyncGenerator<T, void, undefined> {
    const began = this.context.clock.elapsed();
    await this.query('savepoint lockstep_copy', undefined, { signal: o.signal, doing: o.doing });
    if (o.signal.aborted) throw this.explain(new Error('stopped'), o);
    const copy = new CopyOut(sql, sink);
    const ended = new AbortController();
    let cancelling: Promise<void> | undefined;
    const stop = (): void => {
      cancelling ??= this.#cancel(ended.signal);
    };
    o.signal.addEventListener('abort', stop, { once: true });
    let whole = false;
    try {
      this.client.query(copy as unknown as pg.Submittable);
      for (;;) {
        const batch = await copy.next();
        if (batch === undefined) break;
        yield batch;
        if (o.signal.aborted) throw new Error('stopped');
      }
      whole = true;
    } catch (error) {
      throw this.explain(error, o);
    } finally {
      if (!copy.ended) {
        stop();
        await copy.drain();
      }
      ended.abort();
      o.signal.removeEventListener('abort', stop);
      await cancelling;
      o.onQuery?.({
        side: this.context.name,
        sql: reportedSql(sql),
        rows: copy.rows,
        bytes: copy.bytes,
        elapsedMs: this.context.clock.elapsed() - began,
      });
      if (!this.#broken) {
        const mend = whole
          ? 'release savepoint lockstep_copy'
          : 'rollback to savepoint lockstep_copy; release savepoint lockstep_copy';
        // a failure here shows itself in the next statement
        await this.client.query(mend).catch(() => {});
      }
    }
  }

  /**
   * Begins a transaction in which every value has one text, and checks that the server took each setting. `snapshot`: of
   * another session's, exported there.
   */
  async begin(mode: 'read' | 'write', o: StatementOptions, snapshot?: string): Promise<void> {
    const { sql, refused } = beginning(mode, this.context, snapshot);
    // known before the server says so: its word on a statement that failed comes after the failure
    this.#idle = false;
    const [row] = await this.query(sql, undefined, o);
    const odd = refused(row);
    if (odd === undefined) return;
    throw new LockstepError(
      'DATABASE',
      `${this.context.name}: the server did not take the setting ${odd.name} = ${odd.value}; it is ${odd.is}`,
      {
        side: this.context.name,
        hint: 'Something between here and the server (a pooler?) changes sessions; connect to the server itself.',
      },
    );
  }

  /** Ends the transaction without a trace; never throws. */
  async rollback(): Promise<void> {
    if (!this.#broken && !this.#idle) await this.client.query('rollback').catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#broken) return;
    await this.client.end().catch(() => {});
  }
}
