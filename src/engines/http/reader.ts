import type { Cancel } from '../../model/cancel.ts';
import { convert } from '../../model/canon/convert.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import type { QueryReport } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import { partOf } from '../../model/hash/part-of.ts';
import { compareKeys } from '../../model/order.ts';
import { clip, inRange } from '../../model/ranges.ts';
import type { Changes, Hashing, Reader } from '../../model/reader.ts';
import type { Batch, Key, Row } from '../../model/row.ts';
import { tableLabel } from '../../model/schema.ts';
import type { Segment, Selection } from '../../model/selected.ts';
import { keyTypes } from '../../model/selection.ts';
import { changesOver } from './changes.ts';
import { enumerate, itemOf } from './enumerate.ts';
import { matching } from './filter.ts';
import { hashingOver } from './hashing.ts';
import { canLookUp, type Found, lookUp, type Named, refuseHidden } from './items.ts';
import { type JsonObject, parseJson } from './json.ts';
import { type ReaderContext, rowMaker } from './rows.ts';
import type { Shape } from './shape.ts';
import { type Sorted, sortRows } from './sorted.ts';
import { Spool } from './spool.ts';

/** So many keys are asked for one by one; more are cheaper by reading the list. */
const lookUpMost = 100;

/**
 * Reads lists. A resource is read whole when it is first asked for, and that is what this reader shows from then on; a
 * few keys of one that was not are asked for one by one, past every cache.
 */
export class HttpReader implements Reader {
  readonly hashing: Hashing;
  readonly changes: Changes;
  readonly #x: ReaderContext;
  readonly #spools = new Map<string, Spool>();
  readonly #sorted = new Map<string, Sorted>();
  #busy = false;
  #closed = false;

  constructor(x: Omit<ReaderContext, 'onQuery'> & { readonly onQuery?: ((q: QueryReport) => void) | undefined }) {
    this.#x = x;
    this.hashing = hashingOver((selection, segment, o) => this.scan(selection, segment, o));
    this.changes = changesOver(x, {
      alone: (o, work) => this.#alone(o, work),
      whole: (shape, signal) => this.#whole(shape, signal),
      held: (shape) => this.#spools.has(tableLabel(shape.table)),
    });
  }

  async *scan(selection: Selection, segment: Segment, { signal }: Cancel): AsyncGenerator<Batch<Row>> {
    this.#enter(signal);
    let own: Spool | undefined;
    const asked = clip(selection, segment);
    try {
      const direct = asked.kind === 'keys' ? await this.#byItem(selection, asked.keys, signal) : undefined;
      own = direct?.spool;
      const sorted = direct?.sorted ?? (await this.#rows(selection, signal));
      for await (const rows of this.#segment(selection, sorted, asked, signal)) {
        await this.#x.throttle.pass(rows.length, signal);
        signal.throwIfAborted();
        yield rows;
      }
    } finally {
      own?.[Symbol.dispose]();
      this.#busy = false;
    }
  }

  count(selection: Selection, o: Cancel): Promise<number> {
    return this.#alone(o, async () => (await this.#rows(selection, o.signal)).rows);
  }

  sample(selection: Selection, rows: number, o: Cancel): Promise<readonly Key[]> {
    return this.#alone(o, async () => {
      const sorted = await this.#rows(selection, o.signal);
      const step = Math.max(1, Math.floor(sorted.rows / Math.max(1, rows)));
      const keys: Key[] = [];
      let i = 0;
      for await (const batch of sorted.scan({ kind: 'all' }, o.signal))
        for (const row of batch) if (i++ % step === 0) keys.push(row.slice(0, selection.keyWidth));
      return keys;
    });
  }

  keyBounds(selection: Selection, o: Cancel): Promise<{ min: bigint; max: bigint } | undefined> {
    return this.#alone(o, async () => {
      let bounds: { min: bigint; max: bigint } | undefined;
      const sorted = await this.#rows(selection, o.signal);
      for await (const batch of sorted.scan({ kind: 'all' }, o.signal))
        for (const [cell] of batch) {
          if (isMisfit(cell!)) continue;
          const n = BigInt(cell!);
          bounds = { min: bounds?.min ?? n, max: n };
        }
      return bounds;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#sorted.clear();
    for (const spool of this.#spools.values()) spool[Symbol.dispose]();
    this.#spools.clear();
  }

  #enter(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#closed) throw new LockstepError('INTERNAL', `${this.#x.client.side}: this reader is closed.`);
    if (this.#busy) throw new LockstepError('INTERNAL', `${this.#x.client.side}: calls on one reader overlap.`);
    this.#busy = true;
  }

  async #alone<T>({ signal }: Cancel, work: () => Promise<T>): Promise<T> {
    this.#enter(signal);
    try {
      return await work();
    } finally {
      this.#busy = false;
    }
  }

  /** Every row of a selection in key order; the resource is read whole when it has not been. */
  async #rows(selection: Selection, signal: AbortSignal): Promise<Sorted> {
    const name = JSON.stringify(selection);
    const known = this.#sorted.get(name);
    if (known) return known;
    const shape = await this.#x.shape(selection.table, { signal });
    const sorted = await this.#sort(shape, await this.#whole(shape, signal), selection, signal);
    this.#sorted.set(name, sorted);
    return sorted;
  }

  /** A resource as it was when this reader first read it whole. */
  async #whole(shape: Shape, signal: AbortSignal): Promise<Spool> {
    const label = tableLabel(shape.table);
    const known = this.#spools.get(label);
    if (known) return known;
    const spool = await enumerate(this.#x, shape, { signal });
    this.#spools.set(label, spool);
    this.#x.last.keep(shape.table.name, spool);
    return spool;
  }

  async #sort(shape: Shape, spool: Spool, selection: Selection, signal: AbortSignal): Promise<Sorted> {
    const { side } = this.#x.client;
    const make = rowMaker(shape, selection.columns, side);
    const wanted =
      selection.filter === undefined ? undefined : await matching(side, shape, spool, selection.filter, signal);
    const rowOf = ({ id, json }: { readonly id: number; readonly json: string }): Row | undefined => {
      if (wanted !== undefined && !wanted.has(id)) return undefined;
      return make(parseJson(json) as JsonObject);
    };
    const { range } = selection;
    if (range === undefined) return sortRows(spool, selection, rowOf, signal);
    const types = keyTypes(selection);
    const inside = (item: Parameters<typeof rowOf>[0]): Row | undefined => {
      const row = rowOf(item);
      return row !== undefined && inRange(types, range, row) ? row : undefined;
    };
    return sortRows(spool, selection, inside, signal);
  }

  /** A few keys one by one; undefined where they must be looked for in the whole list. */
  async #byItem(
    selection: Selection,
    keys: readonly Key[],
    signal: AbortSignal,
  ): Promise<{ readonly spool: Spool; readonly sorted: Sorted } | undefined> {
    if (this.#spools.has(tableLabel(selection.table)) || selection.keyWidth === 0 || keys.length > lookUpMost)
      return undefined;
    const shape = await this.#x.shape(selection.table, { signal });
    const key = selection.columns.slice(0, selection.keyWidth);
    const names = key.map((c) => c.name);
    if (!canLookUp(shape, names)) return undefined;
    const types = keyTypes(selection);
    const distinct = keys
      .toSorted((a, b) => compareKeys(types, a, b))
      .filter((k, i, all) => i === 0 || compareKeys(types, all[i - 1]!, k) !== 0);
    const named = distinct.map((k): Named => {
      const cells = key.map((c, i) => convert(k[i]!, c.as, shape.columns.find((x) => x.name === c.name)!.type));
      return new Map(names.map((name, i) => [name, cells[i]!]));
    });
    const began = this.#x.clock.elapsed();
    const found = await Promise.all(named.map((cells) => lookUp(this.#x, shape, cells, cells, { signal })));
    if (found.includes('unknown')) return undefined;
    const items = (found as readonly (readonly Found[])[]).map((list) => list.map(({ item }) => item));
    if (this.#contradicts(shape, selection, names, named, items)) {
      const list = await this.#whole(shape, signal);
      await refuseHidden(this.#x, shape, list, { named, items, signal });
      return undefined;
    }
    const spool = new Spool();
    try {
      spool.add(items.flat().map((item) => itemOf(this.#x.client.side, shape, item)));
      this.#x.onQuery?.({
        side: this.#x.client.side,
        sql: `GET ${(shape.resource.read?.path ?? shape.resource.find!).text} × ${named.length}`,
        rows: spool.items,
        bytes: spool.bytes,
        elapsedMs: this.#x.clock.elapsed() - began,
      });
      return { spool, sorted: await this.#sort(shape, spool, selection, signal) };
    } catch (error) {
      spool[Symbol.dispose]();
      throw error;
    }
  }

  /** Do single items show something else than the list did when it was last read? Then the list is read again. */
  #contradicts(
    shape: Shape,
    selection: Selection,
    names: readonly string[],
    named: readonly Named[],
    items: readonly (readonly JsonObject[])[],
  ): boolean {
    const last = this.#x.last.get(shape.table.name);
    if (last === undefined || shape.key.length === 0) return false;
    const make = rowMaker(shape, selection.columns, this.#x.client.side);
    const own = shape.key.map((c) => c.name);
    const isOwn = own.length === names.length && own.every((name) => names.includes(name));
    return items.some((list, i) => {
      if (list.length === 0) return isOwn && last.find(JSON.stringify(own.map((n) => named[i]!.get(n)!))) !== undefined;
      return list.some((item) => {
        const then = last.find(itemOf(this.#x.client.side, shape, item).key!);
        return then === undefined || JSON.stringify(make(parseJson(then) as JsonObject)) !== JSON.stringify(make(item));
      });
    });
  }

  async *#segment(
    selection: Selection,
    sorted: Sorted,
    segment: Segment,
    signal: AbortSignal,
  ): AsyncGenerator<Batch<Row>> {
    if (segment.kind !== 'parts' && segment.kind !== 'text_parts') {
      yield* sorted.scan(segment, signal);
      return;
    }
    const parts = new Set(segment.parts);
    const part = partOf(selection, segment.partition);
    for await (const rows of sorted.scan({ kind: 'all' }, signal)) {
      const inside = rows.filter((row) => parts.has(part(row)));
      if (inside.length > 0) yield inside;
    }
  }
}
