import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgres } from '../../src/engines/postgres/index.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { overEndpoint, overReader } from '../conformance/wrap.ts';
import { testDatabase } from '../servers/postgres.ts';
import { compareAll, sums } from './tables.ts';

/** Rows merged by their bytes must give what rows merged by their cells give. */

const { signal } = new AbortController();
const utf8 = '';
const latin1 = "template template0 encoding 'LATIN1' locale_provider libc locale 'C'";
const sqlAscii = "template template0 encoding 'SQL_ASCII' locale_provider libc locale 'C'";

const open = (url: string, name: string): Promise<Endpoint> =>
  postgres.connect(postgres.parse(url), { name, writable: false, signal });

/** The same endpoint, whose readers offer cells only. */
const byCells = (endpoint: Endpoint): Endpoint =>
  overEndpoint(endpoint, {
    snapshot: async (o) => overReader(await endpoint.snapshot(o), {}),
    [Symbol.asyncDispose]: async () => {},
  });

interface Scene {
  readonly source: readonly string[];
  readonly target: readonly string[];
  readonly encodings?: readonly [string, string];
  /** Keys that differ, with the sides that show them where it is one only. */
  readonly differ: readonly string[];
  /** Whether bytes can be merged at all. */
  readonly bytes?: false;
  /** How many rows had other bytes. */
  readonly read?: number;
  readonly pair?: object;
  readonly tolerated?: object;
}

const compareScene = async (scene: Scene): Promise<void> => {
  await using a = await testDatabase(scene.encodings?.[0] ?? utf8);
  await using b = await testDatabase(scene.encodings?.[1] ?? utf8);
  for (const sql of scene.source) await a.query(sql);
  for (const sql of scene.target) await b.query(sql);
  await using source = await open(a.url, 'left');
  await using target = await open(b.url, 'right');
  const asked = { force: 'rows' as const, pairs: [{ source: 't', ...scene.pair }] };
  const raw = await compareAll(source, target, asked);
  const cells = await compareAll(byCells(source), byCells(target), asked);
  assert.deepEqual(raw.differences, cells.differences);
  assert.deepEqual(
    raw.differences.map((d) => d.key.join('/')),
    scene.differ,
  );
  for (const { pair } of [raw, cells]) {
    assert.deepEqual(sums(pair), []);
    assert.equal(pair.strategy, 'merge');
    if (scene.tolerated) assert.deepEqual(pair.tolerated, scene.tolerated);
  }
  const told = (p: typeof raw.pair) => ({ ...p, elapsed_ms: 0, settle_ms: 0, explain: null });
  assert.deepEqual(told(raw.pair), told(cells.pair));
  assert.doesNotMatch(cells.pair.explain.decision, /bytes/);
  if (scene.bytes === false) assert.doesNotMatch(raw.pair.explain.decision, /bytes/);
  else assert.match(raw.pair.explain.decision, /rows of the same bytes are equal/);
  if (scene.read !== undefined)
    assert.match(raw.pair.explain.decision, new RegExp(`, ${scene.read} of [\\d,]+ rows had other bytes`));
};

const scenes: Readonly<Record<string, Scene>> = {
  'numbers of another scale, JSON of another spelling, zeros of another sign': {
    source: [
      'create table t (id int primary key, n numeric, j jsonb, f float8, g float4)',
      `insert into t values (1, 1.0, '{"a": 1.0}', '-0', '-0'), (2, 'NaN', '[1e2]', 'NaN', 'NaN'),
         (3, 1.5, '{}', 0.1, 0.1), (4, 0, '1', 1, 1), (5, 0.00, '[[1],2]', 'Infinity', 1)`,
    ],
    target: [
      'create table t (id int primary key, n numeric, j jsonb, f float8, g float4)',
      `insert into t values (1, 1.00, '{"a": 1}', 0, 0), (2, 'NaN', '[100]', 'NaN', 'NaN'),
         (3, 1.51, '{}', 0.1, 0.1), (4, 0, '1', 1, 1), (5, 0, '[[1,2]]', '-Infinity', 1)`,
    ],
    differ: ['3', '5'],
    read: 6,
  },
  'integers of another width, and moments with and without a time zone': {
    source: [
      'create table t (id bigint primary key, n smallint, m timestamptz)',
      `insert into t values (-5, 7, '2024-02-29 12:00Z'), (1, -1, 'infinity'), (2, 0, '0044-03-15 BC Z'), (9, 3, 'epoch')`,
    ],
    target: [
      'create table t (id int primary key, n bigint, m timestamp)',
      `insert into t values (-5, 7, '2024-02-29 12:00'), (1, -1, 'infinity'), (2, 65536, '0044-03-15 BC'), (9, 3, '-infinity')`,
    ],
    differ: ['2', '9'],
    read: 4,
  },
  'numbers of two scales, and a number against a whole one': {
    source: [
      'create table t (id int primary key, n numeric(12,2), w numeric(9,0))',
      'insert into t values (1, 19.90, 5), (2, 19.90, 5), (3, 100, 10)',
    ],
    target: [
      'create table t (id int primary key, n numeric(14,4), w int)',
      'insert into t values (1, 19.9, 5), (2, 19.9049, 5), (3, 100, 1)',
    ],
    differ: ['2', '3'],
    read: 4,
  },
  'a number against a text of the same letters': {
    source: [
      'create table t (id int primary key, n numeric(6,2))',
      'insert into t values (1, 1.50), (2, 1.25), (3, 2)',
    ],
    target: ['create table t (id int primary key, n text)', `insert into t values (1, '1.50'), (2, '1.25'), (3, '2')`],
    differ: ['1'],
  },
  'texts of two encodings': {
    source: [
      'create table t (id text primary key, v text)',
      `insert into t values ('ä', 'é'), ('b', 'Ã©'), ('c', 'ü')`,
    ],
    target: ['create table t (id text primary key, v text)', `insert into t values ('ä', 'é'), ('b', 'é'), ('c', 'ü')`],
    encodings: [utf8, latin1],
    differ: ['b'],
  },
  'bytes that are no text': {
    source: [
      'create table t (id int primary key, v text)',
      `set client_encoding to sql_ascii`,
      `insert into t values (1, convert_from('\\xff', 'SQL_ASCII')), (2, convert_from('\\xc3a9', 'SQL_ASCII')), (3, 'a')`,
    ],
    target: ['create table t (id int primary key, v text)', `insert into t values (1, U&'\\FFFD'), (2, 'é'), (3, 'a')`],
    encodings: [sqlAscii, utf8],
    differ: ['1'],
    read: 2,
  },
  'tolerances are counted as they are between cells': {
    source: [
      'create table t (id int primary key, n numeric(12,2), s text)',
      `insert into t values (1, 1, 'A'), (2, 2, 'x'), (3, 3, 'y'), (4, 4, 'q')`,
    ],
    target: [
      'create table t (id int primary key, n numeric(12,2), s text)',
      `insert into t values (1, 1.01, 'a'), (2, 2, 'x'), (3, 3.5, 'Y'), (4, 4, 'Q')`,
    ],
    pair: { tolerances: { n: { numeric: '0.01' }, s: { ignoreCase: true } } },
    tolerated: { n: 1, s: 3 },
    differ: ['3'],
    read: 6,
  },
  'keys in pieces, rows on one side only, NULL against empty': {
    source: [
      'create table t (a text, b uuid, v text, primary key (a, b))',
      `insert into t select chr(96 + n % 3), md5(n::text)::uuid, nullif(n % 5, 0)::text from generate_series(1, 50) n`,
    ],
    target: [
      'create table t (a text, b uuid, v text, primary key (a, b))',
      `insert into t select chr(96 + n % 3), md5(n::text)::uuid, coalesce(nullif(n % 5, 0)::text, case when n = 10 then '' end) from generate_series(1, 50) n`,
      `update t set a = 'z' where b = md5('7')::uuid`,
    ],
    differ: [
      'a/8f14e45f-ceea-167a-5a36-dedd4bea2543',
      'a/d3d94468-02a4-4259-755d-38e6d163e820',
      'z/8f14e45f-ceea-167a-5a36-dedd4bea2543',
    ],
  },
  'keys that may repeat are all looked at': {
    source: ['create table t (id int, v text)', `insert into t values (1, 'a'), (2, 'b'), (2, 'b'), (3, 'c')`],
    target: ['create table t (id int, v text)', `insert into t values (1, 'a'), (2, 'b'), (2, 'b'), (3, 'd')`],
    pair: { key: ['id'] },
    differ: ['3'],
    bytes: false,
  },
  'one side is empty': {
    source: ['create table t (id int primary key, v text)'],
    target: ['create table t (id int primary key, v text)', `insert into t values (1, 'a'), (2, null)`],
    differ: ['1', '2'],
    read: 2,
  },
  'both sides are empty': {
    source: ['create table t (id int primary key, v text)'],
    target: ['create table t (id int primary key, v text)'],
    differ: [],
    read: 0,
  },
  'rows of a megabyte between small ones': {
    source: [
      'create table t (id int primary key, v text)',
      `insert into t select n, repeat(n::text || '-', case when n % 100 = 0 then 300000 else n % 50 end) from generate_series(1, 500) n`,
    ],
    target: [
      'create table t (id int primary key, v text)',
      `insert into t select n, repeat(n::text || '-', case when n % 100 = 0 then 300000 else n % 50 end) from generate_series(1, 500) n`,
      `update t set v = v || 'x' where id in (199, 200, 201, 500)`,
    ],
    differ: ['199', '200', '201', '500'],
    read: 8,
  },
};

for (const [name, scene] of Object.entries(scenes)) test(`by bytes as by cells: ${name}`, () => compareScene(scene));
