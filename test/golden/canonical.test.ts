import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { canonical } from '../../src/model/canon/canonical.ts';
import { doubleFromHex, doubleToHex, floatAsText } from '../../src/model/canon/float.ts';
import { isMisfit } from '../../src/model/canon/misfit.ts';
import { decodeUtf8 } from '../../src/model/canon/utf8.ts';
import type { Text } from '../../src/model/row.ts';
import type { ColumnType } from '../../src/model/schema.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { seeded } from './values.ts';

interface Vector {
  readonly canon: string | null;
  /** Per engine: column type, SQL literal. */
  readonly pg?: readonly (readonly [string, string])[];
  readonly lite?: readonly (readonly [string, string])[];
}
const golden = JSON.parse(readFileSync(new URL('canonical.json', import.meta.url), 'utf8')) as {
  readonly kinds: Readonly<Record<string, { readonly vectors: readonly Vector[] }>>;
};

const typeOf: Readonly<Record<string, ColumnType>> = {
  int: { kind: 'int', bits: 64 },
  dec: { kind: 'decimal', special: true },
  f8: { kind: 'float', bits: 64 },
  f4: { kind: 'float', bits: 32 },
  bool: { kind: 'bool' },
  text: { kind: 'text' },
  bytes: { kind: 'bytes' },
  date: { kind: 'date' },
  time: { kind: 'time', fraction: 6 },
  ts: { kind: 'timestamp', fraction: 6 },
  instant: { kind: 'instant', fraction: 6 },
  uuid: { kind: 'uuid' },
  json: { kind: 'json', binary: true },
  bit: { kind: 'bit' },
};

/** The vectors write doubles as hexadecimal and booleans as digits: one-to-one forms of the same values. */
const expected = (kind: string, canon: string): string => {
  if (kind === 'f8' || kind === 'f4') return doubleFromHex(canon);
  return kind === 'bool' ? (canon === '1' ? 'true' : 'false') : canon;
};

let database: TestDatabase;
before(async () => {
  database = await testDatabase();
  await database.query("create type spk_enum as enum ('a','B','c,d'); set time zone 'America/New_York'");
});
after(async () => {
  await database[Symbol.asyncDispose]();
});

for (const [kind, { vectors }] of Object.entries(golden.kinds)) {
  const type = typeOf[kind];
  if (type === undefined) continue;

  test(`${kind}: PostgreSQL's own text of every vector reads as the golden text`, async () => {
    let cases = 0;
    for (const { canon, pg } of vectors)
      for (const [sqlType, literal] of pg ?? []) {
        if (canon === null || sqlType === 'timetz') continue;
        const { rows } = await database.query(`select (${literal})::${sqlType}::text as c`);
        // CHAR(n) and uuid as text are trimmed and read by their own type.
        const read: ColumnType = sqlType.startsWith('numeric') ? { kind: 'decimal' } : type;
        assert.equal(canonical(read, rows[0]!.c as string), expected(kind, canon), `${sqlType} ${literal}`);
        cases++;
      }
    assert.ok(cases > 1);
  });

  test(`${kind}: a canonical text reads as itself`, () => {
    for (const { canon, pg } of vectors)
      if (canon !== null && pg !== undefined && pg[0]?.[0] !== 'timetz' && canon !== '18446744073709551615') {
        const text = expected(kind, canon);
        assert.equal(canonical(type, text), text);
      }
  });

  test(`${kind}: the texts that SQLite keeps read as the golden text`, () => {
    let cases = 0;
    for (const { canon, lite } of vectors)
      for (const [liteType, literal] of lite ?? []) {
        const text = /^'((?:[^']|'')*)'$/.exec(literal)?.[1]?.replaceAll("''", "'");
        if (canon === null || text === undefined || canon === '2023-02-31') continue;
        const read: ColumnType = liteType.startsWith('CHAR') ? { kind: 'text', padded: true } : type;
        assert.equal(canonical(read, text), expected(kind, canon), literal);
        cases++;
      }
    assert.ok(cases > 0 || ['int', 'f8', 'f4', 'bytes', 'bit'].includes(kind));
  });
}

test('doubles come out of the server’s hexadecimal as JavaScript prints them, and go back', async () => {
  const random = seeded('doubles');
  const view = new DataView(new ArrayBuffer(8));
  const values = Array.from({ length: 20_000 }, () => {
    view.setBigUint64(0, random.uint64());
    return view.getFloat64(0);
  });
  for (let e = -1074; e < 1024; e++) values.push(2 ** e);
  for (let e = -323; e < 309; e++) values.push(Number(`1e${e}`));
  const { rows } = await database.query(
    `select case when c = 'NaN' then '7ff8000000000000' else encode(float8send(c + 0), 'hex') end as hex
       from unnest($1::float8[]) with ordinality as u(c, n) order by n`,
    [values.map(String)],
  );
  values.forEach((x, i) => {
    const hex = rows[i]!.hex as string;
    const text = doubleFromHex(hex);
    assert.equal(text, x === 0 ? '0' : String(x));
    assert.equal(doubleToHex(text), hex);
  });
});

test('a 32-bit float’s shortest decimal is what the server prints', async () => {
  const random = seeded('singles');
  const view = new DataView(new ArrayBuffer(4));
  const values: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    view.setUint32(0, Number(random.uint64() & 0xffffffffn));
    if (Number.isFinite(view.getFloat32(0))) values.push(view.getFloat32(0));
  }
  for (let e = -149; e < 128; e++) values.push(2 ** e, -(2 ** e));
  for (let e = -45; e < 39; e++) values.push(Math.fround(Number(`1e${e}`)));
  const { rows } = await database.query(
    'select c::text as t from unnest($1::float4[]) with ordinality as u(c, n) order by n',
    [values.map(String)],
  );
  values.forEach((x, i) => {
    const ours = floatAsText(canonical({ kind: 'float', bits: 32 }, String(x)), 32);
    assert.equal(ours, canonical({ kind: 'float', bits: 64 }, rows[i]!.t as string), String(x));
  });
});

test('every date and time that the server prints reads as itself', async () => {
  const { rows } = await database.query(`
    select (c at time zone 'UTC')::date::text as d, (c at time zone 'UTC')::text as t, (c at time zone 'UTC')::time::text as o, c::text as z from (
      select '4714-11-24 00:00:00+00 BC'::timestamptz + make_interval(days => (i::bigint * 7919 % 109203489)::int, secs => (i * 7.123457)::numeric % 86400) as c
        from generate_series(0, 20000) as i) as v`);
  for (const { d, t, o, z } of rows as { d: string; t: string; o: string; z: string }[]) {
    assert.equal(canonical(typeOf['date']!, d), d);
    assert.equal(canonical(typeOf['ts']!, t), t);
    assert.equal(canonical(typeOf['time']!, o), o);
    assert.equal(canonical(typeOf['instant']!, z), t, z);
  }
});

test('a text that the server could not have sent stays whole', () => {
  const stored = decodeUtf8(Buffer.from('61ff', 'hex'));
  assert.equal(canonical({ kind: 'text' }, stored), stored);
  assert.ok(isMisfit(canonical({ kind: 'json', binary: true }, `"${stored}"`)));
  assert.notEqual(
    canonical({ kind: 'json', binary: true }, `"${stored}"`),
    canonical({ kind: 'json', binary: true }, '"a\\udcff"'),
  );
  assert.ok(isMisfit(canonical({ kind: 'int', bits: 64 }, '' as Text)));
});
