import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { canonical } from '../../src/model/canon/canonical.ts';
import type { Row } from '../../src/model/row.ts';
import type { ColumnType } from '../../src/model/schema.ts';
import { hashV, postgresValues, readV, selectV, sqliteValues, tablesOf, type Values, writeV } from './database.ts';
import { common } from './vectors.ts';

/** Printed by every failure; set it to go the same way again. */
const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** Code points with the places where encodings go wrong, without NUL and surrogates. */
const character = fc
  .oneof(
    fc.integer({ min: 1, max: 0x7f }),
    fc.integer({ min: 0x80, max: 0xd7ff }),
    fc.integer({ min: 0xe000, max: 0xffff }),
    fc.integer({ min: 0x10000, max: 0x10ffff }),
  )
  .map((c) => String.fromCodePoint(c));
const text = fc.array(character, { maxLength: 12 }).map((cs) => cs.join(''));

const digits = (max: number): fc.Arbitrary<string> =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: max }).map((ds) => ds.join(''));
const pad = (n: number, width: number): string => String(n).padStart(width, '0');
const double = fc.double({ noNaN: false }).map((x) => (Object.is(x, -0) ? '0' : String(x)));
const day = fc
  .date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true })
  .map((d) => `${pad(d.getUTCFullYear(), 4)}-${pad(d.getUTCMonth() + 1, 2)}-${pad(d.getUTCDate(), 2)}`);
const clock = fc
  .tuple(fc.integer({ min: 0, max: 86_399 }), fc.integer({ min: 0, max: 999_999 }))
  .map(
    ([s, us]) => `${pad(Math.floor(s / 3600), 2)}:${pad(Math.floor(s / 60) % 60, 2)}:${pad(s % 60, 2)}.${pad(us, 6)}`,
  );
const moment = fc.tuple(day, clock).map(([d, c]) => `${d} ${c}`);
const json = fc
  .jsonValue({ maxDepth: 4, stringUnit: 'grapheme' })
  .map((v) => JSON.stringify(v).replaceAll('\\u0000', ''));

interface Sort {
  readonly kind: string;
  readonly pg: string;
  readonly lite: string;
  /** A text of a value as a person may write it; canonical() of it is expected from every engine. */
  readonly value: fc.Arbitrary<string>;
  /** How SQLite's SQL writes it; absent: as a quoted text. */
  readonly literal?: (text: string) => string;
}

const sorts: readonly Sort[] = [
  {
    kind: 'int',
    pg: 'bigint',
    lite: 'INTEGER',
    value: fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n }).map(String),
    literal: (t) => t,
  },
  {
    kind: 'dec',
    pg: 'numeric',
    lite: 'TEXT',
    value: fc.tuple(fc.constantFrom('', '-'), digits(25), digits(25)).map(([s, a, b]) => `${s}${a}.${b}`),
  },
  {
    kind: 'f8',
    pg: 'double precision',
    lite: 'REAL',
    value: double.filter((t) => t !== 'NaN'),
    literal: (t) => (t === 'Infinity' ? '9e999' : t === '-Infinity' ? '-9e999' : t.includes('e') ? t : `${t}e0`),
  },
  {
    kind: 'bool',
    pg: 'boolean',
    lite: 'BOOLEAN',
    value: fc.constantFrom('true', 'false'),
    literal: (t) => (t === 'true' ? '1' : '0'),
  },
  { kind: 'text', pg: 'text', lite: 'TEXT', value: text },
  {
    kind: 'bytes',
    pg: 'bytea',
    lite: 'BLOB',
    value: fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b).toString('hex')),
    literal: (t) => `x'${t}'`,
  },
  { kind: 'date', pg: 'date', lite: 'DATE', value: day },
  { kind: 'time', pg: 'time', lite: 'TIME', value: clock },
  { kind: 'ts', pg: 'timestamp', lite: 'TIMESTAMP', value: moment },
  { kind: 'instant', pg: 'timestamptz', lite: 'TIMESTAMP', value: moment },
  { kind: 'uuid', pg: 'uuid', lite: 'UUID', value: fc.uuid() },
  { kind: 'json', pg: 'jsonb', lite: 'JSON', value: json },
];

const quoted = (t: string): string => `'${t.replaceAll("'", "''")}'`;
const pgLiteral = (s: Sort, t: string): string =>
  s.kind === 'bytes' ? `'\\x${t}'` : s.kind === 'instant' ? quoted(`${t}Z`) : quoted(t);

let pg: Values;
let lite: Values;
before(async () => {
  pg = await postgresValues();
  lite = await sqliteValues();
});
after(async () => {
  await pg[Symbol.asyncDispose]();
  await lite[Symbol.asyncDispose]();
});

let step = 1000;

for (const sort of sorts) {
  test(`random ${sort.kind} values are read alike on both engines, hash alike, and come back from a write (seed ${seed})`, async () => {
    const as: ColumnType = common[sort.kind]!;
    let tables = 0;
    const property = fc.asyncProperty(fc.array(sort.value, { minLength: 60, maxLength: 150 }), async (values) => {
      const n = tables++;
      const expected = values.map((v, i) => [String(i), canonical(as, v)]) as unknown as Row[];
      const hashes: string[][] = [];
      for (const [db, type, literal] of [
        [pg, sort.pg, (t: string) => pgLiteral(sort, t)],
        [lite, sort.lite, sort.literal ?? quoted],
      ] as const) {
        const name = `r_${sort.kind}_${n}_${step}`;
        for (const table of [name, `${name}_copy`])
          await db.run(`create table ${table} (id bigint primary key, v ${type})`);
        await db.run(`insert into ${name} values ${values.map((v, i) => `(${i}, ${literal(v)})`).join(', ')}`);
        const found = await tablesOf(db);
        assert.deepEqual(await readV(db, selectV(found.get(name)!, as)), expected, db.engine);
        if (sort.kind !== 'json') hashes.push(await hashV(db, selectV(found.get(name)!, as)));
        // Through the writer, in the column's own type; the database itself says whether both tables hold the same.
        const own = await readV(db, selectV(found.get(name)!));
        await writeV(db, found.get(`${name}_copy`)!, own, step++);
        assert.deepEqual(await readV(db, selectV(found.get(`${name}_copy`)!, as)), expected, `written to ${db.engine}`);
        const truth = db.engine === 'postgres' && sort.kind !== 'dec' && sort.kind !== 'json' && sort.kind !== 'f8';
        if (truth) assert.deepEqual(await db.truth(`${name}_copy`), await db.truth(name));
      }
      assert.deepEqual(hashes[0], hashes[1]);
    });
    await fc.assert(property, { seed, numRuns: 6, endOnFailure: true });
  });
}

test(`values that PostgreSQL makes up come back equal from a write (seed ${seed})`, async () => {
  const made: Readonly<Record<string, string>> = {
    numeric: `(random() * power(10, (n % 60) - 30))::numeric * case when n % 2 = 0 then 1 else -1 end`,
    'double precision': `case when n % 7 = 0 then 0 else (random() - 0.5) * power(10, (n % 600) - 300) end`,
    real: `((random() - 0.5) * power(10, (n % 60) - 30))::real`,
    interval: `make_interval(years => n % 40 - 20, months => n % 11, days => n % 31 - 15, secs => (random() * 100000)::numeric(12, 6)::float8)`,
    timestamptz: `'4000-01-01 BC'::timestamptz + n * interval '77 days 13:27:42.123457'`,
    date: `'4000-01-01 BC'::date + n * 731`,
    'int4range[]': `array[int4range(n, n + 5), null, int4range(n, null)]`,
    jsonb: `jsonb_build_object('n', random(), 'a', array[n, -n], 'k' || n, null, 'x', chr(1000 + n))`,
    'text[]': `array[chr(1 + n % 60000), null, md5(random()::text), repeat('"\\', n % 4)]`,
    inet: `('10.0.0.0'::inet + n)`,
    'bit varying': `(n::bit(32))::bit varying`,
  };
  for (const [i, [type, expression]] of Object.entries(made).entries()) {
    const name = `m_${i}`;
    await pg.run(`select setseed(${(seed % 1000) / 1000})`);
    await pg.run(
      `create table ${name} (id bigint primary key, v ${type}); create table ${name}_copy (id bigint primary key, v ${type})`,
    );
    await pg.run(`insert into ${name} select n, ${expression} from generate_series(1, 700) n`);
    const tables = await tablesOf(pg);
    const rows = await readV(pg, selectV(tables.get(name)!));
    assert.equal(rows.length, 700);
    await writeV(pg, tables.get(`${name}_copy`)!, rows, step++);
    assert.deepEqual(await readV(pg, selectV(tables.get(`${name}_copy`)!)), rows, type);
    const scale = type === 'numeric';
    if (!scale) assert.deepEqual(await pg.truth(`${name}_copy`), await pg.truth(name), type);
  }
});
