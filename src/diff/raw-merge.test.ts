import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RawBatch } from '../model/reader.ts';
import type { Row } from '../model/row.ts';
import type { Selection } from '../model/selected.ts';
import { mergeRaw } from './raw-merge.ts';

const selection: Selection = {
  table: { name: 'things' },
  keyWidth: 1,
  columns: ['id', 'v'].map((name) => ({
    name,
    stored: { kind: 'int', bits: 64 },
    as: { kind: 'int', bits: 64 },
  })),
};
const work = { selections: { source: selection, target: selection }, signal: new AbortController().signal };

/** A row as somebody spells it: `zeros` in front of the value do not change it. */
interface Spelt {
  readonly id: number;
  readonly v: number;
  readonly zeros: number;
}

/** Rows behind their length, cut into batches, with bytes in front that belong to nobody. */
async function* batchesOf(rows: readonly Spelt[], size: number, lead: number): AsyncGenerator<RawBatch> {
  for (let from = 0; from < rows.length; from += size) {
    const parts = rows.slice(from, from + size).map(({ id, v, zeros }) => {
      const text = Buffer.from(`${id},${'0'.repeat(zeros)}${v}`);
      return Buffer.concat([Buffer.from([text.length]), text]);
    });
    const ends = new Int32Array(parts.length + 3); // longer than it is filled
    let at = lead;
    parts.forEach((part, i) => {
      at += part.length;
      ends[i] = at;
    });
    const bytes = Buffer.concat([Buffer.alloc(lead, 0xee), ...parts]);
    yield {
      bytes,
      start: lead,
      ends,
      count: parts.length,
      row: (i) => {
        const [id, v] = bytes.toString('latin1', (i === 0 ? lead : ends[i - 1]!) + 1, ends[i]!).split(',');
        return [id!, String(Number(v))] as unknown as Row;
      },
    };
  }
}

interface Side {
  readonly rows: readonly Spelt[];
  readonly size: number;
  readonly lead: number;
}

const merged = async (source: Side, target: Side) => {
  const found: string[] = [];
  let breathed = 0;
  const met = await mergeRaw(
    work,
    (side) => {
      const { rows, size, lead } = side === 'source' ? source : target;
      return batchesOf(rows, size, lead);
    },
    {
      same: (a, b) => a.every((cell, i) => cell === b[i]),
      unequal: (key, s, i, t, j) => {
        assert.deepEqual((s?.keys?.[i] ?? t?.keys?.[j])?.[0], (key as Row)[0]);
        found.push(`${s?.keys?.[i]?.join('=') ?? '-'} ${t?.keys?.[j]?.join('=') ?? '-'}`);
      },
      breathe: (n) => {
        breathed += n;
        return undefined;
      },
    },
  );
  assert.equal(breathed, met.source + met.target);
  return { found, met };
};

const spelt = fc.record({ id: fc.integer({ min: 0, max: 60 }), v: fc.integer({ min: 0, max: 2 }), zeros: fc.nat(1) });
const rowsOf = fc
  .uniqueArray(spelt, { maxLength: 60, selector: (r) => r.id })
  .map((rows) => rows.sort((a, b) => a.id - b.id));
/** Mostly the rows of the other side, so that long runs of equal bytes occur. */
const pairOfSides = fc
  .tuple(rowsOf, rowsOf, fc.integer({ min: 0, max: 60 }), fc.nat(12))
  .map(([rows, others, from, length]) => {
    const inside = (r: Spelt): boolean => r.id >= from && r.id < from + length;
    return [rows, [...rows.filter((r) => !inside(r)), ...others.filter(inside)].sort((a, b) => a.id - b.id)] as const;
  });
const size = fc.constantFrom(1, 2, 3, 7, 100);

test('finds what a naive comparison finds, however rows are spelled and cut into batches', async () => {
  let read = 0;
  let skipped = 0;
  await fc.assert(
    fc.asyncProperty(pairOfSides, size, size, fc.nat(3), async ([s, t], sizeS, sizeT, lead) => {
      const { found, met } = await merged({ rows: s, size: sizeS, lead }, { rows: t, size: sizeT, lead: 0 });
      const expected: string[] = [];
      let identical = 0;
      for (let id = 0; id <= 60; id++) {
        const [a, b] = [s.find((r) => r.id === id), t.find((r) => r.id === id)];
        if (a && b && a.v === b.v) identical++;
        else if (a || b) expected.push(`${a ? `${id}=${a.v}` : '-'} ${b ? `${id}=${b.v}` : '-'}`);
      }
      assert.deepEqual(found, expected);
      assert.deepEqual([met.identical, met.source, met.target], [identical, s.length, t.length]);
      const sameBytes = s.filter((a) => t.some((b) => a.id === b.id && a.v === b.v && a.zeros === b.zeros)).length;
      read += met.read;
      skipped += s.length + t.length - met.read;
      assert.ok(met.read <= s.length + t.length);
      if (sameBytes === s.length && sameBytes === t.length) assert.equal(met.read, 0);
    }),
    { numRuns: 3000 },
  );
  assert.ok(read > 1000 && skipped > 1000, `${read} rows read, ${skipped} not`);
});

test('a side that breaks the order is not compared', async () => {
  const row = (id: number, v = 1): Spelt => ({ id, v, zeros: 0 });
  const whole = [1, 2, 3, 4, 5, 6].map((id) => row(id));
  for (const broken of [
    [3, 1, 2, 4, 5, 6],
    [1, 2, 3, 5, 4, 6],
    [2, 3, 4, 5, 6, 1],
    [1, 2, 2, 3, 4, 5],
  ])
    for (const n of [1, 2, 100]) {
      const bad = { rows: broken.map((id) => row(id)), size: n, lead: 0 };
      const good = { rows: whole, size: 3, lead: 0 };
      for (const sides of [[bad, good] as const, [good, bad] as const])
        await assert.rejects(merged(...sides), /did not arrive in key order/, `${broken} by ${n}`);
    }
});

test('a side that fails ends the other', async () => {
  let ended = false;
  async function* endless(signal: AbortSignal): AsyncGenerator<RawBatch> {
    try {
      for (let id = 0; ; id += 5) {
        signal.throwIfAborted();
        yield* batchesOf([{ id, v: 1, zeros: 0 }], 1, 0);
      }
    } finally {
      ended = true;
    }
  }
  // biome-ignore lint/correctness/useYield: it fails before it could
  async function* failing(): AsyncGenerator<RawBatch> {
    throw new Error('the connection broke');
  }
  await assert.rejects(
    mergeRaw(work, (side, signal) => (side === 'source' ? endless(signal) : failing()), {
      same: () => true,
      unequal: () => undefined,
      breathe: () => undefined,
    }),
    /the connection broke/,
  );
  assert.ok(ended);
});
