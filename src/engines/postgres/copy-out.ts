import type { Socket } from 'node:net';
import type pg from 'pg';

/** Takes the rows of a COPY in place: `bytes` from `start` to `end` is one row, valid only during the call. */
export interface RowSink<T> {
  row(bytes: Buffer, start: number, end: number): void;
  /** Present: takes rows by the block instead, `bytes` from `start` to the last of `count` ends, each behind its 5 bytes of message head. */
  block?(bytes: Buffer, start: number, ends: Int32Array, count: number): void;
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
  /** Where each row of a block ends. */
  #ends = new Int32Array(1024);
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
    this.#handBack();
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
  #handBack(...unread: readonly (Buffer | undefined)[]): void {
    const { stream } = this.#connection!;
    const driver = this.#driver;
    if (!driver) return;
    this.#driver = undefined;
    stream.removeListener('data', this.#onData);
    stream.on('data', driver);
    stream.resume();
    for (const bytes of unread) if (bytes !== undefined && bytes.length > 0) driver(bytes);
  }

  readonly #onData = (chunk: Buffer): void => {
    let at = 0;
    while (this.#restBytes > 0) {
      // only the message that a chunk's border cuts is joined, and once, when it is whole
      const missing = this.#wanted - this.#restBytes;
      if (chunk.length - at < missing) {
        if (at < chunk.length) this.#rest.push(at === 0 ? chunk : chunk.subarray(at));
        this.#restBytes += chunk.length - at;
        return;
      }
      this.#rest.push(chunk.subarray(at, at + missing));
      const joined = Buffer.concat(this.#rest, this.#wanted);
      at += missing;
      this.#rest = [];
      this.#restBytes = 0;
      if (!this.#messages(joined, 0, chunk.subarray(at))) return;
    }
    if (this.#messages(chunk, at, undefined)) this.#flush();
  };

  /** Takes the whole messages of `buffer` and keeps what is left of it; false: the COPY ended, and the driver has the rest. */
  #messages(buffer: Buffer, from: number, behind: Buffer | undefined): boolean {
    const end = buffer.length;
    const byBlock = this.#sink.block !== undefined && !this.#abandoned;
    let at = from;
    let start = from;
    let n = 0;
    while (end - at >= 5) {
      const code = buffer[at]!;
      if (code !== messageCopyData) {
        if (n > 0) this.#handBlock(buffer, start, n);
        n = 0;
        const known =
          code === messageCopyOut || code === messageCopyDone || code === messageNotice || code === messageParameter;
        if (!known) {
          this.#flush();
          this.#handBack(at === 0 ? buffer : buffer.subarray(at), behind);
          return false;
        }
      }
      const size = buffer.readUInt32BE(at + 1) + 1;
      if (at + size > end) break;
      if (code === messageCopyData) {
        this.bytes += size - 5;
        this.rows++;
        if (byBlock) {
          if (n === this.#ends.length) this.#growEnds();
          this.#ends[n++] = at + size;
        } else if (!this.#abandoned) this.#hand(buffer, at + 5, at + size);
      }
      at += size;
      if (n === 0) start = at;
    }
    if (n > 0) this.#handBlock(buffer, start, n);
    if (at < end) {
      this.#rest = [at === 0 ? buffer : buffer.subarray(at)];
      this.#restBytes = end - at;
      this.#wanted = end - at >= 5 ? buffer.readUInt32BE(at + 1) + 1 : 5;
    }
    return true;
  }

  #growEnds(): void {
    const wider = new Int32Array(this.#ends.length * 2);
    wider.set(this.#ends);
    this.#ends = wider;
  }

  #handBlock(bytes: Buffer, start: number, count: number): void {
    if (this.#abandoned) return;
    try {
      this.#sink.block!(bytes, start, this.#ends, count);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#sinkFailure = { error };
    this.#abandoned = true;
    this.#wakeUp();
  }

  #hand(bytes: Buffer, start: number, end: number): void {
    try {
      this.#sink.row(bytes, start, end);
    } catch (error) {
      this.#fail(error);
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
