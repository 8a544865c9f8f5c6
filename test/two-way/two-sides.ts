import { align } from '../../src/diff/align.ts';
import { findTable } from '../../src/diff/find-table.ts';
import { detectTwoWay } from '../../src/diff/two-way/detect.ts';
import { type AgreedRow, keepAgreed, keepSeen } from '../../src/diff/two-way/keep.ts';
import type { Met, TwoWayFound, TwoWayOptions } from '../../src/diff/two-way/options.ts';
import { openPairArchive, type PairArchive } from '../../src/diff/two-way/pair-archive.ts';
import type { Clock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Pair } from '../../src/model/pair.ts';
import type { Store } from '../../src/model/store.ts';
import { heldClock } from '../diff/tables.ts';
import { o } from '../store/plain.ts';

export interface Sides<T> {
  readonly source: T;
  readonly target: T;
}

/** The pair of one table of both sides, as they are now. */
export const pairOf = async (
  sides: Sides<Endpoint>,
  table: string,
  options: Parameters<typeof align>[2] = {},
): Promise<Pair> => {
  const names = { source: sides.source.name, target: sides.target.name };
  const [s, t] = [await sides.source.inspect(o), await sides.target.inspect(o)];
  return align(findTable(s, table, names.source), findTable(t, table, names.target), options, names);
};

export interface TwoWay {
  readonly pair: Pair;
  readonly archive: PairArchive;
  readonly found: TwoWayFound;
  /** By key, as JSON. */
  readonly met: ReadonlyMap<string, Met>;
}

let runs = 0;

/** One detection, as a run makes it. */
export const detectAll = async (
  store: Pick<Store, 'archives' | 'sharedSecret'>,
  sides: Sides<Endpoint>,
  pair: Pair,
  more: Partial<TwoWayOptions> & { readonly kept?: (column: number) => 'value' | 'hash'; readonly clock?: Clock } = {},
): Promise<TwoWay> => {
  const archive = await openPairArchive({
    ...o,
    archives: store.archives,
    sync: 's',
    pair,
    endpoints: sides,
    kept: more.kept ?? (() => 'value'),
    secret: await store.sharedSecret('archive', o),
  });
  const met = new Map<string, Met>();
  const { sink, ...rest } = more;
  const found = await detectTwoWay({
    ...o,
    pair,
    endpoints: sides,
    clock: heldClock(),
    settleMs: 1000,
    archive,
    run: `r_${++runs}`,
    sink: async (rows) => {
      for (const row of rows) {
        const name = JSON.stringify(row.key);
        if (met.has(name)) throw new Error(`${name} was handed on twice`);
        met.set(name, row);
      }
      await sink?.(rows);
    },
    ...rest,
  });
  return { pair, archive, found, met };
};

/** Agrees on what both sides show now. */
export const agreeOnSeen = async ({ pair, archive, met }: TwoWay): Promise<void> =>
  keepSeen({ ...o, pair, archive, run: 'r_agreed', at: 7 }, [...met.values()]);

/** Agrees on rows, whatever the sides show. */
export const agreeOn = async (
  { pair, archive }: Pick<TwoWay, 'pair' | 'archive'>,
  endpoints: Sides<Endpoint>,
  rows: readonly AgreedRow[],
): Promise<void> => {
  let next = 1n;
  // no hash of a row in a test
  const random = (): bigint => BigInt.asUintN(64, 0x9e3779b97f4a7c15n * next++);
  await keepAgreed({ ...o, pair, archive, run: 'r_agreed', at: 7, endpoints, random }, [rows]);
};
