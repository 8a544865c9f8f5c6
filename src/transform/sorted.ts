import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LockstepError } from '../model/errors.ts';
import { compareKeys } from '../model/order.ts';
import type { Batch, Row } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import type { Segment } from '../model/selected.ts';

/** Rows in key order, kept in memory or on disk. May be read several times. */
export interface SortedRows extends AsyncDisposable {
  read(): AsyncIterable<Batch<Row>>;
}

/** Characters of rows held in memory; more go to files. */
const heldCharacters = 24 * 1024 * 1024;
const batchRows = 1000;

const sizeOf = (row: Row): number => row.reduce((n, cell) => n + (cell?.length ?? 0) + 16, 32);

/** Sorts rows by their keys: in memory, or by merging sorted runs from a temporary folder that only this user can read. */
export const sortRows = async (
  batches: AsyncIterable<Batch<Row>>,
  types: readonly ColumnType[],
  { held = heldCharacters, temporary = tmpdir() }: { readonly held?: number; readonly temporary?: string } = {},
): Promise<SortedRows> => {
  const order = (a: Row, b: Row): number => compareKeys(types, a, b);
  const files: string[] = [];
  let folder: string | undefined;
  let rows: Row[] = [];
  let size = 0;
  const remove = (): void => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  };
  const spill = async (): Promise<void> => {
    folder ??= mkdtempSync(join(temporary, 'lockstep-sort-'));
    const name = join(folder, `run-${files.length}`);
    const file = await open(name, 'w', 0o600);
    try {
      rows.sort(order);
      for (let i = 0; i < rows.length; i += batchRows)
        await file.write(
          `${rows
            .slice(i, i + batchRows)
            .map((row) => JSON.stringify(row))
            .join('\n')}\n`,
        );
    } finally {
      await file.close();
    }
    files.push(name);
    rows = [];
    size = 0;
  };
  try {
    for await (const batch of batches) {
      for (const row of batch) {
        rows.push(row);
        size += sizeOf(row);
      }
      if (size > held) await spill();
    }
  } catch (error) {
    remove();
    throw error;
  }
  rows.sort(order);
  const last = rows;
  return {
    read: () => merged([...files.map(linesOf), inMemory(last)], order),
    [Symbol.asyncDispose]: async () => remove(),
  };
};

async function* inMemory(rows: readonly Row[]): AsyncGenerator<Row> {
  yield* rows;
}

/** Lines end with U+000A alone: JSON leaves the other line ends of Unicode as they are. */
async function* linesOf(file: string): AsyncGenerator<Row> {
  let rest = '';
  for await (const chunk of createReadStream(file, { encoding: 'utf8' })) {
    const lines = (rest + (chunk as string)).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield JSON.parse(line) as Row;
  }
}

/** Few sources, so the least head is found by looking at each. */
async function* merged(
  sources: readonly AsyncGenerator<Row>[],
  order: (a: Row, b: Row) => number,
): AsyncGenerator<Batch<Row>> {
  try {
    const heads: (Row | undefined)[] = [];
    for (const source of sources) heads.push((await source.next()).value as Row | undefined);
    let batch: Row[] = [];
    for (;;) {
      let least = -1;
      for (let i = 0; i < heads.length; i++) {
        const head = heads[i];
        if (head !== undefined && (least < 0 || order(head, heads[least]!) < 0)) least = i;
      }
      if (least < 0) break;
      batch.push(heads[least]!);
      heads[least] = (await sources[least]!.next()).value as Row | undefined;
      if (batch.length === batchRows) {
        yield batch;
        batch = [];
      }
    }
    if (batch.length > 0) yield batch;
  } finally {
    for (const source of sources) await source.return(undefined);
  }
}

/** The rows of a segment, in order. */
export async function* inSegment(
  rows: SortedRows,
  segment: Segment,
  types: readonly ColumnType[],
  signal: AbortSignal,
): AsyncGenerator<Batch<Row>> {
  const width = types.length;
  const keys = segment.kind === 'keys' ? new Set(segment.keys.map((key) => JSON.stringify(key))) : undefined;
  if (segment.kind === 'parts' || segment.kind === 'text_parts')
    throw new LockstepError('INTERNAL', 'rows with a made key cannot be read in parts');
  const wanted = (row: Row): boolean => {
    if (keys) return keys.has(JSON.stringify(row.slice(0, width)));
    if (segment.kind !== 'range') return true;
    if (segment.from && compareKeys(types, row, segment.from) < 0) return false;
    return !segment.to || compareKeys(types, row, segment.to) < 0;
  };
  for await (const batch of rows.read()) {
    signal.throwIfAborted();
    const some = segment.kind === 'all' ? batch : batch.filter(wanted);
    if (some.length > 0) yield some;
  }
}
