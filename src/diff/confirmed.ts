import type { Difference } from '../model/change.ts';
import { LockstepError } from '../model/errors.ts';
import type { HashSpec } from '../model/hash/spec.ts';
import { judge } from '../model/judge.ts';
import type { Reader } from '../model/reader.ts';
import type { Key, Row } from '../model/row.ts';
import { type Rejected, rejectionOf } from '../model/transform.ts';
import { type Candidate, Candidates, inSource, inTarget } from './candidates.ts';
import { both } from './concurrent.ts';
import { otherSide, type Side, type Sides, type Work } from './context.ts';
import { namedKey, passingNullKeys } from './key.ts';
import { findByKeyHash, mostSought } from './key-hashes.ts';
import { copyOf, keyBatches, valueKeys, wholeRange } from './lists.ts';
import { lookUp, rereadAll } from './reread.ts';
import { asKey, countIn, type Reading } from './runs.ts';
import { invalidShown, type Tally } from './tally.ts';
import { countHiddenUnkeyed } from './unkeyed.ts';

/** Different rows whose values are fetched for the counts per column, wanted or not. */
const examinedRows = 5000;
/** Confirmed differences kept for the patterns. */
const sampled = 500;

/** Counts confirmed differences, fetches the values of those that are wanted or must be judged, and hands them on. */
export interface ConfirmedReport {
  /** `dense`: reading the whole range is cheaper than looking up keys. The readers must be free. */
  add(readers: Sides<Reader>, list: Candidates, dense: boolean): Promise<void>;
  readonly sample: readonly Difference[];
}

interface Fetched {
  readonly entry: Candidate;
  readonly key: Key;
  readonly source: Row | undefined;
  readonly target: Row | undefined;
}

export const confirmedReport = (work: Work, reading: Reading, tally: Tally): ConfirmedReport => {
  const { pair, sink, signal, selections } = work;
  const width = reading.types.length;
  const values: Reading = { form: { kind: 'rows' }, types: reading.types, ...passingNullKeys(pair) };
  const sample: Difference[] = [];
  let soughtUnkeyed = false;
  /** Invalid rows that wait to be handed on. */
  let rejected: Rejected[] = [];

  const count = ({ key, sides }: Candidate): void => {
    const kind = sides === inSource ? 'only_in_source' : sides === inTarget ? 'only_in_target' : 'different';
    if (kind === 'only_in_source') tally.onlyInSource++;
    else if (kind === 'only_in_target') tally.onlyInTarget++;
    else tally.different++;
    work.open?.add(asKey(key, width), kind);
  };

  const handOn = async (differences: readonly Difference[]): Promise<void> => {
    const invalid = rejected;
    rejected = [];
    if (invalid.length > 0) await sink.quarantine?.(pair, invalid);
    if (sample.length < sampled) sample.push(...differences.slice(0, sampled - sample.length));
    const wanted = sink.wanted(pair);
    const sent = differences.length <= wanted ? differences : differences.slice(0, wanted);
    if (sent.length > 0) await sink.write(pair, sent);
  };

  /** Decides on cells. What is equal by its values, or within a tolerance, is identical. */
  const decide = (f: Fetched): Difference | undefined => {
    const { key, source, target, entry } = f;
    if ((entry.sides & inSource && !source) || (entry.sides & inTarget && !target)) throw vanished(pair.name);
    const rejection = source && pair.transform ? rejectionOf(source, pair.columns.length) : undefined;
    if (rejection) {
      rejected.push({ key, ...rejection });
      work.open?.add(key, 'apart');
      tally.quarantined++;
      if (tally.invalid.length < invalidShown)
        tally.invalid.push(`${namedKey(pair, key)}: ${rejection.reasons.join('; ')}`);
      tally.apart.source++;
      if (target) tally.apart.target++;
      return undefined;
    }
    if (source && target) {
      const verdict = judge(pair.columns, source, target);
      for (const column of verdict.tolerated) tally.tolerated[column]!++;
      if (verdict.columns.length === 0) {
        tally.identical++;
        return undefined;
      }
      tally.examined++;
      for (const column of verdict.columns) tally.columns[column]!++;
      count(entry);
      return { kind: 'different', key, source, target, columns: verdict.columns };
    }
    count(entry);
    return source
      ? { kind: 'only_in_source', key, source, target: null }
      : { kind: 'only_in_target', key, source: null, target: target! };
  };

  /** Is this one fetched? Kept in step by counting what was promised before it was fetched. */
  const chooser = (): ((c: Candidate) => boolean) => {
    let wanted = sink.wanted(pair);
    let examined = tally.examined;
    return (c) => {
      const fetched =
        c.soft || pair.transform !== undefined || wanted > 0 || (c.sides === 3 && examined < examinedRows);
      if (fetched && !c.soft) wanted--;
      if (fetched && c.sides === 3) examined++;
      return fetched;
    };
  };

  const rowsOf = async (
    reader: Reader,
    side: Side,
    entries: readonly Candidate[],
    s: AbortSignal,
  ): Promise<ReadonlyMap<Candidate, Row | undefined>> => {
    const there = entries.filter((c) => c.sides & bit(side));
    if (there.length === 0) return new Map();
    const rows = await lookUp(
      reader,
      selections[side],
      there.map((c) => asKey(c.key, width)),
      values,
      s,
    );
    return new Map(there.map((c, i) => [c, rows[i]]));
  };

  const byKeys = async (readers: Sides<Reader>, list: Candidates): Promise<void> => {
    for (const { entries } of keyBatches(list, valueKeys, width)) {
      const hidden = await hiddenByFilter(readers, entries);
      const fetches = chooser();
      const fetched: Candidate[] = [];
      for (const c of entries) {
        if (hidden.has(c)) continue;
        if (fetches(c)) fetched.push(c);
        else count(c);
      }
      if (fetched.length === 0) continue;
      const [source, target] = await both(
        signal,
        (s) => rowsOf(readers.source, 'source', fetched, s),
        (s) => rowsOf(readers.target, 'target', fetched, s),
      );
      const decided = fetched.map((c) =>
        decide({ entry: c, key: asKey(c.key, width), source: source.get(c), target: target.get(c) }),
      );
      await handOn(decided.filter((d) => d !== undefined));
    }
  };

  /** All values by one scan of both sides. */
  const byScan = async (readers: Sides<Reader>, list: Candidates): Promise<void> => {
    let batch: Difference[] = [];
    await rereadAll(readers, selections, wholeRange(list, width), values, list.entries(), signal, (c, s, t) => {
      const row = (side: number, hit: typeof s): Row | undefined =>
        c.sides & side && hit ? hit.run.keys![hit.i] : undefined;
      const entry = copyOf(c);
      const difference = decide({
        entry,
        key: asKey(c.key, width),
        source: row(inSource, s),
        target: row(inTarget, t),
      });
      if (difference) batch.push(difference);
      if (batch.length + rejected.length < valueKeys) return undefined;
      const full = batch;
      batch = [];
      return handOn(full);
    });
    await handOn(batch);
  };

  /** Values of those whose keys are known by their hashes only, in key order of so many at a time. */
  const byHashes = async (readers: Sides<Reader>, list: Candidates, spec: HashSpec): Promise<void> => {
    const fetches = chooser();
    let fetched = new Candidates(1);
    for (const c of list.entries()) {
      if (!fetches(c)) count(c);
      else if (fetched.add(c.key, c.sides, c.source, c.target, c.steady, c.soft) === mostSought) {
        await fetchFound(readers, fetched, spec);
        fetched = new Candidates(1);
      }
    }
    await fetchFound(readers, fetched, spec);
  };

  const fetchFound = async (readers: Sides<Reader>, fetched: Candidates, spec: HashSpec): Promise<void> => {
    let batch: Difference[] = [];
    await findByKeyHash(work, readers, spec, fetched, (entry, key, source, target) => {
      const difference = decide({ entry, key, source, target });
      if (difference) batch.push(difference);
      if (batch.length < valueKeys) return undefined;
      const full = batch;
      batch = [];
      return handOn(full);
    });
    if (batch.length > 0) await handOn(batch);
  };

  /** Entries that the other side has, but does not show through its filter. */
  const hiddenByFilter = async (
    readers: Sides<Reader>,
    entries: readonly Candidate[],
  ): Promise<ReadonlySet<Candidate>> => {
    const hidden = new Set<Candidate>();
    for (const side of ['source', 'target'] as const) {
      const missing = otherSide(side);
      if (pair.filter?.[missing] === undefined) continue;
      const alone = entries.filter((c) => c.sides === bit(side));
      if (alone.length === 0) continue;
      const { filter: _, ...unfiltered } = selections[missing];
      const keys = alone.map((c) => asKey(c.key, width));
      const found = await lookUp(readers[missing], unfiltered, keys, values, signal);
      alone.forEach((c, i) => {
        if (!found[i]) return;
        hidden.add(c);
        work.open?.add(keys[i]!, 'apart');
        tally.outsideFilter++;
        tally.apart[side]++;
      });
      if (missing === 'source' && !soughtUnkeyed && alone.some((c) => !hidden.has(c))) {
        soughtUnkeyed = true;
        await countHiddenUnkeyed(work, readers.source, tally);
      }
    }
    return hidden;
  };

  const multiset = async (list: Candidates): Promise<void> => {
    for (const c of list.entries()) {
      const s = c.sides & inSource ? countIn(c.source) : 0;
      const t = c.sides & inTarget ? countIn(c.target) : 0;
      tally.identical += Math.min(s, t);
      tally.onlyInSource += Math.max(0, s - t);
      tally.onlyInTarget += Math.max(0, t - s);
      const row = asKey(c.key, width);
      const difference: Difference =
        s > t
          ? { kind: 'only_in_source', key: row, source: row, target: null }
          : { kind: 'only_in_target', key: row, source: null, target: row };
      // One per surplus copy, never more than a batch in memory.
      for (let left = Math.abs(s - t); left > 0; ) {
        const n = Math.min(left, sink.wanted(pair), valueKeys);
        if (n <= 0) break;
        await sink.write(pair, new Array<Difference>(n).fill(difference));
        left -= n;
      }
    }
  };

  return {
    sample,
    add: async (readers, list, dense) => {
      if (reading.form.kind === 'multiset') return multiset(list);
      if (reading.form.kind === 'key_hash') return byHashes(readers, list, reading.form.spec);
      // A filter needs look-ups between the rows, which one reader cannot do while it scans.
      const most =
        pair.transform !== undefined || sink.wanted(pair) * 2 > list.count || (list.count > 0 && allSoft(list));
      if (dense && most && pair.filter === undefined && list.count > valueKeys) return byScan(readers, list);
      return byKeys(readers, list);
    },
  };
};

const allSoft = (list: Candidates): boolean => {
  for (const c of list.entries()) if (!c.soft) return false;
  return true;
};

const bit = (side: Side): number => (side === 'source' ? inSource : inTarget);

const vanished = (pair: string): LockstepError =>
  new LockstepError('INTERNAL', `${pair}: a row that was just read could not be read again in the same snapshot`, {
    hint: 'Nothing was decided about it. Please report this with the engine version.',
  });
