import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LockstepError } from '../../model/errors.ts';

/** Ints per row: key hash (high, low), row hash (high, low). */
const width = 4;
/** Ranges of key hashes that the rows of a run can be found by: of equal width, told by the upper bits. */
const ranges = 1024;
const rangeOf = (high: number): number => (high ^ 0x8000_0000) >>> 22;

/** Rows of one run: where they stand in the file, and which of them each range has. */
interface Run {
  /** Bytes. */
  readonly at: number;
  /** Rows before each range; the last is how many there are. */
  readonly before: Uint32Array;
}

/** Rows of hashes that are more than should be held in memory, in a file that nobody else can open. */
export interface Spill extends AsyncDisposable {
  /** Adds rows that are in the order of their key hashes. */
  add(rows: Int32Array): Promise<void>;
  /** All rows by adjacent ranges of key hashes, about so many rows at once, those of a range in no order. */
  parts(rowsAtOnce: number): AsyncGenerator<Int32Array, void, undefined>;
}

/** Throws TEMP_FILE when the file cannot be made; `add` and `parts` when it cannot be written or read. */
export const openSpill = async (folder = tmpdir()): Promise<Spill> => {
  const file = await doing(folder, openUnnamed(folder));
  const runs: Run[] = [];
  let bytes = 0;
  return {
    add: async (rows) => {
      if (rows.length === 0) return;
      await doing(folder, write(file, new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength), bytes));
      runs.push({ at: bytes, before: countsOf(rows) });
      bytes += rows.byteLength;
    },
    parts: async function* (rowsAtOnce) {
      const rowsOf = (range: number): number =>
        runs.reduce((n, { before }) => n + before[range + 1]! - before[range]!, 0);
      for (let first = 0, end = 0; first < ranges; first = end) {
        let count = rowsOf(end++);
        for (; end < ranges; end++) {
          const more = rowsOf(end);
          if (count + more > rowsAtOnce) break;
          count += more;
        }
        if (count === 0) continue;
        const rows = new Uint8Array(count * width * 4);
        let filled = 0;
        for (const { at, before } of runs) {
          const size = (before[end]! - before[first]!) * width * 4;
          const into = rows.subarray(filled, filled + size);
          await doing(folder, read(file, into, at + before[first]! * width * 4));
          filled += size;
        }
        yield new Int32Array(rows.buffer);
      }
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
};

const countsOf = (rows: Int32Array): Uint32Array => {
  const before = new Uint32Array(ranges + 1);
  for (let i = 0; i < rows.length; i += width) before[rangeOf(rows[i]!) + 1]!++;
  for (let r = 1; r <= ranges; r++) before[r]! += before[r - 1]!;
  return before;
};

/** A file whose name is gone as soon as it is open, so that whatever ends the process leaves nothing. */
const openUnnamed = async (folder: string): Promise<FileHandle> => {
  const own = await mkdtemp(join(folder, 'lockstep-'));
  try {
    return await open(join(own, 'hashes'), 'wx+', 0o600);
  } finally {
    await rm(own, { recursive: true, force: true });
  }
};

const write = async (file: FileHandle, bytes: Uint8Array, at: number): Promise<void> => {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
};

const read = async (file: FileHandle, into: Uint8Array, at: number): Promise<void> => {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, at + done);
    if (bytesRead === 0) throw new Error('the file is shorter than what was written to it');
    done += bytesRead;
  }
};

const doing = <T>(folder: string, work: Promise<T>): Promise<T> =>
  work.catch((error: unknown) => {
    throw new LockstepError('TEMP_FILE', `a temporary file in ${folder} failed: ${(error as Error).message}`, {
      hint: 'Large tables are sorted there, 16 bytes a row on each side. Free some space, or name another folder with TMPDIR.',
      cause: error,
    });
  });
