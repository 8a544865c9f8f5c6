import type { Change } from '../../model/change.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Cell, Key, Row, Text } from '../../model/row.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import type { Applied, StepMark, TableChanges, Writer, WriterLock } from '../../model/writer.ts';
import { brokenRule } from './rules.ts';
import type { MemoryDatabase, State } from './store.ts';

const step = (mark: Pick<StepMark, 'run' | 'step'>): string => `${mark.run} ${mark.step}`;
const keyText = (key: Key): string => JSON.stringify(key);

/** A transaction's own copy of what it touches. */
interface Draft {
  /** Per table label. `undefined` where a row was deleted. */
  readonly rows: Map<string, (Row | undefined)[]>;
  readonly sequences: Map<string, bigint>;
}

export const memoryWriter = (
  database: MemoryDatabase,
  o: { readonly marker: boolean; readonly lockMs: number },
): Writer => {
  const fenced = (mark: StepMark): void => {
    const { lastToken } = database.state;
    if (lastToken > mark.token) {
      throw new LockstepError('FENCED', `Another writer has taken over (token ${lastToken}, ours is ${mark.token}).`);
    }
  };
  return {
    maxBatch: 1000,
    prepare: async ({ signal }) => {
      signal.throwIfAborted();
      return o.marker ? 'marker' : 'state';
    },
    lock: async (holder, { signal }): Promise<WriterLock> => {
      signal.throwIfAborted();
      const now = database.clock.now();
      const held = database.state.lock;
      if (held && held.run !== holder.run && held.untilMs > now) {
        const seconds = Math.ceil((held.untilMs - now) / 1000);
        throw new LockstepError('LOCK_HELD', `Run ${held.run} (${held.pair}) is writing to this database.`, {
          hint: `Wait for it to end; if it has died, its lock ends in ${seconds} s.`,
        });
      }
      const token = database.state.lastToken + 1n;
      database.state = { ...database.state, lastToken: token, lock: { ...holder, token, untilMs: now + o.lockMs } };
      return {
        token,
        [Symbol.asyncDispose]: async () => {
          if (database.state.lock?.token === token) database.state = { ...database.state, lock: undefined };
        },
      };
    },
    apply: (mark, batches, { signal, written }) =>
      database.exclusively(async (): Promise<Applied> => {
        signal.throwIfAborted();
        if (o.marker && database.state.steps.has(step(mark))) return { status: 'already' };
        fenced(mark);
        const start = database.state;
        const draft: Draft = { rows: new Map(), sequences: new Map(start.sequences) };
        for await (const batch of batches) {
          const refused = applyBatch(database, start, draft, batch);
          if (Array.isArray(refused)) {
            await written?.({ batch, stored: refused });
            signal.throwIfAborted();
          } else return refused as Applied;
        }
        for (const label of draft.rows.keys()) {
          const broken = brokenRule(database, (name) => rowsOf(start, draft, name), label, 'commit');
          if (broken) return { status: 'rejected', table: database.tables.get(label)!.table, reason: broken };
          if (database.state.rows.get(label) !== start.rows.get(label)) {
            throw new LockstepError('CONTENTION', `Another connection wrote to ${label} meanwhile.`);
          }
        }
        signal.throwIfAborted();
        fenced(mark);
        const rows = new Map(database.state.rows);
        for (const [label, changed] of draft.rows)
          rows.set(
            label,
            changed.filter((row) => row !== undefined),
          );
        const steps = o.marker ? new Map([...database.state.steps, [step(mark), mark.token]]) : database.state.steps;
        database.state = {
          ...database.state,
          rows,
          steps,
          sequences: draft.sequences,
          lock: renewed(database, mark, o.lockMs),
        };
        return { status: 'done' };
      }),
    applied: async (mark, { signal }) => {
      signal.throwIfAborted();
      const token = database.state.steps.get(step(mark));
      return token !== undefined && (mark.by === undefined || mark.by === token);
    },
    advanceSequences: async (tables, { signal }) => {
      signal.throwIfAborted();
      const sequences = new Map(database.state.sequences);
      for (const table of tables) {
        table.columns.forEach((c, i) => {
          if (!c.serial) return;
          const name = `${tableLabel(table)} ${c.name}`;
          const rows = database.state.rows.get(tableLabel(table)) ?? [];
          sequences.set(
            name,
            rows.reduce(
              (max, row) => (row[i] && BigInt(row[i]) > max ? BigInt(row[i]) : max),
              sequences.get(name) ?? 0n,
            ),
          );
        });
      }
      database.state = { ...database.state, sequences };
    },
  };
};

const renewed = (database: MemoryDatabase, mark: StepMark, lockMs: number): State['lock'] => {
  const { lock } = database.state;
  return lock?.token === mark.token ? { ...lock, untilMs: database.clock.now() + lockMs } : lock;
};

const rowsOf = (start: State, draft: Draft, label: string): readonly (Row | undefined)[] =>
  draft.rows.get(label) ?? start.rows.get(label) ?? [];

/** Writes one batch into the draft: the stored rows, or why nothing may be written. */
const applyBatch = (
  database: MemoryDatabase,
  start: State,
  draft: Draft,
  batch: TableChanges,
): (Row | null)[] | Applied => {
  const { table, key } = batch;
  const label = tableLabel(table);
  const { table: own } = database.find(table);
  const rows = draft.rows.get(label) ?? [...(start.rows.get(label) ?? [])];
  draft.rows.set(label, rows);
  /** Places of the native selection's columns in the stored row. */
  const at = nativeSelection(table, key).columns.map((c) => own.columns.findIndex((column) => column.name === c.name));
  const native = (row: Row): Row => at.map((i) => row[i] ?? null);
  const places = new Map<string, number>();
  rows.forEach((row, i) => {
    if (row) places.set(keyText(at.slice(0, key.length).map((j) => row[j]!)), i);
  });
  const stale: { change: Change; table: Table; found: Row | null }[] = [];
  for (const change of batch.changes) {
    const place = places.get(keyText(change.key));
    const found = place === undefined ? null : native(rows[place]!);
    if (JSON.stringify(found) !== JSON.stringify(change.before)) stale.push({ change, table, found });
  }
  if (stale.length > 0) return { status: 'stale', rows: stale };
  const written = batch.changes.map((change): number | null => {
    const place = places.get(keyText(change.key));
    if (change.op === 'delete') {
      rows[place!] = undefined;
      return null;
    }
    const row: Cell[] = change.op === 'update' ? [...rows[place!]!] : own.columns.map(() => null);
    for (const i of change.columns) row[at[i]!] = change.after[i]!;
    const given = new Set(change.op === 'update' ? row.keys() : change.columns.map((i) => at[i]!));
    fill(database, draft, label, row, given);
    const to = place ?? rows.length;
    rows[to] = row;
    return to;
  });
  for (const [i, place] of written.entries()) {
    const broken = place === null ? undefined : brokenRule(database, () => [], label, rows[place]!);
    if (broken) return { status: 'rejected', table, change: batch.changes[i]!, reason: broken };
  }
  const broken = brokenRule(database, (name) => rowsOf(start, draft, name), label, 'batch');
  if (broken) return { status: 'rejected', table, reason: broken };
  return written.map((place) => (place === null ? null : native(rows[place]!)));
};

/** Gives the columns that were not written their defaults, sequence values and generated values. */
const fill = (database: MemoryDatabase, draft: Draft, label: string, row: Cell[], given: ReadonlySet<number>): void => {
  const { table, fill: values = {} } = database.tables.get(label)!;
  table.columns.forEach((c, i) => {
    if (given.has(i) && c.generated !== 'always') return;
    if (c.serial) {
      const name = `${label} ${c.name}`;
      const next = (draft.sequences.get(name) ?? 0n) + 1n;
      draft.sequences.set(name, next);
      row[i] = String(next) as Text;
    } else if (values[c.name]) {
      row[i] = values[c.name]!(Object.fromEntries(table.columns.map((column, j) => [column.name, row[j]!]))) as Cell;
    }
  });
};
