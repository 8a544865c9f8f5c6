import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { LockstepError } from '../model/errors.ts';
import { readSealed, writeSealed } from './sealed-file.ts';

const dir = mkdtempSync(join(tmpdir(), 'lockstep-sealed-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const o = { signal: new AbortController().signal };
const chunk = 64 * 1024 + 16;

const pieces = async function* (...all: Buffer[]): AsyncGenerator<Buffer> {
  yield* all;
};

/** Random bytes, for they do not get smaller. */
const some = [randomBytes(100_000), Buffer.alloc(0), randomBytes(130_000)];
const key = randomBytes(32);

const read = async (path: string, bytes: Buffer, with_: Buffer | undefined): Promise<Buffer> => {
  writeFileSync(path, bytes);
  // Whoever can change a file can change what is said of it, too: the key alone must be enough to find it.
  const file = { name: 'x', bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  const found: Buffer[] = [];
  for await (const piece of readSealed(path, file, with_, o)) found.push(piece);
  return Buffer.concat(found);
};

test('what was written is read again, with a key and without, also when it is nothing', async () => {
  for (const [i, [content, with_]] of [
    [some, key],
    [some, undefined],
    [[], key],
    [[], undefined],
  ].entries() as IterableIterator<[number, [Buffer[], Buffer | undefined]]>) {
    const path = join(dir, `whole-${i}`);
    await writeSealed(path, 'x', pieces(...content), with_, o);
    assert.deepEqual(await read(path, readFileSync(path), with_), Buffer.concat(content));
  }
});

test('an encrypted file that was cut between chunks, reordered, lengthened, changed, or belongs to another key is refused', async () => {
  const path = join(dir, 'sealed');
  await writeSealed(path, 'x', pieces(...some), key, o);
  const whole = readFileSync(path);
  assert.ok(whole.length > 3 * chunk);
  const part = (from: number, to: number): Buffer => whole.subarray(from * chunk, to * chunk);
  const flipped = (at: number): Buffer => {
    const bytes = Buffer.from(whole);
    bytes[at] = bytes[at]! ^ 1;
    return bytes;
  };
  const wrong: Readonly<Record<string, Buffer>> = {
    'cut after a chunk': part(0, 2),
    'without its first chunk': whole.subarray(chunk),
    'chunks exchanged': Buffer.concat([part(1, 2), part(0, 1), whole.subarray(2 * chunk)]),
    'a chunk twice': Buffer.concat([part(0, 1), part(0, 1), whole.subarray(chunk)]),
    'more after its end': Buffer.concat([whole, Buffer.alloc(20)]),
    nothing: Buffer.alloc(0),
    'first bit': flipped(0),
    'a bit in the middle': flipped(chunk + 100),
    'last bit': flipped(whole.length - 1),
  };
  const refused = (error: unknown): boolean => error instanceof LockstepError && error.code === 'BACKUP';
  for (const [what, bytes] of Object.entries(wrong)) await assert.rejects(read(path, bytes, key), refused, what);
  await assert.rejects(read(path, whole, randomBytes(32)), refused, 'another key');
});
