import type { Socket } from 'node:net';
import type pg from 'pg';

/** Takes the rows of a COPY in place: `bytes` from `start` to `end` is one row, valid only during the call. */
export interface RowSink<T> {
  row(bytes: Buffer, start: number, end: number): void;
  /** What has been gathered since the last call; undefined: nothing worth handing over yet (`last`: ever). */
  take(last: boolean): T | undefined;
}

interface Connection {
  readonly stream: Socket;
  query(text: string): void;
}

const messageCopyData = 0x64;
const messageCopyDone = 0x63;
const messageCopyOut = 0x48;
const messageNotice = 0x4e;
const messageParameter = 0x53;

/**
 * `COPY … TO STDOUT` as a query of the `pg` client. While it runs it reads the socket itself: the driver would make
 * an object of every row. Rows are handed to the sink where they lie; the socket is paused while batches wait.
 */
export class CopyOut<T> {
  readonly #sql: string;
  readonly #sink: RowSink<T>;
  readonly #ready: T[] = [];
  #connection: Connection | undefined;
  #driver: ((chunk: Buffer) => void) | undefined;
  #rest: Buffer[] = [];
  #restBytes = 0;
  #wanted = 0;
  #ended = false;
  #failure: unknown;
  #wake: (() => void) | undefined;
  #abandoned = false;
  /** What the sink threw: it must not end up in the socket's event, where nobody catches it. */
  #sinkFailure: { readonly error: unknown } | undefined;
  bytes = 0;
  rows = 0;

  constructor(sql: string, sink: RowSink<T>) {
    this.#sql = sql;
    this.#sink = sink;
  }

  // --- called by the driver ---

  submit(connection: pg.Connection): void {
    const c = connection as unknown as Connection;
    this.#connection = c;
    const [driver, ...others] = c.stream.listeners('data');
    if (driver === undefined || others.length > 0)
      throw new Error('the driver reads its socket in a way that is not known');
    this.#driver = driver as (chunk: Buffer) => void;
    c.stream.removeListener('data', this.#driver);
    c.stream.on('data', this.#onData);
    c.query(this.#sql);
  }

  handleError(error: unknown): void {
    this.#failure = error;
    this.#handBack(undefined);
    this.#finish();
  }
  handleReadyForQuery(): void {
    this.#finish();
  }
  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
  handleCopyInResponse(): void {}

  // --- called by the reader ---

  /** Whether the server has sent its last word on this statement. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The next batch; undefined at the end. Throws what the server said. */
  async next(): Promise<T | undefined> {
    for (;;) {
      const batch = this.#ready.shift();
      if (batch !== undefined) return batch;
      if (this.#sinkFailure) throw this.#sinkFailure.error;
      if (this.#ended) {
        if (this.#failure !== undefined) throw this.#failure;
        return this.#sink.take(true);
      }
      this.#connection?.stream.resume();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Reads on to the server's last word and forgets what comes. */
  async drain(): Promise<void> {
    this.#abandoned = true;
    this.#ready.length = 0;
    while (!this.#ended) {
      this.#connection?.stream.resume();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #finish(): void {
    this.#ended = true;
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Gives the socket, and what was read beyond the COPY, back to the driver. */
  #handBack(unread: Buffer | undefined): void {
    const { stream } = this.#connection!;
    const driver = this.#driver;
    if (!driver) return;
    this.#driver = undefined;
    stream.removeListener('data', this.#onData);
    stream.on('data', driver);
    stream.resume();
    if (unread !== undefined && unread.length > 0) driver(unread);
  }

  readonly #onData = (chunk: Buffer): void => {
    let buffer = chunk;
    if (this.#restBytes > 0) {
      this.#rest.push(chunk);
      this.#restBytes += chunk.length;
      if (this.#restBytes < this.#wanted) return; // a row longer than what has come: join once, when it is whole
      buffer = Buffer.concat(this.#rest, this.#restBytes);
      this.#rest = [];
      this.#restBytes = 0;
    }
    const end = buffer.length;
    let at = 0;
    while (end - at >= 5) {
      const code = buffer[at]!;
      const known =
        code === messageCopyData ||
        code === messageCopyOut ||
        code === messageCopyDone ||
        code === messageNotice ||
        code === messageParameter;
      if (!known) {
        this.#flush();
        this.#handBack(at === 0 ? buffer : buffer.subarray(at));
        return;
      }
      const size = buffer.readUInt32BE(at + 1) + 1;
      if (at + size > end) break;
      if (code === messageCopyData) {
        this.bytes += size - 5;
        this.rows++;
        if (!this.#abandoned) this.#hand(buffer, at + 5, at + size);
      }
      at += size;
    }
    if (at < end) {
      this.#rest = [at === 0 ? buffer : buffer.subarray(at)];
      this.#restBytes = end - at;
      this.#wanted = end - at >= 5 ? buffer.readUInt32BE(at + 1) + 1 : 5;
    }
    this.#flush();
  };

  #hand(bytes: Buffer, start: number, end: number): void {
    try {
      this.#sink.row(bytes, start, end);
    } catch (error) {
      this.#sinkFailure = { error };
      this.#abandoned = true;
      this.#wakeUp();
    }
  }

  #flush(): void {
    if (this.#abandoned) return;
    const batch = this.#sink.take(false);
    if (batch === undefined) return;
    this.#ready.push(batch);
    this.#connection!.stream.pause();
    this.#wakeUp();
  }
}
