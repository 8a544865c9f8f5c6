import type { DifferenceSink } from '../diff/context.ts';
import type { Clock } from '../lib/clock.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { compareKeys } from '../model/order.ts';
import type { Pair } from '../model/pair.ts';
import type { QuarantineFilter } from '../model/quarantine.ts';
import type { PairReport } from '../model/report.ts';
import type { Key } from '../model/row.ts';
import { keyTypes, pairSelection } from '../model/selection.ts';
import type { Store } from '../model/store.ts';
import { type Rejected, rejectionOf, sourceOf } from '../model/transform.ts';
import type { CompareOptions } from './compare.ts';

const keyNames = (pair: Pair): readonly string[] => pair.columns.slice(0, pair.keyWidth).map((c) => c.source.name);

/** Keeps the invalid rows of a run, and lets go of those that it no longer finds. */
export interface RunQuarantine {
  readonly quarantine: NonNullable<DifferenceSink['quarantine']>;
  /**
   * A pair was compared. What this run did not see of it is valid now, gone, or outside the pair's filter; of a pair that
   * was not looked at as a whole, such rows are looked at again.
   */
  ended(pair: Pair, report: PairReport): Promise<void>;
}

export const runQuarantine = (
  o: Cancel & {
    readonly store: Pick<Store, 'quarantine'>;
    readonly clock: Clock;
    /** Null: two URLs, which have no rules. */
    readonly sync: string | null;
    readonly defaults?: CompareOptions['defaults'];
    readonly source: Endpoint;
    readonly target: Endpoint;
  },
  run: string,
): RunQuarantine => ({
  quarantine: async (pair, rows) => {
    if (o.sync === null) return;
    const at = { sync: o.sync, pair: pair.name, columns: keyNames(pair), run, at: o.clock.now() };
    await o.store.quarantine.record(at, rows, o);
  },
  ended: async (pair, report) => {
    const { sync, store } = o;
    // A condition of this command alone says nothing of the rows outside it, and rows that moved were not judged.
    if (sync === null || o.defaults?.filter !== undefined || report.in_flight > 0 || report.duplicate_key > 0) return;
    const of = { sync, pair: pair.name };
    const all = report.incremental?.mode !== 'changes' && pair.sample === undefined;
    if (all) await store.quarantine.drop({ ...of, except: run }, o);
    else await retryQuarantine({ ...o, sync, pair, except: run });
  },
});

/** What became of quarantined rows that were looked at again. */
export interface Retried {
  readonly stillInvalid: number;
  /** Valid now: the next run compares and writes them. */
  readonly valid: number;
  /** No longer in the source. */
  readonly gone: number;
}

const keysAtOnce = 500;

/** Looks at quarantined rows again, now, and lets go of those that are valid or gone. Writes to no endpoint. */
export const retryQuarantine = async (
  o: Cancel & {
    readonly store: Pick<Store, 'quarantine'>;
    readonly clock: Clock;
    readonly sync: string;
    readonly pair: Pair;
    /** Absent: all of the pair. */
    readonly keys?: readonly Key[];
    /** Not those that this run has seen. */
    readonly except?: string;
    readonly source: Endpoint;
    readonly target: Endpoint;
  },
): Promise<Retried> => {
  const { store, pair, sync } = o;
  const filter: QuarantineFilter = { sync, pair: pair.name, ...(o.keys ? { keys: o.keys } : {}) };
  const width = pair.columns.length;
  const selection = pairSelection(pair, 'source');
  const types = keyTypes(selection);
  const names = JSON.stringify(keyNames(pair));
  const listed: Key[][] = [];
  const outdated: Key[] = [];
  for await (const batch of store.quarantine.list(filter, o)) {
    const rows = batch.filter((row) => o.except === undefined || row.lastRun !== o.except);
    // Of a time when the pair had another key.
    outdated.push(...rows.filter((row) => JSON.stringify(row.columns) !== names).map((row) => row.key));
    const keys = rows.filter((row) => JSON.stringify(row.columns) === names).map((row) => row.key);
    for (let i = 0; i < keys.length; i += keysAtOnce) listed.push(keys.slice(i, i + keysAtOnce));
  }
  const result = { stillInvalid: 0, valid: 0, gone: outdated.length };
  if (outdated.length > 0) await store.quarantine.drop({ sync, pair: pair.name, keys: outdated }, o);
  if (listed.length === 0) return result;
  await using reader = await sourceOf(pair, o.source, o.target).snapshot(o);
  for (const batch of listed) {
    const keys = batch.toSorted((a, b) => compareKeys(types, a, b));
    const invalid = new Map<string, Rejected>();
    const found = new Set<string>();
    for await (const rows of reader.scan(selection, { kind: 'keys', keys }, o)) {
      for (const row of rows) {
        const key = row.slice(0, pair.keyWidth);
        found.add(JSON.stringify(key));
        const rejection = rejectionOf(row, width);
        if (rejection) invalid.set(JSON.stringify(key), { key, ...rejection });
      }
    }
    const done = keys.filter((key) => !invalid.has(JSON.stringify(key)));
    const present = done.filter((key) => found.has(JSON.stringify(key))).length;
    result.stillInvalid += invalid.size;
    result.valid += present;
    result.gone += done.length - present;
    const at = { sync, pair: pair.name, columns: keyNames(pair), run: undefined, at: o.clock.now() };
    await store.quarantine.record(at, [...invalid.values()], o);
    await store.quarantine.drop({ sync, pair: pair.name, keys: done }, o);
  }
  return result;
};
