import type { Endpoint } from '../model/endpoint.ts';
import type { Pair } from '../model/pair.ts';
import { clip } from '../model/ranges.ts';
import type { Changes, Reader } from '../model/reader.ts';
import type { Batch, Key, Row } from '../model/row.ts';
import { inSample, partsOfSample } from '../model/sample.ts';
import type { Segment, Selection } from '../model/selected.ts';
import { sourceOf } from '../model/transform.ts';
import type { Sides } from './context.ts';

/** The selection without its sample. */
const whole = ({ sample: _, ...selection }: Selection): Selection => selection;

/** Can the database pick the rows itself, by the hash of their keys? */
const picksThere = ({ hashing }: Reader, { columns, keyWidth }: Selection): boolean =>
  hashing !== undefined &&
  hashing.travels !== true &&
  hashing.forms.includes('hex') &&
  columns.slice(0, keyWidth).every((c) => hashing.supports(c) === 'exact');

/**
 * A reader that shows only the rows of a selection's sample; without one, all. It has no row hashes and no raw rows:
 * what is read of a sample are its rows.
 */
const sampledReader = (inner: Reader): Reader => {
  const scan = (selection: Selection, segment: Segment, o: { readonly signal: AbortSignal }) => {
    const { sample } = selection;
    if (sample === undefined) return inner.scan(selection, segment, o);
    const all = whole(selection);
    const isIn = inSample(selection, sample);
    if (segment.kind === 'keys') return inner.scan(all, { kind: 'keys', keys: segment.keys.filter(isIn) }, o);
    if ((segment.kind === 'all' || segment.kind === 'range') && picksThere(inner, all)) {
      const within = clip(all, segment);
      const { range: __, ...unbounded } = all;
      if (within.kind === 'keys') return inner.scan(unbounded, within, o);
      const { kind: ___, ...range } = within as Extract<Segment, { kind: 'range' }>;
      const bounded = range.from === undefined && range.to === undefined ? unbounded : { ...unbounded, range };
      return inner.scan(bounded, partsOfSample(sample), o);
    }
    return only(inner.scan(all, segment, o), isIn);
  };
  /** Keys, as those who tell what was changed give them. */
  const keysOf = (selection: Selection, found: AsyncIterable<Batch<Row>>): AsyncIterable<Batch<Row>> =>
    selection.sample === undefined ? found : only(found, inSample(selection, selection.sample));
  return {
    ...(inner.position === undefined ? {} : { position: inner.position }),
    scan,
    count: async (selection, o) => {
      if (selection.sample === undefined) return inner.count(selection, o);
      const keys = { ...selection, columns: selection.columns.slice(0, selection.keyWidth) };
      let rows = 0;
      for await (const batch of scan(keys, { kind: 'all' }, o)) rows += batch.length;
      return rows;
    },
    sample: async (selection, rows, o) => {
      const found = await inner.sample(whole(selection), rows, o);
      return selection.sample === undefined ? found : found.filter(inSample(selection, selection.sample));
    },
    keyBounds: (selection, o) => inner.keyBounds(whole(selection), o),
    ...(inner.ranges === undefined ? {} : { ranges: (selection, o) => inner.ranges!(whole(selection), o) }),
    ...(inner.changes === undefined ? {} : { changes: changesOf(inner.changes, keysOf) }),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
};

const changesOf = (
  { columns, version }: Changes,
  keysOf: (selection: Selection, found: AsyncIterable<Batch<Row>>) => AsyncIterable<Batch<Row>>,
): Changes => ({
  ...(columns && {
    columns: {
      latest: (table, column, o) => columns.latest(table, column, o),
      since: (selection, column, from, o) => keysOf(selection, columns.since(whole(selection), column, from, o)),
    },
  }),
  ...(version && {
    version: {
      name: version.name,
      mark: (table, o) => version.mark(table, o),
      since: async (selection, mark, o) => {
        const found = await version.since(whole(selection), mark, o);
        return 'unable' in found ? found : keysOf(selection, found);
      },
    },
  }),
});

async function* only(batches: AsyncIterable<Batch<Row>>, isIn: (row: Key) => boolean): AsyncGenerator<Batch<Row>> {
  for await (const batch of batches) {
    const rows = batch.filter(isIn);
    if (rows.length > 0) yield rows;
  }
}

const sampledEndpoint = (inner: Endpoint): Endpoint => ({
  name: inner.name,
  engine: inner.engine,
  version: inner.version,
  fingerprint: inner.fingerprint,
  ...(inner.standIn === undefined ? {} : { standIn: inner.standIn }),
  inspect: (o) => inner.inspect(o),
  snapshot: async (o) => sampledReader(await inner.snapshot(o)),
  [Symbol.asyncDispose]: async () => {},
});

/** Both sides as a pair's comparison reads them: its source transformed, and of a sample only its rows. */
export const readingSides = (pair: Pair, source: Endpoint, target: Endpoint): Sides<Endpoint> => {
  const read = sourceOf(pair, source, target);
  return pair.sample === undefined
    ? { source: read, target }
    : { source: sampledEndpoint(read), target: sampledEndpoint(target) };
};
