import type { Cancel } from '../../model/cancel.ts';
import type { QueryReport } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import { NotInForm } from '../../model/not-in-form.ts';
import type { BulkRows, Changes, HashBatch, Hashing, Reader } from '../../model/reader.ts';
import type { Batch, Key, Row } from '../../model/row.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import { changesOf } from './changed.ts';
import type { Connection } from './connection.ts';
import type { Chunk, StreamArgs, Work } from './operations.ts';

/** Batches asked for ahead of the consumer: the process works on the next while this one is used. */
const ahead = 2;

/** One read transaction of an SQLite process. */
export class SqliteReader implements Reader {
  readonly hashing: Hashing;
  readonly bulk: BulkRows;
  readonly changes: Changes;
  readonly #side: string;
  readonly #connection: Connection;
  readonly #release: (connection: Connection) => Promise<void>;
  readonly #onQuery: ((q: QueryReport) => void) | undefined;
  #busy = false;
  #closed = false;

  constructor(o: {
    readonly side: string;
    readonly connection: Connection;
    readonly release: (connection: Connection) => Promise<void>;
    readonly onQuery?: ((q: QueryReport) => void) | undefined;
  }) {
    this.#side = o.side;
    this.#connection = o.connection;
    this.#release = o.release;
    this.#onQuery = o.onQuery;
    this.changes = changesOf((selection, segment, cancel) => this.scan(selection, segment, cancel));
    this.bulk = {
      forms: (selection, cancel) =>
        this.#alone(async () => {
          const form = await this.#connection.call('csvForm', selection, cancel);
          return form === null ? [] : [form];
        }),
      read: (selection, segment, _form, cancel) => this.#csv(selection, segment, cancel),
    };
    this.hashing = {
      forms: ['bytes', 'hex'],
      supports: (c) => (c.as.kind === 'json' ? 'jsonb' : 'exact'),
      digest: (selection, partition, hash, cancel) =>
        this.#alone(async () => {
          const { digests, work } = await this.#connection.call('digest', { selection, partition, hash }, cancel);
          this.#report(work);
          return digests;
        }),
      hashes: (selection, segment, hash, cancel) => this.#hashes(selection, segment, hash, cancel),
    };
  }

  async *scan(selection: Selection, segment: Segment, cancel: Cancel): AsyncGenerator<Batch<Row>> {
    for await (const chunk of this.#stream({ kind: 'rows', selection, segment }, cancel)) {
      if ('rows' in chunk) yield chunk.rows;
    }
  }

  async *#hashes(
    selection: Selection,
    segment: Segment,
    hash: StreamArgs['hash'],
    cancel: Cancel,
  ): AsyncGenerator<HashBatch> {
    for await (const chunk of this.#stream({ kind: 'hashes', selection, segment, hash }, cancel)) {
      if ('hashes' in chunk) yield chunk.hashes;
    }
  }

  async *#csv(selection: Selection, segment: Segment, cancel: Cancel): AsyncGenerator<Buffer, void, undefined> {
    for await (const chunk of this.#stream({ kind: 'csv', selection, segment }, cancel)) {
      if ('odd' in chunk) throw new NotInForm(`${selection.table.name} holds a value of another type than its column`);
      if ('csv' in chunk) yield Buffer.from(chunk.csv.buffer, chunk.csv.byteOffset, chunk.csv.byteLength);
    }
  }

  count(selection: Selection, cancel: Cancel): Promise<number> {
    return this.#alone(async () => {
      const { rows, work } = await this.#connection.call('count', selection, cancel);
      this.#report(work);
      return rows;
    });
  }

  sample(selection: Selection, rows: number, cancel: Cancel): Promise<readonly Key[]> {
    return this.#alone(() => this.#connection.call('sample', { selection, rows }, cancel));
  }

  keyBounds(selection: Selection, cancel: Cancel): Promise<{ min: bigint; max: bigint } | undefined> {
    return this.#alone(async () => (await this.#connection.call('keyBounds', selection, cancel)) ?? undefined);
  }

  ranges(selection: Selection, cancel: Cancel): Promise<boolean> {
    return this.#alone(() => this.#connection.call('ranges', selection, cancel));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#release(this.#connection);
  }

  #report(work: Work | null): void {
    if (work) this.#onQuery?.({ side: this.#side, ...work });
  }

  #enter(): void {
    if (this.#closed) throw new LockstepError('INTERNAL', `${this.#side}: this reader is closed.`);
    if (this.#busy) throw new LockstepError('INTERNAL', `${this.#side}: calls on one reader overlap.`);
    this.#busy = true;
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    this.#enter();
    try {
      return await work();
    } finally {
      this.#busy = false;
    }
  }

  async *#stream(args: StreamArgs, cancel: Cancel): AsyncGenerator<Chunk> {
    this.#enter();
    const call = this.#connection;
    const asked: Promise<Chunk>[] = [];
    let number: number | undefined;
    let finished = false;
    const ask = (): void => {
      const reply = call.call('next', number!, cancel);
      reply.catch(() => {});
      asked.push(reply);
    };
    try {
      number = await call.call('stream', args, cancel);
      ask();
      for (;;) {
        while (asked.length < ahead) ask();
        const chunk = await asked.shift()!;
        if ('end' in chunk) {
          finished = true;
          this.#report(chunk.work);
          return;
        }
        yield chunk;
        cancel.signal.throwIfAborted();
      }
    } finally {
      // What was asked ahead is answered before the close is.
      if (!finished && number !== undefined && !call.ended) {
        await call.call('close', number, { signal: new AbortController().signal }).then(
          (work) => this.#report(work),
          () => {},
        );
      }
      await Promise.allSettled(asked);
      this.#busy = false;
    }
  }
}
