import type { Cancel } from '../model/cancel.ts';
import type { Change, ChangeOp, Difference } from '../model/change.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Pair } from '../model/pair.ts';
import type { Reader } from '../model/reader.ts';
import type { Batch, Key, Row } from '../model/row.ts';
import type { Schema } from '../model/schema.ts';
import { tableLabel } from '../model/schema.ts';
import { plainKey } from '../model/selection.ts';
import type { Resolver } from '../resolve/decide.ts';
import { absentParents } from './absent-parents.ts';
import { orderTables, type PlanOrder } from './order.ts';
import { openSpool, type Spool } from './spool.ts';
import { buildChange, nativeKey, nativeRow, type TargetShape, targetShape } from './target-row.ts';

/** A difference that cannot be written, kept as an example. */
export interface Unfit {
  readonly pair: string;
  readonly op: ChangeOp;
  readonly key: Key;
  readonly reason: string;
  /** The same without a value of the row. */
  readonly unquoted: string;
}

const examplesMost = 100;

/** What became of one pair's differences while planning. */
export interface PairTally {
  readonly planned: Record<ChangeOp, number>;
  /** Of these, what no guard counts. */
  readonly allowed: Record<ChangeOp, number>;
  readonly withheld: Record<ChangeOp, number>;
  readonly unfit: Record<ChangeOp, number>;
  readonly columns: Record<string, number>;
  /** Rows of the target that changed between comparing and planning. */
  moved: number;
}

const zero = (): Record<ChangeOp, number> => ({ insert: 0, update: 0, delete: 0 });

/** Collects confirmed differences as changes. Calls must not overlap. */
export interface Planner extends AsyncDisposable {
  readonly shapes: readonly TargetShape[];
  /** Every table of the target. */
  readonly schema: Schema;
  readonly order: PlanOrder;
  readonly spool: Spool;
  readonly tallies: readonly PairTally[];
  readonly unfit: readonly Unfit[];
  /** What is written in one transaction or not at all, each in its order. */
  bound(): AsyncIterable<{ readonly pair: number; readonly changes: Batch<Change> }>;
  /** `allowed`: no guard counts what comes of these. */
  add(pair: number, differences: Batch<Difference>, o: Cancel & { readonly allowed?: boolean }): Promise<void>;
  /** Differences that are nothing by halves: where one cannot be written, none is. */
  addBound(pair: number, differences: Batch<Difference>, o: Cancel): Promise<void>;
}

/**
 * Lane of a table's changes of one stage. `unset` and `set`: the two halves of writes that close a cycle; `bound`: those
 * that are nothing by halves, one group after another.
 */
export const lane = (stage: ChangeOp | 'unset' | 'set' | 'bound', pair: number): string => `${stage} ${pair}`;

/** Why no row of a pair's table may be deleted: the database would change rows that nobody planned. */
const deleteTouches = (
  pair: Pair,
  pairs: readonly Pair[],
  schema: Schema,
  path: readonly string[] = [],
): string | undefined => {
  const label = tableLabel(pair.target);
  for (const table of schema.tables) {
    const child = tableLabel(table);
    const key = table.foreignKeys.find(
      (k) =>
        k.onDelete !== undefined &&
        k.references.name === pair.target.name &&
        (k.references.schema === undefined ||
          pair.target.schema === undefined ||
          k.references.schema === pair.target.schema),
    );
    if (key === undefined || child === label || path.includes(child)) continue;
    const planned = pairs.find((p) => tableLabel(p.target) === child);
    const effect = key.onDelete === 'cascade' ? 'delete rows' : 'change rows';
    const touches = `deleting it would ${effect} of ${child} (foreign key ${key.name})`;
    if (planned === undefined) return `${touches}, which is not part of this plan: add that table`;
    if (planned.filter !== undefined) return `${touches} that the filter of ${planned.name} hides`;
    if (planned.sample !== undefined) return `${touches} outside the sample of ${planned.name}`;
    if (key.onDelete === 'cascade') {
      const further = deleteTouches(planned, pairs, schema, [...path, label]);
      if (further !== undefined) return `${touches}, and further: ${further}`;
    }
  }
  return undefined;
};

export const openPlanner = (o: {
  readonly pairs: readonly Pair[];
  readonly schema: Schema;
  readonly target: Endpoint;
  readonly resolver: Resolver;
  /** An existing folder for temporary files. */
  readonly temporary: string;
}): Planner => {
  const shapes = o.pairs.map(targetShape);
  const order = orderTables(
    o.pairs.map((p) => p.target),
    (i) => shapes[i]!.determined,
  );
  const noDelete = o.pairs.map((pair) => deleteTouches(pair, o.pairs, o.schema));
  const tallies = o.pairs.map(
    (): PairTally => ({ planned: zero(), allowed: zero(), withheld: zero(), unfit: zero(), columns: {}, moved: 0 }),
  );
  const unfit: Unfit[] = [];
  /** How many changes belong together, one after another. */
  const together = o.pairs.map((): number[] => []);
  const spool = openSpool(o.temporary);

  const refuse = (pair: number, op: ChangeOp, key: Key, reason: string, unquoted = reason): void => {
    tallies[pair]!.unfit[op]++;
    if (unfit.length < examplesMost) unfit.push({ pair: o.pairs[pair]!.name, op, key, reason, unquoted });
  };

  /** Rows of the target as they are now, by key. A snapshot of its own: newer than the differences. */
  const fetch = async (shape: TargetShape, keys: readonly Key[], c: Cancel): Promise<ReadonlyMap<string, Row>> => {
    const found = new Map<string, Row>();
    if (keys.length === 0) return found;
    await using reader: Reader = await o.target.snapshot(c);
    for await (const batch of reader.scan(shape.selection, { kind: 'keys', keys }, c)) {
      for (const row of batch) found.set(JSON.stringify(plainKey(shape.selection, row)), row);
    }
    return found;
  };

  const withoutParent = absentParents(
    shapes,
    async (parent, keys, c) => new Set((await fetch(parent, keys, c)).keys()),
  );

  /** A reference that closes a cycle: null first, the value once its row is there; and the other way round for deletes. */
  const spread = async (pair: number, change: Change): Promise<void> => {
    const shape = shapes[pair]!;
    const places = order.tables[pair]!.broken.flatMap((key) =>
      key.columns.map((name) => shape.columns.findIndex((c) => c.name === name)),
    );
    const image = change.op === 'insert' ? change.after : change.before!;
    const columns = places.filter((p) => image[p] !== null);
    if (columns.length === 0 || change.op === 'update') return spool.add(lane(change.op, pair), change);
    const unset: Row = image.map((cell, i) => (columns.includes(i) ? null : cell));
    tallies[pair]!.planned.update++;
    if (change.op === 'insert') {
      await spool.add(lane('insert', pair), { ...change, after: unset });
      await spool.add(lane('set', pair), { key: change.key, op: 'update', before: unset, after: image, columns });
    } else {
      await spool.add(lane('unset', pair), { key: change.key, op: 'update', before: image, after: unset, columns });
      await spool.add(lane('delete', pair), { ...change, before: unset });
    }
  };

  /** The changes that can be planned; what becomes of the others is told. */
  const changesOf = async (
    pair: number,
    differences: Batch<Difference>,
    c: Cancel,
    tell: {
      withheld(op: ChangeOp): void;
      moved(): void;
      refuse(op: ChangeOp, key: Key, reason: string, unquoted?: string): void;
    },
  ): Promise<readonly Change[]> => {
    const shape = shapes[pair]!;
    const wanted: { readonly difference: Difference; readonly op: ChangeOp; readonly key: string }[] = [];
    const keys: Key[] = [];
    for (const difference of differences) {
      const decision = o.resolver(difference);
      if (decision === undefined) continue;
      const { op } = decision;
      if (decision.kind === 'withheld') {
        tell.withheld(op);
        continue;
      }
      if (shape.pair.keyWidth === 0) {
        tell.refuse(op, [], 'the table has no key: its rows can be compared, not written');
        continue;
      }
      if (op === 'delete' && noDelete[pair] !== undefined) {
        tell.refuse(op, difference.key, noDelete[pair]);
        continue;
      }
      const keyed = nativeKey(shape, difference.key);
      if ('reason' in keyed) {
        tell.refuse(op, difference.key, keyed.reason);
        continue;
      }
      wanted.push({ difference, op, key: JSON.stringify(keyed.key) });
      if (difference.target !== null && !shape.whole) keys.push(keyed.key);
    }
    const rows = await fetch(shape, keys, c);
    const changes: { readonly change: Change; readonly difference: Difference }[] = [];
    for (const { difference, op, key } of wanted) {
      const read = difference.target !== null && shape.whole ? nativeRow(shape, difference.target) : rows.get(key);
      const built = buildChange(shape, difference, op, read);
      if (built.kind === 'unfit') tell.refuse(op, difference.key, built.reason, built.unquoted);
      else if (built.kind === 'moved') tell.moved();
      else changes.push({ change: built.change, difference });
    }
    const absent = await withoutParent(
      pair,
      changes.map((x) => x.change),
      c,
    );
    return changes.flatMap(({ change, difference }) => {
      const reason = absent.get(change);
      if (reason === undefined) return change;
      tell.refuse(change.op, difference.key, reason);
      return [];
    });
  };

  const planned = (pair: number, change: Change): void => {
    const tally = tallies[pair]!;
    tally.planned[change.op]++;
    if (change.op !== 'update') return;
    for (const at of change.columns) {
      const name = shapes[pair]!.columns[at]!.name;
      tally.columns[name] = (tally.columns[name] ?? 0) + 1;
    }
  };

  const add: Planner['add'] = async (pair, differences, c) => {
    const tally = tallies[pair]!;
    const changes = await changesOf(pair, differences, c, {
      withheld: (op) => void tally.withheld[op]++,
      moved: () => void tally.moved++,
      refuse: (op, key, reason, unquoted) => refuse(pair, op, key, reason, unquoted),
    });
    for (const change of changes) {
      planned(pair, change);
      if (c.allowed === true) tally.allowed[change.op]++;
      await spread(pair, change);
    }
  };

  const addBound = async (pair: number, differences: Batch<Difference>, c: Cancel): Promise<void> => {
    const tally = tallies[pair]!;
    let moved = 0;
    let why: string | undefined;
    const withheld: ChangeOp[] = [];
    const changes = await changesOf(pair, differences, c, {
      withheld: (op) => void withheld.push(op),
      moved: () => void moved++,
      refuse: (op, key, reason, unquoted = reason) => {
        why ??= `it goes together with ${key.join(', ')}: ${unquoted}`;
        refuse(pair, op, key, reason, unquoted);
      },
    });
    if (changes.length === differences.length) {
      for (const change of changes) {
        planned(pair, change);
        await spool.add(lane('bound', pair), change);
      }
      together[pair]!.push(changes.length);
      return;
    }
    tally.moved += moved;
    for (const op of withheld) tally.withheld[op]++;
    for (const { key, op } of changes) {
      if (why !== undefined) refuse(pair, op, key, why);
      else if (moved > 0) tally.moved++;
      else tally.withheld[op]++;
    }
  };

  async function* boundGroups(): AsyncGenerator<{ readonly pair: number; readonly changes: Batch<Change> }> {
    for (const [pair, sizes] of together.entries()) {
      let changes: Change[] = [];
      let group = 0;
      for await (const batch of spool.read(lane('bound', pair))) {
        for (const change of batch) {
          changes.push(change);
          if (changes.length < sizes[group]!) continue;
          yield { pair, changes };
          changes = [];
          group++;
        }
      }
    }
  }

  return {
    shapes,
    schema: o.schema,
    order,
    spool,
    tallies,
    unfit,
    bound: boundGroups,
    add,
    addBound,
    [Symbol.asyncDispose]: () => spool[Symbol.asyncDispose](),
  };
};
