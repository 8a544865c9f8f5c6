import type { SQLInputValue } from 'node:sqlite';
import { setImmediate as breathe } from 'node:timers/promises';
import type { Cell, Key, Row, Text } from '../../model/row.ts';
import type { Segment, SelectedColumn, Selection } from '../../model/selected.ts';
import { sortKey } from '../sql/sort-key.ts';
import { chunkRows, type Spool } from './spool.ts';

const batchBytes = 2 * 2 ** 20;

interface Stored {
  readonly n: number;
  readonly cells: string;
}

/** Rows of one selection in the one order of keys. Keyless rows are kept once, with how often they occur. */
export interface Sorted {
  readonly rows: number;
  scan(segment: Exclude<Segment, { kind: 'parts' }>, signal: AbortSignal): AsyncGenerator<readonly Row[]>;
}

/** Which columns order a selection: its key, or all of them. */
const orderedBy = (selection: Selection): readonly SelectedColumn[] =>
  selection.keyWidth > 0 ? selection.columns.slice(0, selection.keyWidth) : selection.columns;

const bindsOf = (columns: readonly SelectedColumn[], cells: readonly Cell[]): Uint8Array[] =>
  columns.map((c, i) => sortKey(c.as, cells[i] ?? null));

/** Sorts the rows that `rowsOf` gives for each chunk of the spool. `undefined`: the item is left out. */
export const sortRows = async (
  spool: Spool,
  selection: Selection,
  rowOf: (item: { readonly id: number; readonly json: string }) => Row | undefined,
  signal: AbortSignal,
): Promise<Sorted> => {
  const { db } = spool;
  const columns = orderedBy(selection);
  const keyless = selection.keyWidth === 0;
  const name = spool.newTable();
  const ks = columns.map((_, i) => `k${i}`);
  // Two rows may share a key that is not the resource's own: both are kept, and told apart by their number.
  db.exec(
    `create table ${name} (${ks.map((k) => `${k} blob`).join(', ')}, n integer, cells text, primary key (${[...ks, ...(keyless ? [] : ['n'])].join(', ')})) without rowid`,
  );
  const insert = db.prepare(
    `insert into ${name} values (${ks.map(() => '?').join(', ')}, ?, ?)${keyless ? ` on conflict do update set n = n + 1` : ''}`,
  );
  let rows = 0;
  for await (const chunk of spool.chunks(signal)) {
    db.exec('begin');
    try {
      for (const item of chunk) {
        const row = rowOf(item);
        if (row === undefined) continue;
        insert.run(...bindsOf(columns, row), keyless ? 1 : item.id, JSON.stringify(row));
        rows++;
      }
    } finally {
      db.exec('commit');
    }
  }
  const place = `(${ks.join(', ')})`;
  const marks = `(${ks.map(() => '?').join(', ')})`;
  const read = ({ n, cells }: Stored): Row => {
    const row = JSON.parse(cells) as Row;
    return keyless ? [...row, String(n) as Text] : row;
  };

  async function* byRange(
    from: Key | undefined,
    to: Key | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Row[]> {
    const upper: SQLInputValue[] = to === undefined ? [] : bindsOf(columns, to);
    const below = to === undefined ? '' : ` and ${place} < ${marks}`;
    const first = db.prepare(
      `select n, cells from ${name} where ${from === undefined ? 'true' : `${place} >= ${marks}`}${below} order by ${ks.join(', ')}${keyless ? '' : ', n'} limit ${chunkRows}`,
    );
    const tail = keyless ? '' : ', n';
    const next = db.prepare(
      `select n, cells from ${name} where (${ks.join(', ')}${tail}) > (${ks.map(() => '?').join(', ')}${keyless ? '' : ', ?'})${below} order by ${ks.join(', ')}${tail} limit ${chunkRows}`,
    );
    const lower: SQLInputValue[] = from === undefined ? [] : bindsOf(columns, from);
    let found = first.all(...lower, ...upper) as unknown as Stored[];
    while (found.length > 0) {
      const last = found.at(-1)!;
      const after = bindsOf(columns, JSON.parse(last.cells) as Row);
      yield* bounded(found.map(read), signal);
      await breathe(undefined, { signal });
      found = next.all(...after, ...(keyless ? [] : [last.n]), ...upper) as unknown as typeof found;
    }
  }

  async function* byKeys(keys: readonly Key[], signal: AbortSignal): AsyncGenerator<readonly Row[]> {
    const wanted = keys.map((key) => bindsOf(columns, key)).sort(compareBytes);
    const find = db.prepare(`select n, cells from ${name} where ${ks.map((k) => `${k} = ?`).join(' and ')} order by n`);
    let batch: Row[] = [];
    for (const [i, binds] of wanted.entries()) {
      if (i > 0 && compareBytes(wanted[i - 1]!, binds) === 0) continue;
      for (const found of find.all(...binds) as unknown as Stored[]) batch.push(read(found));
      if (i % chunkRows === chunkRows - 1 || batch.length >= chunkRows) {
        await breathe(undefined, { signal });
        if (batch.length > 0) yield* bounded(batch, signal);
        batch = [];
      }
    }
    if (batch.length > 0) yield* bounded(batch, signal);
  }

  return {
    rows,
    scan: (segment, signal) =>
      segment.kind === 'keys'
        ? byKeys(segment.keys, signal)
        : segment.kind === 'range'
          ? byRange(segment.from, segment.to, signal)
          : byRange(undefined, undefined, signal),
  };
};

const compareBytes = (a: readonly Uint8Array[], b: readonly Uint8Array[]): number => {
  for (let i = 0; i < a.length; i++) {
    const order = Buffer.compare(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return 0;
};

/** Splits a chunk whose cells are large. */
function* bounded(rows: readonly Row[], signal: AbortSignal): Generator<readonly Row[]> {
  let batch: Row[] = [];
  let bytes = 0;
  for (const row of rows) {
    batch.push(row);
    for (const cell of row) bytes += cell?.length ?? 0;
    if (bytes < batchBytes) continue;
    yield batch;
    signal.throwIfAborted();
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}
