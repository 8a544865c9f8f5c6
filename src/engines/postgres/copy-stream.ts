import type { Writable } from 'node:stream';
import type pg from 'pg';

/** The part of the driver's connection that this statement talks to. */
interface Wire {
  readonly stream: Writable;
  query(sql: string): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
}

/**
 * `COPY … FROM STDIN` of messages that another server sent as the answer to `COPY … TO STDOUT`: a row's message is the
 * same in both directions, so the bytes go from one socket to the other as they are.
 */
export class CopyStream implements pg.Submittable {
  readonly #sql: string;
  readonly #opened: PromiseWithResolvers<Wire> = Promise.withResolvers();
  readonly #done: PromiseWithResolvers<number> = Promise.withResolvers();
  #count = Number.NaN;
  #failure: { readonly error: unknown } | undefined;

  constructor(sql: string) {
    this.#sql = sql;
    // whoever waits is told; nobody may be waiting yet
    this.#opened.promise.catch(() => {});
    this.#done.promise.catch(() => {});
  }

  /** Sends all of it; how many rows the server took. Rejects with what it said, or with what the source threw. */
  async send(source: AsyncIterable<Buffer>): Promise<number> {
    const wire = await this.#opened.promise;
    try {
      for await (const bytes of source) {
        if (this.#failure) break;
        if (!wire.stream.write(bytes)) await this.#drained(wire.stream);
      }
    } catch (error) {
      if (!this.#failure) wire.sendCopyFail('the source failed');
      await this.#done.promise.catch(() => {});
      throw error;
    }
    if (!this.#failure) wire.endCopyFrom();
    return this.#done.promise;
  }

  /** Resolves when there is room, or nothing more is to be sent. */
  async #drained(stream: Writable): Promise<void> {
    const room = Promise.withResolvers<void>();
    const on = (): void => room.resolve();
    stream.once('drain', on);
    stream.once('close', on);
    await Promise.race([room.promise, this.#done.promise.catch(() => {})]);
    stream.removeListener('drain', on);
    stream.removeListener('close', on);
  }

  // --- called by the driver ---

  submit(connection: pg.Connection): void {
    (connection as unknown as Wire).query(this.#sql);
  }
  handleCopyInResponse(connection: pg.Connection): void {
    this.#opened.resolve(connection as unknown as Wire);
  }
  handleCommandComplete(message: { readonly text?: string }): void {
    this.#count = Number(/^COPY (\d+)$/.exec(message.text ?? '')?.[1] ?? Number.NaN);
  }
  handleError(error: unknown): void {
    this.#failure ??= { error };
    this.#opened.reject(error);
    this.#done.reject(error);
  }
  handleReadyForQuery(): void {
    if (!this.#failure) this.#done.resolve(this.#count);
  }
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
}
