import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { HashBatch } from '../../model/reader.ts';
import { inKeyHashOrder, sortByKeyHash } from './sort-hashes.ts';
import { openSpill } from './spill.ts';

/** Key hashes high and low, then the row's number twice. */
const packed = (keys: readonly bigint[], first: number): Int32Array =>
  Int32Array.from(keys.flatMap((k, i) => [Number(k >> 32n), Number(BigInt.asIntN(32, k)), first + i, ~(first + i)]));

const keyOf = (rows: Int32Array, i: number): bigint => (BigInt(rows[i]!) << 32n) | BigInt(rows[i + 1]! >>> 0);

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 0n, -1n, 2n ** 54n, -(2n ** 54n), 2n ** 54n - 1n),
);

test('every row comes back once, by adjacent ranges of key hashes, whatever the runs', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(int64, { maxLength: 60 }), { maxLength: 6 }),
      fc.integer({ min: 1, max: 100 }),
      async (runs, rowsAtOnce) => {
        await using spill = await openSpill();
        let first = 0;
        for (const keys of runs) {
          await spill.add(sortByKeyHash([packed(keys, first)]));
          first += keys.length;
        }
        const all = runs.flat();
        const seen = new Set<number>();
        let last = -(2n ** 63n);
        for await (const part of spill.parts(rowsAtOnce)) {
          assert.ok(part.length > 0);
          const keys: bigint[] = [];
          for (let i = 0; i < part.length; i += 4) {
            const row = part[i + 2]!;
            assert.equal(part[i + 3], ~row);
            assert.equal(keyOf(part, i), all[row]);
            seen.add(row);
            keys.push(keyOf(part, i));
          }
          const sorted = keys.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
          assert.ok(sorted[0]! >= last);
          last = sorted.at(-1)!;
        }
        assert.equal(seen.size, all.length);
      },
    ),
    { numRuns: 50 },
  );
});

test('the file has no name while it is used, so that a process that is killed leaves nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-spill-'));
  try {
    await using spill = await openSpill(folder);
    await spill.add(packed([1n, 2n, 3n], 0));
    assert.deepEqual(readdirSync(folder), []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a folder that cannot be written is told', async () => {
  const folder = join(tmpdir(), 'lockstep-no-such-folder');
  await assert.rejects(openSpill(folder), {
    code: 'TEMP_FILE',
    message: new RegExp(`${folder}.*ENOENT`),
    hint: /TMPDIR/,
  });
});

test('more rows than are held at once are put in order through the file', async () => {
  const rows = 1_200_000;
  const chunkRows = 50_000;
  let state = 1;
  const next = (): number => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return state | 0;
  };
  let hashes = 0;
  const chunks = async function* (): AsyncGenerator<Int32Array> {
    for (let n = 0; n < rows; n += chunkRows) {
      const chunk = new Int32Array(4 * chunkRows);
      for (let i = 0; i < chunk.length; i += 4) {
        chunk[i] = next();
        chunk[i + 1] = next();
        chunk[i + 2] = chunk[i]! ^ chunk[i + 1]!;
        chunk[i + 3] = n + i / 4;
        hashes += chunk[i + 3]!;
      }
      yield chunk;
    }
  };
  const met = { rows: 0, hashes: 0 };
  let last = -(2n ** 63n);
  const look = ({ count, keys, hashes: of }: HashBatch): void => {
    assert.ok(count <= 8192 && keys.kind === 'int64');
    const halves = new Int32Array(keys.values.buffer);
    for (let i = 0; i < count; i++) {
      assert.ok(keys.values[i]! >= last);
      last = keys.values[i]!;
      assert.equal(of[2 * i], halves[2 * i]! ^ halves[2 * i + 1]!);
      met.hashes += of[2 * i + 1]!;
    }
    met.rows += count;
  };
  for await (const batch of inKeyHashOrder(chunks(), 8192, { signal: new AbortController().signal })) look(batch);
  assert.deepEqual(met, { rows, hashes });
});

test('who is stopped reads no more of the file', async () => {
  const chunks = async function* (): AsyncGenerator<Int32Array> {
    for (let n = 0; n < 40; n++)
      yield Int32Array.from({ length: 32_768 }, (_, i) => Math.imul(n * 32_768 + i, 0x9e3779b1));
  };
  const stop = new AbortController();
  let rows = 0;
  const reading = async (): Promise<void> => {
    for await (const { count } of inKeyHashOrder(chunks(), 8192, { signal: stop.signal })) {
      rows += count;
      stop.abort(new Error('enough'));
    }
  };
  await assert.rejects(reading(), /enough/);
  assert.ok(rows < 300_000, `${rows} of 327,680 rows were read`);
});
