import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Database, database } from './databases.ts';
import { diffJson } from './diff-json.ts';
import { random } from './random.ts';

/** Large enough for every way of comparing to be chosen by the command line itself. */
const rows = 120_000;

const create = async (db: Database): Promise<void> => {
  if (db.engine === 'postgres')
    await db.run(`create table ledger (id bigint primary key, account bigint, amount numeric(20,4), note text, at timestamp);
      insert into ledger select n, n % 977, (n % 5000) / 8.0, 'note ' || (n % 313), timestamp '2024-01-01' + n * interval '1 second' from generate_series(1, ${rows}) n;
      analyze ledger`);
  else
    await db.run(`create table ledger (id integer primary key, account bigint, amount decimal(20,4), note text, at datetime);
      with recursive n(n) as (select 1 union all select n + 1 from n where n < ${rows})
        insert into ledger select n, n % 977, (n % 5000) / 8.0, 'note ' || (n % 313), datetime('2024-01-01', '+' || n || ' seconds') from n;
      analyze`);
};

/** Few rows, at the bounds of key ranges and anywhere, each with what a careless digest cancels out. */
const plantFew = (seed: number) => {
  const r = random(seed);
  const bounds = [1, 2, 100, 101, 200, 201, 60_000, 60_001, rows - 100, rows - 99, rows];
  const keys = [...new Set([...bounds, ...Array.from({ length: 30 }, () => 300 + r.int(rows - 600))])].sort(
    (a, b) => a - b,
  );
  const expected: string[] = [];
  const script: string[] = [];
  keys.forEach((id, i) => {
    const kind = i % 4;
    if (kind === 0) {
      script.push(`delete from ledger where id = ${id}`);
      expected.push(`${id} only_in_source`);
    } else {
      // +1 in one row, -1 in the next one planted; the sign; a shift by 32 bits.
      const change = ['', 'account = account + 1', 'account = account - 1', 'account = account + 4294967296'][kind]!;
      script.push(`update ledger set ${change} where id = ${id}`);
      expected.push(`${id} account`);
    }
  });
  for (const id of [0, -5, rows + 1, rows * 2]) {
    script.push(`insert into ledger (id, note) values (${id}, null)`);
    expected.push(`${id} only_in_target`);
  }
  return { script: script.join(';\n'), expected: expected.sort() };
};

const said = (found: Awaited<ReturnType<typeof diffJson>>): string[] =>
  found.differences
    .map((d) => `${d.key['id']} ${d.kind === 'different' ? d.cells.map((c) => c.column) : d.kind}`)
    .sort();

for (const engine of ['postgres', 'sqlite'] as const) {
  test(`few and many differences among ${rows} rows: postgres and ${engine}`, async (t) => {
    await using source = await database('postgres');
    await using target = await database(engine);
    await create(source);
    await create(target);
    assert.equal((await diffJson(source.url, target.url)).verdict, 'agrees');

    const { seed } = random();
    t.diagnostic(`LOCKSTEP_TEST_SEED=${seed}`);
    const few = plantFew(seed);
    await target.run(few.script);
    const found = await diffJson(source.url, target.url, '--explain');
    assert.deepEqual(said(found), few.expected);
    assert.match(JSON.stringify(found.pairs[0]), /digests by/);
    const back = await diffJson(target.url, source.url);
    assert.deepEqual(
      said(back),
      few.expected.map((e) =>
        e.replace(/only_in_(source|target)/, (_, side) => `only_in_${side === 'source' ? 'target' : 'source'}`),
      ),
    );

    // Every twentieth row: no longer worth digests.
    await target.run(`update ledger set note = note || ' ' where id % 20 = 7 and id between 1000 and 100000`);
    const many = await diffJson(source.url, target.url, '--explain');
    const expected = new Set(few.expected.map((e) => Number(e.split(' ')[0])));
    for (let id = 1000; id <= 100_000; id++) if (id % 20 === 7) expected.add(id);
    // A row that was deleted on the way stays one difference.
    assert.deepEqual(
      many.differences.map((d) => Number(d.key['id'])).sort((a, b) => a - b),
      [...expected].sort((a, b) => a - b),
    );
    assert.doesNotMatch(JSON.stringify(many.pairs[0]), /digests by/);
  });
}
