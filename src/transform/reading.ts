import { isDeepStrictEqual } from 'node:util';
import { convert } from '../model/canon/convert.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import { clip, unbounded } from '../model/ranges.ts';
import type { Reader } from '../model/reader.ts';
import type { Batch, Cell, Row, Text } from '../model/row.ts';
import { tableLabel } from '../model/schema.ts';
import type { SelectedColumn, Selection } from '../model/selected.ts';
import { keyTypes } from '../model/selection.ts';
import { concealedRejection, rejectedRow } from '../model/transform.ts';
import { asStored } from './columns.ts';
import type { Lookup, OpenLookup } from './lookup.ts';
import type { MadeColumn, StoredRow } from './make-column.ts';
import type { Program } from './program.ts';
import { inSegment, type SortedRows, sortRows } from './sorted.ts';
import { invalidReason } from './value.ts';

/** Reasons kept of one row. */
const mostReasons = 10;
/** Characters kept of one cell of an invalid row's image. */
const mostCharacters = 2000;

/** How one selection of the table as it is afterwards is read from the table as it is stored. */
interface ReadPlan {
  readonly stored: Selection;
  /** Place of each stored column's own value in a stored row. */
  readonly place: ReadonlyMap<string, number>;
  /** For each column of the selection: a place in the stored row, or a made column. */
  readonly cells: readonly (number | MadeColumn)[];
  /** The key is made, so rows come in another order than they are stored in. */
  readonly keyMade: boolean;
}

const planOf = (selection: Selection, program: Program): ReadPlan => {
  const { raw } = program;
  const madeOf = new Map(program.made.map((m) => [m.column.name, m]));
  const columns: SelectedColumn[] = [];
  const add = (column: SelectedColumn): number => {
    const at = columns.findIndex((c) => c.name === column.name && isDeepStrictEqual(c.as, column.as));
    return at >= 0 ? at : columns.push(column) - 1;
  };
  const keyMade = selection.columns.slice(0, selection.keyWidth).some((c) => madeOf.has(c.name));
  let { keyWidth } = selection;
  if (keyMade) {
    const unique = raw.uniques.find((u) => u.total);
    if (unique === undefined) {
      throw new LockstepError(
        'KEY_MISSING',
        `${tableLabel(raw)}: its key is made of other columns, and it has no key of its own to read it by`,
        {
          hint: 'Give the source table a primary key, or use a key that is stored.',
        },
      );
    }
    keyWidth = unique.columns.length;
    for (const name of unique.columns) add(asStored(raw.columns.find((c) => c.name === name)!));
  }
  const cells = selection.columns.map((column) => madeOf.get(column.name) ?? add(column));
  const inputs = new Set([...program.made, ...program.checks].flatMap((x) => x.inputs));
  const place = new Map(
    [...inputs].map((name) => [name, add(asStored(raw.columns.find((c) => c.name === name)!))] as const),
  );
  // a range is of the key as it is afterwards
  const from = keyMade ? unbounded(selection) : selection;
  return { stored: { ...from, columns, keyWidth }, place, cells, keyMade };
};

/**
 * A reader of the stored tables that shows one of them transformed; others are read as they are. `lent`: the reader is
 * somebody else's to close.
 */
export const transformedReader = (
  inner: Reader,
  program: Program,
  endpoints: { readonly source: Endpoint; readonly target: Endpoint },
  lent = false,
): Reader => {
  const { raw, made, checks } = program;
  const label = tableLabel(raw);
  const plans = new WeakMap<Selection, ReadPlan>();
  const sorted = new Map<string, SortedRows>();
  const lookups = new Map<Lookup, OpenLookup>(
    program.lookups.map((l) => [l, l.open(endpoints.source, endpoints.target)]),
  );
  const planFor = (selection: Selection): ReadPlan | undefined => {
    if (tableLabel(selection.table) !== label) return undefined;
    if (selection.keyWidth === 0) {
      throw new LockstepError('KEY_MISSING', `${label} is transformed or validated, and has no key`, {
        hint: 'Name columns that identify a row on both sides: key: [a, b].',
      });
    }
    const plan = plans.get(selection) ?? planOf(selection, program);
    plans.set(selection, plan);
    return plan;
  };

  const rowOf = (plan: ReadPlan, selection: Selection, cells: Row): Row => {
    const row: StoredRow = {
      cell: (column) => cells[plan.place.get(column)!]!,
      lookedUp: (lookup) => lookups.get(lookup)!.value(lookup.inputs.map(row.cell)),
    };
    const reasons: string[] = [];
    const failed = new Set<string>();
    const values = new Map<string, Cell>();
    for (const m of made) {
      try {
        values.set(m.column.name, m.make(row));
      } catch (error) {
        reasons.push(`${m.column.name}: ${invalidReason(error)}`);
        failed.add(m.column.name);
      }
    }
    for (const check of checks) {
      if (failed.has(check.name) && !plan.place.has(check.name)) continue;
      try {
        reasons.push(...check.reasons(row, (column) => values.get(column) ?? null));
      } catch (error) {
        reasons.push(`${check.name}: ${invalidReason(error)}`);
      }
    }
    const { columns, keyWidth } = selection;
    const cellAt = (i: number): Cell => {
      const from = plan.cells[i]!;
      if (typeof from === 'number') return cells[from]!;
      return convert(values.get(from.column.name) ?? null, from.column.type, columns[i]!.as);
    };
    if (reasons.length === 0) return columns.map((_, i) => cellAt(i));
    const key = columns.slice(0, keyWidth).map((_, i) => cellAt(i));
    const rejection = {
      reasons: reasons.slice(0, mostReasons),
      row: Object.fromEntries(plan.stored.columns.map((c, i) => [c.name, short(cells[i]!)])),
    };
    return rejectedRow(key, columns.length, concealedRejection(rejection, program.concealed));
  };

  const rowsOf = async (
    plan: ReadPlan,
    selection: Selection,
    batch: Batch<Row>,
    signal: AbortSignal,
  ): Promise<Row[]> => {
    for (const [lookup, open] of lookups) {
      const places = lookup.inputs.map((name) => plan.place.get(name)!);
      await open.load(
        batch.map((cells) => places.map((at) => cells[at]!)),
        { signal },
      );
    }
    return batch.map((cells) => rowOf(plan, selection, cells));
  };

  async function* transformedRows(
    plan: ReadPlan,
    selection: Selection,
    segment: Parameters<Reader['scan']>[1],
    o: { readonly signal: AbortSignal },
  ) {
    for await (const batch of inner.scan(plan.stored, segment, o)) yield await rowsOf(plan, selection, batch, o.signal);
  }

  /** All rows in the order of their made keys; made once per snapshot and set of columns. */
  const sortedRows = async (
    plan: ReadPlan,
    selection: Selection,
    o: { readonly signal: AbortSignal },
  ): Promise<SortedRows> => {
    const { filter, columns } = selection;
    const name = JSON.stringify([filter, columns.map((c) => [c.name, c.as])]);
    const known = sorted.get(name);
    if (known) return known;
    const all = await sortRows(transformedRows(plan, selection, { kind: 'all' }, o), keyTypes(selection));
    sorted.set(name, all);
    return all;
  };

  const self: Reader = {
    ...(inner.position === undefined ? {} : { position: inner.position }),
    ...changesOf(inner, program),
    scan: async function* (selection, segment, o) {
      const plan = planFor(selection);
      if (plan === undefined) yield* inner.scan(selection, segment, o);
      else if (plan.keyMade) {
        const rows = await sortedRows(plan, selection, o);
        yield* inSegment(rows, clip(selection, segment), keyTypes(selection), o.signal);
      } else yield* transformedRows(plan, selection, segment, o);
    },
    count: async (selection, o) => {
      const plan = planFor(selection);
      if (!plan?.keyMade || selection.range === undefined) return inner.count(plan?.stored ?? selection, o);
      let rows = 0;
      for await (const batch of self.scan(selection, { kind: 'all' }, o)) rows += batch.length;
      return rows;
    },
    sample: async (selection, rows, o) => {
      const plan = planFor(selection);
      return plan?.keyMade ? [] : inner.sample(plan?.stored ?? selection, rows, o);
    },
    keyBounds: async (selection, o) => {
      const plan = planFor(selection);
      return plan?.keyMade ? undefined : inner.keyBounds(plan?.stored ?? selection, o);
    },
    ranges: async (selection, o) => {
      const plan = planFor(selection);
      return plan?.keyMade ? false : ((await inner.ranges?.(plan?.stored ?? selection, o)) ?? false);
    },
    [Symbol.asyncDispose]: async () => {
      const open = [...lookups.values(), ...sorted.values()];
      const closed = await Promise.allSettled([
        ...open.map((x) => x[Symbol.asyncDispose]()),
        ...(lent ? [] : [inner[Symbol.asyncDispose]()]),
      ]);
      for (const one of closed) if (one.status === 'rejected') throw one.reason;
    },
  };
  return self;
};

/**
 * Rows that have changed are those whose stored rows have: but for look-ups, whose rows change by themselves. Where keys
 * are made, nobody knows the key of a changed row before it is read.
 */
const changesOf = ({ changes }: Reader, { lookups, made }: Program): Pick<Reader, 'changes'> => {
  if (changes === undefined || lookups.length > 0) return {};
  const names = new Set(made.map((m) => m.column.name));
  const stored = <T extends SelectedColumn | Selection>(what: T): T => {
    const used: readonly SelectedColumn[] = 'columns' in what ? what.columns : [what];
    const one = used.find((c) => names.has(c.name));
    if (one === undefined) return what;
    throw new LockstepError(
      'USAGE',
      `${one.name} is made of other columns: rows that have changed cannot be told by it`,
      {
        hint: 'Compare all rows of this sync: leave incremental out, or name a column that is stored.',
      },
    );
  };
  const { columns, version } = changes;
  return {
    changes: {
      ...(columns && {
        columns: {
          latest: async (table, column, o) => columns.latest(table, stored(column), o),
          since: (selection, column, from, o) => columns.since(stored(selection), stored(column), from, o),
        },
      }),
      ...(version && {
        version: {
          name: version.name,
          mark: (table, o) => version.mark(table, o),
          since: async (selection, mark, o) => {
            const made = selection.columns.find((c) => names.has(c.name));
            if (made === undefined) return version.since(selection, mark, o);
            return {
              unable: `${made.name} of the key is made of other columns, so nobody knows the key of a changed row`,
            };
          },
        },
      }),
    },
  };
};

const short = (cell: Cell): Cell =>
  cell === null || cell.length <= mostCharacters ? cell : (`${cell.slice(0, mostCharacters)}…` as Text);
