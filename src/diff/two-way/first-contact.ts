import type { Agreed } from '../../model/archive.ts';
import { judge } from '../../model/judge.ts';
import type { Reader } from '../../model/reader.ts';
import { keyTypes } from '../../model/selection.ts';
import type { Side, Sides } from '../context.ts';
import { mergeRuns } from '../merge.ts';
import type { AnyKey, Reading, Run } from '../runs.ts';
import type { Confirming } from './confirm.ts';
import { keyHasher } from './met-rows.ts';
import type { TwoWayWork, Ways } from './options.ts';
import { rowRuns } from './rows-and-hashes.ts';

/** Agreed rows that are kept at once. */
const keptAtOnce = 2000;

const hashAt = (prints: Int32Array, i: number): bigint =>
  (BigInt(prints[2 * i]!) << 32n) | BigInt(prints[2 * i + 1]! >>> 0);

/**
 * Reads the rows of both sides once: equal ones, within the tolerances, are agreed from now on; the others are suspected.
 * Where it ends in the middle, it can begin again.
 */
export const firstContact = async (
  work: TwoWayWork,
  readers: Sides<Reader>,
  ways: Ways,
  confirming: Confirming,
  notes: {
    duplicate(key: AnyKey, source: number, target: number): void;
    reading(side: Side, form: Reading['form']): Reading;
  },
): Promise<void> => {
  const { pair, selections, signal, tally, two, clock } = work;
  const { archive, cells } = two.archive;
  const width = pair.columns.length;
  const hasher = keyHasher(work);
  const at = clock.now();
  const agreed: Agreed[] = [];
  let seen = 0;

  const agree = (a: Run, i: number, b: Run, j: number): boolean => {
    const source = a.keys![i]!;
    const target = b.keys![j]!;
    if (source.length !== width || target.length !== width) return false;
    const verdict = judge(pair.columns, source, target);
    if (verdict.columns.length > 0) return false;
    for (const column of verdict.tolerated) tally.tolerated[column]!++;
    const kept = cells.of(source);
    agreed.push({
      key: source.slice(0, pair.keyWidth),
      keyHash: hasher.key(source),
      base: { source: kept, target: verdict.tolerated.length === 0 ? kept : cells.of(target), at, run: two.run },
      source: hashAt(a.prints!, i),
      target: hashAt(b.prints!, j),
    });
    return true;
  };
  /** What is being kept while more is read. */
  let keeping: Promise<void> = Promise.resolve();
  const keep = async (least: number): Promise<void> => {
    while (agreed.length > least) {
      const some = agreed.splice(0, keptAtOnce);
      await keeping;
      keeping = archive.keep(some, { signal });
      // It is awaited before the next; a failure is met there.
      keeping.catch(() => {});
    }
  };

  const spec = archive.facts.hash;
  try {
    const met = await mergeRuns(
      keyTypes(selections.source),
      (side, s) =>
        rowRuns(
          readers[side],
          selections[side],
          { kind: 'all' },
          { way: ways[side], spec },
          notes.reading(side, { kind: 'rows' }),
          s,
        ),
      {
        same: agree,
        unequal: (key, source, i, target, j) => confirming.suspect(key, source, i, target, j, false),
        duplicate: notes.duplicate,
        breathe: (rows) => {
          seen += rows;
          work.onProgress?.({ pair: pair.name, phase: 'scan', rows: seen });
          const pause = confirming.breathe(rows);
          if (agreed.length < keptAtOnce) return pause;
          return pause === undefined ? keep(keptAtOnce) : pause.then(() => keep(keptAtOnce));
        },
      },
      signal,
    );
    await keep(0);
    tally.identical += met.identical;
  } finally {
    await keeping.catch(() => {});
  }
  await keeping;
};
