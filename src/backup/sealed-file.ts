import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';

/** One file of a backup as it lies on the disk. */
export interface BackupFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

const chunkBytes = 64 * 1024;
const tagBytes = 16;
const pieceBytes = 256 * 1024;

/**
 * The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015): each chunk's nonce holds its number and whether
 * it is the last, so none can be left out, moved, or cut off. A key is used for one file only.
 */
const nonce = (number: number, last: boolean): Buffer => {
  const bytes = Buffer.alloc(12);
  bytes.writeBigUInt64BE(BigInt(number), 3);
  bytes[11] = last ? 1 : 0;
  return bytes;
};

/** Pieces of `size` bytes; the last one, which comes always and may be empty, says so. */
const chunks = async function* (
  source: AsyncIterable<Buffer>,
  size: number,
): AsyncGenerator<{ readonly bytes: Buffer; readonly last: boolean }, void, undefined> {
  let parts: Buffer[] = [];
  let held = 0;
  for await (const piece of source) {
    parts.push(piece);
    held += piece.length;
    if (held <= size) continue;
    const all = Buffer.concat(parts, held);
    let at = 0;
    for (; held - at > size; at += size) yield { bytes: all.subarray(at, at + size), last: false };
    parts = [all.subarray(at)];
    held -= at;
  }
  yield { bytes: Buffer.concat(parts, held), last: true };
};

const encrypted = async function* (
  source: AsyncIterable<Buffer>,
  key: Buffer,
): AsyncGenerator<Buffer, void, undefined> {
  let number = 0;
  for await (const { bytes, last } of chunks(source, chunkBytes)) {
    const cipher = createCipheriv('aes-256-gcm', key, nonce(number++, last));
    const body = cipher.update(bytes);
    cipher.final();
    yield Buffer.concat([cipher.getAuthTag(), body]);
  }
};

const decrypted = async function* (
  source: AsyncIterable<Buffer>,
  key: Buffer,
): AsyncGenerator<Buffer, void, undefined> {
  let number = 0;
  for await (const { bytes, last } of chunks(source, chunkBytes + tagBytes)) {
    if (bytes.length < tagBytes) throw new Error('a chunk is cut off');
    const decipher = createDecipheriv('aes-256-gcm', key, nonce(number++, last));
    decipher.setAuthTag(bytes.subarray(0, tagBytes));
    const body = decipher.update(bytes.subarray(tagBytes));
    decipher.final();
    yield body;
  }
};

/** Writes compressed, encrypted where there is a key, and waits until the disk has it. The file must not be there. */
export const writeSealed = async (
  path: string,
  name: string,
  source: AsyncIterable<Buffer>,
  key: Buffer | undefined,
  o: Cancel,
): Promise<BackupFile> => {
  const hash = createHash('sha256');
  let bytes = 0;
  const packed = Readable.from(source, { objectMode: true }).compose(createZstdCompress(), { signal: o.signal });
  await using file = await open(path, 'wx', 0o600);
  for await (const piece of key === undefined ? packed : encrypted(packed, key)) {
    hash.update(piece as Buffer);
    bytes += (piece as Buffer).length;
    await file.writeFile(piece as Buffer);
  }
  await file.sync();
  return { name, bytes, sha256: hash.digest('hex') };
};

const damaged = (path: string, what: string, cause?: unknown): LockstepError =>
  new LockstepError('BACKUP', `${path} is damaged: ${what}`, {
    hint: 'Use another backup: lockstep backup list',
    ...(cause === undefined ? {} : { cause }),
  });

const stored = async (path: string, file: BackupFile): Promise<void> => {
  const found = await stat(path).catch((cause: unknown) => {
    throw new LockstepError('BACKUP', `${path} is missing`, {
      hint: 'Use another backup: lockstep backup list',
      cause,
    });
  });
  if (found.size !== file.bytes) throw damaged(path, `it has ${found.size} bytes, written were ${file.bytes}`);
};

const unlike = 'its digest is not that of what was written';

/** Is a file what was written, byte for byte? Throws BACKUP. */
export const checkStored = async (path: string, file: BackupFile, o: Cancel): Promise<void> => {
  await stored(path, file);
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: pieceBytes, signal: o.signal }))
    hash.update(piece as Buffer);
  if (hash.digest('hex') !== file.sha256) throw damaged(path, unlike);
};

/** What was written. Throws BACKUP at the latest at the end, when it is not: what came before must not count then. */
export const readSealed = async function* (
  path: string,
  file: BackupFile,
  key: Buffer | undefined,
  o: Cancel,
): AsyncGenerator<Buffer, void, undefined> {
  await stored(path, file);
  const hash = createHash('sha256');
  const read = async function* (): AsyncGenerator<Buffer, void, undefined> {
    for await (const piece of createReadStream(path, { highWaterMark: pieceBytes, signal: o.signal })) {
      hash.update(piece as Buffer);
      yield piece as Buffer;
    }
  };
  try {
    const opened = key === undefined ? read() : decrypted(read(), key);
    yield* Readable.from(opened, { objectMode: true }).compose(createZstdDecompress(), {
      signal: o.signal,
    }) as AsyncIterable<Buffer>;
  } catch (error) {
    o.signal.throwIfAborted();
    throw error instanceof LockstepError ? error : damaged(path, 'its bytes are not those that were written', error);
  }
  if (hash.digest('hex') !== file.sha256) throw damaged(path, unlike);
};
