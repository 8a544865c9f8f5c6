import type { Agreed } from '../../model/archive.ts';
import { type RowHasher, rowHasher } from '../../model/hash/row-hash.ts';
import { judge } from '../../model/judge.ts';
import type { Reader } from '../../model/reader.ts';
import type { Key, Row } from '../../model/row.ts';
import { keyTypes } from '../../model/selection.ts';
import { type Rejected, rejectionOf } from '../../model/transform.ts';
import type { BaseCell, BaseRow } from '../../model/two-way.ts';
import { otherSide, type Side, type Sides } from '../context.ts';
import { namedKey } from '../key.ts';
import { lookUp } from '../reread.ts';
import { invalidShown } from '../tally.ts';
import { countHiddenUnkeyed } from '../unkeyed.ts';
import type { Met, TwoWayWork } from './options.ts';

/** A key whose rows held still: what each side shows, with its hash. */
export interface Steady {
  readonly key: Key;
  readonly source: Row | null;
  readonly target: Row | null;
  readonly seen: Met['seen'];
  /** Each side is as the archive says, and yet the two are not equal. */
  readonly doubted: boolean;
}

/** Takes in keys whose rows held still, finds out what they are, and hands them on. */
export interface MetRows {
  /** `readers`: the snapshots that the rows are of, free for look-ups; needed where a side has a filter. */
  take(rows: readonly Steady[], readers: Sides<Reader> | undefined): Promise<void>;
}

/** Hashes keys as the archive does. */
export const keyHasher = (work: TwoWayWork): RowHasher =>
  rowHasher(work.selections.source.columns, work.pair.keyWidth, work.two.archive.archive.facts.hash);

export const nameOf = (key: Key): string => JSON.stringify(key);

export const metRows = (work: TwoWayWork): MetRows => {
  const { pair, signal, selections, two, tally, counts } = work;
  const { archive, cells } = two.archive;
  const hasher = keyHasher(work);
  const reading = { form: { kind: 'rows' }, types: keyTypes(selections.source) } as const;
  let soughtUnkeyed = false;

  /**
   * Rows that only one side shows, and of which both had agreed before their columns, types or tolerances were others: no
   * new ones, but deleted by the other side. What they were is not known any more, so that counts as changed.
   */
  const deleted = async (rows: readonly Steady[]): Promise<ReadonlySet<string>> => {
    if (archive.facts.completed !== null) return new Set();
    const alone = rows.filter((r) => (r.source === null) !== (r.target === null));
    return alone.length === 0
      ? new Set()
      : archive.earlier(
          alone.map((r) => r.key),
          { signal },
        );
  };
  const unknown = (key: Key): BaseRow => {
    const cells = pair.columns.map((_, i): BaseCell => (i < pair.keyWidth ? key[i]! : { hash: '' }));
    return { source: cells, target: cells, at: work.clock.now(), run: two.run };
  };

  const forget = (key: Key): Agreed => ({ key, keyHash: hasher.key(key), base: null, source: null, target: null });

  /** Of the rows that only one side shows, those that the other only hides by its filter. */
  const hidden = async (rows: readonly Steady[], readers: Sides<Reader> | undefined): Promise<ReadonlySet<Steady>> => {
    const found = new Set<Steady>();
    if (pair.filter === undefined || readers === undefined) return found;
    for (const missing of ['source', 'target'] as const) {
      if (pair.filter[missing] === undefined) continue;
      const alone = rows.filter((r) => r[missing] === null && r[otherSide(missing)] !== null);
      if (alone.length === 0) continue;
      const { filter: _, ...unfiltered } = selections[missing];
      const there = await lookUp(
        readers[missing],
        unfiltered,
        alone.map((r) => r.key),
        reading,
        signal,
      );
      alone.forEach((r, i) => {
        if (there[i] !== undefined) found.add(r);
      });
      if (missing === 'source' && !soughtUnkeyed && alone.some((r) => !found.has(r))) {
        soughtUnkeyed = true;
        await countHiddenUnkeyed(work, readers.source, tally);
      }
    }
    return found;
  };

  const rejected = ({ key, source, target }: Steady): Rejected | undefined => {
    const why = source !== null && pair.transform ? rejectionOf(source, pair.columns.length) : undefined;
    if (why === undefined) return undefined;
    tally.quarantined++;
    tally.apart.source++;
    if (target !== null) tally.apart.target++;
    if (tally.invalid.length < invalidShown) {
      tally.invalid.push(`${namedKey(pair, key)}: ${why.reasons.join('; ')}`);
    }
    return { key, ...why };
  };

  /** Of columns that each side keeps for itself nothing counts. */
  const isAsAgreed = (side: Side, base: BaseRow, row: Row | null): boolean =>
    row !== null &&
    base[side].length === row.length &&
    row.every((cell, i) => pair.columns[i]!.tolerance?.any === true || cells.same(i, base[side][i]!, cell));

  /** Counts a key as a comparison would. Do both sides show the same? */
  const compared = ({ source, target }: Steady): boolean => {
    if (source === null || target === null) {
      if (source !== null) tally.onlyInSource++;
      if (target !== null) tally.onlyInTarget++;
      return source === target;
    }
    const verdict = judge(pair.columns, source, target);
    for (const column of verdict.tolerated) tally.tolerated[column]!++;
    if (verdict.columns.length === 0) {
      tally.identical++;
      return true;
    }
    tally.different++;
    tally.examined++;
    for (const column of verdict.columns) tally.columns[column]!++;
    return false;
  };

  return {
    take: async (rows, readers) => {
      if (rows.length === 0) return;
      const bases = new Map(
        (
          await archive.find(
            rows.map((r) => r.key),
            { signal },
          )
        ).map(({ key, base }) => [nameOf(key), base]),
      );
      const outside = await hidden(rows, readers);
      const gone = await deleted(rows.filter((r) => !bases.has(nameOf(r.key)) && !outside.has(r)));
      const keep: Agreed[] = [];
      const met: Met[] = [];
      const invalid: Rejected[] = [];
      const unsettled: Key[] = [];
      for (const row of rows) {
        const { key, source, target, seen } = row;
        const was = gone.has(nameOf(key)) ? unknown(key) : undefined;
        if (was !== undefined) keep.push({ key, keyHash: hasher.key(key), base: was, source: 0n, target: 0n });
        const base = was ?? bases.get(nameOf(key)) ?? null;
        if (outside.has(row)) {
          if (base !== null && two.passing !== true) keep.push(forget(key));
          unsettled.push(key);
          counts.leftFilter++;
          tally.outsideFilter++;
          tally.apart[source === null ? 'target' : 'source']++;
          continue;
        }
        const why = rejected(row);
        if (why !== undefined) {
          invalid.push(why);
          unsettled.push(key);
          continue;
        }
        // gone on both sides, or hidden there, or the one here and the other there
        if (two.passing === true && source === null && target === null) continue;
        // it came and went
        if (base === null && source === null && target === null) continue;
        const equal = compared(row);
        const same = {
          source: base !== null && isAsAgreed('source', base, source),
          target: base !== null && isAsAgreed('target', base, target),
        };
        if (base !== null && same.source && same.target && (equal || two.mayDiffer === true)) {
          // Only the hash was another one.
          const now = { ...base, source: cells.of(source!), target: cells.of(target!) };
          keep.push({ key, keyHash: hasher.key(key), base: now, ...seen });
          continue;
        }
        const doubted = row.doubted || (same.source && same.target);
        if (doubted) counts.doubted++;
        counts.met++;
        if (equal) counts.agreed++;
        if (base === null || doubted) counts.unknown++;
        else {
          if (!same.source) counts.changedSource++;
          if (!same.target) counts.changedTarget++;
        }
        met.push({ key, base: doubted ? null : base, source, target, seen });
      }
      if (keep.length > 0) await archive.keep(keep, { signal });
      if (invalid.length > 0) await two.quarantine?.(invalid);
      if (unsettled.length > 0) await two.unsettled?.(unsettled);
      if (met.length > 0) await two.sink(met);
    },
  };
};
