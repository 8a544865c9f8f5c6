import assert from 'node:assert/strict';
import type { Change } from '../../src/model/change.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { rowHasher } from '../../src/model/hash/row-hash.ts';
import type { HashSpec } from '../../src/model/hash/spec.ts';
import { compareKeys } from '../../src/model/order.ts';
import type { Digest, HashBatch, Reader } from '../../src/model/reader.ts';
import type { Key, Row } from '../../src/model/row.ts';
import type { Column, Table } from '../../src/model/schema.ts';
import type { Partition, Segment, Selection } from '../../src/model/selected.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import type { Applied, StepMark, TableChanges, Written } from '../../src/model/writer.ts';
import type { Harness, KitDatabase, KitTable } from './harness.ts';

type Cells = readonly (string | null)[];

/** A table of the kit as a database can hold it: values as it keeps them, and of keys that it takes for one the first. */
export const fitted = (harness: Harness, kit: KitTable): KitTable => {
  const { keeps, sameKey } = harness;
  if (!keeps && !sameKey) return kit;
  const kept = kit.rows.map((row) =>
    row.map((cell, i) => (cell === null || !keeps ? cell : keeps(kit.columns[i]!.type, cell))),
  );
  if (kit.key.length === 0) return { ...kit, rows: kept };
  const at = kit.key.map((name) => kit.columns.findIndex((c) => c.name === name));
  const types = at.map((i) => kit.columns[i]!.type);
  const keyOf = (row: Cells): string[] => at.map((i) => row[i]!);
  const name = (row: Cells): string => JSON.stringify(keyOf(row).map((cell) => sameKey?.(cell) ?? cell));
  const first = new Map<string, Cells>();
  for (const row of kept) {
    const other = first.get(name(row));
    if (!other || compareKeys(types, keyOf(row) as unknown as Key, keyOf(other) as unknown as Key) < 0)
      first.set(name(row), row);
  }
  return { ...kit, rows: kept.filter((row) => first.get(name(row)) === row) };
};

/** The keys of a fitted table, in the order of `order`. */
export const fittedOrder = (
  harness: Harness,
  kit: KitTable,
  order: readonly (readonly string[])[],
): readonly (readonly string[])[] => {
  if (!harness.keeps && !harness.sameKey) return order;
  const columns = kit.key.map((name) => kit.columns.find((c) => c.name === name)!);
  const held = new Set(fitted(harness, kit).rows.map((row) => JSON.stringify(keyCells(kit, row))));
  const keys = order.map((key) => key.map((cell, i) => harness.keeps?.(columns[i]!.type, cell) ?? cell));
  const names = [...new Set(keys.map((key) => JSON.stringify(key)))].filter((name) => held.has(name));
  return names.map((key) => JSON.parse(key) as string[]);
};

const keyCells = (kit: KitTable, row: Cells): (string | null)[] =>
  kit.key.map((name) => row[kit.columns.findIndex((c) => c.name === name)]!);

/** What one case works with. Everything opened in it is closed after it. */
export interface Lab extends AsyncDisposable {
  readonly harness: Harness;
  readonly signal: AbortSignal;
  database(...tables: readonly KitTable[]): Promise<KitDatabase>;
  /** A connection of the engine under test (perhaps broken on purpose). */
  open(database: KitDatabase, o?: { readonly writable?: boolean }): Promise<Endpoint>;
  /** A connection that is never broken on purpose: to look what is really there. */
  plain(database: KitDatabase): Promise<Endpoint>;
  /** A snapshot of an endpoint. */
  read(endpoint: Endpoint): Promise<Reader>;
}

/** One case of the kit: a plain function, so that it can also be run against a broken engine. */
export interface Case {
  readonly name: string;
  run(lab: Lab): Promise<void>;
  /** Absent: for every engine. */
  readonly when?: (harness: Harness) => boolean;
}

export const makeLab = (harness: Harness, breakIt: (e: Endpoint) => Endpoint = (e) => e): Lab => {
  const stack = new AsyncDisposableStack();
  const controller = new AbortController();
  const open = async (database: KitDatabase, writable: boolean, change: (e: Endpoint) => Endpoint): Promise<Endpoint> =>
    change(stack.use(await database.connect({ writable })));
  return {
    harness,
    signal: controller.signal,
    database: async (...tables) => stack.use(await harness.database(tables)),
    open: (database, o) => open(database, o?.writable ?? false, breakIt),
    plain: (database) => open(database, false, (e) => e),
    read: async (endpoint) => stack.use(await endpoint.snapshot({ signal: controller.signal })),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
};

/** Runs one case with a lab of its own. */
export const runCase = async (c: Case, harness: Harness, breakIt?: (e: Endpoint) => Endpoint): Promise<void> => {
  await using lab = makeLab(harness, breakIt);
  await c.run(lab);
};

/** What the engine says about a table of the kit. */
export const inspected = async (lab: Lab, endpoint: Endpoint, name: string): Promise<Table> => {
  const schema = await endpoint.inspect({ signal: lab.signal });
  const table = schema.tables.find((t) => t.name === name);
  assert.ok(table, `inspect shows no table ${name}, only ${schema.tables.map((t) => t.name).join(', ')}`);
  return table;
};

/** Reads a table of the kit as the kit's own types, key first. */
export const selectionOf = (
  table: Table,
  kit: KitTable,
  o: { readonly filter?: string; readonly keyless?: true } = {},
): Selection => {
  const key = o.keyless ? [] : kit.key;
  const names = [...key, ...kit.columns.map((c) => c.name).filter((n) => !key.includes(n))];
  return {
    table: table.schema === undefined ? { name: table.name } : { schema: table.schema, name: table.name },
    columns: names.map((name) => {
      const column = table.columns.find((c) => c.name === name);
      assert.ok(column, `inspect shows no column ${name}`);
      return {
        name,
        stored: column.type,
        as: kit.columns.find((c) => c.name === name)!.type,
        ...(column.loose ? { loose: true as const } : {}),
      };
    }),
    keyWidth: key.length,
    ...(o.filter === undefined ? {} : { filter: o.filter }),
  };
};

/** The kit's own rows, in the column order of its selection. */
export const kitRows = (kit: KitTable): (string | null)[][] => {
  const names = [...kit.key, ...kit.columns.map((c) => c.name).filter((n) => !kit.key.includes(n))];
  const at = names.map((name) => kit.columns.findIndex((c) => c.name === name));
  return kit.rows.map((row) => at.map((i) => row[i]!));
};

/** Opens a database with one table and reads it. */
export const withTable = async (
  lab: Lab,
  kit: KitTable,
): Promise<{ database: KitDatabase; endpoint: Endpoint; table: Table; reader: Reader; selection: Selection }> => {
  const database = await lab.database(kit);
  const endpoint = await lab.open(database);
  const table = await inspected(lab, endpoint, kit.name);
  return { database, endpoint, table, reader: await lab.read(endpoint), selection: selectionOf(table, kit) };
};

export const all: Segment = { kind: 'all' };

export const scan = async (lab: Lab, reader: Reader, selection: Selection, segment: Segment = all): Promise<Row[]> => {
  const rows: Row[] = [];
  for await (const batch of reader.scan(selection, segment, { signal: lab.signal }))
    for (const row of batch) rows.push(row);
  return rows;
};

export interface HashedRow {
  readonly key: Key;
  /** Unsigned. */
  readonly hash: bigint;
}

export const unpack = (batch: HashBatch): HashedRow[] =>
  Array.from({ length: batch.count }, (_, i) => ({
    key: batch.keys.kind === 'int64' ? ([String(batch.keys.values[i]!)] as unknown as Key) : batch.keys.values[i]!,
    hash: (BigInt(batch.hashes[2 * i]! >>> 0) << 32n) | BigInt(batch.hashes[2 * i + 1]! >>> 0),
  }));

export const hashes = async (
  lab: Lab,
  reader: Reader,
  selection: Selection,
  segment: Segment,
  spec: HashSpec,
): Promise<HashedRow[]> => {
  const rows: HashedRow[] = [];
  for await (const batch of reader.hashing!.hashes(selection, segment, spec, { signal: lab.signal }))
    rows.push(...unpack(batch));
  return rows;
};

/** The same as `hashes` gives, of a reader that delivers them in any order; keys are asked for when all is read. */
export const looseHashes: typeof hashes = async (lab, reader, selection, segment, spec) => {
  const batches = await Array.fromAsync(reader.hashing!.loose!(selection, segment, spec, { signal: lab.signal }));
  return batches.flatMap((batch) =>
    unpack({ ...batch, keys: { kind: 'keys', values: Array.from({ length: batch.count }, (_, i) => batch.key(i)) } }),
  );
};

export const byHash = (rows: readonly HashedRow[]): HashedRow[] =>
  [...rows].sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));

/** The hashes the kit expects of rows: computed from their cells, by the one table of `hash/spec.ts`. */
export const expectedHashes = (selection: Selection, rows: readonly Row[], spec: HashSpec): HashedRow[] => {
  const hasher = rowHasher(selection.columns, selection.keyWidth, spec);
  return rows.map((row) => {
    hasher.hash(row);
    return {
      key: row.slice(0, selection.keyWidth),
      hash: (BigInt(hasher.out[0]! >>> 0) << 32n) | BigInt(hasher.out[1]! >>> 0),
    };
  });
};

/** The digest the kit expects, parts without rows left out. */
export const expectedDigests = (
  selection: Selection,
  rows: readonly Row[],
  spec: HashSpec,
  part: (row: Row) => number,
): Digest[] => {
  const digests = new Map<number, Digest>();
  for (const [i, { hash }] of expectedHashes(selection, rows, spec).entries()) {
    const p = part(rows[i]!);
    const d = digests.get(p) ?? { part: p, rows: 0, sum: 0n };
    digests.set(p, { part: p, rows: d.rows + 1, sum: BigInt.asUintN(64, d.sum + hash) });
  }
  return [...digests.values()].sort((a, b) => a.part - b.part);
};

/** Where a row belongs, by the words of the contract. */
export const partOf = (selection: Selection, partition: Partition): ((row: Row) => number) => {
  if (partition.by === 'hash') {
    const hasher = rowHasher(selection.columns, selection.keyWidth, partition.hash);
    return (row) => hasher.bucket(row, partition.count);
  }
  return (row) => {
    let part = 0;
    while (part < partition.count - 1 && BigInt(row[0]!) >= partition.origin + BigInt(part + 1) * partition.width)
      part++;
    return part;
  };
};

/** Digests without empty parts, in the order of parts. */
export const tidy = (digests: readonly Digest[]): Digest[] =>
  digests
    .filter((d) => d.rows > 0)
    .map(({ part, rows, sum }) => ({ part, rows, sum }))
    .sort((a, b) => a.part - b.part);

/** A table's whole native rows by an unbroken connection. */
export const nativeRows = async (
  lab: Lab,
  database: KitDatabase,
  kit: KitTable,
): Promise<{ table: Table; rows: Row[] }> => {
  const endpoint = await lab.plain(database);
  const table = await inspected(lab, endpoint, kit.name);
  const selection = nativeSelection(table, kit.key);
  return { table, rows: await scan(lab, await lab.read(endpoint), selection) };
};

export interface Bench {
  readonly table: Table;
  readonly key: readonly string[];
  /** Names of a native row's cells. */
  readonly names: readonly string[];
  readonly rows: readonly Row[];
  insert(values: Readonly<Record<string, string | null>>): Change;
  update(key: readonly string[], set: Readonly<Record<string, string | null>>): Change;
  remove(key: readonly string[]): Change;
  batch(...changes: readonly Change[]): TableChanges;
}

/** Makes changes out of what a table holds now. */
export const bench = async (lab: Lab, database: KitDatabase, kit: KitTable): Promise<Bench> => {
  const { table, rows } = await nativeRows(lab, database, kit);
  const names = nativeSelection(table, kit.key).columns.map((c) => c.name);
  const before = (key: readonly string[]): Row => {
    const row = rows.find((r) => key.every((cell, i) => r[i] === cell));
    assert.ok(row, `no row with key ${key.join(', ')}`);
    return row;
  };
  const columns = (set: object): number[] => names.flatMap((name, i) => (name in set ? [i] : []));
  return {
    table,
    key: kit.key,
    names,
    rows,
    insert: (values) => {
      const after = names.map((name) => values[name] ?? null) as unknown as Row;
      return { op: 'insert', key: after.slice(0, kit.key.length), before: null, after, columns: columns(values) };
    },
    update: (key, set) => {
      const after = before(key).map((cell, i) => (names[i]! in set ? set[names[i]!]! : cell)) as unknown as Row;
      return { op: 'update', key: key as unknown as Key, before: before(key), after, columns: columns(set) };
    },
    remove: (key) => ({ op: 'delete', key: key as unknown as Key, before: before(key), after: null }),
    batch: (...changes) => ({ table, key: kit.key, changes }),
  };
};

/** The change that takes `change` back, given the row as it was stored. */
export const inverse = (
  change: Change,
  stored: Row | null,
  writable: (column: Column) => boolean,
  table: Table,
  names: readonly string[],
): Change => {
  const columns = names.flatMap((name, i) => (writable(table.columns.find((c) => c.name === name)!) ? [i] : []));
  if (change.op === 'insert') return { op: 'delete', key: change.key, before: stored!, after: null };
  if (change.op === 'delete') return { op: 'insert', key: change.key, before: null, after: change.before, columns };
  return { op: 'update', key: change.key, before: stored!, after: change.before, columns: change.columns };
};

/** Applies batches as one step; also what `written` reported. */
export const apply = async (
  lab: Lab,
  endpoint: Endpoint,
  mark: StepMark,
  batches: readonly TableChanges[],
): Promise<Applied & { written: Written[] }> => {
  const written: Written[] = [];
  const applied = await endpoint.writer!.apply(mark, batches, {
    signal: lab.signal,
    written: (w) => void written.push(w),
  });
  return { ...applied, written };
};

/** Rejects with anything; gives the error. */
export const failure = async (work: Promise<unknown>): Promise<Error & { readonly code?: string }> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.ok(error instanceof Error, 'it should have failed');
  return error;
};

const shown = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v instanceof Int32Array ? [...v] : v)) ??
  'undefined';

/** Deep equality of plain data whose message names the first difference only: tables of thousands of rows are compared. */
export const same = (actual: unknown, expected: unknown, what = ''): void => {
  const [a, b] = [shown(actual), shown(expected)];
  if (a === b) return;
  let place = '';
  if (Array.isArray(actual) && Array.isArray(expected)) {
    const i = expected.findIndex((item, j) => shown(item) !== shown(actual[j]));
    const at = i < 0 ? expected.length : i;
    place = `${actual.length} items for ${expected.length}; item ${at}: ${shown(actual[at]).slice(0, 400)} for ${shown(expected[at]).slice(0, 400)}`;
  } else place = `${a.slice(0, 400)} for ${b.slice(0, 400)}`;
  assert.fail(`${what === '' ? '' : `${what}: `}${place}`);
};
