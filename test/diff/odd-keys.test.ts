import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PairReport } from '../../src/model/report.ts';
import { type EngineName, openSide, type Side } from './sides.ts';
import { compareAll, sums } from './tables.ts';

const ways = ['digest', 'hashes', 'key_hashes', 'rows'] as const;

interface Made {
  readonly source: readonly string[];
  readonly target: readonly string[];
  readonly key: readonly string[];
}

/** Compares two tables that statements have made, in every way. */
type Comparing = (made: Made) => Promise<readonly Found[]>;

interface Found {
  readonly force: (typeof ways)[number];
  readonly pair: PairReport;
  /** Kind and key of each difference. */
  readonly keys: readonly string[];
}

const comparing =
  (source: Side, target: Side): Comparing =>
  async (made) => {
    for (const side of [source, target]) await side.run('drop table if exists t');
    for (const statement of made.source) await source.run(statement);
    for (const statement of made.target) await target.run(statement);
    const found: Found[] = [];
    for (const force of ways) {
      const { pair, differences } = await compareAll(source.endpoint, target.endpoint, {
        force,
        pairs: [{ source: 't', key: made.key }],
      });
      assert.deepEqual(sums(pair), []);
      found.push({ force, pair, keys: differences.map((d) => `${d.kind} ${d.key.join(' ')}`).sort() });
    }
    return found;
  };

/** Tests that share two databases. */
const suite = (engine: EngineName, tests: Readonly<Record<string, (compared: Comparing) => Promise<void>>>): void => {
  test(`${engine}: keys that are easily lost`, async (t) => {
    await using source = await openSide(engine, 'left');
    await using target = await openSide(engine, 'right');
    for (const [name, work] of Object.entries(tests)) await t.test(name, () => work(comparing(source, target)));
  });
};

suite('sqlite', {
  'whole numbers of nineteen digits are found again by their keys, where they are read as decimals': async (
    compared,
  ) => {
    const table = 'create table t (id numeric not null primary key, v int)';
    const rows = (but: string, v: string): string =>
      `insert into t with recursive n(i) as (select 0 union all select i + 1 from n where i < 199)
     select 1800000000000000000 + i, ${v} from n where i <> ${but}`;
    const found = await compared({
      source: [table, rows('-1', 'i')],
      target: [table, rows('7', 'iif(i = 150, -1, i)')],
      key: ['id'],
    });
    for (const { force, keys } of found)
      assert.deepEqual(keys, ['different 1800000000000000150', 'only_in_source 1800000000000000007'], force);
  },

  'texts that only blanks at their ends tell apart are duplicates of a CHAR that keeps them, in every way': async (
    compared,
  ) => {
    const table = 'create table t (k char(4) not null primary key, v int)';
    const rows = "insert into t values ('a', 1), ('a ', 2), ('b', 3)";
    const found = await compared({ source: [table, rows], target: [table, rows], key: ['k'] });
    for (const { force, pair } of found) assert.deepEqual([pair.identical, pair.duplicate_key], [1, 1], force);
  },
});

suite('postgres', {
  'the first days that PostgreSQL has are found again by their keys': async (compared) => {
    for (const type of ['date', 'timestamptz']) {
      const table = `create table t (at ${type} primary key, v int)`;
      const rows = `insert into t select '2000-01-01'::timestamp + i * interval '1 day', i from generate_series(1, 200) i`;
      const first = `insert into t values ('4714-11-24 BC', 1), ('4714-12-31 BC', 2)`;
      const found = await compared({ source: [table, rows, first], target: [table, rows], key: ['at'] });
      for (const { force, pair } of found) assert.equal(pair.only_in_source, 2, `${type} by ${force}`);
    }
  },

  'keys that are floats on one side and numbers on the other are found again by what they are written as': async (
    compared,
  ) => {
    const rows = `insert into t select i + 0.7, i from generate_series(1, 200) i`;
    const found = await compared({
      source: ['create table t (k float4 primary key, v int)', rows, 'insert into t values (0.1, 1), (0.7, 1)'],
      target: [
        'create table t (k numeric primary key, v int)',
        rows,
        'insert into t values (0.1, 2), (0.10000000149011612, 1), (0.69999999, 1), (1e39, 1)',
      ],
      key: ['k'],
    });
    for (const { force, keys, pair } of found) {
      assert.deepEqual(
        keys,
        [
          'different 0.1',
          'only_in_source 0.7',
          'only_in_target 0.10000000149011612',
          'only_in_target 0.69999999',
          `only_in_target 1${'0'.repeat(39)}`,
        ],
        force,
      );
      assert.equal(pair.duplicate_key, 0, force);
    }
  },

  'rows whose key holds a NULL stand between those that are read again': async (compared) => {
    const table = 'create table t (a int, b int, v int)';
    const rows = (v: string): string =>
      `insert into t select i / 3, nullif(i % 3, 0), ${v} from generate_series(0, 59) i`;
    const found = await compared({ source: [table, rows('1')], target: [table, rows('i')], key: ['a', 'b'] });
    for (const { force, pair } of found)
      assert.deepEqual([pair.identical, pair.different, pair.apart], [1, 39, { source: 20, target: 20 }], force);
  },
});
