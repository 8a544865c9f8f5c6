import type { EventEmitter } from 'node:events';
import type { Connection } from 'mysql2';

/** Cells as the server sent them; valid only while the row is handed over. */
export type RawCells = readonly (Buffer | null)[];

/** Makes batches of rows. `add` must keep nothing of the buffers. */
export interface RowSink<T> {
  add(cells: RawCells): void;
  /** The batch is large enough to be taken. */
  readonly full: boolean;
  /** What was added since the last time; undefined: nothing. */
  take(): T | undefined;
}

/** Rows of one statement, batch by batch; the connection is paused while two batches wait. */
export class RowStream<T> {
  readonly #client: Connection;
  readonly #sink: RowSink<T>;
  readonly #ready: T[] = [];
  #wake: (() => void) | undefined;
  #error: unknown;
  #paused = false;
  #discarding = false;
  ended = false;
  count = 0;
  bytes = 0;

  constructor(client: Connection, sql: string, sink: RowSink<T>) {
    this.#client = client;
    this.#sink = sink;
    // without a callback the driver keeps no rows
    const command = client.query(sql) as unknown as EventEmitter;
    command.on('result', (row: RawCells) => this.#row(row));
    command.on('error', (error: unknown) => this.#finish(error));
    command.on('end', () => this.#finish(undefined));
    client.on('error', this.#lost);
    client.on('end', this.#lost);
  }

  readonly #lost = (error?: unknown): void => {
    this.#finish(error ?? Object.assign(new Error('the connection was closed'), { code: 'PROTOCOL_CONNECTION_LOST' }));
  };

  #row(row: RawCells): void {
    if (this.#discarding || !Array.isArray(row)) return;
    this.count++;
    for (const cell of row) if (cell !== null) this.bytes += cell.length;
    try {
      this.#sink.add(row);
    } catch (error) {
      this.#error ??= error;
      this.#discarding = true;
      this.#wake?.();
      return;
    }
    if (!this.#sink.full) return;
    this.#ready.push(this.#sink.take()!);
    if (this.#ready.length > 1 && !this.#paused) {
      this.#paused = true;
      this.#client.pause();
    }
    this.#wake?.();
  }

  #finish(error: unknown): void {
    if (this.ended) return;
    this.ended = true;
    this.#error ??= error;
    this.#client.removeListener('error', this.#lost);
    this.#client.removeListener('end', this.#lost);
    this.#wake?.();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#client.resume();
  }

  /** The next batch; undefined at the end. Rejects with what the server said. */
  async next(): Promise<T | undefined> {
    for (;;) {
      const batch = this.#ready.shift();
      if (batch !== undefined) {
        if (this.#ready.length === 0) this.#resume();
        return batch;
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.ended) return this.#sink.take();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  /** Lets what still comes go by. */
  discard(): void {
    this.#discarding = true;
    this.#ready.length = 0;
    this.#resume();
  }

  /** Waits until the statement has ended, however it ends. */
  async end(): Promise<void> {
    this.discard();
    while (!this.ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
