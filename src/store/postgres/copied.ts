import type pg from 'pg';

/** A column of a query that is read by COPY: its name, and what it is. A bigint comes as a number. */
export interface CopiedColumn {
  readonly name: string;
  readonly type: 'bytea' | 'bigint';
}

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');

/**
 * The rows of a query as the server keeps them (`COPY … TO STDOUT (FORMAT binary)`), as one statement of the driver's
 * queue. In an answer's text every byte of a bytea takes two, which are made, sent and read again for nothing.
 */
export class Copied implements pg.Submittable {
  /** Rejects with what the server, or the driver, said. */
  readonly rows: Promise<Record<string, unknown>[]>;
  readonly #sql: string;
  readonly #columns: readonly CopiedColumn[];
  readonly #done: PromiseWithResolvers<Record<string, unknown>[]> = Promise.withResolvers();
  readonly #rows: Record<string, unknown>[] = [];
  #begun = false;
  /** The server sends a last word after the rows: without it some may be missing. */
  #whole = false;
  #failure: unknown;

  /** `sql`: a query that gives `columns`. */
  constructor(sql: string, columns: readonly CopiedColumn[]) {
    this.#sql = sql;
    this.#columns = columns;
    this.rows = this.#done.promise;
  }

  /** A message is one row; the first has the head of the whole before it. */
  #take(bytes: Buffer): void {
    let at = 0;
    if (!this.#begun) {
      if (!bytes.subarray(0, signature.length).equals(signature)) throw new Error('no rows in binary form');
      // behind the signature: flags, and how much of a head follows
      at = signature.length + 8 + bytes.readInt32BE(signature.length + 4);
      this.#begun = true;
    }
    while (at < bytes.length) {
      const count = bytes.readInt16BE(at);
      at += 2;
      if (count === -1) {
        this.#whole = true;
        continue;
      }
      if (count !== this.#columns.length) throw new Error(`a row of ${count} columns, not ${this.#columns.length}`);
      const row: Record<string, unknown> = {};
      for (const { name, type } of this.#columns) {
        const length = bytes.readInt32BE(at);
        at += 4;
        if (at + length > bytes.length) throw new Error('a row ends early');
        row[name] =
          length < 0 ? null : type === 'bigint' ? Number(bytes.readBigInt64BE(at)) : bytes.subarray(at, at + length);
        at += Math.max(0, length);
      }
      this.#rows.push(row);
    }
  }

  // --- called by the driver ---

  submit(connection: pg.Connection): void {
    (connection as unknown as { query(sql: string): void }).query(`copy (${this.#sql}) to stdout (format binary)`);
  }
  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    if (this.#failure !== undefined) return;
    try {
      // the driver puts what comes next in the same place
      this.#take(Buffer.from(chunk));
    } catch (error) {
      this.#failure = error;
    }
  }
  handleError(error: unknown): void {
    this.#failure ??= error;
    // without a connection no ReadyForQuery follows; with one, the first of both settles it
    this.#done.reject(this.#failure);
  }
  handleReadyForQuery(): void {
    if (this.#failure === undefined && !this.#whole) this.#failure = new Error('the rows end early');
    if (this.#failure === undefined) this.#done.resolve(this.#rows);
    else this.#done.reject(this.#failure);
  }
  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
}
