import type { DifferenceSink } from '../../src/diff/context.ts';
import { memoryDatabase, memoryEndpoint } from '../../src/engines/memory/endpoint.ts';
import type { MemoryDatabase } from '../../src/engines/memory/store.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Difference } from '../../src/model/change.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Pair } from '../../src/model/pair.ts';
import type { PairReport } from '../../src/model/report.ts';
import type { Column, ColumnType, Table } from '../../src/model/schema.ts';
import { type CompareOptions, compare } from '../../src/work/compare.ts';

export type Cells = readonly (string | null)[];

export const column = (name: string, type: ColumnType, more: Partial<Column> = {}): Column => ({
  name,
  type,
  native: type.kind,
  nullable: true,
  ...more,
});

export const int: ColumnType = { kind: 'int', bits: 64 };
export const text: ColumnType = { kind: 'text' };
export const decimal: ColumnType = { kind: 'decimal' };

/** A table whose first columns are its primary key (none: a table without a key). */
export const table = (
  name: string,
  columns: readonly Column[],
  keyWidth: number,
  more: Partial<Table> = {},
): Table => ({
  name,
  kind: 'table',
  columns: columns.map((c, i) => (i < keyWidth ? { ...c, nullable: false } : c)),
  uniques:
    keyWidth === 0
      ? []
      : [{ name: `${name}_pkey`, columns: columns.slice(0, keyWidth).map((c) => c.name), total: true, primary: true }],
  foreignKeys: [],
  triggers: [],
  indexes: [],
  ...more,
});

export const database = (t: Table, rows: readonly Cells[]): MemoryDatabase => memoryDatabase([{ table: t, rows }]);

export const endpoint = (name: string, db: MemoryDatabase, batchRows = 1000): Endpoint =>
  memoryEndpoint(db, { name, writable: false, batchRows });

/** Keeps what it is given, up to a limit. */
export const keeping = (limit = Number.POSITIVE_INFINITY): DifferenceSink & { readonly kept: Difference[] } => {
  const kept: Difference[] = [];
  return {
    kept,
    wanted: () => limit - kept.length,
    write: async (_pair: Pair, differences) => void kept.push(...differences),
  };
};

/** Time that stands still except where somebody waits. */
export const heldClock = (onSleep: (ms: number) => void | Promise<void> = () => {}): Clock => {
  let now = 0;
  return {
    now: () => now,
    elapsed: () => now,
    sleep: async (ms, signal) => {
      signal.throwIfAborted();
      now += ms;
      await onSleep(ms);
    },
  };
};

/** Compares two endpoints with all differences kept. */
export const compareAll = async (
  source: Endpoint,
  target: Endpoint,
  more: Partial<CompareOptions> & { limit?: number } = {},
) => {
  const sink = keeping(more.limit);
  const report = await compare({
    source,
    target,
    settleMs: 0,
    clock: systemClock,
    seed: 0x1234_5678_9abc_def0n,
    signal: new AbortController().signal,
    sink,
    ...more,
  });
  return { report, differences: sink.kept, pair: report.pairs[0] as PairReport };
};

/** Do the counts of a report add up? Returns what does not. */
export const sums = (p: PairReport): string[] => {
  const problems: string[] = [];
  const source = p.identical + p.different + p.only_in_source + (p.apart?.source ?? 0);
  const target = p.identical + p.different + p.only_in_target + (p.apart?.target ?? 0);
  if (source !== p.rows.source) problems.push(`source: ${source} of ${p.rows.source}`);
  if (target !== p.rows.target) problems.push(`target: ${target} of ${p.rows.target}`);
  return problems;
};
