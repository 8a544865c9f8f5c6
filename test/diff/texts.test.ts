import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { connect as connectMysql } from '../engines/mysql-support.ts';
import { connect as connectPostgres } from '../engines/postgres-support.ts';
import { isMariadbMissing, mariadbDatabase } from '../servers/mariadb.ts';
import { testDatabase } from '../servers/postgres.ts';
import { compareAll } from './tables.ts';

interface Side extends AsyncDisposable {
  readonly engine: 'pg' | 'my';
  readonly url: string;
  query(sql: string): Promise<unknown>;
}

const open = async (engine: 'pg' | 'my'): Promise<Side> => {
  const db = engine === 'pg' ? await testDatabase() : await mariadbDatabase();
  return { engine, url: db.url, query: (sql) => db.query(sql), [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() };
};

const connect = (side: Side, o: { readonly rowsPerSecond?: number } = {}): Promise<Endpoint> =>
  side.engine === 'pg' ? connectPostgres(side.url, o) : connectMysql(side.url, o);

const rows = 600;

/** `word` with `id` is a key that only the text hash cuts; `id` alone is cut into ranges. */
const fill = async (side: Side, key: string, count = rows): Promise<void> => {
  const my = side.engine === 'my';
  await side.query(`create table t (id bigint not null, word varchar(20)${my ? ' character set utf8mb4 collate utf8mb4_nopad_bin' : ''} not null,
    a bigint, b bigint, n decimal(30,6), m decimal(20,2), f ${my ? 'double' : 'float8'}, s ${my ? 'text' : 'text'}, s2 varchar(60),
    raw ${my ? 'varbinary(20)' : 'bytea'}, at ${my ? 'datetime(6)' : 'timestamp'}, ok ${my ? 'tinyint(1)' : 'boolean'}, primary key (${key}))`);
  const n = my ? 'seq' : 'n';
  await side.query(`insert into t select ${n}, concat('k', ${n} % 97), ${n} * 7, ${n} * 11, ${n} + 0.5, ${n} + 0.25, ${n} / ${my ? '8e0' : '8::float8'},
    concat('left ', ${n}), concat('right ', ${n}), ${my ? `unhex(lpad(hex(seq), 8, '0'))` : `decode(lpad(to_hex(n), 8, '0'), 'hex')`},
    timestamp '2024-02-29 12:00:00.000001' + interval ${my ? 'seq second' : `'1 second' * n`}, ${my ? 'seq % 2' : 'n % 2 = 1'}
    from ${my ? `seq_1_to_${count}` : `generate_series(1, ${count}) n`}`);
  await side.query(my ? 'analyze table t' : 'analyze t');
};

/** Every row that these touch differs: what a weak digest would miss is among them. */
const damage: readonly (readonly [ids: readonly number[], sql: string])[] = [
  // values exchanged between two rows, and between two columns of one
  [[10, 11], 'update t set a = case id when 10 then 77 else 70 end where id in (10, 11)'],
  [[12], 'update t set a = 132, b = 84 where id = 12'],
  [[13, 14], `update t set s = case id when 13 then 'left 14' else 'left 13' end where id in (13, 14)`],
  // one more here, one less there
  [[20, 21], 'update t set a = a + case id when 20 then 1 else -1 end where id in (20, 21)'],
  // a sign; numbers that exchange their weights; a number shifted by 32 bits
  [[30], 'update t set n = -n where id = 30'],
  [[31], 'update t set n = 10000, m = 1 where id = 31'],
  [[32], 'update t set a = a * 4294967296 where id = 32'],
  // a NULL that moves; NULL against nothing; nothing against a blank; where one text ends and the next begins
  [[40], 'update t set s = null where id = 40'],
  [[41], 'update t set a = null where id = 41'],
  [[42], `update t set s = '' where id = 42`],
  [[43], `update t set s = concat(s, ' ') where id = 43`],
  [[44], `update t set s = 'left 4', s2 = '4right 44' where id = 44`],
  [[45], `update t set s = '~' where id = 45`],
  [[46], `update t set s2 = 'Right 46' where id = 46`],
  [[50], 'update t set f = 6.250000000000001 where id = 50'],
  [[60], `update t set at = timestamp '9999-12-31 23:59:59.999999' where id = 60`],
  [[70], 'update t set ok = null where id = 70'],
  [[90], 'delete from t where id = 90'],
  [[601], `insert into t (id, word) values (601, 'new')`],
];

const keysOf = (differences: readonly { readonly key: readonly (string | null)[] }[], at: number): number[] =>
  differences.map((d) => Number(d.key[at])).sort((a, b) => a - b);

if (!isMariadbMissing) {
  for (const [from, to] of [
    ['my', 'my'],
    ['pg', 'my'],
  ] as const) {
    test(`${from} and ${to} by digests that they make themselves: nothing when they agree, else exactly what was damaged`, async () => {
      for (const key of ['id', 'word, id']) {
        await using source = await open(from);
        await using target = await open(to);
        await Promise.all([fill(source, key), fill(target, key)]);
        await using a = await connect(source);
        await using b = await connect(target);
        const agreed = await compareAll(a, b, { force: 'texts' });
        assert.equal(agreed.report.verdict, 'agrees');
        assert.match(agreed.pair.explain.decision, /made in the databases; no part differs/);
        assert.equal(agreed.pair.identical, rows);
        for (const [, sql] of damage) await target.query(sql);
        const { differences, pair } = await compareAll(a, b, { force: 'texts' });
        assert.match(pair.explain.decision, /made in the databases; .* parts with .* differ/);
        assert.deepEqual(
          keysOf(differences, key === 'id' ? 0 : 1),
          damage.flatMap(([ids]) => ids),
        );
        assert.deepEqual([pair.only_in_source, pair.only_in_target], [1, 1]);
      }
    });
  }

  test('one damaged row at a time changes the digest', async () => {
    await using source = await open('my');
    await using target = await open('my');
    await Promise.all([fill(source, 'id', 100), fill(target, 'id', 100)]);
    await using a = await connect(source);
    await using b = await connect(target);
    for (const [ids, sql] of damage) {
      await target.query(`start transaction; ${sql}; commit`);
      const { differences } = await compareAll(a, b, { force: 'texts' });
      assert.deepEqual(keysOf(differences, 0), ids, sql);
      await target.query('delete from t where id > 100');
      await target.query(`replace into t select * from ${new URL(source.url).pathname.slice(1)}.t`);
    }
  });

  test('where reading rows is slow the databases make the digests; where they are hashed in place, and for values they cannot write, nothing changes', async () => {
    await using source = await open('pg');
    await using target = await open('my');
    await Promise.all([fill(source, 'id', 21_000), fill(target, 'id', 21_000)]);
    await target.query('update t set a = 0 where id = 777');
    await using a = await connect(source);
    await using b = await connect(target, { rowsPerSecond: 15_000 });
    const { differences, pair } = await compareAll(a, b);
    assert.match(
      pair.explain.decision,
      /by md5 in the databases: [\d,]+ rows took \d+ ms in the databases, and \d+ ms read/,
    );
    assert.deepEqual(keysOf(differences, 0), [777]);
    assert.deepEqual(pair.rows, { source: 21_000, target: 21_000 });

    await source.query('create table u (like t including all)');
    await source.query('insert into u select * from t; analyze u');
    await using other = await connect(source);
    const same = await compareAll(a, other, { pairs: [{ source: 't', target: 'u' }] });
    assert.match(same.pair.explain.decision, /digests by/);
    assert.doesNotMatch(same.pair.explain.decision, /md5/);
    assert.equal(same.report.verdict, 'agrees');

    // JSON is canonicalised on our side
    await source.query('alter table t add j jsonb');
    await target.query('alter table t add j json');
    await using quick = await connect(target);
    const json = await compareAll(a, quick, { force: 'texts' });
    assert.doesNotMatch(json.pair.explain.decision, /made in the databases/);
    assert.deepEqual(keysOf(json.differences, 0), [777]);
  });
}
