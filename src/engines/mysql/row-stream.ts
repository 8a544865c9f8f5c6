import type { EventEmitter } from 'node:events';
import type { Connection } from 'mysql2';
import { LockstepError } from '../../model/errors.ts';

/** Cells as the server sent them, where they lie in memory; valid only while the row is handed over. */
export interface RawCells {
  readonly bytes: Buffer;
  /** Where each cell begins. */
  readonly starts: Int32Array;
  /** Where it ends; -1: NULL. */
  readonly ends: Int32Array;
}

/** A row as the driver has it before it is parsed. */
interface Packet {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly end: number;
}

/**
 * Takes the place of the driver's parser of rows, which would make an object of each cell. What it returns is what the
 * driver hands on as the row.
 */
class CellFinder implements RawCells {
  bytes: Buffer = Buffer.alloc(0);
  starts = new Int32Array(16);
  ends = new Int32Array(16);
  size = 0;

  next(packet: Packet): RawCells {
    const bytes = packet.buffer;
    this.bytes = bytes;
    this.size = packet.end - packet.offset;
    let p = packet.offset;
    for (let i = 0; p < packet.end; i++) {
      if (i === this.ends.length) this.#grow();
      let length = bytes[p++]!;
      if (length > 250) {
        if (length === 251) {
          this.ends[i] = -1;
          continue;
        }
        const size = length === 252 ? 2 : length === 253 ? 3 : 8;
        length = size === 8 ? Number(bytes.readBigUInt64LE(p)) : bytes.readUIntLE(p, size);
        p += size;
      }
      this.starts[i] = p;
      p += length;
      this.ends[i] = p;
    }
    return this;
  }

  #grow(): void {
    const [starts, ends] = [this.starts, this.ends];
    this.starts = new Int32Array(2 * starts.length);
    this.ends = new Int32Array(2 * ends.length);
    this.starts.set(starts);
    this.ends.set(ends);
  }
}

/** Makes batches of rows. `add` must keep nothing of the cells. */
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
    const finder = new CellFinder();
    Object.defineProperty(command, '_rowParser', { get: () => finder, set: () => {} });
    command.on('result', (row: unknown) => {
      if (row === finder) this.#row(finder);
      else this.#fail(new LockstepError('INTERNAL', 'the driver hands rows over in a form that is not known'));
    });
    command.on('error', (error: unknown) => this.#finish(error));
    command.on('end', () => this.#finish(undefined));
    client.on('error', this.#lost);
    client.on('end', this.#lost);
  }

  readonly #lost = (error?: unknown): void => {
    this.#finish(error ?? Object.assign(new Error('the connection was closed'), { code: 'PROTOCOL_CONNECTION_LOST' }));
  };

  #fail(error: unknown): void {
    this.#error ??= error;
    this.#discarding = true;
    this.#wake?.();
  }

  #row(row: CellFinder): void {
    if (this.#discarding) return;
    this.count++;
    this.bytes += row.size;
    try {
      this.#sink.add(row);
    } catch (error) {
      this.#fail(error);
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
