import { setImmediate as breathe } from 'node:timers/promises';
import type { Cancel } from '../../model/cancel.ts';
import { convert } from '../../model/canon/convert.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import type { QueryReport } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import { partOf } from '../../model/hash/part-of.ts';
import { rowHasher } from '../../model/hash/row-hash.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import { compareKeys } from '../../model/order.ts';
import { inRange } from '../../model/ranges.ts';
import type { Changes, HashBatch, Hashing, LooseBatch, Position, Reader } from '../../model/reader.ts';
import type { Batch, Key, Row, Text } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import { keyTypes } from '../../model/selection.ts';
import { changesOf } from './changed.ts';
import { parseFilter } from './filter.ts';
import { digestRows, hashBatch, holds } from './hash-rows.ts';
import type { MemoryDatabase, State } from './store.ts';

const sameKey = (key: Key): string => JSON.stringify(key);

/** Reads one immutable state. Overlapping calls are refused, as a connection would. */
export class MemoryReader implements Reader {
  readonly position: Position;
  readonly hashing: Hashing;
  readonly changes: Changes;
  readonly #database: MemoryDatabase;
  readonly #state: State;
  readonly #batchRows: number;
  readonly #onQuery: ((q: QueryReport) => void) | undefined;
  readonly #sorted = new Map<string, readonly Row[]>();
  #busy = false;
  #closed = false;

  constructor(
    database: MemoryDatabase,
    o: { readonly position: string; readonly batchRows: number; readonly onQuery?: (q: QueryReport) => void },
  ) {
    this.#database = database;
    this.#state = database.state;
    this.#batchRows = o.batchRows;
    this.#onQuery = o.onQuery;
    this.position = o.position as Position;
    this.changes = changesOf(database, (table) => this.#state.rows.get(table)!);
    this.hashing = {
      forms: ['bytes', 'hex'],
      supports: (c) => (c.as.kind === 'json' ? 'jsonb' : 'exact'),
      digest: (selection, partition, hash, { signal }) =>
        this.#alone(signal, () => digestRows(selection, this.#rows(selection), partition, hash)),
      hashes: (selection, segment, hash, { signal }) => this.#hashes(selection, segment, hash, signal),
      loose: (selection, segment, hash, { signal }) => this.#loose(selection, segment, hash, signal),
      byKeyHash: (selection, segment, hash, { signal }) => this.#byKeyHash(selection, segment, hash, signal),
    };
  }

  scan(selection: Selection, segment: Segment, { signal }: Cancel): AsyncIterable<Batch<Row>> {
    return this.#batches(selection, signal, () => this.#segment(selection, segment));
  }

  count(selection: Selection, { signal }: Cancel): Promise<number> {
    return this.#alone(signal, () => {
      const rows = this.#rows(selection);
      return selection.keyWidth > 0 ? rows.length : rows.reduce((n, row) => n + Number(row.at(-1)), 0);
    });
  }

  sample(selection: Selection, rows: number, { signal }: Cancel): Promise<readonly Key[]> {
    return this.#alone(signal, () => {
      const all = this.#rows(selection);
      const step = Math.max(1, Math.floor(all.length / Math.max(1, rows)));
      return all.filter((_, i) => i % step === 0).map((row) => row.slice(0, selection.keyWidth));
    });
  }

  keyBounds(selection: Selection, { signal }: Cancel): Promise<{ min: bigint; max: bigint } | undefined> {
    return this.#alone(signal, () => {
      const keys = this.#rows(selection).filter((row) => !isMisfit(row[0]!));
      return keys.length === 0 ? undefined : { min: BigInt(keys[0]![0]!), max: BigInt(keys.at(-1)![0]!) };
    });
  }

  async ranges(selection: Selection): Promise<boolean> {
    return selection.keyWidth > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#sorted.clear();
  }

  #enter(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#closed) throw new LockstepError('INTERNAL', 'This reader is closed.');
    if (this.#busy) throw new LockstepError('INTERNAL', 'Calls on one reader overlap.');
    this.#busy = true;
  }

  async #alone<T>(signal: AbortSignal, work: () => T): Promise<T> {
    this.#enter(signal);
    try {
      await breathe(undefined, { signal });
      return work();
    } finally {
      this.#busy = false;
    }
  }

  async *#batches(selection: Selection, signal: AbortSignal, work: () => readonly Row[]): AsyncGenerator<Batch<Row>> {
    this.#enter(signal);
    try {
      const rows = work();
      this.#report(selection, rows.length);
      for (let i = 0; i < rows.length; i += this.#batchRows) {
        await breathe(undefined, { signal });
        yield rows.slice(i, i + this.#batchRows);
      }
    } finally {
      this.#busy = false;
    }
  }

  async *#hashes(
    selection: Selection,
    segment: Segment,
    hash: HashSpec,
    signal: AbortSignal,
  ): AsyncGenerator<HashBatch> {
    const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
    for await (const rows of this.#batches(selection, signal, () => this.#segment(selection, segment))) {
      yield hashBatch(selection, rows, hasher);
    }
  }

  async *#loose(
    selection: Selection,
    segment: Segment,
    hash: HashSpec,
    signal: AbortSignal,
  ): AsyncGenerator<LooseBatch> {
    const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
    for await (const rows of this.#batches(selection, signal, () => [...this.#segment(selection, segment)].reverse())) {
      const { count, hashes } = hashBatch(selection, rows, hasher);
      const key = (i: number): Key => rows[i]!.slice(0, selection.keyWidth);
      yield { count, hashes, bytes: 40 * count, key };
    }
  }

  async *#byKeyHash(
    selection: Selection,
    segment: Segment,
    hash: HashSpec,
    signal: AbortSignal,
  ): AsyncGenerator<HashBatch> {
    const hasher = rowHasher(selection.columns, selection.keyWidth, hash);
    const sorted = (): readonly Row[] =>
      this.#rows(selection)
        .filter((row) => holds(segment, hasher.key(row)))
        .sort((a, b) => (hasher.key(a) < hasher.key(b) ? -1 : 1));
    for await (const rows of this.#batches(selection, signal, sorted)) {
      const { count, hashes } = hashBatch(selection, rows, hasher);
      yield { count, hashes, keys: { kind: 'int64', values: BigInt64Array.from(rows, (row) => hasher.key(row)) } };
    }
  }

  #report(selection: Selection, rows: number): void {
    const sql = `memory: ${tableLabel(selection.table)}${selection.filter === undefined ? '' : ` where ${selection.filter}`}`;
    this.#onQuery?.({ side: 'memory', sql, rows, bytes: 0, elapsedMs: 0 });
  }

  /** Every row of a selection, rendered and in key order. */
  #rows(selection: Selection): readonly Row[] {
    const cached = JSON.stringify(selection);
    const rows = this.#sorted.get(cached) ?? this.#read(selection);
    this.#sorted.set(cached, rows);
    return rows;
  }

  #read(selection: Selection): readonly Row[] {
    const { table } = this.#database.find(selection.table);
    const label = tableLabel(table);
    const at = selection.columns.map((c) => {
      const i = table.columns.findIndex((column) => column.name === c.name);
      if (i < 0) throw new LockstepError('COLUMN_NOT_FOUND', `There is no column ${label}.${c.name}.`);
      return i;
    });
    const wanted = selection.filter === undefined ? () => true : parseFilter(table, selection.filter);
    const types = selection.columns.map((c) => c.as);
    const rows = this.#state.rows
      .get(label)!
      .filter(wanted)
      .map((row): Row => selection.columns.map((c, i) => convert(row[at[i]!] ?? null, c.stored, c.as)));
    if (selection.keyWidth > 0) {
      const key = keyTypes(selection);
      const { range } = selection;
      const inside = range === undefined ? rows : rows.filter((row) => inRange(key, range, row));
      return inside.sort((a, b) => compareKeys(key, a, b));
    }
    const counts = new Map<string, { row: Row; times: number }>();
    for (const row of rows) {
      const seen = counts.get(sameKey(row));
      if (seen) seen.times++;
      else counts.set(sameKey(row), { row, times: 1 });
    }
    return [...counts.values()]
      .sort((a, b) => compareKeys(types, a.row, b.row))
      .map(({ row, times }) => [...row, String(times) as Text]);
  }

  #segment(selection: Selection, segment: Segment): readonly Row[] {
    const rows = this.#rows(selection);
    const types = selection.keyWidth > 0 ? keyTypes(selection) : selection.columns.map((c) => c.as);
    switch (segment.kind) {
      case 'all':
        return rows;
      case 'range':
        return rows.filter(
          (row) =>
            (segment.from === undefined || compareKeys(types, row, segment.from) >= 0) &&
            (segment.to === undefined || compareKeys(types, row, segment.to) < 0),
        );
      case 'keys': {
        const keys = new Set(segment.keys.map(sameKey));
        return rows.filter((row) => keys.has(sameKey(row.slice(0, types.length))));
      }
      case 'parts': {
        const parts = new Set(segment.parts);
        const part = partOf(selection, segment.partition);
        return rows.filter((row) => parts.has(part(row)));
      }
      case 'text_parts': {
        const parts = new Set(segment.parts);
        const part = partOf(selection, segment.partition);
        return rows.filter((row) => parts.has(part(row)));
      }
    }
  }
}
