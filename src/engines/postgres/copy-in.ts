import type pg from 'pg';
import type { Cell } from '../../model/row.ts';

/** The part of the driver's connection that this statement talks to. */
interface Wire {
  query(sql: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** Cells of one row a line, in COPY's text format. */
export const copyLine = (cells: readonly Cell[]): string => {
  let line = '';
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i]!;
    if (i > 0) line += '\t';
    if (cell === null) line += '\\N';
    else line += special.test(cell) ? cell.replace(specials, (c) => escapes[c]!) : cell;
  }
  return `${line}\n`;
};

const special = /[\\\t\n\r]/;
const specials = /[\\\t\n\r]/g;
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** `COPY … FROM STDIN` of text that is in memory, as one statement of the driver's queue. */
export class CopyIn implements pg.Submittable {
  /** Rows that the server took. Rejects with what it said. */
  readonly rows: Promise<number>;
  readonly #sql: string;
  readonly #pieces: readonly string[];
  readonly #done: PromiseWithResolvers<number> = Promise.withResolvers();
  #count = 0;
  #failure: unknown;

  constructor(sql: string, pieces: readonly string[]) {
    this.#sql = sql;
    this.#pieces = pieces;
    this.rows = this.#done.promise;
  }

  // --- called by the driver ---

  submit(connection: pg.Connection): void {
    (connection as unknown as Wire).query(this.#sql);
  }
  handleCopyInResponse(connection: pg.Connection): void {
    const wire = connection as unknown as Wire;
    for (const piece of this.#pieces) wire.sendCopyFromChunk(Buffer.from(piece));
    wire.endCopyFrom();
  }
  handleCommandComplete(message: { readonly text?: string }): void {
    this.#count = Number(/^COPY (\d+)$/.exec(message.text ?? '')?.[1] ?? Number.NaN);
  }
  handleError(error: unknown): void {
    this.#failure ??= error;
    // without a connection no ReadyForQuery follows; with one, the first of both settles it
    this.#done.reject(error);
  }
  handleReadyForQuery(): void {
    if (this.#failure === undefined) this.#done.resolve(this.#count);
  }
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
}
