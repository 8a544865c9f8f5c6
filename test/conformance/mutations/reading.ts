import type { Cancel } from '../../../src/model/cancel.ts';
import type { Endpoint } from '../../../src/model/endpoint.ts';
import { rowHasher } from '../../../src/model/hash/row-hash.ts';
import type { Digest, HashBatch, Hashing, Reader } from '../../../src/model/reader.ts';
import type { Batch, Key, Row, Text } from '../../../src/model/row.ts';
import type { Segment, Selection } from '../../../src/model/selected.ts';
import { shuffled } from '../tables.ts';
import { overEndpoint, overHashing, overReader } from '../wrap.ts';
import type { Mutation } from './mutation.ts';

/** Breaks what a reader does. */
const reader = (name: string, caughtBy: RegExp, change: (r: Reader, e: Endpoint) => Partial<Reader>): Mutation => ({
  name,
  caughtBy,
  breakIt: (e) =>
    overEndpoint(e, {
      snapshot: async (o) => {
        const r = await e.snapshot(o);
        return overReader(r, change(r, e));
      },
    }),
});

const hashing = (name: string, caughtBy: RegExp, change: (h: Hashing, r: Reader) => Partial<Hashing>): Mutation =>
  reader(name, caughtBy, (r) => ({ hashing: overHashing(r.hashing!, change(r.hashing!, r)) }));

/** Reads a whole scan, changes its rows, and gives them out again by hundreds. */
const rescanned = (r: Reader, change: (rows: Row[], selection: Selection, segment: Segment) => Row[]): Reader['scan'] =>
  async function* (selection, segment, o) {
    const rows = change((await Array.fromAsync(r.scan(selection, segment, o))).flat(), selection, segment);
    for (let i = 0; i < rows.length; i += 100) yield rows.slice(i, i + 100);
  };

const rehashed = (h: Hashing, change: (batch: HashBatch) => HashBatch): Hashing['hashes'] =>
  async function* (...a) {
    for await (const batch of h.hashes(...a)) yield change(batch);
  };

const cells =
  (change: (cell: Text | null) => string | null) =>
  (rows: Batch<Row>): Row[] =>
    rows.map((row) => row.map(change) as unknown as Row);

const patient = { signal: new AbortController().signal };

/** Rejects at once when the caller aborts, but lets the work itself go on. */
const deaf = <T>(work: Promise<T>, { signal }: Cancel): Promise<T> => {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  work.catch(() => {});
  return Promise.race([work, promise]);
};

const ignoring = (r: Reader, change: (s: Selection) => Selection): Partial<Reader> => ({
  scan: (s, ...a) => r.scan(change(s), ...a),
  count: (s, o) => r.count(change(s), o),
  keyBounds: (s, o) => r.keyBounds(change(s), o),
});

const withoutFilter = ({ filter: _, ...s }: Selection): Selection => s;
const withoutRange = ({ range: _, ...s }: Selection): Selection => s;

export const readingMutations: readonly Mutation[] = [
  reader('rows come in no order', /text_keys: rows come/, (r) => ({ scan: rescanned(r, (rows) => shuffled(rows)) })),
  reader('texts come in UTF-16 order', /text_keys: rows come/, (r) => ({
    scan: rescanned(r, (rows) => rows.sort((a, b) => (a[0]! < b[0]! ? -1 : 1))),
  })),
  reader('texts come in the order of a locale', /text_keys: rows come/, (r) => ({
    scan: rescanned(r, (rows) => rows.sort((a, b) => a[0]!.localeCompare(b[0]!))),
  })),
  reader('numbers come in the order of their digits', /negative_keys: rows come|decimal_keys: rows come/, (r) => ({
    scan: rescanned(r, (rows) => rows.sort((a, b) => (a[0]! < b[0]! ? -1 : 1))),
  })),
  reader('a range holds its upper bound', /ranges tile|random ranges/, (r) => ({
    scan: async function* (selection, segment, o) {
      yield* r.scan(selection, segment, o);
      if (segment.kind === 'range' && segment.to) yield* r.scan(selection, { kind: 'keys', keys: [segment.to] }, o);
    },
  })),
  reader('a range leaves out its lower bound', /half-open ranges tile/, (r) => ({
    scan: rescanned(r, (rows, selection, segment) =>
      segment.kind === 'range' && segment.from
        ? rows.filter((row) => JSON.stringify(row.slice(0, selection.keyWidth)) !== JSON.stringify(segment.from))
        : rows,
    ),
  })),
  reader('only the first column of a range bound counts', /composite_keys: half-open ranges|shar/, (r) => ({
    scan: (s, segment, o) => {
      const first = (key: Key): Key => [
        key[0]!,
        ...key.slice(1).map((c, i) => (s.columns[i + 1]!.as.kind === 'text' ? '' : c) as Text),
      ];
      return r.scan(
        s,
        segment.kind === 'range'
          ? {
              kind: 'range',
              ...(segment.from ? { from: first(segment.from) } : {}),
              ...(segment.to ? { to: segment.to } : {}),
            }
          : segment,
        o,
      );
    },
  })),
  reader('the last row of a batch is lost', /thousands of keys|rows come/, (r) => ({
    scan: async function* (...a) {
      for await (const batch of r.scan(...a)) yield batch.slice(0, -1);
    },
  })),
  reader('keys that are asked for twice come twice', /keys that are asked for/, (r) => ({
    scan: async function* (s, segment, o) {
      if (segment.kind !== 'keys') return yield* r.scan(s, segment, o);
      for (const key of segment.keys) yield* r.scan(s, { kind: 'keys', keys: [key] }, o);
    },
  })),
  reader('only the first thousand keys are looked up', /thousands of keys/, (r) => ({
    scan: (s, segment, o) =>
      r.scan(s, segment.kind === 'keys' ? { kind: 'keys', keys: segment.keys.slice(0, 1000) } : segment, o),
  })),
  reader('the filter is forgotten', /a filter holds/, (r) => ignoring(r, withoutFilter)),
  reader('the filter is forgotten when keys are asked for', /a filter holds/, (r) => ({
    scan: (s, segment, o) => r.scan(segment.kind === 'keys' ? withoutFilter(s) : s, segment, o),
  })),
  reader('the range of a selection is forgotten', /a range of a selection/, (r) => ignoring(r, withoutRange)),
  hashing('the range of a selection is forgotten by the digest', /a range of a selection/, (h) => ({
    digest: (s, ...a) => h.digest(withoutRange(s), ...a),
  })),
  hashing('the filter is forgotten by the digest', /a filter holds/, (h) => ({
    digest: (s, ...a) => h.digest(withoutFilter(s), ...a),
  })),
  reader('NULL is read as the empty text', /every kind of value comes back/, (r) => ({
    scan: rescanned(
      r,
      cells((c) => c ?? ''),
    ),
  })),
  reader('blanks at the end are cut', /text_keys: rows come|every kind of value/, (r) => ({
    scan: rescanned(
      r,
      cells((c) => c?.replace(/ +$/, '') ?? null),
    ),
  })),
  reader('microseconds are cut to milliseconds', /every kind of value comes back/, (r) => ({
    scan: rescanned(
      r,
      cells((c) => c?.replace(/(:\d\d\.\d{3})\d+$/, '$1') ?? null),
    ),
  })),
  reader('large integers go through a double', /every kind of value comes back|negative_keys: rows come/, (r) => ({
    scan: rescanned(
      r,
      cells((c) => (c !== null && /^-?\d{16,}$/.test(c) ? String(Number(c)) : c)),
    ),
  })),
  reader('characters beyond the first plane are replaced', /text_keys: rows come/, (r) => ({
    scan: rescanned(
      r,
      cells((c) => c?.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '\ufffd') ?? null),
    ),
  })),
  reader('rows without a key are read as a set', /multisets/, (r) => ({
    scan: rescanned(r, (rows, s) => (s.keyWidth > 0 ? rows : rows.map((row) => [...row.slice(0, -1), '1' as Text]))),
  })),
  reader('the count is an estimate', /count, key bounds/, (r) => ({
    count: async (...a) => Math.round((await r.count(...a)) * 1.01),
  })),
  reader('the greatest key is missed', /count, key bounds/, (r) => ({
    keyBounds: async (...a) => {
      const b = await r.keyBounds(...a);
      return b && { min: b.min, max: b.max - 1n };
    },
  })),
  reader('every call reads a snapshot of its own', /a reader shows one state/, (_, e) => ({
    scan: async function* (...a) {
      await using fresh = await e.snapshot(patient);
      yield* fresh.scan(...a);
    },
  })),
  {
    name: 'the snapshot begins with the first read',
    caughtBy: /a snapshot begins when/,
    breakIt: (e) =>
      overEndpoint(e, {
        snapshot: async (o) => {
          const early = await e.snapshot(o);
          let late: Promise<Reader> | undefined;
          return overReader(early, {
            count: async (...a) => {
              late ??= e.snapshot(o);
              return (await late).count(...a);
            },
            [Symbol.asyncDispose]: async () => {
              await early[Symbol.asyncDispose]();
              await (await late)?.[Symbol.asyncDispose]();
            },
          });
        },
      }),
  },
  reader('the whole table comes as one batch', /a consumer may leave/, (r) => ({
    scan: async function* (...a) {
      yield (await Array.fromAsync(r.scan(...a))).flat();
    },
  })),
  reader('a signal that is aborted already is not looked at', /an aborted signal stops/, (r) => ({
    count: (s) => r.count(s, patient),
  })),
  {
    ...reader('aborting a count forgets the statement and lets it run on', /aborting a count/, (r) => {
      // It ends with the reader, so that the connection can be closed.
      const closing = new AbortController();
      return {
        count: (s, o) => deaf(r.count(s, { signal: closing.signal }), o),
        [Symbol.asyncDispose]: () => {
          closing.abort();
          return r[Symbol.asyncDispose]();
        },
      };
    }),
    when: (harness) => harness.slowFilter !== undefined && harness.name !== 'sqlite',
  },
  hashing('the digest is an XOR', /a digest is the count and the sum/, (h) => ({
    digest: async (s, _, spec, o) => [await foldHashes(h, s, spec, o, (sum, x) => sum ^ x)],
  })),
  hashing('the digest keeps 32 bits', /a digest is the count and the sum/, (h) => ({
    digest: async (...a) => (await h.digest(...a)).map((d) => ({ ...d, sum: d.sum & 0xffffffffn })),
  })),
  hashing(
    'the digest sums the columns without a finaliser',
    /a digest sees values that move|a digest is the count/,
    (_, r) => ({
      digest: async (s, _p, spec, o) => {
        let [rows, sum] = [0, 0n];
        const hashers = s.columns.map((c) => rowHasher([c], 1, spec));
        for await (const batch of r.scan(s, { kind: 'all' }, o)) {
          for (const row of batch) {
            rows++;
            hashers.forEach((hasher, i) => {
              hasher.hash([row[i]!]);
              sum = BigInt.asUintN(64, sum + word(hasher.out, 0));
            });
          }
        }
        return [{ part: 0, rows, sum }];
      },
    }),
  ),
  hashing('NULL hashes like the empty text', /row hashes of every kind/, (_, r) => ({
    hashes: async function* (s, segment, spec, o) {
      const hasher = rowHasher(s.columns, s.keyWidth, spec);
      for await (const rows of r.scan(s, segment, o)) {
        const hashes = new Int32Array(rows.length * 2);
        rows.forEach((row, i) => {
          hasher.hash(row.map((cell, j) => (s.columns[j]!.as.kind === 'text' ? (cell ?? ('' as Text)) : cell)));
          hashes.set(hasher.out, 2 * i);
        });
        yield {
          count: rows.length,
          hashes,
          keys: { kind: 'keys', values: rows.map((row) => row.slice(0, s.keyWidth)) },
        };
      }
    },
  })),
  hashing('the hash stream swaps the halves of a hash', /row hashes of every kind/, (h) => ({
    hashes: rehashed(h, (b) => ({ ...b, hashes: b.hashes.map((_, i) => b.hashes[i ^ 1]!) })),
  })),
  hashing('the hash stream loses the last row of a batch', /the hash stream shows|row hashes of every kind/, (h) => ({
    hashes: rehashed(h, (b) => ({ ...b, count: Math.max(0, b.count - 1) })),
  })),
  hashing('the seed is not used', /row hashes of every kind/, (h) => ({
    hashes: (s, segment, spec, o) => h.hashes(s, segment, { ...spec, seed: 1n }, o),
  })),
  {
    ...hashing('the first range is bounded', /the first and the last range/, (h) => ({
      digest: (s, p, ...a) =>
        h.digest(p?.by === 'range' ? { ...s, filter: `"${s.columns[0]!.name}" >= ${p.origin}` } : s, p, ...a),
    })),
    // there this is a text and not a column
    when: (harness) => harness.name !== 'mysql',
  },
  hashing('buckets of the digest are cut by another seed', /buckets of the key's hash/, (h) => ({
    digest: (s, p, ...a) =>
      h.digest(s, p?.by === 'hash' ? { ...p, hash: { ...p.hash, seed: p.hash.seed + 1n } } : p, ...a),
  })),
  hashing('bucket and range numbers are off by one', /many buckets|cut alike/, (h) => ({
    digest: async (s, p, ...a) =>
      (await h.digest(s, p, ...a)).map((d) => ({ ...d, part: (d.part + 1) % (p?.count ?? 2) })),
  })),
  hashing('the digest forgets its filter of parts', /ranges of an integer key/, (h) => ({
    hashes: (s, segment, ...a) => h.hashes(s, segment.kind === 'parts' ? { kind: 'all' } : segment, ...a),
  })),
  {
    name: 'a read-only endpoint can write',
    caughtBy: /reading writes nothing/,
    breakIt: (e) => overEndpoint(e, { writer: {} as never }),
  },
];

const word = (words: Int32Array, i: number): bigint =>
  (BigInt(words[2 * i]! >>> 0) << 32n) | BigInt(words[2 * i + 1]! >>> 0);

const foldHashes = async (
  h: Hashing,
  s: Selection,
  spec: Parameters<Hashing['digest']>[2],
  o: Cancel,
  fold: (sum: bigint, hash: bigint) => bigint,
): Promise<Digest> => {
  let [rows, sum] = [0, 0n];
  for await (const batch of h.hashes(s, { kind: 'all' }, spec, o)) {
    rows += batch.count;
    for (let i = 0; i < batch.count; i++) sum = fold(sum, word(batch.hashes, i));
  }
  return { part: 0, rows, sum };
};
