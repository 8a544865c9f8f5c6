import type { ChangeRate } from '../copy/change-rate.ts';
import type { Clock } from '../lib/clock.ts';
import type { TableActivity } from '../model/activity.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Reader } from '../model/reader.ts';
import { type Table, tableLabel } from '../model/schema.ts';
import { nativeSelection } from '../model/selection.ts';

const hourMs = 3_600_000;

const ofCounters = ({ inserted, updated, deleted, overMs, atMost }: TableActivity): ChangeRate => {
  const all = inserted + updated + deleted;
  const rounded = (n: number): number => (n >= 10 ? Math.round(n) : Math.round(n * 10) / 10);
  return {
    by: 'counters',
    per_hour: rounded((all * hourMs) / overMs),
    per_day: rounded((24 * all * hourMs) / overMs),
    over_hours: Math.round((10 * overMs) / hourMs) / 10,
    at_most: atMost === true,
  };
};

interface Mark {
  readonly mark: string;
  readonly at: number;
}

/** Keys that were written since the mark; undefined: nobody can say. */
const writtenSince = async (reader: Reader, table: Table, mark: string, o: Cancel): Promise<number | undefined> => {
  const key = table.uniques.find((u) => u.total)?.columns;
  if (key === undefined || reader.changes?.version === undefined) return undefined;
  const whole = nativeSelection(table, key);
  const found = await reader.changes.version.since(
    { ...whole, columns: whole.columns.slice(0, whole.keyWidth) },
    mark,
    o,
  );
  if ('unable' in found) return undefined;
  let rows = 0;
  for await (const batch of found) rows += batch.length;
  return rows;
};

/**
 * How often tables are written, of those where no column says it: by the counters of the server, else by the versions of
 * rows, which are marked now and looked at when the table is asked for. Never throws for what a user may not see.
 */
export const openRates = async (
  o: Cancel & { readonly source: Endpoint; readonly clock: Clock },
  labels: readonly string[],
): Promise<(label: string) => Promise<ChangeRate>> => {
  const { source, clock } = o;
  const { tables } = await source.inspect({ signal: o.signal });
  const asked = labels.flatMap((label) => tables.find((t) => tableLabel(t) === label) ?? []);
  const counted = (await source.activity?.({ signal: o.signal, tables: asked })) ?? [];
  const activity = new Map(asked.map((t, i) => [tableLabel(t), counted[i]] as const));
  const marks = new Map<string, Mark>();
  const rest = asked.filter((t) => activity.get(tableLabel(t)) === undefined);
  if (rest.length > 0) {
    await using reader = await source.snapshot({ signal: o.signal });
    for (const table of reader.changes?.version === undefined ? [] : rest) {
      const mark = await reader.changes!.version!.mark(table, o).catch((error: unknown) => {
        if (error instanceof LockstepError && error.code === 'PRIVILEGE') return undefined;
        throw error;
      });
      if (typeof mark === 'string') marks.set(tableLabel(table), { mark, at: clock.elapsed() });
    }
  }
  return async (label) => {
    const known = activity.get(label);
    if (known !== undefined) return ofCounters(known);
    const mark = marks.get(label);
    const table = asked.find((t) => tableLabel(t) === label);
    if (mark !== undefined && table !== undefined) {
      await using reader = await source.snapshot({ signal: o.signal });
      const rows = await writtenSince(reader, table, mark.mark, o);
      const name = reader.changes?.version?.name ?? 'versions';
      if (rows !== undefined) return { by: 'versions', name, rows, over_ms: Math.round(clock.elapsed() - mark.at) };
    }
    return {
      by: null,
      reason: `no column says when a row was written, and ${source.engine} keeps no counters of it`,
    };
  };
};
