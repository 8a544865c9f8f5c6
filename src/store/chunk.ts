import { promisify } from 'node:util';
import { constants, crc32, zstdCompress, zstdDecompress, zstdDecompressSync } from 'node:zlib';
import type { Key } from '../model/row.ts';

/**
 * A chunk is up to `chunkItems` lines of JSON in order, as UTF-8 with a line end after each, compressed by Zstandard
 * with its checksum; `keys` has a 32-bit hash of the key of each line, so that the lines of a key are found without
 * decompressing everything. Lists of millions of items are kept this way: some thousand rows, flat memory.
 *
 * No chunk, of any version, has more lines: readers rely on it to find where a line is.
 */
export const chunkItems = 512;
const chunkBytes = 256 * 1024;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
const params = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 };

export const pack = (plain: Uint8Array): Promise<Buffer> => compress(plain, { params });

/** What `pack` was given: at once, for a chunk takes less time than the way to another thread and back. */
export const unpackNow = (body: Buffer): Buffer => zstdDecompressSync(body);

export const bytesOf = (lines: readonly string[]): Buffer =>
  Buffer.from(lines.length === 0 ? '' : `${lines.join('\n')}\n`, 'utf8');

export const linesOf = (plain: Buffer): string[] => {
  const lines = plain.toString('utf8').split('\n');
  lines.pop();
  return lines;
};

/** The lines of a body. */
export const unpack = async (body: Buffer): Promise<string[]> => linesOf(await decompress(body));

/** JSON of a key with the name of its pair: what is hashed, and what two keys are compared by. */
export const keyHash = (pair: string, key: Key): number => crc32(JSON.stringify([pair, ...key]));

export const hashBytes = (hash: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(hash);
  return bytes;
};

/** Lines gathered until they make a chunk. */
export class ChunkBuilder {
  #lines: string[] = [];
  #hashes: number[] = [];
  #size = 0;

  get count(): number {
    return this.#lines.length;
  }
  /** Is it time to cut? */
  get full(): boolean {
    return this.#lines.length >= chunkItems || this.#size >= chunkBytes;
  }
  add(line: string, hash: number): void {
    this.#lines.push(line);
    this.#hashes.push(hash);
    this.#size += line.length;
  }
  /** Empties it. `plain` are the bytes of the lines. */
  cut(): { readonly count: number; readonly lines: readonly string[]; readonly plain: Buffer; readonly keys: Buffer } {
    const lines = this.#lines;
    const plain = bytesOf(lines);
    const keys = Buffer.allocUnsafe(4 * lines.length);
    for (const [i, hash] of this.#hashes.entries()) keys.writeUInt32BE(hash, 4 * i);
    this.#lines = [];
    this.#hashes = [];
    this.#size = 0;
    return { count: lines.length, lines, plain, keys };
  }
}
