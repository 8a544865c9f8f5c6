import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hashBytes, hashed, hashedInt64, lookup3Vectors } from '../../src/lib/lookup3.ts';
import { canonical } from '../../src/model/canon/canonical.ts';
import { encodeUtf8 } from '../../src/model/canon/utf8.ts';
import { packedSeeds } from '../../src/model/hash/column-hash.ts';
import { cellHasher, rowHasher } from '../../src/model/hash/row-hash.ts';
import { columnSeeds } from '../../src/model/hash/spec.ts';
import type { Cell } from '../../src/model/row.ts';
import type { ColumnType } from '../../src/model/schema.ts';
import type { SelectedColumn } from '../../src/model/selected.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { columnHashSql, rowHashSql } from './spec-sql.ts';
import { seeded, valuesOf } from './values.ts';

let database: TestDatabase;
before(async () => {
  database = await testDatabase();
  await database.query("set time zone 'Asia/Kolkata'");
});
after(async () => {
  await database[Symbol.asyncDispose]();
});

const types: readonly { readonly type: ColumnType; readonly sql: string }[] = [
  { type: { kind: 'int', bits: 64 }, sql: 'int8' },
  { type: { kind: 'decimal', special: true }, sql: 'numeric' },
  { type: { kind: 'float', bits: 64 }, sql: 'float8' },
  { type: { kind: 'float', bits: 32 }, sql: 'float4' },
  { type: { kind: 'bool' }, sql: 'bool' },
  { type: { kind: 'uuid' }, sql: 'uuid' },
  { type: { kind: 'text' }, sql: 'text' },
  { type: { kind: 'bit' }, sql: 'varbit' },
  { type: { kind: 'bytes' }, sql: 'bytea' },
  { type: { kind: 'date' }, sql: 'date' },
  { type: { kind: 'time', fraction: 6 }, sql: 'time' },
  { type: { kind: 'timestamp', fraction: 6 }, sql: 'timestamp' },
  { type: { kind: 'instant', fraction: 6 }, sql: 'timestamptz' },
];

/** What PostgreSQL takes for a canonical text. */
const literal = (type: ColumnType, cell: string): string =>
  type.kind === 'bytes' ? `\\x${cell}` : type.kind === 'instant' && !cell.includes('inf') ? zoned(cell) : cell;
const zoned = (cell: string): string => (cell.endsWith(' BC') ? `${cell.slice(0, -3)}+00 BC` : `${cell}+00`);

for (const { type, sql } of types)
  for (const form of ['bytes', 'hex'] as const)
    test(`${sql} hashes to the server's 64 bits (${form})`, async () => {
      const random = seeded(`${sql}${form}`);
      const cells = valuesOf(type, random, 20_000).map((raw) => canonical(type, raw));
      for (const seed of [0n, random.uint64()]) {
        const expression = columnHashSql(type.kind, 'c', columnSeeds(seed, 3, 'row'), form);
        const { rows } = await database.query(
          `select (${expression})::text as h from unnest($1::text[]) with ordinality as u(t, n),
             lateral (select u.t::${sql} as c) as v order by u.n`,
          [cells.map((cell) => literal(type, cell))],
        );
        const hash = cellHasher(type, packedSeeds(seed, 3, 'row'), form);
        assert.equal(rows.length, cells.length);
        cells.forEach((cell, i) => {
          hash(cell);
          assert.equal(String(hashedInt64()), rows[i]!.h, `${sql} ${cell}`);
        });
      }
    });

test('the known vectors of lookup3 come out', async () => {
  for (const v of lookup3Vectors) {
    assert.equal(hashBytes(Buffer.from(v.text), v.seed), v.hash);
    const { rows } = await database.query('select hashtextextended($1 collate "C", $2)::text as h', [
      v.text,
      String(v.seed),
    ]);
    assert.equal(rows[0]!.h, String(v.hash));
  }
});

test('rows of every kind hash to the server’s row hash and fall into its buckets', async () => {
  const random = seeded('rows');
  const seed = random.uint64();
  const columns = types.map((t, i): SelectedColumn => ({ name: `c${i}`, stored: t.type, as: t.type }));
  const hasher = rowHasher(columns, 3, { seed, form: 'bytes' });
  const rows = Array.from({ length: 2000 }, () =>
    types.map(
      (t, i): Cell => (i > 2 && random.below(5) === 0 ? null : canonical(t.type, valuesOf(t.type, random, 1)[0]!)),
    ),
  );
  const sqlColumns = types.map((t, i) => ({ kind: t.type.kind, sql: `c${i}` }));
  const { rows: found } = await database.query(
    `select (${rowHashSql(sqlColumns, seed, 'bytes')})::text as h,
            ((${rowHashSql(sqlColumns.slice(0, 3), seed, 'bytes', 'key')}) & 4294967295) % 1024 as part
       from unnest(${types.map((_, i) => `$${i + 1}::text[]`).join(',')}) with ordinality
         as u(${types.map((_, i) => `t${i}`).join(',')}, n),
       lateral (select ${types.map((t, i) => `t${i}::${t.sql} as c${i}`).join(',')}) v order by n`,
    types.map((t, i) => rows.map((row) => (row[i] === null ? null : literal(t.type, row[i]!)))),
  );
  const parts = new Set<number>();
  rows.forEach((row, i) => {
    hasher.hash(row);
    assert.equal(String((BigInt(hasher.out[0]!) << 32n) | BigInt(hasher.out[1]! >>> 0)), found[i]!.h);
    assert.equal(hasher.bucket(row, 1024), Number(found[i]!.part));
    parts.add(hasher.bucket(row, 1024));
  });
  assert.ok(parts.size > 800, 'the buckets are spread');
});

test('what a linear or careless hash takes for equal hashes apart', () => {
  const decimal: ColumnType = { kind: 'decimal', special: true };
  const int: ColumnType = { kind: 'int', bits: 64 };
  const text: ColumnType = { kind: 'text' };
  const of = (types: readonly ColumnType[], row: readonly (string | null)[]): string => {
    const hasher = rowHasher(
      types.map((type, i) => ({ name: `c${i}`, stored: type, as: type })),
      1,
      { seed: 77n, form: 'bytes' },
    );
    hasher.hash(row as readonly Cell[]);
    return hasher.out.join();
  };
  const apart = (types: readonly ColumnType[], a: readonly (string | null)[], b: readonly (string | null)[]): void =>
    assert.notEqual(of(types, a), of(types, b), `${a} / ${b}`);
  apart([decimal, decimal], ['1', '10000'], ['10000', '1']);
  apart([decimal], ['5'], ['-5']);
  apart([decimal], ['NaN'], ['Infinity']);
  apart([decimal], ['Infinity'], ['-Infinity']);
  apart([decimal, decimal], ['0', null], [null, '0']);
  apart([int], ['140'], [String(140n << 32n)]);
  apart([int, int], ['1', '2'], ['2', '1']);
  apart([text, text], ['', null], [null, '']);
  apart([text, text], ['ab', 'c'], ['a', 'bc']);
  apart([text], ['abc'], [canonical(int, 'abc')]);
  apart([{ kind: 'bool' }, { kind: 'bool' }], ['true', 'false'], ['false', 'true']);
  apart([{ kind: 'timestamp', fraction: 6 }], ['9999-12-31 23:59:59.999999'], ['9999-12-31 23:59:59.999998']);
  apart(
    [
      { kind: 'float', bits: 64 },
      { kind: 'float', bits: 64 },
    ],
    ['0', null],
    [null, '0'],
  );
});

test('a text with invalid bytes hashes over the bytes that were stored', () => {
  const seeds = packedSeeds(9n, 0, 'row');
  const hash = cellHasher({ kind: 'text' }, seeds, 'bytes');
  for (const cell of ['a\udcff', '\udc80'.repeat(40), `${'é'.repeat(30)}\udcc3`]) {
    hash(cell as Cell);
    const [high, low] = hashed;
    const expected = hashBytes(encodeUtf8(cell), columnSeeds(9n, 0, 'row').value);
    assert.equal((BigInt(high!) << 32n) | BigInt(low! >>> 0), expected);
  }
});
